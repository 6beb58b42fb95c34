package backup

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/store"
)

var testNow = time.Date(2026, 3, 10, 12, 30, 0, 0, time.UTC)

func metaAt(epoch cluster.Epoch, at time.Time) Meta {
	return Meta{Cluster: "c", Epoch: epoch, By: "a", Now: at}
}

// fakeSource serves one database, and a stream made from it.
type fakeSource struct {
	state  cluster.EtcdState
	stream []byte // nil: db and its hash
	db     []byte
	cut    error // at the end of the stream, in place of io.EOF
	keys   func(rev int64) (int64, error)
}

func newFakeSource(revision int64, size int) *fakeSource {
	db := bytes.Repeat([]byte("etcd"), size/4)
	for i := range db {
		db[i] ^= byte(i >> 7 * int(revision))
	}
	return &fakeSource{
		db:    db,
		state: cluster.EtcdState{Revision: revision, Applied: uint64(revision) + 3, Index: uint64(revision) + 5, Term: 2, Version: "3.7.3", ClusterID: 9},
		keys:  func(int64) (int64, error) { return revision, nil },
	}
}

func (f *fakeSource) Status(context.Context) (cluster.EtcdState, error) { return f.state, nil }

func (f *fakeSource) KeyCount(_ context.Context, rev int64) (int64, error) { return f.keys(rev) }

func (f *fakeSource) Snapshot(context.Context) (io.ReadCloser, error) {
	stream := f.stream
	if stream == nil {
		sum := sha256.Sum256(f.db)
		stream = append(bytes.Clone(f.db), sum[:]...)
	}
	var r io.Reader = bytes.NewReader(stream)
	if f.cut != nil {
		r = io.MultiReader(r, failing{f.cut})
	}
	return io.NopCloser(r), nil
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// faulty is a real directory store whose calls can be made to fail, before or
// after they have been done.
type faulty struct {
	*store.Store
	before func(op, key string) error
	after  func(op, key string) error
}

func newStore(t *testing.T) *faulty {
	t.Helper()
	s, err := store.Open(t.Context(), "file://"+t.TempDir(), "c")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return &faulty{Store: s}
}

func (f *faulty) fault(op, key string, do func() error) error {
	if f.before != nil {
		if err := f.before(op, key); err != nil {
			return err
		}
	}
	if err := do(); err != nil {
		return err
	}
	if f.after != nil {
		return f.after(op, key)
	}
	return nil
}

func (f *faulty) Create(ctx context.Context, key string, data []byte) error {
	return f.fault("create", key, func() error { return f.Store.Create(ctx, key, data) })
}

func (f *faulty) Read(ctx context.Context, key string) (b []byte, err error) {
	err = f.fault("read", key, func() (err error) { b, err = f.Store.Read(ctx, key); return err })
	return b, err
}

func (f *faulty) NewReader(ctx context.Context, key string) (r io.ReadCloser, err error) {
	err = f.fault("open", key, func() (err error) { r, err = f.Store.NewReader(ctx, key); return err })
	return r, err
}

func (f *faulty) Upload(ctx context.Context, key string, r io.Reader) (n int64, err error) {
	err = f.fault("upload", key, func() (err error) { n, err = f.Store.Upload(ctx, key, r); return err })
	return n, err
}

func (f *faulty) Delete(ctx context.Context, key string) error {
	return f.fault("delete", key, func() error { return f.Store.Delete(ctx, key) })
}

func (f *faulty) List(ctx context.Context, prefix string) (all []store.Object, err error) {
	err = f.fault("list", prefix, func() (err error) { all, err = f.Store.List(ctx, prefix); return err })
	return all, err
}

// keys are all objects of the store.
func (f *faulty) keys(t *testing.T) (keys []string) {
	t.Helper()
	all, err := f.Store.List(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range all {
		keys = append(keys, o.Key)
	}
	return keys
}

// spoil flips one bit of a stored object.
func (f *faulty) spoil(t *testing.T, key string, at int) {
	t.Helper()
	data, err := f.Store.Read(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	data[(at+len(data))%len(data)] ^= 1
	if err := f.Put(t.Context(), key, data); err != nil {
		t.Fatal(err)
	}
}

var errBroken = errors.New("broken on purpose")

func failOn(op, key string) func(string, string) error {
	return func(o, k string) error {
		if o == op && (key == "" || k == key) {
			return errBroken
		}
		return nil
	}
}

func mustTake(t *testing.T, st Store, src Source, meta Meta) cluster.Backup {
	t.Helper()
	b, err := Take(t.Context(), src, st, meta)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
