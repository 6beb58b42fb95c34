package publish

import (
	"context"
	"fmt"
	"time"
)

// reconcileLimit bounds one Reconcile, whatever its provider does.
const reconcileLimit = 2 * time.Minute

// passes are enough for a claim, the records, and a last look.
const passes = 4

// Publisher keeps one cluster's names in one zone. Its methods must not be
// called at the same time.
type Publisher struct {
	zone   Zone
	domain string // all names of the cluster are at or below it
}

// New is a publisher of the names at or below the domain.
func New(zone Zone, domain string) *Publisher {
	return &Publisher{zone, CleanName(domain)}
}

// Result is what a Reconcile has done.
type Result struct {
	Changes []Change  // that were made
	Refused []Refusal // wanted names that are not ours
}

// Plan says what Reconcile would do, and changes nothing.
func (p *Publisher) Plan(ctx context.Context, w Wish) (Plan, error) {
	ctx, cancel := context.WithTimeout(ctx, reconcileLimit)
	defer cancel()
	found, err := p.zone.List(ctx, p.domain)
	if err != nil {
		return Plan{}, fmt.Errorf("listing %s: %w", p.domain, err)
	}
	return Diff(w, p.within(found)), nil
}

// Reconcile brings the zone to the wish, as far as its names are ours. Without
// an error the zone has been read, and is as wished. What an error leaves half
// done, the next call finishes.
func (p *Publisher) Reconcile(ctx context.Context, w Wish) (Result, error) {
	ctx, cancel := context.WithTimeout(ctx, reconcileLimit)
	defer cancel()
	var r Result
	for range passes {
		plan, err := p.Plan(ctx, w)
		if err != nil {
			return r, err
		}
		r.Refused = plan.Refused
		if len(plan.Changes) == 0 {
			return r, nil
		}
		now := p.first(plan.Changes)
		if err := p.zone.Apply(ctx, now); err != nil {
			return r, fmt.Errorf("changing %s: %w", p.domain, err)
		}
		r.Changes = append(r.Changes, now...)
	}
	return r, fmt.Errorf("changing %s: after %d passes it still is not as wished: somebody else changes it too", p.domain, passes)
}

// first are the changes to make in this pass: all of them, or where another
// cluster could claim the same name at the same time, the claims alone.
func (p *Publisher) first(changes []Change) []Change {
	if _, ok := p.zone.(Transactional); ok {
		return changes
	}
	claims := 0
	for _, c := range changes {
		if phase(c) == 0 {
			claims++
		}
	}
	if claims > 0 {
		return changes[:claims]
	}
	return changes
}

func (p *Publisher) within(found []Set) []Set {
	var out []Set
	for _, s := range found {
		if Below(s.Name, p.domain) {
			out = append(out, s)
		}
	}
	return out
}
