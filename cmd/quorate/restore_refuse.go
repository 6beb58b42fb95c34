package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/quorate/quorate/internal/backup"
	"github.com/quorate/quorate/internal/replay"
)

// refusal is why a plan is not carried out without a person's word, or
// cannot be, as far as that is known before anything is read.
func (c *restoreCmd) refusal(ctx context.Context, src replay.Source, p replay.Plan) error {
	if why := p.Damage(); why != "" {
		behind := ""
		if c.At != nil {
			behind = fmt.Sprintf("; %s may lie behind that", c.cut)
		}
		return fmt.Errorf("the log is broken: %s%s; to restore what is before that, say --at %s", why, behind, cutOf(p))
	}
	for _, b := range p.Passed {
		if b.Lost {
			return fmt.Errorf("a newer backup cannot be used: %s: %s; to restore what is before it, say --at %s", b.Key, b.Why, cutOf(p))
		}
	}
	if err := p.Short(); err != nil {
		return fmt.Errorf("at: %w", err)
	}
	return src.Applicable(ctx, p)
}

// there are the plans without the first ones whose snapshot is gone, or fails a
// look of another kind.
func (c *restoreCmd) there(ctx context.Context, plans []replay.Plan, look func(context.Context, replay.Plan) error) ([]replay.Plan, error) {
	for {
		p := plans[0]
		err := look(ctx, p)
		if err == nil {
			return plans, nil
		}
		if instead := c.insteadOf(plans, 0, err); instead != nil {
			return plans, instead
		}
		plans = plans[1:]
		plans[0].Passed = append(plans[0].Passed, replay.Passed{Key: p.Base.Key, Why: err.Error()})
	}
}

// objectThere looks whether the snapshot itself is in the store, and whole by its
// size.
func (s *storedBackups) objectThere(ctx context.Context, p replay.Plan) error {
	objects, err := s.sealed.List(ctx, p.Base.Object)
	if err != nil {
		return fmt.Errorf("looking for %s: %w", p.Base.Object, err)
	}
	for _, o := range objects {
		if o.Key == p.Base.Object && o.Size == p.Base.StoredSize {
			return nil
		}
	}
	return fmt.Errorf("%w: %s is not in the store, or is cut off", backup.ErrDamaged, p.Base.Object)
}

// insteadOf is nil if the plan after the i-th, whose snapshot is spoilt, brings
// back no less; else it says what the person may ask for.
func (c *restoreCmd) insteadOf(plans []replay.Plan, i int, err error) error {
	if !replay.Spoiled(err) || i+1 == len(plans) {
		return err
	}
	next := plans[i+1]
	exact := c.cut.Index > 0 || c.cut.Revision > 0
	if next.Damage() == "" && (exact || next.End() >= plans[0].End()) {
		return nil
	}
	return fmt.Errorf("%w\nnothing was made; the best without it is %s and the log behind it, up to revision %d: to restore that, say --at %s",
		err, next.Base.Key, max(next.Base.Revision, next.Last.Revision), cutOf(next))
}

// cutOf is what to say for no more than a plan. A snapshot may hold a little more
// than its manifest says, so one without a log has its time besides.
func cutOf(p replay.Plan) string {
	if p.Segments > 0 {
		return fmt.Sprintf("index=%d", p.End())
	}
	return fmt.Sprintf("index=%d (or %s, for the snapshot as it is)", p.End(), p.Base.At.UTC().Format(time.RFC3339Nano))
}

// first carries out the first plan that can be, and says which it passes over.
func (c *restoreCmd) first(ctx context.Context, src replay.Source, plans []replay.Plan, told io.Writer) (replay.Result, error) {
	for i, p := range plans {
		r, err := c.build(ctx, src, p, progressTo(told))
		if err == nil {
			return r, nil
		}
		if instead := c.insteadOf(plans, i, err); instead != nil {
			return r, instead
		}
		if errors.Is(err, backup.ErrDamaged) {
			fmt.Fprintf(told, "WARNING: a newer backup is passed over: %v\n", err)
		}
	}
	return replay.Result{}, replay.ErrNothing // there is a first plan, so this is never reached
}

// warnOf names the newer backups that are not restored.
func warnOf(to io.Writer, p replay.Plan) {
	for _, b := range p.Passed {
		fmt.Fprintf(to, "WARNING: a newer backup is passed over: %s: %s\n", b.Key, b.Why)
	}
}
