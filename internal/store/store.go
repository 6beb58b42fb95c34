// Package store keeps objects under one prefix of an object store: S3, Google
// Cloud Storage, Azure Blob, or a directory. One bucket holds many clusters:
// every key of a Store lives under <prefix>/<cluster>/.
//
// Absence is a verdict, not a guess: ErrNotFound means that the store answered
// that there is no such object. A missing bucket, a refused permission, a host
// that does not resolve and a directory that is not mounted are other errors,
// although the libraries below call some of them "not found".
//
// No operation blocks for ever. Each is given up on after a time limit, even
// in the middle of a system call on a dead network file system.
package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// ErrExists says that Create found an object at its key. It may be our own,
// after a lost reply or an SDK's own retry: read it back before having lost.
var ErrExists = errors.New("object exists")

// ErrNotFound says that the store proved that there is no such object.
var ErrNotFound = errors.New("object not found")

// maxRead bounds Read, which holds the object in memory; greater objects are
// for NewReader.
const maxRead = 64 << 20

// Object is one entry of a listing.
type Object struct {
	Key     string // relative to <prefix>/<cluster>/
	Size    int64  // bytes
	ModTime time.Time
}

// Store is one cluster's part of an object store. It is safe for concurrent use.
type Store struct {
	at     location
	base   string // "<prefix>/<cluster>/"
	back   backend
	slots  slots
	tally  *tally
	closed atomic.Bool
}

// backend is one kind of store, on full keys. Its methods may block: Store
// runs them where it can walk away. Create is durable and exclusive when it
// returns nil; put and upload are atomic. A backend does not change anything
// once ctx has ended, as far as it can still help it. Absence and presence are
// ErrNotFound and ErrExists.
type backend interface {
	create(ctx context.Context, key string, data []byte) error
	put(ctx context.Context, key string, data []byte) error
	open(ctx context.Context, key string) (io.ReadCloser, error)
	upload(ctx context.Context, key string, r io.Reader) error
	size(ctx context.Context, key string) (int64, error)
	delete(ctx context.Context, key string) error
	// list calls page for every page of objects whose key has the prefix.
	list(ctx context.Context, prefix string, page func([]Object)) error
	close() error
}

// Open prepares the store that rawURL names for the cluster of that name. It
// makes no request to the store, so that a node can start while it is away;
// only the AWS region may be asked of the machine, where nothing names it.
//
//	file:///dir   s3://bucket   gs://bucket   azblob://container   mem://NAME
//
// with ?prefix=a/b and the parameters of gocloud.dev. A mem store lives in
// this process, shared by name, for tests.
func Open(ctx context.Context, rawURL, cluster string) (*Store, error) {
	at, err := parse(rawURL)
	if err != nil {
		return nil, fmt.Errorf("opening store: %w", err)
	}
	if err := checkCluster(cluster); err != nil {
		return nil, fmt.Errorf("opening store %s: %w", at, err)
	}
	t := newTally()
	back, err := at.open(ctx, t)
	if err != nil {
		return nil, fmt.Errorf("opening store %s: %w", at, redact(err))
	}
	base := cluster + "/"
	if at.prefix != "" {
		base = at.prefix + "/" + base
	}
	return &Store{at: at, base: base, back: back, slots: make(slots, maxRunning), tally: t}, nil
}

// String is the store's URL, without secrets.
func (s *Store) String() string { return s.at.String() }

// Requests counts the requests made since Open, by operation: create, put,
// read, upload, size, delete and list. A page of a listing and a retry after a
// conflict count as one each; an SDK's own retries and the parts of an upload
// do not count, nor does the HEAD that gocloud.dev sends before a delete on S3.
func (s *Store) Requests() map[string]int64 { return s.tally.counts() }

// Close frees what the store holds. Operations after it fail.
func (s *Store) Close() error {
	if s.closed.Swap(true) {
		return nil
	}
	if err := s.back.close(); err != nil {
		return fmt.Errorf("closing store %s: %w", s, redact(err))
	}
	return nil
}

