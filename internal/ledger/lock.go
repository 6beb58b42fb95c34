package ledger

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/quorate/quorate/internal/cluster"
)

// Lock is the newest maintenance lock, found by probing forward from the
// number from; 0 means from the start. It may have expired or be released: ask
// its Held. ErrNone: there is no lock at from.
func (l *Ledger) Lock(ctx context.Context, from uint64) (cluster.Lock, error) {
	lock, err := l.newestLock(ctx, from)
	if err != nil {
		return cluster.Lock{}, fmt.Errorf("reading the lock: %w", err)
	}
	return lock, nil
}

func (l *Ledger) newestLock(ctx context.Context, from uint64) (cluster.Lock, error) {
	lock, n, err := newest[cluster.Lock](ctx, l, max(from, 1), lockKey)
	switch {
	case err != nil:
		return cluster.Lock{}, err
	case lock.Number != n || lock.Holder == "" || lock.Nonce == "":
		return cluster.Lock{}, corrupt(lockKey(n), "it is number %d of %q, nonce %q", lock.Number, lock.Holder, lock.Nonce)
	}
	l.saw(n)
	return lock, nil
}

// saw moves the hint from which Acquire probes, only ever forward.
func (l *Ledger) saw(n uint64) {
	for old := l.newest.Load(); old < n; old = l.newest.Load() {
		if l.newest.CompareAndSwap(old, n) {
			return
		}
	}
}

// contended bounds how often Acquire meets another writer at its number.
const contended = 20

// Acquire takes the lock until expires, or renews the holder's own: in either
// case under the next number, which fences off all before it. ErrHeld: someone
// else's is in force at the time now. What a crash leaves runs out by itself.
// Whoever acts under a lock for long must look at Lock again: one that is not
// the newest gives no right.
func (l *Ledger) Acquire(ctx context.Context, holder, reason string, now, expires time.Time) (cluster.Lock, error) {
	lock, err := l.acquire(ctx, holder, reason, now, expires)
	if err != nil {
		return cluster.Lock{}, fmt.Errorf("acquiring the lock for %s: %w", holder, err)
	}
	return lock, nil
}

func (l *Ledger) acquire(ctx context.Context, holder, reason string, now, expires time.Time) (cluster.Lock, error) {
	if holder == "" || !expires.After(now) {
		return cluster.Lock{}, errors.New("a lock needs a holder and time to run")
	}
	for range contended {
		last, err := l.newestLock(ctx, l.newest.Load())
		switch {
		case errors.Is(err, ErrNone) && l.newest.Load() == 0: // the first of all
		case err != nil:
			return cluster.Lock{}, err
		case last.Held(now) && last.Holder != holder:
			return cluster.Lock{}, held(last)
		}
		next := cluster.Lock{Number: last.Number + 1, Holder: holder, Reason: reason, Expires: stamp(expires), Nonce: rand.Text()}
		stands, err := create(ctx, l, lockKey(next.Number), next)
		switch {
		case err != nil:
			return cluster.Lock{}, err
		case stands.Nonce == next.Nonce:
			l.saw(stands.Number)
			return stands, nil
		}
	}
	return cluster.Lock{}, errors.New("too many others acquire it at this moment")
}

func held(by cluster.Lock) error {
	return fmt.Errorf("%w: number %d by %s until %s: %s", ErrHeld, by.Number, by.Holder, by.Expires.Format(time.RFC3339), by.Reason)
}

// Release gives the lock back, by writing the next number. Only the newest
// lock can be given back, by number and nonce: ErrHeld when another holder has
// the newest, ErrStale when it is the same holder's or released. The release
// carries the nonce of the lock that it ends, so that to release again after a
// lost reply or a crash is no error.
func (l *Ledger) Release(ctx context.Context, lock cluster.Lock) error {
	if err := l.release(ctx, lock); err != nil {
		return fmt.Errorf("releasing lock %d of %s: %w", lock.Number, lock.Holder, err)
	}
	return nil
}

func (l *Ledger) release(ctx context.Context, lock cluster.Lock) error {
	if lock.Number == 0 || lock.Nonce == "" || lock.Released {
		return errors.New("it is no lock that was acquired")
	}
	last, err := l.newestLock(ctx, lock.Number)
	if err != nil {
		return err
	}
	if last.Number == lock.Number && last.Nonce == lock.Nonce {
		end := lock
		end.Number, end.Released = lock.Number+1, true
		if last, err = create(ctx, l, lockKey(end.Number), end); err != nil {
			return err
		}
	}
	switch {
	case last.Released && last.Number == lock.Number+1 && last.Nonce == lock.Nonce:
		l.saw(last.Number)
		return nil
	case last.Holder != lock.Holder && !last.Released:
		return held(last)
	}
	return fmt.Errorf("%w: the newest is number %d of %s", ErrStale, last.Number, last.Holder)
}
