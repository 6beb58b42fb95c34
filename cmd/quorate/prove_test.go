package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// TestProof: a follower restores what is stored and compares it with the living
// cluster; a flipped bit is found, told, and made good by a new full snapshot.
func TestProof(t *testing.T) {
	t.Parallel()
	r := newRig(t, append(keyFlags(t), "--backup-verify-interval", "10s")...)
	a, b, c := r.trio()
	startAll(a, b, c)
	r.voters(40*time.Second, "a", "b", "c")
	client := r.client("a", "b", "c")
	for i := range 30 {
		r.put(client, fmt.Sprint("k", i%7), fmt.Sprint("v", i))
	}
	first := r.backup(a)
	prover := "c"
	if r.leader("a", "b", "c").name == "c" {
		prover = "b"
	}
	h := r.nodes[prover]
	proofs := func(result string) string {
		return h.metric(fmt.Sprintf("quorate_backup_proofs_total{result=%q}", result))
	}
	r.eventually(90*time.Second, prover+" proves the backup", func() error {
		if proofs("good") == "" {
			return fmt.Errorf("good %q, uncompared %q, failed %q, damaged %q, no_room %q", proofs("good"), proofs("uncompared"), proofs("failed"), proofs("damaged"), proofs("no_room"))
		}
		return nil
	})
	if rev, age := h.metric("quorate_last_verified_restore_revision"), h.metric("quorate_last_verified_restore_age_seconds"); rev == "0" || age == "-1" {
		t.Errorf("revision %s, age %s", rev, age)
	}
	// found spoils something, and waits until that is found and made good.
	found := func(what string, spoil func()) {
		t.Helper()
		damaged := proofs("damaged")
		spoil()
		r.eventually(60*time.Second, prover+" finds "+what, func() error {
			if proofs("damaged") == damaged {
				return fmt.Errorf("good %q, failed %q", proofs("good"), proofs("failed"))
			}
			return nil
		})
		good := proofs("good")
		r.eventually(60*time.Second, "a new full snapshot is there, and proven, after "+what, func() error {
			if now := proofs("good"); now == good || h.metric("quorate_backup_damaged") != "0" {
				return fmt.Errorf("good %q, damaged %q", now, h.metric("quorate_backup_damaged"))
			}
			return nil
		})
	}
	found("a flipped bit", func() { r.flip(first.Object) })
	found("a missing segment", func() {
		segments := r.moreSegments(client, 4)
		must(t, os.Remove(segments[len(segments)-2]))
	})
	found("a swapped segment", func() {
		segments := r.moreSegments(client, 4)
		must(t, os.Rename(segments[len(segments)-1], segments[len(segments)-2]))
	})
	if log := h.log(); !strings.Contains(log, "WHAT IS STORED CANNOT BE RESTORED") || strings.Contains(log, "SECRET") {
		t.Errorf("%s does not say so, or tells a secret:\n%s", prover, log)
	}
	if _, err := os.Stat(filepath.Join(h.dataDir(), proofDir)); !os.IsNotExist(err) {
		r.eventually(30*time.Second, "the scratch directory goes", func() error {
			if _, err := os.Stat(filepath.Join(h.dataDir(), proofDir)); !os.IsNotExist(err) {
				return fmt.Errorf("it is there: %v", err)
			}
			return nil
		})
	}
}

// moreSegments writes until the newest chain of the log has that many more
// segments, and returns its files in order.
func (r *rig) moreSegments(c *clientv3.Client, n int) (files []string) {
	r.t.Helper()
	list := func() []string {
		all, err := filepath.Glob(r.object("log/0000000001/*/*.seg"))
		must(r.t, err)
		slices.Sort(all)
		return slices.DeleteFunc(all, func(f string) bool { return len(all) > 0 && filepath.Dir(f) != filepath.Dir(all[len(all)-1]) })
	}
	want := len(list()) + n
	r.eventually(60*time.Second, "the log grows", func() error {
		r.put(c, "more", time.Now().String())
		if files = list(); len(files) < want {
			return fmt.Errorf("%d segments of %d", len(files), want)
		}
		return nil
	})
	return files
}
