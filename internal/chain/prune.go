package chain

import (
	"context"
	"errors"
	"fmt"

	"github.com/quorate/quorate/internal/store"
)

// Deleter is the part of store.Store that pruning needs.
type Deleter interface {
	// Delete is content when the object is not there.
	Delete(ctx context.Context, key string) error
}

// Prune deletes the segments of a chain that hold nothing after index, the
// oldest first, so that what is left is a chain whenever it ends. The last one
// stays: it says where the log ends. It returns how many are gone.
func (r Reader) Prune(ctx context.Context, from Deleter, c Chain, index uint64) (gone int, err error) {
	keep, err := r.Find(ctx, c, func(h Header) bool { return h.Last > index })
	switch {
	case errors.Is(err, ErrNone):
		keep.Number = c.Last()
	case errors.Is(err, store.ErrNotFound): // another prunes it too
		return 0, nil
	case err != nil:
		return 0, fmt.Errorf("pruning chain %d of epoch %d: %w", c.Number, c.Epoch, err)
	}
	for _, s := range c.Segments {
		if s.Number >= keep.Number {
			break
		}
		if err := from.Delete(ctx, c.Key(s.Number)); err != nil {
			return gone, fmt.Errorf("pruning chain %d of epoch %d: %w", c.Number, c.Epoch, err)
		}
		gone++
	}
	return gone, nil
}

// Drop deletes a whole chain, the oldest segment first.
func Drop(ctx context.Context, from Deleter, c Chain) (gone int, err error) {
	for _, s := range c.Segments {
		if err := from.Delete(ctx, c.Key(s.Number)); err != nil {
			return gone, fmt.Errorf("dropping chain %d of epoch %d: %w", c.Number, c.Epoch, err)
		}
		gone++
	}
	return gone, nil
}
