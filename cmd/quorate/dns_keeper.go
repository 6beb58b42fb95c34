package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/config"
	"github.com/quorate/quorate/internal/control"
	"github.com/quorate/quorate/internal/plan"
)

// keeperWithin is for how long a keeper is waited for: a leader is elected within
// seconds, and then has to see the others.
const keeperWithin = 10 * time.Second

// notYet is why the zone is to be left as it is, at this moment.
type notYet struct{ why string }

func (n notYet) Error() string { return "the zone is to be left as it is: " + n.why }

// soon looks until that yields anything but notYet; then, or after within, that is
// the answer.
func soon[A any](ctx context.Context, within time.Duration, look func(context.Context) (A, error)) (A, error) {
	for began := time.Now(); ; {
		a, err := look(ctx)
		var not notYet
		switch {
		case !errors.As(err, &not) || ctx.Err() != nil:
			return a, err
		case time.Since(began) >= within:
			return a, fmt.Errorf("%w (waited %s for it to change)", not, within)
		}
		select {
		case <-ctx.Done():
		case <-time.After(250 * time.Millisecond):
		}
	}
}

// keeperSees is the observation of the agent beside the leader: any agent of
// the target tells who that is. It is notYet when none does, or that one is silent.
func keeperSees(ctx context.Context, t config.Target) (plan.Observation, error) {
	return onAgent(ctx, t, func(ctx context.Context, a *control.Client) (plan.Observation, error) {
		e, err := a.Explain(ctx)
		if err != nil || e.Observation.IsKeeper() {
			return e.Observation, err
		}
		k, found := keeperIn(e.Observation.Reports)
		if !found {
			return plan.Observation{}, notYet{"no agent is known to be the keeper, by the word of " + a.Base()}
		}
		ctx, cancel := context.WithTimeout(ctx, t.Timeout/2) // the other half was the first agent's
		defer cancel()
		e, err = control.NewClient(k.Agent, t.Files().HTTPClient(0)).Explain(ctx)
		switch {
		case err != nil:
			return plan.Observation{}, notYet{fmt.Sprintf("the keeper, %s, does not answer: %v", k.Name, err)}
		case !e.Observation.IsKeeper():
			return plan.Observation{}, notYet{k.Name + " is not the keeper any more, and no other is known yet"}
		}
		return e.Observation, nil
	})
}

// keeperIn is the report of the keeper of the newest term.
func keeperIn(reports []cluster.Report) (k cluster.Report, found bool) {
	for _, r := range reports {
		if r.Keeper && r.Etcd.Healthy && (!found || r.Etcd.Term > k.Etcd.Term) {
			k, found = r, true
		}
	}
	return k, found
}
