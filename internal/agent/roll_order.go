package agent

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/control"
	"github.com/quorate/quorate/internal/plan"
)

// NewestRoll is the newest roll's newest entry that this node knows.
func (a *Agent) NewestRoll() cluster.Roll {
	return a.published.Load().observation.Ledger.Roll.Value()
}

// Roll orders, cancels or plans a roll. The keeper alone writes orders, one after
// the other: without a store nothing else would decide between two.
func (a *Agent) Roll(ctx context.Context, q control.RollRequest) (control.RollAnswer, error) {
	soon, cancel := context.WithTimeout(ctx, orderLimit)
	defer cancel()
	return atKeeper(ctx, a, errand[control.RollAnswer]{
		passed: q.PassedOn, wait: keeperSoon, tries: 1,
		here:  func(s *snapshot) (control.RollAnswer, error) { return a.rollHere(ctx, s, q) },
		there: func(k cluster.Report) (control.RollAnswer, error) { return a.rollAt(soon, k, q) },
	})
}

// rollAt passes an order on to the keeper. Who gets no answer learns whose it is,
// and what may have become of the order: it is not given twice.
func (a *Agent) rollAt(ctx context.Context, keeper cluster.Report, q control.RollRequest) (control.RollAnswer, error) {
	on := q
	on.PassedOn = true
	answer, err := control.NewClient(keeper.Agent, a.parts.HTTP).Roll(ctx, on)
	if undone(err) || !lost(err) {
		return answer, err
	}
	became := "whether it has been ordered is not known"
	switch {
	case q.Plan:
		became = "nothing was ordered"
	case q.Cancel:
		became = "whether it has been cancelled is not known"
	}
	return answer, fmt.Errorf("the keeper, %s, does not answer, and %s: %w", keeper.Name, became, err)
}

func (a *Agent) rollHere(ctx context.Context, s *snapshot, q control.RollRequest) (control.RollAnswer, error) {
	if err := control.CheckReason(q.Reason); err != nil {
		return control.RollAnswer{}, fmt.Errorf("%w: %w", control.ErrRefused, err)
	}
	a.ordering.Lock()
	defer a.ordering.Unlock()
	roll := a.ledgerFacts().Roll
	switch {
	case roll.Unknown():
		return control.RollAnswer{}, fmt.Errorf("%w: whether a roll is under way is not known: the store does not answer", control.ErrRefused)
	case q.Cancel:
		return a.cancelRoll(ctx, roll.Value(), q)
	}
	answer, err := a.planRoll(s.observation, q)
	answer.Problems = append(answer.Problems, notOurs(slices.Concat(s.observation.Reports, []cluster.Report{s.report}))...)
	answer.Roll = roll.Value()
	switch {
	case err != nil || q.Plan:
		return answer, err
	case roll.Value().Open():
		return answer, fmt.Errorf("%w: roll %d (%s) is under way, ordered by %s", control.ErrRefused, roll.Value().FirstNumber(), roll.Value().Kind, roll.Value().By)
	case len(answer.Problems) > 0:
		return answer, fmt.Errorf("%w: %s", control.ErrRefused, strings.Join(answer.Problems, "; "))
	case answer.Nothing():
		return answer, nil
	}
	order := cluster.Roll{Number: roll.Value().Number + 1, ID: nonce(), Nonce: nonce(), Epoch: s.observation.Ledger.Charter.Value().Epoch, Kind: answer.Kind, To: answer.To, State: cluster.RollOpen,
		Backup: s.observation.Ledger.Backup.Value().Key, Reason: q.Reason, By: who(q.By), At: time.Now()}
	answer.Roll, err = a.order(ctx, order)
	return answer, err
}

// notOurs are the etcds that no agent may stop.
func notOurs(reports []cluster.Report) (problems []string) {
	for _, r := range reports {
		if r.Etcd.Foreign {
			problems = append(problems, r.Name+"'s etcd was not started by quorate: stop it, and its agent starts it anew")
		}
	}
	return problems
}

