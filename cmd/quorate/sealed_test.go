package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/seal"
)

// keyFlags makes keys and returns the flags that name them all.
func keyFlags(t *testing.T) []string {
	t.Helper()
	dir := t.TempDir()
	must(t, seal.Generate(dir))
	recipient, err := os.ReadFile(filepath.Join(dir, "recipient.txt"))
	must(t, err)
	return []string{"--backup-recipient", strings.TrimSpace(string(recipient)), "--backup-identity-file", filepath.Join(dir, "identity.txt"),
		"--backup-sign-key-file", filepath.Join(dir, "sign.pem")}
}

// TestSealedRecovery: from the loss of every disk the agents come back with the
// newest backup that is theirs, past a newer one that nobody has signed.
func TestSealedRecovery(t *testing.T) {
	t.Parallel()
	r, a, b, c := formed(t, keyFlags(t)...)
	r.put(r.client("a"), "k", "ours")
	made := r.backup(a)
	if made.Encryption != "age" || made.Signer == "" {
		t.Fatalf("manifest %+v", made)
	}
	object, err := os.ReadFile(r.object(made.Object))
	must(t, err)
	if !strings.HasPrefix(string(object), "age-encryption.org/v1\n") {
		t.Errorf("the object begins with %q", object[:30])
	}
	r.plant(made)
	wipeAll(a, b, c)
	startAll(a, b, c)
	r.voters(60*time.Second, "a", "b", "c")
	if charter := r.inEpoch(2, "a", "b", "c"); charter.Seed.Kind != cluster.SeedBackup || charter.Seed.Backup != made.Key {
		t.Errorf("seed %+v, want %s", charter.Seed, made.Key)
	}
	r.wantValue(r.client("a", "b", "c"), "k", "ours")
	// Who has chosen the backup has looked at the other one too.
	if log := r.logs(); strings.Contains(log, "AGE-SECRET-KEY") || !strings.Contains(log, "not trusted: not signed") {
		t.Errorf("the planted backup is not told of, or a secret is:\n%s", log)
	}
}

// plant puts a copy of a backup beside it, newer and unsigned.
func (r *rig) plant(b cluster.Backup) {
	r.t.Helper()
	text, err := os.ReadFile(r.object(b.Key))
	must(r.t, err)
	manifest, _, signed := strings.Cut(string(text), "\n{\"signature\"")
	if !signed {
		r.t.Fatalf("not signed: %s", text)
	}
	stem := strings.TrimSuffix(b.Key, ".json")
	planted := stem[:len(stem)-4] + "0bad"
	manifest = strings.ReplaceAll(manifest, stem, planted)
	manifest = strings.Replace(manifest, `"revision": `, `"revision": 9`, 1)
	must(r.t, os.WriteFile(r.object(planted+".json"), []byte(manifest), 0o600))
	object, err := os.ReadFile(r.object(b.Object))
	must(r.t, err)
	must(r.t, os.WriteFile(r.object(planted+strings.TrimPrefix(b.Object, stem)), object, 0o600))
}

// TestRolledBackStore: when the store has lost its newest backup, nobody takes
// an older one for it; an operator may, by name.
func TestRolledBackStore(t *testing.T) {
	t.Parallel()
	r, a, b, c := formed(t, keyFlags(t)...)
	r.put(r.client("a"), "k", "older")
	older := r.backup(a)
	r.put(r.client("a"), "k", "newer")
	newer := r.backup(a)
	wipeAll(a, b, c)
	must(t, os.Remove(r.object(newer.Key)))
	startAll(a, b, c)
	r.eventually(40*time.Second, "a says that a backup is missing", func() error {
		if !strings.Contains(a.log(), "and there was one of epoch 1, revision") {
			return errors.New("not yet")
		}
		return nil
	})
	r.does("recover", a.agentFlag(), "--backup", older.Key, "--no-log", "--yes", "--reason", "the newer one is gone") // the log may hold the newer value
	r.voters(60*time.Second, "a", "b", "c")
	if charter := r.inEpoch(2, "a", "b", "c"); charter.Seed.Backup != older.Key {
		t.Errorf("seed %+v, want %s", charter.Seed, older.Key)
	}
	r.wantValue(r.client("a", "b", "c"), "k", "older")
}
