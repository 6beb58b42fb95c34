package backup

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	bolt "go.etcd.io/bbolt"
)

// boltSource streams a living database as etcd does: a read transaction writes
// into a pipe until all is taken, and its hash comes behind.
type boltSource struct {
	*fakeSource
	db *bolt.DB
	// begun is called when the stream's first bytes are out, its file not yet read.
	begun func()
	// cut ends the stream after so many bytes, as the death of its etcd does; 0: never.
	cut int64
}

func newBoltSource(t *testing.T) *boltSource {
	db, err := bolt.Open(filepath.Join(t.TempDir(), "db"), 0o600, &bolt.Options{NoFreelistSync: true, NoSync: true, InitialMmapSize: 1 << 30})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	s := &boltSource{fakeSource: newFakeSource(1, 4096), db: db}
	s.write(t, 0)
	return s
}

// write gives each of 8,000 keys a value of this round.
func (s *boltSource) write(t *testing.T, round int) {
	err := s.db.Update(func(tx *bolt.Tx) error {
		b, err := tx.CreateBucketIfNotExists([]byte("keys"))
		for i := range 8000 {
			err = errors.Join(err, b.Put(fmt.Appendf(nil, "%06d", i*7919%8000), bytes.Repeat(fmt.Appendf(nil, "%08d", round), 100)))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (s *boltSource) Snapshot(context.Context) (io.ReadCloser, error) {
	tx, err := s.db.Begin(false)
	if err != nil {
		return nil, err
	}
	r, w := io.Pipe()
	h := sha256.New()
	var to io.Writer = io.MultiWriter(w, h)
	if s.cut > 0 {
		to = &cutter{to, s.cut}
	}
	go func() {
		_, err := tx.WriteTo(to)
		tx.Rollback()
		if err == nil {
			_, err = w.Write(h.Sum(nil))
		}
		w.CloseWithError(err)
	}()
	return &told{ReadCloser: r, first: s.begun}, nil
}

// cutter breaks a stream off.
type cutter struct {
	w    io.Writer
	left int64
}

func (c *cutter) Write(p []byte) (int, error) {
	if c.left -= int64(len(p)); c.left < 0 {
		return 0, errBroken
	}
	return c.w.Write(p)
}

// told calls first after the first two pages.
type told struct {
	io.ReadCloser
	n     int
	first func()
}

func (o *told) Read(p []byte) (int, error) {
	n, err := o.ReadCloser.Read(p)
	o.n += n
	if o.n >= 2*os.Getpagesize() && o.first != nil {
		o.first()
		o.first = nil
	}
	return n, err
}

// roundIn opens a copied database, has bbolt check all of it, and says of which
// round every key is.
func roundIn(t *testing.T, data []byte) string {
	name := filepath.Join(t.TempDir(), "copy")
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := bolt.Open(name, 0o600, &bolt.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rounds := map[string]int{}
	err = db.View(func(tx *bolt.Tx) error {
		for err := range tx.Check() {
			t.Error(err)
		}
		return tx.Bucket([]byte("keys")).ForEach(func(_, v []byte) error {
			rounds[string(v[:8])]++
			return nil
		})
	})
	if err != nil || len(rounds) != 1 {
		t.Fatalf("rounds %v: %v", rounds, err)
	}
	for r, n := range rounds {
		return fmt.Sprint(n, " of round ", r)
	}
	return ""
}

// A backup from the file is of the moment of the stream, whatever is written
// and committed while the file is read; what is not the stream's file is not read.
func TestBeside(t *testing.T) {
	tests := map[string]struct {
		during  int // commits while the file is read
		before  int // commits between the stream's beginning and the file's opening
		other   bool
		missing bool
		read    bool // the file is
	}{
		"quiet":                     {read: true},
		"written meanwhile":         {during: 20, read: true},
		"one commit in between":     {before: 1, during: 5, read: true},
		"too many in between":       {before: 2},
		"another database":          {other: true},
		"no file, as in containers": {missing: true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			src, st := newBoltSource(t), newStore(t)
			round := 0
			write := func(n int) {
				for range n {
					round++
					src.write(t, round)
				}
			}
			write(3) // pages that were freed and used again
			want := fmt.Sprintf("8000 of round %08d", round)
			src.begun = func() { write(tt.before) }
			file := src.db.Path()
			if tt.other {
				file = newBoltSource(t).db.Path()
			}
			if tt.missing {
				file += "-none"
			}
			snapshot, err := beside{src, file, 64 << 10}.Snapshot(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if _, direct := snapshot.(*besideStream); direct != tt.read {
				t.Fatalf("the file is read: %v", direct)
			}
			half := &halfway{ReadCloser: snapshot, do: func() { write(tt.during) }}
			if v, ok := snapshot.(vouched); ok {
				half.size = v.vouchedSize()
			}
			b := mustTake(t, st, given{src.fakeSource, half.source()}, metaAt(1, testNow))
			var copied bytes.Buffer
			if err := unpack(t.Context(), st, b, &copied); err != nil {
				t.Fatal(err)
			}
			if got := roundIn(t, copied.Bytes()); got != want {
				t.Errorf("it holds %s, want %s", got, want)
			}
		})
	}
}

// halfway does something when the first MiB has been read.
type halfway struct {
	io.ReadCloser
	n    int
	do   func()
	size int64
}

func (h *halfway) Read(p []byte) (int, error) {
	n, err := h.ReadCloser.Read(p)
	if h.n += n; h.n > 1<<20 && h.do != nil {
		h.do()
		h.do = nil
	}
	return n, err
}

// source keeps what it is vouched for.
func (h *halfway) source() io.ReadCloser {
	if h.size == 0 {
		return h
	}
	return vouchedHalfway{h}
}

type vouchedHalfway struct{ *halfway }

func (v vouchedHalfway) vouchedSize() int64 { return v.size }

// given is a source of one stream.
type given struct {
	*fakeSource
	stream io.ReadCloser
}

func (g given) Snapshot(context.Context) (io.ReadCloser, error) { return g.stream, nil }

// A stream that ends while the file is read vouches for nothing: its pages may
// have been written over. Nor does a file that is cut.
func TestBesideWithoutProof(t *testing.T) {
	tests := map[string]func(*boltSource) error{
		"etcd dies": func(s *boltSource) error { s.cut = 48 << 10; return nil },
		"the file is cut": func(s *boltSource) error {
			name := s.db.Path()
			s.begun = func() { os.Truncate(name, 2<<20) }
			return nil
		},
	}
	for name, spoil := range tests {
		t.Run(name, func(t *testing.T) {
			src, st := newBoltSource(t), newStore(t)
			if err := spoil(src); err != nil {
				t.Fatal(err)
			}
			if _, err := Take(t.Context(), beside{src, src.db.Path(), 64 << 10}, st, metaAt(1, testNow)); err == nil {
				t.Error("a backup was made")
			} else {
				t.Log(err)
			}
			if keys := st.keys(t); len(keys) > 0 {
				t.Errorf("left %v", keys)
			}
		})
	}
}
