package agent

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/control"
)

// An operator's word on what is lost (`quorate recover`) is taken only while no
// quorum lives, and lapses when one does: what it calls lost has come back, or is
// the keeper's to replace. Left standing it would count against members that have
// long been back, at the next outage of theirs.

var errAnotherWord = errors.New("another word has been given since")

// quorumWait is how long a word waits for what is known of a quorum to be of now:
// a member that has just lost its leader says so a round or two later. It stays
// within the command line's own limit of a request, 5 s.
const quorumWait = 4 * time.Second

// noQuorum returns once no agent that answers is beside an etcd which has read from
// a quorum; a follower proves that as well as the leader.
func (a *Agent) noQuorum(ctx context.Context) (*snapshot, error) {
	until := time.Now().Add(quorumWait)
	for {
		s := a.published.Load()
		name, lives := quorumAt(append([]cluster.Report{s.report}, s.observation.Reports...))
		switch {
		case !lives:
			return s, nil
		case time.Now().After(until):
			return nil, fmt.Errorf("%w: a quorum lives: the etcd of %s reads from it", control.ErrRefused, name)
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

func quorumAt(reports []cluster.Report) (name string, lives bool) {
	for _, r := range reports {
		if r.Etcd.Healthy {
			return r.Name, true
		}
	}
	return "", false
}

// lapse takes a word back, later than it was given by whatever clock.
func (a *Agent) lapse(ctx context.Context, old cluster.Verdict) error {
	err := a.book.lapseVerdict(ctx, old, cluster.Verdict{Epoch: old.Epoch, Reason: "a quorum lives", By: a.opt.Name, At: after(old.At)})
	a.gossipNow()
	return err
}

// after is now, or just after t where the clock here is behind.
func after(t time.Time) time.Time {
	now := time.Now()
	if !now.After(t) {
		return t.Add(time.Millisecond)
	}
	return now
}
