package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/quorate/quorate/internal/cluster"
)

const testBump = 1_000_000

// source starts a member with keys, leases, a user and auth, and returns root's
// client, the lease and the revision.
func source(t *testing.T) (*clientv3.Client, clientv3.LeaseID, int64) {
	t.Helper()
	n := newNode(t, "old", "127.0.0.80")
	n.start(t, "--initial-cluster="+initialCluster(n), "--initial-cluster-token=old")
	c := n.connect(t)
	awaitServing(t, c)
	ctx := t.Context()
	must := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for i := range 200 {
		must(c.Put(ctx, fmt.Sprintf("key%03d", i%150), fmt.Sprint("value", i)))
	}
	must(c.Delete(ctx, "key007"))
	lease, err := c.Grant(ctx, 4000)
	must(nil, err)
	must(c.Put(ctx, "leased", "x", clientv3.WithLease(lease.ID)))
	must(c.UserAdd(ctx, "root", "secret"))
	must(c.UserGrantRole(ctx, "root", "root"))
	must(c.RoleAdd(ctx, "reader"))
	must(c.RoleGrantPermission(ctx, "reader", "key", "kez", clientv3.PermissionType(clientv3.PermRead)))
	must(c.AuthEnable(ctx))
	root := n.connect(t, "root", "secret")
	last, err := root.Put(ctx, "last", "one")
	must(nil, err)
	return root, lease.ID, last.Header.Revision
}

