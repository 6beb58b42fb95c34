package main

import (
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/cluster"
)

// TestRecoverNamedBackup: an operator restores an older backup than the newest,
// because the newest holds what has gone wrong.
func TestRecoverNamedBackup(t *testing.T) {
	t.Parallel()
	r, a, b, c := formed(t, "--no-auto-recover")
	r.put(r.client("a"), "k", "right")
	wanted := r.backup(a)
	r.put(r.client("a"), "k", "wrong")
	newest := r.backup(a)
	wipeAll(a, b, c)
	startAll(a, b, c)
	for _, h := range []*host{a, b, c} {
		h.says(40*time.Second, "automatic recovery is off")
	}
	for key, want := range map[string]string{newest.Key + "x": "backup", "backups/nothing": "backup"} {
		if _, errOut, code := r.quorate("recover", b.agentFlag(), "--backup", key, "--yes"); code != 1 || !strings.Contains(errOut, want) {
			t.Errorf("recover --backup %s: exit code %d, %s", key, code, errOut)
		}
	}
	r.does("recover", b.agentFlag(), "--backup", wanted.Key, "--yes", "--reason", "k is wrong since")
	r.voters(60*time.Second, "a", "b", "c")
	if charter := r.inEpoch(2, "a", "b", "c"); charter.Seed.Kind != cluster.SeedBackup || charter.Seed.Backup != wanted.Key {
		t.Errorf("seed %+v, want %s", charter.Seed, wanted.Key)
	}
	r.wantValue(r.client("a", "b", "c"), "k", "right")
}
