package replay

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/quorate/quorate/internal/backup"
	"github.com/quorate/quorate/internal/chain"
	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/seal"
)

// Source is where a cluster's snapshots and its log are.
type Source struct {
	Store   backup.Store // with its keys, see backup.Sealed
	Log     chain.Reader
	Cluster string
	Etcds   Etcds // for a log of another minor; nil: such a log is not replayed
}

// Plan is what a restore is made of: a full snapshot, and the segments after it.
type Plan struct {
	Cut  Cut            `json:"-"`
	Base cluster.Backup `json:"snapshot"`
	// From is what the first segment continues, Last where the last one ends. With
	// no segment both are zero.
	From     cluster.LogEnd `json:"log_from"`
	Last     cluster.LogEnd `json:"log_to"`
	Segments int            `json:"segments"`
	Bytes    int64          `json:"segment_bytes"` // as stored
	Etcd     string         `json:"etcd_version"`  // that took the snapshot; the log is of its minor, or cannot be replayed
	// Broken says why the chain is not read to the end that it once had. What was
	// written behind that is lost, so a restore to the end asks a person first.
	Broken string `json:"broken,omitempty"`
}

// Reaches is the moment of the last write that is surely in it, by the clock of
// the node that shipped it or took the snapshot.
func (p Plan) Reaches() time.Time {
	if p.Segments > 0 {
		return p.Last.At
	}
	return p.Base.At
}

// ErrNothing says that nothing stored leads to the cut.
var ErrNothing = errors.New("nothing that is stored leads there")

// Survey finds the ways to a cut, the best first: of the snapshots that are not
// behind it the newest, each with the chain that goes on from it. A later one is
// for when an earlier one's snapshot is damaged, or turns out to be behind the
// cut: a snapshot may be newer than its manifest says. It reads manifests and a
// few segments' headers.
func Survey(ctx context.Context, src Source, cut Cut) ([]Plan, error) {
	all, problems, err := backup.List(ctx, src.Store)
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(b cluster.Backup) bool { return b.Cluster != src.Cluster || beyond(b, cut) })
	if len(all) == 0 {
		return nil, fmt.Errorf("no snapshot of cluster %q is before %s: %w%s", src.Cluster, cut, ErrNothing, told(problems))
	}
	if cut == (Cut{}) {
		if err := backup.NotOlder(ctx, src.Store, all[0]); err != nil {
			return nil, err
		}
	}
	epoch := all[0].Epoch // the newest that is not behind the cut
	all = slices.DeleteFunc(all, func(b cluster.Backup) bool { return b.Epoch != epoch })
	chains, err := chain.List(ctx, src.Log.Objects, epoch)
	if err != nil {
		return nil, err
	}
	var plans []Plan
	var why error
	for _, b := range all {
		p, err := survey(ctx, src, cut, b, chains)
		switch {
		case err == nil:
			plans = append(plans, p)
		case errors.Is(err, ErrNothing):
			why = cmpErr(why, err)
		default:
			return nil, err
		}
	}
	if len(plans) == 0 {
		return nil, why
	}
	return plans, nil
}

// isBad says that a segment is to blame: nothing behind it counts.
func isBad(err error) bool {
	return errors.Is(err, chain.ErrDamaged) || errors.Is(err, seal.ErrUnsigned) || errors.Is(err, seal.ErrForged)
}

func cmpErr(first, second error) error {
	if first != nil {
		return first
	}
	return second
}

func told(problems []backup.Problem) (s string) {
	for _, p := range problems {
		s += "; " + p.String()
	}
	return s
}

// beyond says that the snapshot is surely behind the cut.
func beyond(b cluster.Backup, c Cut) bool {
	return c.Index > 0 && b.Index > c.Index || c.Revision > 0 && b.Revision > c.Revision || !c.Time.IsZero() && b.At.After(c.Time)
}

