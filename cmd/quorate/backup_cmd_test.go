package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/cluster"
)

// TestBackupCommands: by hand, by the clock, and what retention keeps.
func TestBackupCommands(t *testing.T) {
	t.Parallel()
	r := newRig(t, "--backup-keep", "2", "--backup-keep-hourly", "0", "--backup-keep-daily", "0")
	a, b, c := r.trio()
	startAll(a, b, c)
	r.voters(30*time.Second, "a", "b", "c")
	etcd := r.client("a", "b", "c")
	if out := r.does("backup", "list", a.agentFlag()); strings.Count(out, "\n") != 1 {
		t.Errorf("a list of none:\n%s", out)
	}
	var taken []cluster.Backup
	for i, h := range []*host{a, b, c} {
		r.put(etcd, fmt.Sprintf("key-%d", i), "x")
		taken = append(taken, r.backup(h))
	}
	keeper := r.leader("a", "b", "c")
	for i, made := range taken {
		switch {
		case made.Epoch != 1 || made.Cluster != "test" || made.Keys != int64(i+1) || made.Revision != int64(i+2):
			t.Errorf("manifest %+v", made)
		case made.Index == 0 || made.Term == 0 || made.Size == 0 || made.StoredSize == 0 || len(made.SHA256) != 64 || made.Compression != "zstd" || made.Etcd == "" || made.ClusterID == 0:
			t.Errorf("manifest %+v", made)
		case made.By == keeper.name:
			t.Errorf("the leader's own node took it, not a follower")
		}
	}
	list := func() []cluster.Backup {
		return parsed[[]cluster.Backup](t, r.does("backup", "list", "--peers", "file://"+r.peersFile(), "-o", "json"))
	}
	r.eventually(20*time.Second, "the oldest goes", func() error {
		if got := list(); len(got) != 2 || got[0].Key != taken[2].Key || got[1].Key != taken[1].Key {
			return fmt.Errorf("there are %+v", got)
		}
		return nil
	})
	for i, made := range taken {
		if _, err := os.Stat(r.object(made.Object)); (err == nil) != (i > 0) {
			t.Errorf("object %d: %v", i, err)
		}
	}
	r.eventually(10*time.Second, "status shows the last backup", func() error {
		if out := r.does("status", b.agentFlag()); !strings.Contains(out, fmt.Sprintf("revision %d", taken[2].Revision)) {
			return errors.New(out)
		}
		return nil
	})
}

// TestNoStore: a cluster without a store says so, and serves.
func TestNoStore(t *testing.T) {
	t.Parallel()
	r := newRig(t, "--size", "1")
	r.store = ""
	a := r.machine("a", 11)
	r.list("a")
	a.start()
	r.voters(30*time.Second, "a")
	for _, command := range []string{"create", "list"} {
		if _, errOut, code := r.quorate("backup", command, a.agentFlag()); code != 1 || !strings.Contains(errOut, "no store: set --store") {
			t.Errorf("backup %s: exit code %d, %s", command, code, errOut)
		}
	}
	if _, errOut, code := r.quorate("leave", a.agentFlag(), "--yes"); code != 1 || !strings.Contains(errOut, "this is the last voter") {
		t.Errorf("leave of the last voter: exit code %d, %s", code, errOut)
	}
}