func who(by string) string {
	if by == "" {
		return "operator"
	}
	return by
}

// planRoll is what the order comes to, and what is in its way.
func (a *Agent) planRoll(o plan.Observation, q control.RollRequest) (control.RollAnswer, error) {
	facts := plan.UpgradeFacts(o)
	answer := control.RollAnswer{Kind: q.Kind, To: q.To, Backups: a.parts.Store != nil, Members: plan.RollOrder(o)}
	answer.From = oldestOf(facts)
	switch q.Kind {
	case cluster.RollRestart:
		answer.To, answer.Backups = cluster.Version{}, false
		return answer, nil
	case cluster.RollUpgrade:
	default:
		return answer, fmt.Errorf("%w: kind: %q: want %s or %s", control.ErrRefused, q.Kind, cluster.RollRestart, cluster.RollUpgrade)
	}
	if answer.To.Zero() {
		answer.To = plan.NewestCommon(facts)
	}
	if answer.To.Zero() {
		answer.Problems = offersNothing(facts)
		return answer, nil
	}
	if plan.GoesDown(facts, answer.To) {
		answer.Kind = cluster.RollDowngrade
	}
	answer.Hops, answer.Problems = plan.UpgradePath(facts, answer.To)
	if others := withVersion(facts); answer.From.Zero() && len(others) > 0 && allRun(others, answer.To) {
		answer.Problems = append(answer.Problems, fmt.Sprintf("nothing to %s is known: every other member runs etcd %s already", answer.Kind, answer.To))
	}
	return answer, nil
}

// oldestOf is the oldest version that a member runs; zero: not every member says.
func oldestOf(members []plan.VersionFacts) (oldest cluster.Version) {
	for i, m := range members {
		if i == 0 || m.Runs.Less(oldest) {
			oldest = m.Runs
		}
	}
	return oldest
}

func withVersion(members []plan.VersionFacts) []plan.VersionFacts {
	return slices.DeleteFunc(slices.Clone(members), func(m plan.VersionFacts) bool { return m.Runs.Zero() })
}

func allRun(members []plan.VersionFacts, v cluster.Version) bool {
	return !slices.ContainsFunc(members, func(m plan.VersionFacts) bool { return m.Runs != v })
}

// offersNothing is why there is no version to go to: a member whose agent is
// silent offers none.
func offersNothing(members []plan.VersionFacts) (problems []string) {
	for _, m := range members {
		if len(m.Offers) == 0 {
			problems = append(problems, m.Name+" does not say which etcds it offers")
		}
	}
	if len(problems) == 0 {
		problems = []string{"there is no etcd that every member's --etcd offers"}
	}
	return problems
}

func (a *Agent) cancelRoll(ctx context.Context, r cluster.Roll, q control.RollRequest) (control.RollAnswer, error) {
	if !r.Open() {
		return control.RollAnswer{Roll: r}, fmt.Errorf("%w: no roll is under way", control.ErrRefused)
	}
	r = r.Next(cluster.RollCancelled, nonce())
	r.Why, r.At = "cancelled by "+who(q.By), time.Now()
	if q.Reason != "" {
		r.Why += ": " + q.Reason
	}
	stands, err := a.order(ctx, r)
	return control.RollAnswer{Roll: stands, Kind: stands.Kind, To: stands.To}, err
}

// order writes an entry, and says whether it is the one that stands.
func (a *Agent) order(ctx context.Context, r cluster.Roll) (cluster.Roll, error) {
	if err := a.book.writeRoll(ctx, r); err != nil {
		return cluster.Roll{}, err
	}
	a.poke()
	stands := a.ledgerFacts().Roll.Value()
	if stands.Number == r.Number && stands.Nonce != r.Nonce {
		return stands, fmt.Errorf("%w: entry %d was written by %s at the same moment: %s", control.ErrRefused, stands.Number, stands.By, stands.State)
	}
	return stands, nil
}

// ledgerFacts are the book's, which is asked with the agent's lock held.
func (a *Agent) ledgerFacts() plan.Ledger {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.book.facts()
}
