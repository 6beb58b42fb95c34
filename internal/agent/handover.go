package agent

import (
	"context"
	"errors"
	"sync"
	"syscall"
	"time"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/control"
	"github.com/quorate/quorate/internal/gate"
	"github.com/quorate/quorate/internal/plan"
)

const (
	// A hand-over takes milliseconds, and raft gives it up after one election
	// timeout; etcd goes on waiting, as when all members stop at once.
	handOverLimit = 3 * time.Second

	// holdLimit bounds the wait for all voters' requests under way. It leaves of
	// gate.HoldLimit what a hand-over takes.
	holdLimit = 350 * time.Millisecond

	// ungatedPause lets proposals that were on their way to the old leader arrive
	// at the new one, before the old one stops, where no gate has kept them.
	ungatedPause = 300 * time.Millisecond

	// holdTries is how often the voters are asked to hold, where one that could
	// did not manage in time: a busy machine, or a request that takes long.
	holdTries = 3
)

// handOver moves the lead to another voter while no voter proposes anything, so
// that nothing is dropped. A voter that cannot hold, because its etcd is a stock
// one or its agent is silent, may lose what it forwards in that moment.
func (a *Agent) handOver(ctx context.Context, o plan.Observation, to cluster.MemberID) error {
	if a.own == nil {
		return errNoEtcd
	}
	ctx, cancel := context.WithTimeout(ctx, handOverLimit)
	defer cancel()
	began := time.Now()
	all, release := a.holdVoters(ctx, o)
	held := time.Now()
	err := a.own.MoveLeader(ctx, to)
	release()
	a.metrics.handedOver(all, err)
	a.log.Info("handed over", "to", to.String(), "every_voter_held", all, "holding", held.Sub(began).Round(100*time.Microsecond), "moving", time.Since(held).Round(100*time.Microsecond))
	if err == nil && !all {
		sleep(ctx, ungatedPause)
	}
	return err
}

// holdVoters has every voter's gate shut, ours too, and says whether all are: none
// proposes anything then. The others open by themselves.
func (a *Agent) holdVoters(ctx context.Context, o plan.Observation) (all bool, release func()) {
	for try := 1; ; try++ {
		cannot, late, release := a.holdOnce(ctx, o)
		if late == 0 || try == holdTries || ctx.Err() != nil {
			return cannot+late == 0, release
		}
		release()
		sleep(ctx, gate.HoldLimit) // until all gates are open: clients have waited enough
	}
}

func (a *Agent) holdOnce(ctx context.Context, o plan.Observation) (cannot, late int, release func()) {
	limited, cancel := context.WithTimeout(ctx, holdLimit)
	defer cancel()
	lead := o.Etcd.Value().MemberID
	var mu sync.Mutex
	count := func(err error) {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case err == nil:
		case errors.Is(err, gate.ErrNone) || errors.Is(err, control.ErrRefused) || errors.Is(err, syscall.ECONNREFUSED):
			cannot++ // nor a moment later
		default:
			late++
			a.log.Warn("a voter does not hold its requests in time", "error", err)
		}
	}
	release = func() {}
	if !o.Members.Known() {
		return 1, 0, release // we may not know of a voter
	}
	var asked sync.WaitGroup
	for _, m := range cluster.Voters(o.Members.Value()) {
		if m.ID == lead {
			asked.Go(func() {
				open, err := gate.Hold(limited, a.opt.DataDir, uint64(lead))
				if err == nil {
					release = open
				}
				count(err)
			})
			continue
		}
		agentURL := agentOf(o, m.ID)
		if agentURL == "" {
			count(gate.ErrNone)
			continue
		}
		asked.Go(func() {
			count(control.NewClient(agentURL, a.parts.HTTP).Hold(limited, control.HoldRequest{Leader: lead}))
		})
	}
	asked.Wait()
	return cannot, late, release
}

// agentOf is the URL of the agent beside a member, if it has reported lately.
func agentOf(o plan.Observation, id cluster.MemberID) string {
	for _, r := range o.Reports {
		if r.Etcd.MemberID == id {
			return r.Agent
		}
	}
	return ""
}

// Hold shuts our etcd's gate for the leader's agent, which is about to hand over,
// once nothing is under way behind it. It opens by itself.
func (a *Agent) Hold(ctx context.Context, q control.HoldRequest) error {
	limited, cancel := context.WithTimeout(ctx, holdLimit)
	defer cancel()
	_, err := gate.Hold(limited, a.opt.DataDir, uint64(q.Leader))
	if errors.Is(err, gate.ErrNone) {
		return errors.Join(control.ErrRefused, err)
	}
	return err
}

func (m *metrics) handedOver(held bool, err error) {
	result := "unheld"
	switch {
	case err != nil:
		result = "failed"
	case held:
		result = "held"
	}
	m.handOvers.WithLabelValues(result).Inc()
}
