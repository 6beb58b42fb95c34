package ledger

import (
	"context"
	"errors"
	"fmt"

	"github.com/quorate/quorate/internal/cluster"
)

// Charter is the newest charter whose epoch is at least from; from 0 or 1
// means from the beginning. It reads from, from+1, … until one is missing, with
// no listing, so it costs one request more than there are charters. ErrNone:
// there is no charter at from, which for from > 1 says nothing of older ones. A
// corrupt charter, or one of another cluster, is an error.
func (l *Ledger) Charter(ctx context.Context, from cluster.Epoch) (cluster.Charter, error) {
	var newest cluster.Charter
	for epoch := max(from, 1); ; epoch++ {
		c, err := l.charterAt(ctx, epoch)
		switch {
		case err == nil:
			newest = c
		case errors.Is(err, ErrNone) && newest.Epoch > 0:
			return newest, nil
		default:
			return cluster.Charter{}, fmt.Errorf("reading charter %d: %w", epoch, err)
		}
	}
}

func (l *Ledger) charterAt(ctx context.Context, epoch cluster.Epoch) (cluster.Charter, error) {
	c, err := read[cluster.Charter](ctx, l, charterKey(epoch))
	if err == nil {
		err = l.checkCharter(c, epoch)
	}
	if err != nil {
		return cluster.Charter{}, err
	}
	return c, nil
}

func (l *Ledger) checkCharter(c cluster.Charter, epoch cluster.Epoch) error {
	switch {
	case c.Cluster != l.cluster:
		return corrupt(charterKey(epoch), "it founds cluster %q and not %q", c.Cluster, l.cluster)
	case c.Epoch != epoch:
		return corrupt(charterKey(epoch), "it says epoch %d", c.Epoch)
	case c.Nonce == "":
		return corrupt(charterKey(epoch), "it has no nonce")
	}
	return nil
}

// WriteCharter proposes c, and is the charter that holds for its epoch: c if
// the winner's nonce is c's, else another node's. The winner is in its stored
// form, so it is equal for everyone. Charter n+1 is refused while charter n
// does not exist: the numbers have no gaps.
//
// An error decides nothing: c may have been written or may yet arrive. To ask
// again, with c or with another, is safe; only what is read counts.
func (l *Ledger) WriteCharter(ctx context.Context, c cluster.Charter) (winner cluster.Charter, err error) {
	winner, err = l.writeCharter(ctx, c)
	if err != nil {
		return cluster.Charter{}, fmt.Errorf("writing charter %d: %w", c.Epoch, err)
	}
	return winner, nil
}

func (l *Ledger) writeCharter(ctx context.Context, c cluster.Charter) (cluster.Charter, error) {
	switch {
	case c.Epoch == 0:
		return c, checkEpoch(c.Epoch)
	case c.Nonce == "":
		return c, errors.New("a charter needs a nonce")
	case c.Cluster != l.cluster:
		return c, fmt.Errorf("it founds cluster %q and the ledger is of %q", c.Cluster, l.cluster)
	}
	if c.Epoch > 1 {
		if _, err := l.charterAt(ctx, c.Epoch-1); err != nil {
			return c, fmt.Errorf("looking for charter %d before it: %w", c.Epoch-1, err)
		}
	}
	c.At = stamp(c.At)
	winner, err := create(ctx, l, charterKey(c.Epoch), c)
	if err == nil {
		err = l.checkCharter(winner, c.Epoch)
	}
	return winner, err
}
