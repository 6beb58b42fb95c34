package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/cluster"
)

// TestRecoverNamedBackup: an operator restores an older backup than the newest,
// as it is, because all that is newer holds what has gone wrong.
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
		if out, errOut, code := r.quorate("recover", b.agentFlag(), "--backup", key, "--yes"); code != 1 || !strings.Contains(errOut, want) || out != "" {
			t.Errorf("recover --backup %s: exit code %d, %s%s", key, code, out, errOut)
		}
	}
	if out, errOut, code := r.quorate("recover", b.agentFlag(), "--lost", "nobody", "--yes"); code != 1 || !strings.Contains(errOut, "lost: no such member: nobody") || out != "" {
		t.Errorf("recover --lost nobody: exit code %d, %s%s", code, out, errOut)
	}
	out := r.does("recover", b.agentFlag(), "--backup", wanted.Key, "--no-log", "--yes", "--reason", "k is wrong since")
	for _, want := range []string{wanted.Key + ", of ", "is restored as it is. What was written after it is gone", "The newest backup goes farther: " + newest.Key} {
		if !strings.Contains(out, want) {
			t.Errorf("%q lacks %q", out, want)
		}
	}
	r.voters(60*time.Second, "a", "b", "c")
	if charter := r.inEpoch(2, "a", "b", "c"); charter.Seed.Kind != cluster.SeedBackup || charter.Seed.Backup != wanted.Key || charter.Seed.Log.Index > 0 {
		t.Errorf("seed %+v, want %s", charter.Seed, wanted.Key)
	}
	r.wantValue(r.client("a", "b", "c"), "k", "right")
}

// TestRecoverNamedBackupAndLog: of the backup that an operator names, because a
// newer one is damaged, nothing is lost that the log behind it holds.
func TestRecoverNamedBackupAndLog(t *testing.T) {
	t.Parallel()
	r, a, b, c := formed(t, "--no-auto-recover")
	client := r.client("a")
	r.put(client, "k", "1")
	wanted := r.backup(a)
	r.put(client, "k", "2")
	r.awaitShipped(client)
	newest := r.backup(a)
	r.put(client, "k", "3")
	r.awaitShipped(client)
	damage(t, r.object(newest.Object))
	wipeAll(a, b, c)
	startAll(a, b, c)
	for _, h := range []*host{a, b, c} {
		h.says(40*time.Second, "automatic recovery is off")
	}
	for args, want := range map[string]string{"--no-log --empty": "no-log: ", "--give-up=a --backup=x": "give-up: "} {
		if _, errOut, code := r.quorate(append([]string{"recover", b.agentFlag(), "--yes"}, strings.Fields(args)...)...); code != 2 || !strings.Contains(errOut, want) {
			t.Errorf("recover %s: exit code %d, %s", args, code, errOut)
		}
	}
	out := r.does("recover", b.agentFlag(), "--backup", wanted.Key, "--yes")
	if !strings.Contains(out, "is restored, and the log behind it to its end") {
		t.Error(out)
	}
	r.voters(60*time.Second, "a", "b", "c")
	if s := r.inEpoch(2, "a", "b", "c").Seed; s.Backup != wanted.Key || s.Log.Index <= newest.Index {
		t.Errorf("seed %+v", s)
	}
	r.wantValue(r.client("a", "b", "c"), "k", "3")
}

// TestRecoverEmptyPassesOver: while a disk that answers holds data, an empty
// cluster is founded only by a word that names it.
func TestRecoverEmptyPassesOver(t *testing.T) {
	t.Parallel()
	r, a, b, c := formed(t)
	r.put(r.client("a"), "gone", "1")
	wipeAll(a, b, c)
	kept := filepath.Join(b.dataDir(), "aside", "epoch-1-20260101T000000Z")
	must(t, os.MkdirAll(kept, 0o700))
	startAll(a, b, c)
	for _, h := range []*host{a, b, c} {
		h.says(40*time.Second, "nothing can be restored: use `quorate recover --empty`")
	}
	r.eventually(20*time.Second, "refused, and b is named", func() error {
		out, errOut, code := r.quorate("recover", a.agentFlag(), "--empty", "--yes")
		if code != 1 || !strings.Contains(errOut, "the disks of b answer and hold data") || !strings.Contains(out, "b answers, and its disk holds data set aside (epoch-1-20260101T000000Z): to pass it over say --give-up b.") {
			return fmt.Errorf("exit code %d\n%s%s", code, out, errOut)
		}
		return nil
	})
	r.onlyEpochOne()
	r.does("recover", a.agentFlag(), "--empty", "--give-up", "b", "--yes", "--reason", "it was looked at")
	r.voters(60*time.Second, "a", "b", "c")
	if s := r.inEpoch(2, "a", "b", "c").Seed; s.Kind != cluster.SeedEmpty {
		t.Errorf("seed %+v", s)
	}
	if _, err := os.Stat(kept); err != nil {
		t.Errorf("what was set aside is gone: %v", err)
	}
}
