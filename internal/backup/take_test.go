package backup

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"pgregory.net/rapid"

	"github.com/quorate/quorate/internal/cluster"
)

func TestTakeTellsTheTruth(t *testing.T) {
	st, src := newStore(t), newFakeSource(7, 1<<20)
	b := mustTake(t, st, src, metaAt(3, testNow))
	if !strings.HasPrefix(b.Key, "backups/0000000003/20260310T123000Z-7-") {
		t.Errorf("key %s", b.Key)
	}
	want := cluster.Backup{
		Key: b.Key, Object: strings.TrimSuffix(b.Key, ".json") + ".db.zst", Cluster: "c", Epoch: 3,
		Revision: 7, Index: 10 /* applied, not committed */, Term: 2, Etcd: "3.7.3", ClusterID: 9,
		Keys: 7, Size: 1 << 20, StoredSize: b.StoredSize, SHA256: b.SHA256, StoredSHA: b.StoredSHA,
		Compression: "zstd", By: "a", At: testNow,
	}
	if b != want {
		t.Errorf("took\n%+v, want\n%+v", b, want)
	}
	if read, err := Read(t.Context(), st, b.Key); err != nil || read != b {
		t.Errorf("the manifest reads %+v, %v", read, err)
	}
	if size, err := st.Size(t.Context(), b.Object); err != nil || size != b.StoredSize || size >= b.Size {
		t.Errorf("the object has %d bytes, %v", size, err)
	}
	if err := Verify(t.Context(), st, b); err != nil {
		t.Error(err)
	}
	var db bytes.Buffer
	if err := unpack(t.Context(), st, b, &db); err != nil || !bytes.Equal(db.Bytes(), src.db) {
		t.Errorf("unpacked %d bytes, %v", db.Len(), err)
	}
}

// A stream that is not whole leaves nothing that anyone could take for a backup.
func TestTakeRefusesABrokenStream(t *testing.T) {
	whole, _ := newFakeSource(1, 1<<20).Snapshot(t.Context())
	stream, _ := io.ReadAll(whole)
	flipped := bytes.Clone(stream)
	flipped[1000] ^= 1
	wrongHash := bytes.Clone(stream)
	wrongHash[len(stream)-1] ^= 1
	tests := map[string]struct {
		stream  []byte
		cut     error
		damaged bool
	}{
		"empty":               {stream: []byte{}, damaged: true},
		"shorter than a hash": {stream: stream[:31], damaged: true},
		"only a hash":         {stream: stream[:32], damaged: true},
		"cut on a page":       {stream: stream[:1<<19], damaged: true},
		"cut by a byte":       {stream: stream[:len(stream)-1], damaged: true},
		"without its hash":    {stream: stream[:len(stream)-32], damaged: true},
		"a bit flipped":       {stream: flipped, damaged: true},
		"its hash flipped":    {stream: wrongHash, damaged: true},
		"the connection lost": {stream: stream[:5000], cut: errBroken},
		"lost at the end":     {stream: stream, cut: errBroken},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			st, src := newStore(t), newFakeSource(1, 1<<20)
			src.stream, src.cut = tt.stream, tt.cut
			_, err := Take(t.Context(), src, st, metaAt(1, testNow))
			if err == nil || errors.Is(err, ErrDamaged) != tt.damaged {
				t.Errorf("error %v", err)
			}
			if tt.cut != nil && !errors.Is(err, tt.cut) {
				t.Errorf("error %v, want %v", err, tt.cut)
			}
			if keys := st.keys(t); len(keys) > 0 {
				t.Errorf("left %v", keys)
			}
		})
	}
}

func TestTakeCountsKeysAsWellAsItCan(t *testing.T) {
	tests := map[string]struct {
		keys func(int64) (int64, error)
		want int64
	}{
		"empty": {want: 0, keys: func(int64) (int64, error) { return 0, nil }},
		"compacted in between": {want: 5, keys: func(rev int64) (int64, error) {
			if rev != 0 {
				return 0, rpctypes.ErrCompacted
			}
			return 5, nil
		}},
		"refused": {want: UnknownKeys, keys: func(int64) (int64, error) { return 0, rpctypes.ErrPermissionDenied }},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			src := newFakeSource(4, 4096)
			src.keys = tt.keys
			if b := mustTake(t, newStore(t), src, metaAt(1, testNow)); b.Keys != tt.want {
				t.Errorf("%d keys, want %d", b.Keys, tt.want)
			}
		})
	}
}

// The manifest makes the backup: whatever fails before it, there is none.
func TestTakeWithAFailingStore(t *testing.T) {
	for _, op := range []string{"upload", "create"} {
		st := newStore(t)
		st.before = failOn(op, "")
		if _, err := Take(t.Context(), newFakeSource(1, 4096), st, metaAt(1, testNow)); !errors.Is(err, errBroken) {
			t.Errorf("%s: error %v", op, err)
		}
		st.before = nil
		if all, problems, err := List(t.Context(), st); len(all)+len(problems) > 0 || err != nil {
			t.Errorf("%s: left %v %v %v", op, all, problems, err)
		}
	}
}

// A lost reply and an SDK's own retry look like "exists": it is our own.
func TestTakeRecognisesItsOwnManifest(t *testing.T) {
	st := newStore(t)
	// The first write happens, the reply is lost, the caller's retry conflicts.
	b, err := describe(newFakeSource(1, 4096).state, metaAt(1, testNow), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := writeManifest(t.Context(), st, b); err != nil {
		t.Fatal(err)
	}
	if err := writeManifest(t.Context(), st, b); err != nil {
		t.Errorf("its own manifest: %v", err)
	}
	b.By = "another"
	if err := writeManifest(t.Context(), st, b); err == nil {
		t.Error("another's manifest counts as its own")
	}
}

func TestTakeEndsWithItsContext(t *testing.T) {
	st := newStore(t)
	ctx, cancel := context.WithCancel(t.Context())
	st.before = func(op, _ string) error {
		if op == "upload" {
			cancel()
		}
		return nil
	}
	if _, err := Take(ctx, newFakeSource(1, 4096), st, metaAt(1, testNow)); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

// Whatever the sizes of the reads on either side, the bytes come back.
func TestPackerProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		db := make([]byte, page*rapid.IntRange(1, 600).Draw(t, "pages"))
		for i := range db {
			db[i] = byte(i*i>>9 + i)
		}
		sum := sha256.Sum256(db)
		var src io.Reader = bytes.NewReader(append(bytes.Clone(db), sum[:]...))
		switch rapid.IntRange(0, 2).Draw(t, "reads") {
		case 1:
			src = iotest.HalfReader(src)
		case 2:
			src = iotest.DataErrReader(src)
		}
		p, err := newPacker(io.NopCloser(src), nil)
		if err != nil {
			t.Fatal(err)
		}
		object, err := io.ReadAll(iotest.HalfReader(p))
		p.Close()
		if err != nil || !p.done || p.db().n != int64(len(db)) || p.stored.n != int64(len(object)) {
			t.Fatalf("packed %d of %d: %v", p.db().n, len(db), err)
		}
		b := cluster.Backup{Size: p.db().n, SHA256: p.db().sum(), StoredSize: p.stored.n, StoredSHA: p.stored.sum()}
		var back bytes.Buffer
		if err := unpackFrom(context.Background(), bytes.NewReader(object), nil, b, &back); err != nil || !bytes.Equal(back.Bytes(), db) {
			t.Fatalf("unpacked %d of %d: %v", back.Len(), len(db), err)
		}
	})
}