// The whole way: a live cluster of one with everything in it, lost, comes back
// as three members of a new cluster, each from the same backup.
func TestRestoreBringsEverythingBack(t *testing.T) {
	root, lease, revision := source(t)
	st := newStore(t)
	taken := mustTake(t, st, liveSource{root}, metaAt(1, testNow))
	if taken.Keys != 151 || taken.Revision != revision {
		t.Errorf("took %d keys at %d, want 151 at %d", taken.Keys, taken.Revision, revision)
	}
	want := dump(t, root)

	nodes := []*node{newNode(t, "a", "127.0.0.81"), newNode(t, "b", "127.0.0.82"), newNode(t, "c", "127.0.0.83")}
	var all sync.WaitGroup
	for _, n := range nodes {
		all.Go(func() {
			if err := Restore(t.Context(), st, taken, n.target(nodes)); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if t.Failed() {
		t.FailNow()
	}
	for _, n := range nodes {
		wantOnly(t, filepath.Dir(n.dir), n.name+".etcd")
		n.start(t)
	}
	for _, n := range nodes {
		t.Run(n.name, func(t *testing.T) { checkRestored(t, n, want, lease, taken) })
	}
}

func (n *node) target(founders []*node) Target {
	return Target{DataDir: n.dir, Name: n.name, PeerURL: n.peer, InitialCluster: initialCluster(founders...), Token: "new", Bump: testBump}
}

func checkRestored(t *testing.T, n *node, want map[string]string, lease clientv3.LeaseID, taken cluster.Backup) {
	ctx := t.Context()
	nobody := n.connect(t)
	await(t, "auth", func(ctx context.Context) error {
		if _, err := nobody.Get(ctx, "x"); !errors.Is(err, rpctypes.ErrUserEmpty) {
			return fmt.Errorf("a read without a user: %w", errors.Join(errNotYet, err))
		}
		return nil
	})
	root := n.connect(t, "root", "secret")
	if got := dump(t, root); !maps.Equal(got, want) {
		t.Errorf("keys\n%v, want\n%v", got, want)
	}
	status, err := root.AuthStatus(ctx)
	if err != nil || !status.Enabled {
		t.Errorf("auth %v, %v", status, err)
	}
	if role, err := root.RoleGet(ctx, "reader"); err != nil || len(role.Perm) != 1 {
		t.Errorf("role %v, %v", role, err)
	}
	ttl, err := root.TimeToLive(ctx, lease, clientv3.WithAttachedKeys())
	if err != nil || ttl.GrantedTTL != 4000 || ttl.TTL <= 0 || len(ttl.Keys) != 1 {
		t.Errorf("lease %+v, %v", ttl, err)
	}
	state, err := liveSource{root}.Status(ctx)
	if err != nil || state.Revision < taken.Revision+testBump || state.ClusterID == taken.ClusterID {
		t.Errorf("state %+v, %v", state, err)
	}
	// A watcher from before hears that it has missed something.
	events, ok := <-root.Watch(ctx, "key", clientv3.WithPrefix(), clientv3.WithRev(taken.Revision))
	if !ok || !errors.Is(events.Err(), rpctypes.ErrCompacted) || events.CompactRevision < taken.Revision+testBump {
		t.Errorf("an old watcher hears %+v, %v", events, events.Err())
	}
}

// wantOnly says that the directory holds these names and no other.
func wantOnly(t *testing.T, dir string, names ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if strings.Join(got, " ") != strings.Join(names, " ") {
		t.Errorf("%s holds %v, want %v", dir, got, names)
	}
}

func TestAFailedRestoreLeavesNothing(t *testing.T) {
	tests := map[string]struct {
		spoil   func(t *testing.T, st *faulty, b *cluster.Backup, into *Target)
		damaged bool
	}{
		"a flipped bit": {damaged: true, spoil: func(t *testing.T, st *faulty, b *cluster.Backup, _ *Target) { st.spoil(t, b.Object, 99) }},
		"no object": {damaged: true, spoil: func(t *testing.T, st *faulty, b *cluster.Backup, _ *Target) {
			if err := st.Delete(t.Context(), b.Object); err != nil {
				t.Fatal(err)
			}
		}},
		"a failing store": {spoil: func(_ *testing.T, st *faulty, _ *cluster.Backup, _ *Target) { st.before = failOn("open", "") }},
		"not a database":  {spoil: func(*testing.T, *faulty, *cluster.Backup, *Target) {}},
		"not a founder":   {spoil: func(_ *testing.T, _ *faulty, _ *cluster.Backup, into *Target) { into.Name = "z" }},
		"no room":         {spoil: func(_ *testing.T, _ *faulty, b *cluster.Backup, _ *Target) { b.Size = math.MaxInt64 / 4 }},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			st := newStore(t)
			b := mustTake(t, st, newFakeSource(1, 1<<16), metaAt(1, testNow)) // no etcd can open it
			n := &node{name: "a", peer: "http://127.0.0.81:1", dir: filepath.Join(t.TempDir(), "a.etcd")}
			into := n.target([]*node{n})
			tt.spoil(t, st, &b, &into)
			err := Restore(t.Context(), st, b, into)
			if err == nil || errors.Is(err, ErrDamaged) != tt.damaged {
				t.Errorf("error %v", err)
			}
			t.Log(err)
			wantOnly(t, filepath.Dir(n.dir))
		})
	}
}

// An interrupted restore says what has ended it, in whichever phase.
func TestRestoreSaysWhatEndedIt(t *testing.T) {
	st := newStore(t)
	b := mustTake(t, st, newFakeSource(1, 40<<20), metaAt(1, testNow))
	errCause := errors.New("the person has had enough")
	for name, end := range map[string]func(into *Target, stop func()){
		"beforehand":      func(_ *Target, stop func()) { stop() },
		"in the download": func(into *Target, stop func()) { into.Progress = func(int64) { stop() } },
	} {
		t.Run(name, func(t *testing.T) {
			n := &node{name: "a", peer: "http://127.0.0.81:1", dir: filepath.Join(t.TempDir(), "a.etcd")}
			into := n.target([]*node{n})
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			end(&into, func() { cancel(errCause) })
			if err := Restore(ctx, st, b, into); !errors.Is(err, errCause) || errors.Is(err, ErrDamaged) {
				t.Errorf("error %v, want %v", err, errCause)
			}
			wantOnly(t, filepath.Dir(n.dir))
		})
	}
}

func TestRestoreOverwritesNothing(t *testing.T) {
	st := newStore(t)
	b := mustTake(t, st, newFakeSource(1, 4096), metaAt(1, testNow))
	dir := t.TempDir()
	kept := filepath.Join(dir, "kept")
	if err := os.WriteFile(kept, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Restore(t.Context(), st, b, Target{DataDir: dir}); err == nil {
		t.Error("restored over a directory with something in it")
	}
	wantOnly(t, dir, "kept")
}

func TestProgressIsTold(t *testing.T) {
	var told []int64
	w := &teller{tell: func(n int64) { told = append(told, n) }}
	if _, err := io.Copy(w, io.LimitReader(zeros{}, 50<<20)); err != nil {
		t.Fatal(err)
	}
	if len(told) != 3 || told[2] != 48<<20 {
		t.Errorf("told %v", told)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }
