package ledger

import (
	"context"
	"errors"
	"fmt"

	"github.com/quorate/quorate/internal/cluster"
)

// Roll is the newest entry of the rolls, found by probing forward from the
// number from; 0 means from the start. ErrNone: there is none at from.
func (l *Ledger) Roll(ctx context.Context, from uint64) (cluster.Roll, error) {
	roll, n, err := newest[cluster.Roll](ctx, l, max(from, 1), rollKey)
	if err == nil {
		err = checkRoll(roll, n)
	}
	if err != nil {
		return cluster.Roll{}, fmt.Errorf("reading the newest roll: %w", err)
	}
	return roll, nil
}

func checkRoll(r cluster.Roll, n uint64) error {
	if r.Number != n || r.ID == "" || r.Nonce == "" || r.State == "" {
		return corrupt(rollKey(n), "it is number %d of roll %q, nonce %q, state %q", r.Number, r.ID, r.Nonce, r.State)
	}
	return nil
}

// WriteRoll writes the entry if nobody has written one of its number, and
// returns the one that stands: the caller's if its nonce does. Numbers have no
// gaps: the entry before it must be there.
func (l *Ledger) WriteRoll(ctx context.Context, r cluster.Roll) (cluster.Roll, error) {
	stands, err := l.writeRoll(ctx, r)
	if err != nil {
		return cluster.Roll{}, fmt.Errorf("writing entry %d of roll %s: %w", r.Number, r.ID, err)
	}
	return stands, nil
}

func (l *Ledger) writeRoll(ctx context.Context, r cluster.Roll) (cluster.Roll, error) {
	if r.Number == 0 || r.ID == "" || r.Nonce == "" || r.State == "" {
		return cluster.Roll{}, errors.New("an entry needs a number, an id, a nonce and a state")
	}
	if r.Number > 1 {
		if _, err := read[cluster.Roll](ctx, l, rollKey(r.Number-1)); err != nil {
			return cluster.Roll{}, err
		}
	}
	r.At = stamp(r.At)
	stands, err := create(ctx, l, rollKey(r.Number), r)
	if err == nil {
		err = checkRoll(stands, r.Number)
	}
	return stands, err
}
