package replay

import (
	"cmp"
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
	// Broken says why the chain is not read to the cut, or to the end that it once
	// had. What was written behind that is lost, so a restore asks a person first. It
	// is empty when the cut surely lies before the damage.
	Broken string `json:"broken,omitempty"`
	// Passed are newer backups than the snapshot that Survey could not take.
	Passed []Passed `json:"passed_over,omitempty"`

	newer  string         // Broken, of a newer chain than the plan's
	stored []chain.Stored // the segments
}

// Damage is Broken, of the plan's chain or of a newer one: the log may go on
// behind it.
func (p Plan) Damage() string { return cmp.Or(p.Broken, p.newer) }

// Passed is a backup that is passed over for an older one, and why.
type Passed struct {
	Key string `json:"key"`
	Why string `json:"why"`
	// Lost says that the plan may lack what it holds: neither does the log reach so
	// far, nor did the cut ask for a moment that is reached exactly.
	Lost bool `json:"lost,omitempty"`
}

// End is the index where the plan ends.
func (p Plan) End() uint64 { return max(p.Last.Index, p.Base.Index) }

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
	chains, err := chain.List(ctx, src.Log.Objects, 0) // first: the snapshots that they begin on are there by now
	if err != nil {
		return nil, err
	}
	listed, problems, err := snapshots(ctx, src)
	if err != nil {
		return nil, err
	}
	all := slices.DeleteFunc(slices.Clone(listed), func(b cluster.Backup) bool { return beyond(b, cut) })
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
	chains = slices.DeleteFunc(chains, func(c chain.Chain) bool { return c.Epoch < epoch })
	unled, err := stray(ctx, src.Log, chains, listed, cut)
	if err != nil {
		return nil, err
	}
	chains = slices.DeleteFunc(chains, func(c chain.Chain) bool { return c.Epoch > epoch })
	var plans []Plan
	var why error
	for _, b := range all {
		p, err := Plan{Cut: cut, Base: b, Etcd: b.Etcd, newer: unled}.survey(ctx, src, chains)
		switch {
		case err == nil:
			if cut.heldBy(b) {
				p.Broken, p.newer = "", ""
			}
			p.Passed = passed(problems, p)
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

// beside tells of a fault together with what it has led to.
func beside(err, bad error) error {
	if bad == nil {
		return err
	}
	return fmt.Errorf("%w: %w", err, bad)
}

func cmpErr(first, second error) error {
	if first != nil {
		return first
	}
	return second
}

// heldBy says that the snapshot alone leads to the cut.
func (c Cut) heldBy(b cluster.Backup) bool {
	return c.Index > 0 && c.Index <= b.Index || c.Revision > 0 && c.Revision <= b.Revision || !c.Time.IsZero() && !c.Time.After(b.At)
}

// beyond says that the snapshot is surely behind the cut.
func beyond(b cluster.Backup, c Cut) bool {
	return c.Index > 0 && b.Index > c.Index || c.Revision > 0 && b.Revision > c.Revision || !c.Time.IsZero() && b.At.After(c.Time)
}

// survey plans a restore from the plan's snapshot: the newest chain that goes on
// from it counts, and when none does the snapshot alone. What a chain lacks before
// that is no matter: a replay holds each segment against the one before from the
// first that it needs on, and never read those before.
func (p Plan) survey(ctx context.Context, src Source, chains []chain.Chain) (Plan, error) {
	cut, b := p.Cut, p.Base
	for _, c := range slices.Backward(chains) {
		begin, err := from(ctx, src.Log, c, b.Index)
		if errors.Is(err, chain.ErrNone) || errors.Is(err, chain.ErrGap) {
			p.newer = cmp.Or(p.newer, cutShort(c, begin, err))
			continue
		}
		if err != nil {
			return Plan{}, err
		}
		p.From = begin
		return p.until(ctx, src, c)
	}
	if cut.Index > b.Index || cut.Revision > b.Revision && p.Damage() == "" {
		return Plan{}, fmt.Errorf("no log goes on from %s, which is at index %d and revision %d, to %s: %w%s", b.Key, b.Index, b.Revision, cut, ErrNothing, because(p.Damage()))
	}
	return p, nil
}

// cutShort says what is missing or damaged right behind a snapshot, where a chain
// does not go on from it before begin; it is empty where that is not to blame.
func cutShort(c chain.Chain, begin cluster.LogEnd, err error) string {
	if errors.Is(err, chain.ErrGap) {
		if n, missing := c.MissingBefore(begin.Number + 1); missing {
			return missingSegment(n, c)
		}
	}
	if isBad(err) {
		return err.Error()
	}
	return ""
}

func missingSegment(n uint64, c chain.Chain) string {
	return fmt.Sprintf("segment %d of chain %d is missing", n, c.Number)
}

// from is where the log goes on behind an index. Damage before it is no matter;
// damage right behind it is told beside the ErrGap or ErrNone that it makes. With
// ErrGap the end is where the log goes on later.
func from(ctx context.Context, log chain.Reader, c chain.Chain, index uint64) (cluster.LogEnd, error) {
	end, err := log.From(ctx, c, index)
	if !isBad(err) {
		return end, err
	}
	var bad error
	for _, s := range c.Segments {
		h, _, err := log.Header(ctx, c.Epoch, c.Number, s.Number)
		switch {
		case isBad(err):
			bad = cmpErr(bad, err)
		case err != nil:
			return cluster.LogEnd{}, err
		case h.Last > index && h.First > index+1:
			return h.Claimed(), beside(chain.ErrGap, bad)
		case h.Last > index:
			return h.Claimed(), nil
		default:
			bad = nil
		}
	}
	return cluster.LogEnd{}, beside(chain.ErrNone, bad)
}

// until finds the plan's last segment: the first that may hold the cut. Only an
// index is known for sure; the revision of a segment's end may be greater than
// it says.
func (p Plan) until(ctx context.Context, src Source, c chain.Chain) (Plan, error) {
	c.Segments = slices.DeleteFunc(slices.Clone(c.Segments), func(s chain.Stored) bool { return s.Number <= p.From.Number })
	if n, missing := c.Missing(); missing {
		p.Broken = missingSegment(n, c)
		c.Segments = slices.DeleteFunc(c.Segments, func(s chain.Stored) bool { return s.Number > n })
	}
	last, found, err := p.last(ctx, src.Log, c)
	if isBad(err) {
		p, last, found, err = p.beforeDamage(ctx, src.Log, c)
	}
	if err != nil {
		return Plan{}, err
	}
	if found {
		p.Broken, p.newer = "", ""
	}
	p.stored = c.Segments
	p = p.upTo(last)
	if end := p.End(); p.Cut.Index > end {
		return Plan{}, fmt.Errorf("the log ends at index %d: %w%s", end, ErrNothing, because(p.Broken))
	}
	return p, nil
}

// upTo is the plan with its log up to the end of a segment, or with none.
func (p Plan) upTo(last cluster.LogEnd) Plan {
	p.stored = slices.DeleteFunc(slices.Clone(p.stored), func(s chain.Stored) bool { return s.Number > last.Number })
	p.Last, p.Segments, p.Bytes = last, len(p.stored), 0
	for _, s := range p.stored {
		p.Bytes += s.Size
	}
	if p.Segments == 0 {
		p.From = cluster.LogEnd{}
	}
	return p
}

// last finds it by reading few headers, and whether a segment surely holds the
// cut, or lies behind it; the zero LogEnd is none.
func (p Plan) last(ctx context.Context, log chain.Reader, c chain.Chain) (end cluster.LogEnd, found bool, err error) {
	number := c.Last()
	h, err := chain.Header{}, chain.ErrNone
	if p.Cut != (Cut{}) {
		h, err = log.Find(ctx, c, p.Cut.within)
	}
	found = err == nil
	switch {
	case errors.Is(err, chain.ErrNone): // all of it
	case err != nil:
		return end, false, err
	case !p.Cut.Time.IsZero():
		number = h.Number - 1
	default:
		number = h.Number
	}
	if number < c.First() {
		return end, found, nil
	}
	_, end, err = log.Header(ctx, c.Epoch, c.Number, number)
	return end, found, err
}

// beforeDamage finds it by reading all headers up to the cut or a bad one.
func (p Plan) beforeDamage(ctx context.Context, log chain.Reader, c chain.Chain) (_ Plan, last cluster.LogEnd, found bool, err error) {
	for _, s := range c.Segments {
		h, end, err := log.Header(ctx, c.Epoch, c.Number, s.Number)
		switch {
		case isBad(err):
			p.Broken = err.Error()
			return p, last, false, nil
		case err != nil:
			return p, last, false, err
		case p.Cut.within(h) && !p.Cut.Time.IsZero():
			return p, last, true, nil
		case p.Cut.within(h):
			return p, end, true, nil
		}
		last = end
	}
	return p, last, false, nil
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

// revisionSkew is how far the revision in a manifest may be behind its index:
// both are read of one member, a moment apart.
const revisionSkew = 256

// Short is why a plan cannot reach its cut, as far as that is known before the
// log is applied: an entry makes one revision at most.
func (p Plan) Short() error {
	if most := p.Base.Revision + int64(p.End()-p.Base.Index) + revisionSkew; p.Cut.Revision > most {
		return fmt.Errorf("the log ends at index %d and revision %d or a little more, before %s: %w", p.End(), max(p.Base.Revision, p.Last.Revision), p.Cut, ErrNothing)
	}
	return nil
}

// Applicable says that there is an etcd for the plan's first and last segment.
func (s Source) Applicable(ctx context.Context, p Plan) error {
	if p.Segments == 0 {
		return nil
	}
	for _, number := range []uint64{p.From.Number + 1, p.Last.Number} {
		h, _, err := s.Log.Header(ctx, p.Last.Epoch, p.Last.Chain, number)
		if isBad(err) {
			continue // the log's own fault, which reading it tells
		}
		if err == nil {
			_, err = s.replayer(h.Etcd)
		}
		if err != nil {
			return fmt.Errorf("segment %d: %w", number, err)
		}
	}
	return nil
}

// Spoiled says that an error of Build is its snapshot's alone: another plan may
// lead there.
func Spoiled(err error) bool { return errors.Is(err, backup.ErrDamaged) || errors.Is(err, errPassed) }
