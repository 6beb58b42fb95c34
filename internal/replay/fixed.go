package replay

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/quorate/quorate/internal/backup"
	"github.com/quorate/quorate/internal/chain"
	"github.com/quorate/quorate/internal/cluster"
)

// Behind is the end of the log that goes on from a snapshot, all of it read and
// held against its hashes: what a charter may promise. The zero LogEnd is no log.
// Why it does not go farther is told, if that is not its own end: damage, or
// entries that only another etcd can apply.
func Behind(ctx context.Context, src Source, b cluster.Backup) (end cluster.LogEnd, why string, err error) {
	chains, err := chain.List(ctx, src.Log.Objects, b.Epoch)
	if err != nil {
		return cluster.LogEnd{}, "", err
	}
	p, err := Plan{Base: b, Etcd: b.Etcd}.survey(ctx, src, chains)
	if err != nil || p.Segments == 0 {
		return cluster.LogEnd{}, p.Damage(), err
	}
	last, why, err := walked(ctx, src, p)
	if err != nil || last == 0 {
		return cluster.LogEnd{}, why, err
	}
	_, end, err = src.Log.Header(ctx, p.Last.Epoch, p.Last.Chain, last)
	return end, why, err
}

// walked reads a plan's log and is the number of its last good segment; 0 is none.
func walked(ctx context.Context, src Source, p Plan) (last uint64, why string, err error) {
	for s, err := range src.Log.Walk(ctx, p.From, p.Last.Number) {
		switch {
		case isBad(err):
			return last, err.Error(), nil
		case err != nil:
			return 0, "", err
		}
		if _, err := src.replayer(s.Etcd); err != nil {
			return last, fmt.Sprintf("segment %d: %v", s.Number, err), nil
		}
		last = s.Number
	}
	return last, p.Broken, nil
}

// Fixed plans what a charter says: a snapshot, and the log up to an end, so that
// all founders restore the same. The zero end is the snapshot alone.
func Fixed(ctx context.Context, src Source, b cluster.Backup, end cluster.LogEnd) (Plan, error) {
	p := Plan{Base: b, Etcd: b.Etcd}
	if end == (cluster.LogEnd{}) {
		return p, nil
	}
	chains, err := chain.List(ctx, src.Log.Objects, end.Epoch)
	if err != nil {
		return Plan{}, err
	}
	i := slices.IndexFunc(chains, func(c chain.Chain) bool { return c.Number == end.Chain })
	if i < 0 {
		return Plan{}, fmt.Errorf("chain %d of epoch %d: %w: it is gone", end.Chain, end.Epoch, backup.ErrDamaged)
	}
	p.From, err = from(ctx, src.Log, chains[i], b.Index)
	if errors.Is(err, chain.ErrNone) {
		err = chain.ErrNone // damage beside it lays no blame on the charter
	}
	if err != nil {
		return Plan{}, fmt.Errorf("finding the log behind %s: %w", b.Key, err)
	}
	for _, s := range chains[i].Segments {
		if s.Number > p.From.Number && s.Number <= end.Number {
			p.Segments++
			p.Bytes += s.Size
		}
	}
	_, p.Last, err = src.Log.Header(ctx, end.Epoch, end.Chain, end.Number)
	if err == nil && p.Last.SHA256 != end.SHA256 {
		err = fmt.Errorf("segment %d: %w: it is another one than the charter names", end.Number, chain.ErrDamaged)
	}
	return p, err
}

// Whole is the plan as far as each byte of its log is good: all of it is read as
// Build reads it, and nothing applied. Broken says what is not.
func (p Plan) Whole(ctx context.Context, src Source) (Plan, error) {
	if p.Segments == 0 {
		return p, nil
	}
	good := p.From.Number
	for s, err := range src.Log.Walk(ctx, p.From, p.Last.Number) {
		switch {
		case isBad(err):
			return p.cutAt(ctx, src, good, err.Error())
		case err != nil:
			return p, fmt.Errorf("reading the log: %w", err)
		}
		good = s.Number
	}
	return p, nil
}

// cutAt is the plan up to its last good segment.
func (p Plan) cutAt(ctx context.Context, src Source, good uint64, why string) (Plan, error) {
	p.Broken = why
	if good == p.From.Number {
		return p.upTo(cluster.LogEnd{}), nil
	}
	_, end, err := src.Log.Header(ctx, p.Last.Epoch, p.Last.Chain, good)
	return p.upTo(end), err
}
