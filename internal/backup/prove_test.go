package backup

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/quorate/quorate/internal/etcd"
	"github.com/quorate/quorate/internal/seal"
)

// The hash of a proven backup is the living cluster's at that revision, though
// that has gone on and compacted since; a key that differs shows.
func TestProve(t *testing.T) {
	n := newNode(t, "live", "127.0.0.86")
	n.start(t, "--initial-cluster="+initialCluster(n))
	c := n.connect(t)
	awaitServing(t, c)
	live := etcd.Dial(n.client, etcd.TLSFiles{}, etcd.Credentials{})
	defer live.Close()
	write := func(from, to int) {
		t.Helper()
		for i := from; i < to; i++ {
			_, err := c.Put(t.Context(), fmt.Sprint("k", i%50), fmt.Sprint("v", i))
			if err == nil && i%7 == 0 {
				_, err = c.Delete(t.Context(), fmt.Sprint("k", i%50))
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	compact := func(rev int64) {
		t.Helper()
		if _, err := c.Compact(t.Context(), rev, clientv3.WithCompactPhysical()); err != nil {
			t.Fatal(err)
		}
	}
	write(0, 200)
	compact(100)
	st := Sealed(newStore(t), seal.New(keysIn(t)))
	b := mustTake(t, st, liveSource{c}, metaAt(1, testNow))
	write(200, 300)
	prove := func(at int64) Proof {
		t.Helper()
		scratch := filepath.Join(t.TempDir(), "scratch")
		if err := os.MkdirAll(filepath.Join(scratch, "left", "over"), 0o700); err != nil {
			t.Fatal(err)
		}
		p, err := Prove(t.Context(), st, Trial{Backup: b, Etcd: etcdCommand(t), Scratch: scratch, Compact: at})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(scratch); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the scratch directory stays: %v", err)
		}
		return p
	}
	same := func(p Proof) {
		t.Helper()
		want, err := live.HashKV(t.Context(), p.Revision)
		if err != nil || want != (etcd.Hash{Revision: p.Revision, Compact: p.Compact, Hash: p.Hash}) || p.Revision != b.Revision || p.Key != b.Key || p.Took <= 0 {
			t.Errorf("proof %+v, the cluster says %+v, %v", p, want, err)
		}
	}
	same(prove(0))
	compact(180)
	same(prove(180))
	if p := prove(50); p.Compact != 100 { // it was compacted farther itself
		t.Errorf("proof %+v", p)
	}
	if p := prove(b.Revision + 10); p.Compact != 100 { // beyond its end
		t.Errorf("proof %+v", p)
	}
	promised := b
	promised.Revision++
	if _, err := Prove(t.Context(), st, Trial{Backup: promised, Etcd: etcdCommand(t), Scratch: filepath.Join(t.TempDir(), "s")}); !errors.Is(err, ErrDamaged) {
		t.Errorf("one that promises more: %v", err)
	}
	huge := b
	huge.Size = 1 << 60
	if _, err := Prove(t.Context(), st, Trial{Backup: huge, Etcd: etcdCommand(t), Scratch: filepath.Join(t.TempDir(), "s")}); !errors.Is(err, ErrNoRoom) || errors.Is(err, ErrDamaged) {
		t.Errorf("one that has no room: %v", err)
	}
}

// A database whose manifest is right and whose pages are not is found.
func TestProveOfADamagedDatabase(t *testing.T) {
	st, src := newStore(t), newFakeSource(7, 64<<10)
	b := mustTake(t, st, src, metaAt(1, testNow)) // no database at all
	if err := Verify(t.Context(), st, b); err != nil {
		t.Fatal(err)
	}
	if _, err := Prove(t.Context(), st, Trial{Backup: b, Etcd: etcdCommand(t), Scratch: filepath.Join(t.TempDir(), "s")}); err == nil {
		t.Error("nonsense is proven")
	}
}
