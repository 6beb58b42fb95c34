package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/quorate/quorate/internal/cluster"
)

// TestStoreFresher: the one disk that is left is of a member that was down when
// the last backup was taken. The backup has the longer history and wins, and the
// journal says how far both went.
func TestStoreFresher(t *testing.T) {
	t.Parallel()
	r, a, b, c := formed(t)
	r.writeMany(r.client("a", "b", "c"), "early-", 20)
	a.crash()
	r.writeMany(r.client("b", "c"), "late-", 100)
	saved := r.backup(b)
	wipeAll(b, c)
	r.listStates("a", "b=terminated", "c=terminated")
	a.start()
	r.voters(90*time.Second, "a")
	s := r.inEpoch(2, "a").Seed
	if s.Kind != cluster.SeedBackup || s.Backup != saved.Key || s.Over != "a" || s.Index != saved.Index {
		t.Errorf("seed %+v, want %s of index %d", s, saved.Key, saved.Index)
	}
	r.wantMany(r.client("a"), "early-", 20)
	r.wantMany(r.client("a"), "late-", 100)
	a.wantAside("epoch-1")
	journal := r.journal()
	for _, want := range []string{"a backup is newer than any survivor's log (term ", "; in the store " + saved.Key + ", term "} {
		if !strings.Contains(journal, want) {
			t.Errorf("the journal lacks %q", want)
		}
	}
}

// journal is all that the ledger's journals say.
func (r *rig) journal() string {
	r.t.Helper()
	var all strings.Builder
	must(r.t, filepath.WalkDir(r.object("ledger"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.Contains(path, "journal") {
			return err
		}
		raw, err := os.ReadFile(path)
		all.Write(raw)
		return err
	}))
	return strings.ReplaceAll(all.String(), `\u0027`, "'")
}

// TestResurrectedNeverServe: two machines are given up and a next epoch is
// founded. Then both return with data of the old one, one by a restart and one
// that was frozen in the midst of its work. The restarted one answers no reader
// with old data; the frozen one none who asks for the newest, and nobody at all
// once its agent has had a round.
func TestResurrectedNeverServe(t *testing.T) {
	t.Parallel()
	r, _, b, c := formed(t)
	r.put(r.client("a"), "colour", "old")
	b.crash()
	wake := c.pause()
	t.Cleanup(wake)
	r.listStates("a", "b=terminated", "c=terminated")
	r.voters(60*time.Second, "a")
	r.inEpoch(2, "a")
	r.put(r.client("a"), "colour", "new")
	r.list("a", "b", "c")

	readers := map[string]*reader{
		"b, of any age": r.reads(b, "colour", "old", clientv3.WithSerializable()),
		"b, the newest": r.reads(b, "colour", "old"),
		"c, the newest": r.reads(c, "colour", "old"),
	}
	b.start()
	wake()
	r.eventually(30*time.Second, "c's agent has had a round", func() error {
		rep, err := c.report()
		if err == nil && (rep.Charter == nil || rep.Charter.Epoch != 2) {
			err = errNotYet
		}
		return err
	})
	r.eventually(10*time.Second, "its old etcd has ended", func() error {
		if rep, err := c.report(); err != nil || rep.Disk.Epoch() == 1 {
			return errNotYet
		}
		return nil
	})
	readers["c, of any age"] = r.reads(c, "colour", "old", clientv3.WithSerializable())
	r.voters(90*time.Second, "a", "b", "c")
	for name, w := range readers {
		r.eventually(20*time.Second, "a reader of "+name+" sees the new epoch", func() error {
			if w.new.Load() == 0 {
				return errNotYet
			}
			return nil
		})
		w.end()
		if n := w.old.Load(); n > 0 {
			t.Errorf("%s: %d reads gave data of an epoch that is over", name, n)
		}
	}
	r.inEpoch(2, "a", "b", "c")
	b.wantAside("epoch-1")
	c.wantAside("epoch-1")
}

// TestBackupWhileNobodyLeads: the leader's machine has just gone: a backup that
// is asked for at that moment is taken when the next one leads.
func TestBackupWhileNobodyLeads(t *testing.T) {
	t.Parallel()
	r, _, _, _ := formed(t)
	leader, others := r.led("a", "b", "c")
	leader.crash()
	if b := r.backup(others[0]); b.By == leader.name || b.Key == "" {
		t.Errorf("taken by %q as %q", b.By, b.Key)
	}
}
