package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
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
	r.flip(first.Object)
	r.eventually(60*time.Second, prover+" finds the flipped bit", func() error {
		if proofs("damaged") == "" {
			return fmt.Errorf("good %q, failed %q", proofs("good"), proofs("failed"))
		}
		return nil
	})
	good := proofs("good")
	r.eventually(60*time.Second, "a new full snapshot is there, and proven", func() error {
		if now := proofs("good"); now == good || h.metric("quorate_backup_damaged") != "0" {
			return fmt.Errorf("good %q, damaged %q", now, h.metric("quorate_backup_damaged"))
		}
		return nil
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
