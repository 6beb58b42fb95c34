package ledger

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/quorate/quorate/internal/cluster"
)

// verdict is the stored form: the nonce tells our own write from another's.
type verdict struct {
	cluster.Verdict
	Nonce string `json:"nonce"`
}

// WriteVerdict appends an operator's word on the epoch; it then is the newest,
// which is the one that counts. An error decides nothing, and to write it again
// is harmless.
func (l *Ledger) WriteVerdict(ctx context.Context, v cluster.Verdict) error {
	if err := l.writeVerdict(ctx, v); err != nil {
		return fmt.Errorf("writing a verdict on epoch %d: %w", v.Epoch, err)
	}
	return nil
}

func (l *Ledger) writeVerdict(ctx context.Context, v cluster.Verdict) error {
	if err := checkEpoch(v.Epoch); err != nil {
		return err
	}
	v.At = stamp(v.At)
	entry := verdict{v, rand.Text()}
	for range contended {
		_, n, err := l.newestVerdict(ctx, v.Epoch)
		if err != nil && !errors.Is(err, ErrNone) {
			return err
		}
		stands, err := create(ctx, l, verdictKey(v.Epoch, n+1), entry)
		if err != nil || stands.Nonce == entry.Nonce {
			return err
		}
	}
	return errors.New("too many others write one at this moment")
}

// LapseVerdict appends a verdict that says nothing behind old, if old is still
// the newest: ErrOutdated otherwise, and nothing is written.
func (l *Ledger) LapseVerdict(ctx context.Context, old, lapsed cluster.Verdict) error {
	newest, n, err := l.newestVerdict(ctx, old.Epoch)
	switch {
	case err != nil:
		return fmt.Errorf("reading the verdict on epoch %d: %w", old.Epoch, err)
	case !newest.At.Equal(stamp(old.At)) || newest.By != old.By:
		return fmt.Errorf("%w: %s has given another word on epoch %d", ErrOutdated, newest.By, old.Epoch)
	}
	lapsed.At = stamp(lapsed.At)
	entry := verdict{lapsed, rand.Text()}
	stands, err := create(ctx, l, verdictKey(old.Epoch, n+1), entry)
	switch {
	case err != nil:
		return fmt.Errorf("taking back the verdict on epoch %d: %w", old.Epoch, err)
	case stands.Nonce != entry.Nonce:
		return fmt.Errorf("%w: %s has given another word on epoch %d", ErrOutdated, stands.By, old.Epoch)
	}
	return nil
}

// Verdict is the newest verdict on the epoch, or ErrNone.
func (l *Ledger) Verdict(ctx context.Context, epoch cluster.Epoch) (cluster.Verdict, error) {
	v, _, err := l.newestVerdict(ctx, epoch)
	if err != nil {
		return cluster.Verdict{}, fmt.Errorf("reading the verdict on epoch %d: %w", epoch, err)
	}
	return v.Verdict, nil
}

// newestVerdict has number 0 with ErrNone.
func (l *Ledger) newestVerdict(ctx context.Context, epoch cluster.Epoch) (verdict, uint64, error) {
	v, n, err := newest[verdict](ctx, l, 1, func(n uint64) string { return verdictKey(epoch, n) })
	if err == nil && (v.Epoch != epoch || v.Nonce == "") {
		return verdict{}, 0, corrupt(verdictKey(epoch, n), "it is on epoch %d, nonce %q", v.Epoch, v.Nonce)
	}
	return v, n, err
}
