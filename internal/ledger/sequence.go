package ledger

import (
	"context"
	"errors"
)

// newest is the last entry of a numbered sequence, and its number, or ErrNone
// if there is none at from. Numbers have no gaps and entries never go, so it
// doubles its steps until one is missing and then halves the gap: a restart
// after ten thousand renewals of a lock costs some 25 reads.
func newest[T any](ctx context.Context, l *Ledger, from uint64, key func(uint64) string) (T, uint64, error) {
	last, err := read[T](ctx, l, key(from))
	if err != nil {
		return last, 0, err
	}
	found, missing := from, uint64(0) // missing 0: not yet known
	for step := uint64(1); missing == 0 || found+1 < missing; {
		n := found + step
		if missing != 0 {
			n = found + (missing-found)/2
		}
		entry, err := read[T](ctx, l, key(n))
		switch {
		case err == nil:
			last, found, step = entry, n, step*2
		case errors.Is(err, ErrNone):
			missing = n
		default:
			return last, 0, err
		}
	}
	return last, found, nil
}