// Create writes the object only if there is none at key; it is durable when
// Create returns nil. ErrExists is a verdict that an object is there, maybe our
// own. Any other error leaves it open whether the object was written, or yet
// will be.
func (s *Store) Create(ctx context.Context, key string, data []byte) error {
	return s.brief(ctx, "creating", key, func(ctx context.Context, full string) error {
		return s.back.create(ctx, full, data)
	})
}

// Put writes the object, over any that is there. A reader sees the old or the
// new one, never a mixture.
func (s *Store) Put(ctx context.Context, key string, data []byte) error {
	return s.brief(ctx, "writing", key, func(ctx context.Context, full string) error {
		return s.back.put(ctx, full, data)
	})
}

// Delete removes the object. One that is not there is no error.
func (s *Store) Delete(ctx context.Context, key string) error {
	return s.brief(ctx, "deleting", key, s.back.delete)
}

// Size is the object's size in bytes, or ErrNotFound.
func (s *Store) Size(ctx context.Context, key string) (int64, error) {
	return brief(ctx, s, "sizing", key, s.back.size)
}

// Read is the content of a small object, or ErrNotFound.
func (s *Store) Read(ctx context.Context, key string) ([]byte, error) {
	return brief(ctx, s, "reading", key, func(ctx context.Context, full string) ([]byte, error) {
		return readAll(ctx, s.back, full)
	})
}

func readAll(ctx context.Context, back backend, key string) ([]byte, error) {
	r, err := back.open(ctx, key)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	b, err := io.ReadAll(io.LimitReader(r, maxRead+1))
	switch {
	case err != nil:
		return nil, err
	case len(b) > maxRead:
		return nil, fmt.Errorf("object is greater than %d bytes", maxRead)
	}
	return b, nil
}

// List is every object whose key has the prefix, from all pages, in the order
// of the keys' bytes. The prefix is a string: "a/b" finds a/b, a/bc and a/b/c.
func (s *Store) List(ctx context.Context, prefix string) ([]Object, error) {
	ctx, dog := watch(ctx)
	defer dog.end()
	dog.expect(readStall, "no page of the listing")
	all, err := await(ctx, s.slots, func() ([]Object, error) {
		var all []Object
		err := s.back.list(ctx, s.base+prefix, func(page []Object) {
			dog.expect(readStall, "no page of the listing")
			all = append(all, page...)
		})
		return all, err
	})
	if err == nil && s.closed.Load() {
		err = errClosed
	}
	if err != nil {
		return nil, fmt.Errorf("listing %q in store %s: %w", prefix, s, redact(err))
	}
	for i := range all {
		all[i].Key = strings.TrimPrefix(all[i].Key, s.base)
	}
	slices.SortFunc(all, func(a, b Object) int { return cmp.Compare(a.Key, b.Key) })
	return all, nil
}

var errClosed = errors.New("the store is closed")

// full is the key in the whole store.
func (s *Store) full(key string) (string, error) {
	if s.closed.Load() {
		return "", errClosed
	}
	if err := checkKey(key); err != nil {
		return "", err
	}
	return s.base + key, nil
}

// brief runs an operation that should take moments, within opLimit unless the
// caller has set a deadline.
func brief[T any](ctx context.Context, s *Store, verb, key string, f func(ctx context.Context, full string) (T, error)) (T, error) {
	var none T
	full, err := s.full(key)
	if err != nil {
		return none, s.wrap(verb, key, err)
	}
	ctx, cancel := limited(ctx)
	defer cancel()
	v, err := await(ctx, s.slots, func() (T, error) { return f(ctx, full) })
	if err != nil {
		return none, s.wrap(verb, key, err)
	}
	return v, nil
}

// brief is brief for an operation without a result.
func (s *Store) brief(ctx context.Context, verb, key string, f func(ctx context.Context, full string) error) error {
	_, err := brief(ctx, s, verb, key, func(ctx context.Context, full string) (struct{}, error) {
		return struct{}{}, f(ctx, full)
	})
	return err
}

func (s *Store) wrap(verb, key string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s %s in store %s: %w", verb, key, s, redact(err))
}