// survey plans a restore from one snapshot: the newest chain that goes on from
// it counts, and when none does the snapshot alone.
func survey(ctx context.Context, src Source, cut Cut, b cluster.Backup, chains []chain.Chain) (Plan, error) {
	p := Plan{Cut: cut, Base: b, Etcd: b.Etcd}
	for _, c := range slices.Backward(chains) {
		p.Broken = ""
		if n, missing := c.Missing(); missing {
			if h, _, err := src.Log.Header(ctx, c.Epoch, c.Number, c.Last()); err == nil && h.Last <= b.Index {
				continue // the snapshot holds all of it
			}
			p.Broken = fmt.Sprintf("segment %d of chain %d is missing", n, c.Number)
			i := slices.IndexFunc(c.Segments, func(s chain.Stored) bool { return s.Number > n })
			c.Segments = c.Segments[:i]
		}
		begin, err := from(ctx, src.Log, c, b.Index)
		if errors.Is(err, chain.ErrNone) || errors.Is(err, chain.ErrGap) {
			continue
		}
		if err != nil {
			return Plan{}, err
		}
		p.From = begin
		return p.until(ctx, src, c)
	}
	if cut.Index > b.Index || cut.Revision > b.Revision {
		return Plan{}, fmt.Errorf("no log goes on from %s, which is at index %d and revision %d, to %s: %w", b.Key, b.Index, b.Revision, cut, ErrNothing)
	}
	return p, nil
}

// from is where the log goes on behind an index. Damage before it is no matter.
func from(ctx context.Context, log chain.Reader, c chain.Chain, index uint64) (cluster.LogEnd, error) {
	end, err := log.From(ctx, c, index)
	if !isBad(err) {
		return end, err
	}
	for _, s := range c.Segments {
		h, _, err := log.Header(ctx, c.Epoch, c.Number, s.Number)
		switch {
		case isBad(err):
		case err != nil:
			return cluster.LogEnd{}, err
		case h.Last > index && h.First > index+1:
			return cluster.LogEnd{}, chain.ErrGap
		case h.Last > index:
			return h.Claimed(), nil
		}
	}
	return cluster.LogEnd{}, chain.ErrNone
}

// until finds the plan's last segment: the first that may hold the cut. Only an
// index is known for sure; the revision of a segment's end may be greater than
// it says.
func (p Plan) until(ctx context.Context, src Source, c chain.Chain) (Plan, error) {
	c.Segments = slices.DeleteFunc(slices.Clone(c.Segments), func(s chain.Stored) bool { return s.Number <= p.From.Number })
	last, err := p.last(ctx, src.Log, c)
	if isBad(err) {
		p, last, err = p.beforeDamage(ctx, src.Log, c)
	}
	if err != nil {
		return Plan{}, err
	}
	p.Last = last
	for _, s := range c.Segments {
		if s.Number <= last.Number {
			p.Segments++
			p.Bytes += s.Size
		}
	}
	if p.Segments == 0 {
		p.From = cluster.LogEnd{}
	}
	if end := max(p.Last.Index, p.Base.Index); p.Cut.Index > end {
		return Plan{}, fmt.Errorf("the log ends at index %d: %w%s", end, ErrNothing, because(p.Broken))
	}
	return p, nil
}

// last finds it by reading few headers; the zero LogEnd is none.
func (p Plan) last(ctx context.Context, log chain.Reader, c chain.Chain) (cluster.LogEnd, error) {
	number := c.Last()
	h, err := chain.Header{}, chain.ErrNone
	if p.Cut != (Cut{}) {
		h, err = log.Find(ctx, c, p.Cut.within)
	}
	switch {
	case errors.Is(err, chain.ErrNone): // all of it
	case err != nil:
		return cluster.LogEnd{}, err
	case !p.Cut.Time.IsZero():
		number = h.Number - 1
	default:
		number = h.Number
	}
	if number < c.First() {
		return cluster.LogEnd{}, nil
	}
	_, end, err := log.Header(ctx, c.Epoch, c.Number, number)
	return end, err
}

// beforeDamage finds it by reading all headers up to the cut or a bad one.
func (p Plan) beforeDamage(ctx context.Context, log chain.Reader, c chain.Chain) (Plan, cluster.LogEnd, error) {
	var last cluster.LogEnd
	for _, s := range c.Segments {
		h, end, err := log.Header(ctx, c.Epoch, c.Number, s.Number)
		switch {
		case isBad(err):
			p.Broken = err.Error()
			return p, last, nil
		case err != nil:
			return p, last, err
		case p.Cut.within(h) && !p.Cut.Time.IsZero():
			return p, last, nil
		case p.Cut.within(h):
			return p, end, nil
		}
		last = end
	}
	return p, last, nil
}

func because(broken string) string {
	if broken == "" {
		return ""
	}
	return ", because " + broken
}

// within is true of the segment that holds the cut and of all after it; of a
// time's, of the first that ends later.
func (c Cut) within(h chain.Header) bool {
	return c.Index > 0 && h.Last >= c.Index || c.Revision > 0 && h.LastRevision >= c.Revision || !c.Time.IsZero() && h.To.After(c.Time)
}
