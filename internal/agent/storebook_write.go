package agent

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/control"
	"github.com/quorate/quorate/internal/ledger"
	"github.com/quorate/quorate/internal/plan"
)

// writeCharter writes c if its epoch has none. Whoever wins, the winner's is
// the charter in force, and losing is no failure. A next epoch is decided on who
// the last members are, and on what an operator says of them, which may have been
// read before a backup was, for minutes: both are read again.
func (b *storeBook) writeCharter(ctx context.Context, decided plan.Ledger, c cluster.Charter) error {
	if last := decided.Charter.Value().Epoch; last > 0 && c.Epoch == last+1 {
		list, err := read(b.ledger.Checkpoint(ctx, last))
		if err != nil {
			return err
		}
		verdict, err := read(b.ledger.Verdict(ctx, last))
		if err != nil {
			return err
		}
		if !equalMembers(list.Value().Members, decided.Checkpoint.Value().Members) || !reflect.DeepEqual(verdict, decided.Verdict) {
			b.updateOf(last, func(l *plan.Ledger) { l.Checkpoint, l.Verdict = list, verdict })
			return fmt.Errorf("%w: the store tells of other members, or of another verdict", errStale)
		}
	}
	winner, err := b.ledger.WriteCharter(ctx, c)
	if err != nil {
		return err
	}
	if winner.Nonce != c.Nonce {
		b.a.log.Info("another node wrote the charter first", "epoch", winner.Epoch, "by", winner.By)
	}
	b.setCharter(winner)
	return nil
}

func (b *storeBook) grant(cluster.Charter) error {
	return errors.New("with a store nobody needs to consent")
}

func (b *storeBook) markStarted(ctx context.Context, m cluster.StartedMark) error {
	there, err := b.ledger.MarkStarted(ctx, m)
	if err != nil {
		return err
	}
	b.updateOf(m.Epoch, func(l *plan.Ledger) { l.Mark = cluster.Known(there) })
	if there.DiskID != m.DiskID {
		return fmt.Errorf("another disk has started as %s in epoch %d", m.Name, m.Epoch)
	}
	return nil
}

func (b *storeBook) markReady(ctx context.Context, m cluster.ReadyMark) error {
	err := b.ledger.MarkReady(ctx, m)
	if err == nil {
		b.updateOf(m.Epoch, func(l *plan.Ledger) { l.Ready = cluster.Known(m) })
	}
	return err
}

func (b *storeBook) writeCheckpoint(ctx context.Context, c cluster.Checkpoint) error {
	err := b.ledger.WriteCheckpoint(ctx, c)
	f := cluster.Known(c)
	if err != nil {
		f = cluster.Unknown[cluster.Checkpoint]() // it may have been written
	}
	b.updateOf(c.Epoch, func(l *plan.Ledger) { l.Checkpoint, b.listDue = f, time.Now().Add(listSoon) })
	return err
}

func (b *storeBook) journal(ctx context.Context, e journalEntry) error {
	o := e.Observation
	return b.ledger.Journal(ctx, ledger.Entry{Epoch: o.Ledger.Charter.Value().Epoch, At: o.Now, Nonce: nonce(), What: e})
}

func (b *storeBook) lock(ctx context.Context, holder, reason string, l cluster.Lock) (cluster.Lock, error) {
	got, err := b.ledger.Acquire(ctx, holder, reason, time.Now(), l.Expires)
	if errors.Is(err, ledger.ErrHeld) {
		return got, fmt.Errorf("%w: %w", control.ErrRefused, err)
	}
	if err == nil {
		b.noteLock(cluster.Known(got))
	}
	return got, err
}

func (b *storeBook) unlock(ctx context.Context) (cluster.Lock, error) {
	l, err := b.ledger.Lock(ctx, 0)
	if errors.Is(err, ledger.ErrNone) || err == nil && !l.Held(time.Now()) {
		return cluster.Lock{}, fmt.Errorf("%w: housekeeping is not paused", control.ErrRefused)
	}
	if err == nil {
		err = b.ledger.Release(ctx, l)
	}
	if err != nil {
		return cluster.Lock{}, err
	}
	released, err := b.ledger.Lock(ctx, l.Number)
	if err == nil {
		b.noteLock(cluster.Known(released))
	}
	return released, err
}

func (b *storeBook) writeVerdict(ctx context.Context, v cluster.Verdict) error {
	err := b.ledger.WriteVerdict(ctx, v)
	if err == nil {
		b.updateOf(v.Epoch, func(l *plan.Ledger) { l.Verdict = cluster.Known(v) })
	}
	return err
}

func (b *storeBook) lapseVerdict(ctx context.Context, old, lapsed cluster.Verdict) error {
	err := b.ledger.LapseVerdict(ctx, old, lapsed)
	switch {
	case err == nil:
		b.updateOf(old.Epoch, func(l *plan.Ledger) { l.Verdict = cluster.Known(lapsed) })
	case errors.Is(err, ledger.ErrOutdated):
		return errors.Join(errAnotherWord, b.readVerdict(ctx, old.Epoch))
	}
	return err
}

// writeRoll writes r if its number has no entry. Whoever wins, the winner's counts.
func (b *storeBook) writeRoll(ctx context.Context, r cluster.Roll) error {
	stands, err := b.ledger.WriteRoll(ctx, r)
	if err != nil {
		return err
	}
	if stands.Nonce != r.Nonce {
		b.a.log.Info("another node wrote the roll's entry first", "roll", stands.FirstNumber(), "entry", stands.Number, "by", stands.By)
	}
	b.noteRoll(cluster.Known(stands))
	b.a.gossipNow()
	return nil
}
