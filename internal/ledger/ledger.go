// Package ledger is an append-only log over an object store: the one place,
// outside etcd, for what must be decided once. Charters, started marks, locks
// and verdicts are objects that are created only if absent and then never
// change; see DESIGN.md for the argument and the layout of the keys.
//
// Nothing here retries or waits: an error means that nothing may be concluded,
// and the caller looks again. A crash or a lost reply at any point is harmless,
// because every entry carries who wrote it and is read back before anyone has
// lost.
package ledger

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/store"
)

var (
	// ErrNone says that the store proved that there is no such entry.
	ErrNone = errors.New("no such ledger entry")
	// ErrUnconditional says that the store ignores create-if-absent, so that
	// two nodes could both found the cluster.
	ErrUnconditional = errors.New("store ignores create-if-absent")
	// ErrHeld says that someone else's lock is in force.
	ErrHeld = errors.New("lock is held")
	// ErrStale says that a lock is not the newest any more.
	ErrStale = errors.New("lock is stale")
	// ErrOutdated says that an operator's word is not the newest any more.
	ErrOutdated = errors.New("outdated")
)

// Store is what the ledger needs of an object store; *store.Store is one. All
// methods are safe for concurrent use, and no error but the two sentinels says
// anything about what the store holds: the write may have been done, or may
// yet be.
type Store interface {
	// Create writes the object only if there is none, and is durable when it
	// returns nil. store.ErrExists says that an object is there, maybe our own.
	Create(ctx context.Context, key string, data []byte) error
	// Put writes the object whether it is there or not, atomically.
	Put(ctx context.Context, key string, data []byte) error
	// Read is the whole object; store.ErrNotFound is proof that there is none.
	Read(ctx context.Context, key string) ([]byte, error)
	Delete(ctx context.Context, key string) error
	String() string // the name for people, without secrets
}

// Ledger is one cluster's log. It is safe for concurrent use, and keeps
// nothing but a hint of where the locks end.
type Ledger struct {
	store   Store
	cluster string
	newest  atomic.Uint64 // a lock of this number was seen
}

// Open is the ledger of the cluster in the store that is already its own:
// keys are relative to <prefix>/<cluster>/. It makes no request.
func Open(s Store, cluster string) *Ledger { return &Ledger{store: s, cluster: cluster} }

// Probe checks that the store keeps the ledger's one condition: of two creates
// of a fresh key the second must conflict, and the first's content must stand.
// Otherwise it is ErrUnconditional, with the store's name. The probe object is
// deleted; where that is not allowed, one small object stays, which nothing
// reads.
func (l *Ledger) Probe(ctx context.Context) error {
	key := "ledger/probe/" + rand.Text()
	first, second := []byte("first "+rand.Text()+"\n"), []byte("second "+rand.Text()+"\n")
	// A first create that conflicts is our own after a lost reply: the key is fresh.
	if err := l.store.Create(ctx, key, first); err != nil && !errors.Is(err, store.ErrExists) {
		return fmt.Errorf("probing: %w", err)
	}
	defer l.store.Delete(context.WithoutCancel(ctx), key)
	err := l.store.Create(ctx, key, second)
	switch {
	case err == nil:
		return l.unconditional("a second create of one key succeeded")
	case !errors.Is(err, store.ErrExists):
		return fmt.Errorf("probing: %w", err)
	}
	stands, err := l.store.Read(ctx, key)
	switch {
	case err != nil:
		return fmt.Errorf("probing: %w", err)
	case string(stands) != string(first):
		return l.unconditional("a create that conflicted changed the object")
	}
	return nil
}

func (l *Ledger) unconditional(evidence string) error {
	return fmt.Errorf("probing: %w: store %s: %s", ErrUnconditional, l.store, evidence)
}

// create writes the entry only if absent, and is whatever stands there
// afterwards: what we wrote, in its stored form, or what another did. The
// caller tells them apart by the entry's nonce. After an error that is no
// verdict it looks too, for the write may have been done.
func create[T any](ctx context.Context, l *Ledger, key string, entry T) (T, error) {
	var none T
	data, err := encode(entry)
	if err != nil {
		return none, fmt.Errorf("encoding %s: %w", key, err)
	}
	created := l.store.Create(ctx, key, data)
	if created == nil {
		return decode[T](key, data)
	}
	stands, err := read[T](ctx, l, key)
	switch {
	case err == nil:
		return stands, nil
	case errors.Is(err, ErrNone):
		// Not there now; without a verdict it may still arrive. Either way
		// nothing is decided, and it must not read as "there is none".
		return none, fmt.Errorf("%w (and nothing is there yet)", created)
	case errors.Is(created, store.ErrExists):
		return none, err
	}
	return none, errors.Join(created, err)
}

// read is the entry at the key, or ErrNone. One that cannot be read or parsed
// is an error, and never absence.
func read[T any](ctx context.Context, l *Ledger, key string) (T, error) {
	var none T
	data, err := l.store.Read(ctx, key)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return none, ErrNone
	case err != nil:
		return none, err
	}
	return decode[T](key, data)
}

// encode is for people too: the ledger is what they look at when all is lost.
func encode(entry any) ([]byte, error) {
	data, err := json.MarshalIndent(entry, "", "  ")
	return append(data, '\n'), err
}

// decode takes unknown fields: a newer version may have written them.
func decode[T any](key string, data []byte) (T, error) {
	var entry T
	if err := json.Unmarshal(data, &entry); err != nil {
		var none T
		return none, fmt.Errorf("parsing %s, which is corrupt: %w", key, err)
	}
	return entry, nil
}

func corrupt(key, format string, args ...any) error {
	return fmt.Errorf("parsing %s, which is corrupt: %s", key, fmt.Sprintf(format, args...))
}

func checkEpoch(epoch cluster.Epoch) error {
	if epoch == 0 {
		return errors.New("no epoch: they are numbered from 1")
	}
	return nil
}
