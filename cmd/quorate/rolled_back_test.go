package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/cluster"
)

// TestStoreRolledBack: while every machine was down, somebody has put an old copy
// of the store in its place. The keeper knows how far the store once reached, and
// says so, until a new full snapshot holds it all again.
func TestStoreRolledBack(t *testing.T) {
	t.Parallel()
	r, a, b, c := formed(t, "--backup-interval", "1h")
	client := r.client("a", "b", "c")
	r.firstBackup(a) // two at a time are refused
	r.put(client, "k", "1")
	r.backup(a)
	r.awaitShipped(client)
	store, old := filepath.Join(r.dir, "store"), filepath.Join(r.dir, "old")
	must(t, os.CopyFS(old, os.DirFS(store)))
	// A chain that is there would be gone on with, out of the members' own logs, before
	// anybody has compared: then nothing is missing, and nothing is said.
	must(t, os.RemoveAll(filepath.Join(old, "test", "log")))
	r.put(client, "k", "2")
	newest := r.backup(b)
	r.awaitShipped(client)
	for _, h := range []*host{a, b, c} {
		r.eventually(30*time.Second, h.name+" remembers", func() error {
			raw, err := os.ReadFile(filepath.Join(h.dataDir(), "stored.json"))
			if err != nil {
				return err
			}
			if s := parsed[cluster.Stored](t, string(raw)); s.Epoch != 1 || s.Index < newest.Index {
				return fmt.Errorf("%+v, and not %d", s, newest.Index)
			}
			return nil
		})
	}
	for _, h := range []*host{a, b, c} {
		h.crash()
	}
	must(t, os.Rename(store, store+"-new"))
	must(t, os.Rename(old, store))

	startAll(a, b, c)
	r.voters(60*time.Second, "a", "b", "c")
	r.madeUpFor(40*time.Second, func(index uint64, _ int64) bool { return index >= newest.Index })
}

// firstBackup waits until the keeper has taken the one that it takes by itself.
func (r *rig) firstBackup(h *host) {
	r.t.Helper()
	r.eventually(30*time.Second, "the first backup", func() error {
		s, err := h.status()
		if err == nil && s.Backup == nil {
			err = errors.New("there is none")
		}
		return err
	})
}

// madeUpFor waits until a keeper has said what the store lacks, and the store holds
// it all again: by a full snapshot, or by the log that a shipper began on an older
// one before. Then the keeper's next look, two minutes later at most, ends the alarm.
func (r *rig) madeUpFor(limit time.Duration, all func(index uint64, revision int64) bool) {
	r.t.Helper()
	r.eventually(limit, "the keeper says so", func() error {
		if !strings.Contains(r.logs(), "THE STORE LACKS WHAT WAS STORED IN IT") {
			return errors.New("nobody does")
		}
		return nil
	})
	r.eventually(150*time.Second, "it is alarmed until the store holds all", func() error {
		s, err := r.nodes["a"].status()
		switch {
		case err != nil:
			return err
		case s.Lacks != "":
			return errors.New(s.Lacks)
		case s.Backup != nil && all(s.Backup.Index, s.Backup.Revision):
			return nil
		}
		p, err := r.stored()
		if err == nil && !all(p.Last.Index, p.Last.Revision) {
			err = fmt.Errorf("%+v, and the log to %+v", s.Backup, p.Last)
		}
		return err
	})
	r.notRolledBack()
}

func (r *rig) notRolledBack() {
	r.t.Helper()
	for _, h := range r.nodes {
		if v := h.metric("quorate_store_rolled_back"); v != "0" {
			r.t.Errorf("%s: quorate_store_rolled_back %q", h.name, v)
		}
	}
}

// TestStoreRolledBackBeneath: somebody puts an old copy of the store in its place
// while all run and clients write. What is stored from then on has a gap before it:
// the keeper says so within two minutes, and makes up for it, so that what a restore
// brings back is everything.
func TestStoreRolledBackBeneath(t *testing.T) {
	t.Parallel()
	r, a, _, _ := formed(t, "--backup-interval", "1h")
	client := r.client("a", "b", "c")
	r.firstBackup(a)
	r.put(client, "k", "1")
	r.awaitShipped(client)
	store, old := filepath.Join(r.dir, "store"), filepath.Join(r.dir, "old")
	must(t, os.CopyFS(old, os.DirFS(store)))
	for i := range 5 { // each in a segment of its own
		r.put(client, "k", fmt.Sprint(2+i))
		r.awaitShipped(client)
	}
	must(t, os.Rename(store, store+"-new"))
	must(t, os.Rename(old, store))
	writes := r.paced(client, "after/")
	r.madeUpFor(100*time.Second, func(_ uint64, revision int64) bool { return revision >= 6 })
	writes.end()
	r.put(client, "k", "last")
	r.awaitShipped(client)
}
