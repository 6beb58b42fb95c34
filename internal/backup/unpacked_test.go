package backup

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/quorate/quorate/internal/cluster"
)

// unpackOne unpacks a backup beside where a restore is to go.
func unpackOne(t *testing.T, st Store, b cluster.Backup, n *node) *Unpacked {
	t.Helper()
	u, err := Unpack(t.Context(), st, b, filepath.Join(filepath.Dir(n.dir), "unpacked"))
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// What was read to be verified is not read again to be restored, and is the same.
func TestARestoreTakesWhatIsUnpacked(t *testing.T) {
	root, lease, _ := source(t)
	st := newStore(t)
	taken := mustTake(t, st, liveSource{root}, metaAt(1, testNow))
	want := dump(t, root)
	n := newNode(t, "a", "127.0.0.81")
	into := n.target([]*node{n})
	into.Unpacked = unpackOne(t, st, taken, n)
	if info, err := os.Stat(filepath.Join(filepath.Dir(n.dir), "unpacked")); err != nil || info.Mode().Perm() != 0o600 || info.Size() != taken.Size {
		t.Errorf("unpacked %v, %v", info, err)
	}
	st.before = failOn("open", "")
	if err := Restore(t.Context(), st, taken, into); err != nil {
		t.Fatal(err)
	}
	if err := into.Unpacked.Discard(); err != nil {
		t.Error(err)
	}
	wantOnly(t, filepath.Dir(n.dir), "a.etcd")
	n.start(t)
	checkRestored(t, n, want, lease, taken)
}

// What is unpacked serves its own backup alone, and only while its file is there.
func TestOtherRestoresReadTheStore(t *testing.T) {
	for name, spoil := range map[string]func(t *testing.T, u *Unpacked, b *cluster.Backup){
		"another key":   func(_ *testing.T, u *Unpacked, _ *cluster.Backup) { u.of.Key = "backups/x" },
		"another hash":  func(_ *testing.T, u *Unpacked, _ *cluster.Backup) { u.of.SHA256 = "x" },
		"another size":  func(_ *testing.T, u *Unpacked, _ *cluster.Backup) { u.of.Size++ },
		"the file gone": func(t *testing.T, u *Unpacked, _ *cluster.Backup) { mustRemove(t, u.name) },
	} {
		t.Run(name, func(t *testing.T) {
			st := newStore(t)
			b := mustTake(t, st, newFakeSource(1, 1<<16), metaAt(1, testNow))
			n := &node{name: "a", peer: "http://127.0.0.81:1", dir: filepath.Join(t.TempDir(), "a.etcd")}
			into := n.target([]*node{n})
			into.Unpacked = unpackOne(t, st, b, n)
			spoil(t, into.Unpacked, &b)
			st.before = failOn("open", "")
			if err := Restore(t.Context(), st, b, into); !errors.Is(err, errBroken) {
				t.Errorf("error %v", err)
			}
			if err := into.Unpacked.Discard(); err != nil {
				t.Error(err)
			}
			wantOnly(t, filepath.Dir(n.dir))
		})
	}
}

func mustRemove(t *testing.T, name string) {
	t.Helper()
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
}

func TestUnpackingWhatIsNoGoodLeavesNothing(t *testing.T) {
	for name, tt := range map[string]struct {
		spoil func(t *testing.T, st *faulty, b *cluster.Backup)
		want  error
	}{
		"a flipped bit":   {func(t *testing.T, st *faulty, b *cluster.Backup) { st.spoil(t, b.Object, 99) }, ErrDamaged},
		"a failing store": {func(_ *testing.T, st *faulty, _ *cluster.Backup) { st.before = failOn("open", "") }, errBroken},
		"no room":         {func(_ *testing.T, _ *faulty, b *cluster.Backup) { b.Size = math.MaxInt64 / 4 }, ErrNoRoom},
	} {
		t.Run(name, func(t *testing.T) {
			st, dir := newStore(t), t.TempDir()
			b := mustTake(t, st, newFakeSource(1, 1<<16), metaAt(1, testNow))
			tt.spoil(t, st, &b)
			u, err := Unpack(t.Context(), st, b, filepath.Join(dir, "unpacked"))
			if !errors.Is(err, tt.want) || u.Is(b) {
				t.Errorf("error %v", err)
			}
			wantOnly(t, dir)
			if err := u.Discard(); err != nil {
				t.Error(err)
			}
		})
	}
}

// A file that is there is nobody's to write over.
func TestUnpackingOverwritesNothing(t *testing.T) {
	st, dir := newStore(t), t.TempDir()
	b := mustTake(t, st, newFakeSource(1, 1<<16), metaAt(1, testNow))
	kept := filepath.Join(dir, "kept")
	if err := os.WriteFile(kept, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Unpack(t.Context(), st, b, kept); !errors.Is(err, os.ErrExist) {
		t.Errorf("error %v", err)
	}
	wantOnly(t, dir, "kept")
}
