package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/quorate/quorate/internal/cluster"
)

const secret = "open sesame"

// withAuth is a rig whose agents know etcd's root user, before etcd does.
func withAuth(t *testing.T, flags ...string) *rig {
	t.Helper()
	file := filepath.Join(t.TempDir(), "password")
	must(t, os.WriteFile(file, []byte(secret+"\n"), 0o600))
	return newRig(t, append(flags, "--etcd-user", "root", "--etcd-password-file", file)...)
}

// asRoot is a client with the password.
func (r *rig) asRoot(names ...string) *clientv3.Client {
	r.t.Helper()
	var eps []string
	for _, n := range names {
		eps = append(eps, r.nodes[n].url(2379))
	}
	c, err := clientv3.New(clientv3.Config{Endpoints: eps, Username: "root", Password: secret, DialTimeout: 5 * time.Second, Logger: zap.NewNop()})
	must(r.t, err)
	r.t.Cleanup(func() { c.Close() })
	return c
}

// enableAuth makes root the only user.
func (r *rig) enableAuth(c *clientv3.Client) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	_, err := c.UserAdd(ctx, "root", secret)
	must(r.t, err)
	_, err = c.UserGrantRole(ctx, "root", "root")
	must(r.t, err)
	_, err = c.AuthEnable(ctx)
	must(r.t, err)
}

// TestTotalLoss: every machine and every disk is gone, the store is left. The
// same machines come back, empty, and found epoch 2 from the newest good backup
// and the log behind it. They have all said that their disks are lost, so nobody
// waits; and each reads the snapshot once.
func TestTotalLoss(t *testing.T) {
	t.Parallel()
	r := withAuth(t, "--founding-wait", "10m")
	a, b, c := r.trio()
	startAll(a, b, c)
	r.voters(30*time.Second, "a", "b", "c")
	r.enableAuth(r.client("a"))
	root := r.asRoot("a", "b", "c")
	ctx := t.Context()
	lease, err := root.Grant(ctx, 3600)
	must(t, err)
	_, err = root.Put(ctx, "leased", "1", clientv3.WithLease(lease.ID))
	must(t, err)
	r.put(root, "kept", "yes")
	// Quorate itself goes on with authentication enabled.
	r.voters(20*time.Second, "a", "b", "c")
	good := r.backup(a)
	r.put(root, "first", "of the chain that begins on it")
	r.awaitShipped(root)
	r.put(root, "later", "only in the damaged backup, and in the log")
	damaged := r.backup(b)
	if damaged.Revision <= good.Revision {
		t.Fatalf("revision %d after %d", damaged.Revision, good.Revision)
	}
	last, err := root.Put(ctx, "unsaved", "in no backup, and in the log")
	must(t, err)
	damage(t, r.object(damaged.Object))
	r.awaitShipped(root)

	wipeAll(a, b, c)
	startAll(a, b, c)
	took := r.voters(60*time.Second, "a", "b", "c")
	t.Logf("restored after %s", took.Round(time.Millisecond))

	charter := r.inEpoch(2, "a", "b", "c")
	if charter.Seed.Kind != cluster.SeedBackup || charter.Seed.Backup != good.Key || charter.Seed.Log.Index == 0 || len(charter.Founders) != 3 {
		t.Errorf("charter %+v", charter)
	}
	var said []string
	for _, h := range []*host{a, b, c} {
		if !strings.Contains(h.log(), "restoring the seed") {
			t.Errorf("%s did not restore the seed itself", h.name)
		}
		// Before the charter, to know that it is good, or after it: somebody else did.
		verified := strings.Count(h.log(), `reading a backup, to know that it is good" backup=`+good.Key)
		if read := verified + strings.Count(h.log(), "unpacked=false"); read != 1 {
			t.Errorf("%s has read the snapshot %d times", h.name, read)
		}
		if left, _ := filepath.Glob(filepath.Join(h.dataDir(), "unpacked-*")); len(left) > 0 {
			t.Errorf("%s has left %v", h.name, left)
		}
		if strings.Contains(h.log(), "a backup is no good") && strings.Contains(h.log(), damaged.Key) {
			said = append(said, h.name)
		}
	}
	if len(said) == 0 {
		t.Errorf("nobody said that %s is damaged", damaged.Key)
	}
	r.wantRestored(r.asRoot("a", "b", "c"), lease.ID, last.Header.Revision)
	if _, err := r.client("a").Get(ctx, "kept"); !errors.Is(err, rpctypes.ErrUserEmpty) {
		t.Errorf("authentication is off: %v", err)
	}
}

