package agent

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/plan"
)

// slowBook is a book on a slow store; nothing else of it is used.
type slowBook struct {
	book
	takes time.Duration
	epoch cluster.Epoch
}

func (b slowBook) facts() plan.Ledger {
	return plan.Ledger{Charter: cluster.Known(cluster.Charter{Epoch: b.epoch})}
}

func (b slowBook) writeCharter(context.Context, plan.Ledger, cluster.Charter) error { return nil }

func (b slowBook) journal(context.Context, journalEntry) error {
	time.Sleep(b.takes)
	return nil
}

func (b slowBook) markReady(context.Context, cluster.ReadyMark) error {
	time.Sleep(b.takes)
	return nil
}

func (b slowBook) writeCheckpoint(context.Context, cluster.Checkpoint) error { return nil }

func (b slowBook) lapseVerdict(context.Context, cluster.Verdict, cluster.Verdict) error { return nil }

// TestStaleFacts: a slow store parts a decision from its steps; then a step that
// others' votes depend on is not taken.
func TestStaleFacts(t *testing.T) {
	for name, steps := range map[string][]plan.Step{
		"add":      {plan.WriteReadyMark{}, plan.AddLearner{}},
		"promote":  {plan.WriteReadyMark{}, plan.PromoteLearner{}},
		"remove":   {plan.RemoveMember{}}, // journalled
		"list":     {plan.WriteReadyMark{}, plan.WriteCheckpoint{}},
		"lapse":    {plan.LapseVerdict{}}, // journalled
		"update":   {plan.WriteReadyMark{}, plan.UpdateMember{}},
		"transfer": {plan.WriteReadyMark{}, plan.TransferLeadership{}},
		"stop":     {plan.WriteReadyMark{}, plan.StopEtcd{}},
		"condemn":  {plan.CondemnMachine{}}, // journalled
		"recover":  {plan.WriteCharter{Charter: cluster.Charter{Epoch: 2}}},
	} {
		for takes, stale := range map[time.Duration]bool{0: false, actFresh: false, actFresh + time.Millisecond: true} {
			t.Run(name+" after "+takes.String(), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					a := &Agent{log: slog.New(slog.DiscardHandler), book: slowBook{takes: takes}, metrics: newMetrics(nil)}
					err := a.act(context.Background(), plan.Observation{Now: time.Now()}, plan.Decision{Steps: steps})
					// Here no etcd runs: it is what a step that is taken comes to.
					if taken := err == nil || errors.Is(err, errNoEtcd); taken == stale || errors.Is(err, errStale) != stale {
						t.Errorf("%v", err)
					}
				})
			})
		}
	}
}
