package agent

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/publish"
)

// Names is the zone in which the keeper publishes. Reconcile brings it to the
// wish, is repeated by the agent, ends with its context, and has succeeded only
// once the zone shows what is wished. It is never called twice at a time.
type Names interface {
	Reconcile(context.Context, publish.Wish) (publish.Result, error)
}

// How often the zone is compared while nothing changes, and the least time
// between two looks at it.
const (
	dnsPace  = 30 * time.Second
	dnsRetry = 5 * time.Second
	dnsGap   = time.Second
)

// names is what the keeper publishes. Guarded by Agent.mu.
type names struct {
	wish        *publish.Wish // nil: leave the zone as it is
	goers       []cluster.MemberID
	withdrawals map[cluster.MemberID]plan.Withdrawal
}

// publishing is the fact for the next decision.
func (a *Agent) publishing() plan.Publishing {
	if a.parts.Names == nil {
		return plan.Publishing{}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return plan.Publishing{TTL: a.opt.Naming.TTL, Withdrawals: maps.Clone(a.names.withdrawals)}
}

// offerNames hands this round's wish to watchNames, which may be at work.
func (a *Agent) offerNames(o plan.Observation) {
	if a.parts.Names == nil {
		return
	}
	p := plan.Records(o, a.opt.Naming)
	var wish *publish.Wish
	if p.Leave == "" {
		wish = &publish.Wish{Records: p.Records, Tolerated: p.Tolerated, Adopt: a.opt.AdoptNames, Owner: Owner(o)}
	}
	goers := plan.Goers(o)
	a.mu.Lock()
	defer a.mu.Unlock()
	changed := wish != nil && (a.names.wish == nil || !slices.Equal(a.names.wish.Records, wish.Records))
	a.names.wish, a.names.goers = wish, goers
	old := a.names.withdrawals
	a.names.withdrawals = map[cluster.MemberID]plan.Withdrawal{}
	for _, id := range goers {
		w, known := old[id]
		if !known {
			w.Asked = o.Now
			changed = wish != nil // what they wait for is a look at the zone, though it be right already
		}
		a.names.withdrawals[id] = w
	}
	if changed {
		select {
		case a.renamed <- struct{}{}:
		default:
		}
	}
}

// Owner is who claims names for the observed cluster.
func Owner(o plan.Observation) publish.Owner {
	return publish.Owner{Cluster: o.Settings.Cluster, Epoch: o.Ledger.Charter.Value().Epoch, ID: o.Etcd.Value().ClusterID}
}

// watchNames publishes while this node is the keeper. Whatever becomes of it,
// etcd does not notice.
func (a *Agent) watchNames(ctx context.Context) {
	if a.parts.Names == nil {
		return
	}
	said := ""
	for pause := dnsPace; ctx.Err() == nil; {
		select {
		case <-ctx.Done():
			return
		case <-a.renamed:
		case <-time.After(pause):
		}
		pause = dnsPace
		if err := a.reconcileNames(ctx, &said); err != nil {
			pause = dnsRetry
		}
		sleep(ctx, dnsGap)
	}
}

// reconcileNames is one look at the zone; said is the last trouble logged.
func (a *Agent) reconcileNames(ctx context.Context, said *string) error {
	a.mu.Lock()
	wish, goers := a.names.wish, slices.Clone(a.names.goers)
	a.mu.Unlock()
	if wish == nil {
		return nil
	}
	result, err := a.parts.Names.Reconcile(ctx, *wish)
	if len(result.Changes) > 0 {
		a.log.Info("DNS records changed", "changes", fmt.Sprint(result.Changes))
	}
	trouble, outcome := "", "done"
	switch {
	case err != nil:
		trouble, outcome = err.Error(), "failed"
	case len(result.Refused) > 0:
		trouble, outcome = fmt.Sprint(result.Refused), "refused"
	}
	a.metrics.names.WithLabelValues(outcome).Inc()
	if trouble != "" && trouble != *said && ctx.Err() == nil {
		a.log.Warn("DNS records cannot be published", "error", trouble)
	}
	*said = trouble
	if err == nil {
		a.confirmWithdrawn(goers)
	}
	return err
}

// confirmWithdrawn notes since when the zone does not show those that go.
func (a *Agent) confirmWithdrawn(goers []cluster.MemberID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, id := range goers {
		if w, ok := a.names.withdrawals[id]; ok && w.Confirmed.IsZero() {
			w.Confirmed = time.Now()
			a.names.withdrawals[id] = w
		}
	}
}