// wantRestored looks at the data of epoch 2 as its clients do.
func (r *rig) wantRestored(c *clientv3.Client, lease clientv3.LeaseID, last int64) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	r.wantValue(c, "kept", "yes")
	r.wantValue(c, "leased", "1")
	r.wantValue(c, "later", "only in the damaged backup, and in the log")
	r.wantValue(c, "unsaved", "in no backup, and in the log")
	ttl, err := c.TimeToLive(ctx, lease, clientv3.WithAttachedKeys())
	if err != nil || ttl.TTL <= 0 || len(ttl.Keys) != 1 {
		r.t.Errorf("the lease: %+v, %v", ttl, err)
	}
	put, err := c.Put(ctx, "next", "1")
	must(r.t, err)
	if put.Header.Revision <= last {
		r.t.Errorf("revision %d after %d: a client of the old epoch would see time run backwards", put.Header.Revision, last)
	}
	resp, said := <-c.Watch(ctx, "kept", clientv3.WithRev(last))
	for said && resp.Err() != nil && strings.Contains(resp.Err().Error(), "invalid auth token") { // a member that is a moment behind
		resp, said = <-c.Watch(ctx, "kept", clientv3.WithRev(last))
	}
	if err := resp.Err(); !said || !errors.Is(err, rpctypes.ErrCompacted) {
		r.t.Errorf("a watch from before says %v", err)
	}
}

// damage flips one bit in the middle of a file.
func damage(t *testing.T, path string) {
	t.Helper()
	raw, err := os.ReadFile(path)
	must(t, err)
	raw[len(raw)/2] ^= 1
	must(t, os.WriteFile(path, raw, 0o600))
}

// TestTotalLossOtherMachines: the replacements have other names and addresses.
// The store fails just then: nobody may take that for a store without backups.
func TestTotalLossOtherMachines(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a, b, c := r.trio()
	startAll(a, b, c)
	r.voters(30*time.Second, "a", "b", "c")
	r.put(r.client("a"), "kept", "yes")
	saved := r.backup(c)
	wipeAll(a, b, c)

	backups, away := r.object("backups"), filepath.Join(r.dir, "backups-away")
	must(t, os.Rename(backups, away))
	must(t, os.Symlink(backups, backups)) // every look at it is an error
	d, e, f := r.machine("d", 21), r.machine("e", 22), r.machine("f", 23)
	r.list("d", "e", "f")
	startAll(d, e, f)
	for _, h := range []*host{d, e, f} {
		h.holds(30*time.Second, "which backup is good is not known yet", 10)
		r.inEpoch(1, h.name)
	}
	exchange(t, away, backups)
	r.voters(90*time.Second, "d", "e", "f")
	if charter := r.inEpoch(2, "d", "e", "f"); charter.Seed.Backup != saved.Key {
		t.Errorf("seed %+v", charter.Seed)
	}
	r.wantValue(r.client("d", "e", "f"), "kept", "yes")
}

// TestNothingToRestore: a charter, no disk and no backup is no reason to begin
// anew; only an operator's word is.
func TestNothingToRestore(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a, b, c := r.trio()
	startAll(a, b, c)
	r.voters(30*time.Second, "a", "b", "c")
	r.put(r.client("a"), "gone", "1")
	if _, errOut, code := r.quorate("recover", a.agentFlag(), "--empty", "--yes"); code != 1 || !strings.Contains(errOut, "a quorum lives") {
		t.Errorf("recover of a healthy cluster: exit code %d, %s", code, errOut)
	}
	wipeAll(a, b, c)
	startAll(a, b, c)
	for _, h := range []*host{a, b, c} {
		h.holds(40*time.Second, "nothing can be restored: use `quorate recover --empty`", 10)
		r.inEpoch(1, h.name)
	}
	out, _, code := r.quorate("status", b.agentFlag())
	if code != 2 || !strings.Contains(out, "quorate recover --empty") {
		t.Errorf("status: exit code %d\n%s", code, out)
	}
	r.does("recover", b.agentFlag(), "--empty", "--yes", "--reason", "it was a test")
	r.voters(60*time.Second, "a", "b", "c")
	if charter := r.inEpoch(2, "a", "b", "c"); charter.Seed.Kind != cluster.SeedEmpty {
		t.Errorf("seed %+v", charter.Seed)
	}
	got, err := r.client("a").Get(t.Context(), "gone")
	if err != nil || len(got.Kvs) != 0 {
		t.Errorf("%v, %v", got, err)
	}
}
