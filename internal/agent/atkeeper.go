package agent

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/quorate/quorate/internal/control"
)

// What the keeper alone does waits for one to be known: after a leader's loss
// the next is elected in 1-2 s, and is heard of a round later. keeperSoon stays
// within the command line's own limit of a request, 5 s.
const (
	keeperWait = 15 * time.Second
	keeperSoon = 4 * time.Second
)

// atKeeper has the keeper answer a request: this node, or the one that says
// that it is. A request is passed on once (passed: it has been); who is no longer the keeper says so
// (control.ErrMoved), and the next one is looked for.
func atKeeper[A any](ctx context.Context, a *Agent, passed bool, limit time.Duration, here func(*snapshot) (A, error), there func(*control.Client) (A, error)) (A, error) {
	var none A
	until := time.Now().Add(limit)
	for {
		s := a.published.Load()
		switch {
		case s.report.Keeper:
			return here(s)
		case passed:
			return none, fmt.Errorf("%w: node %s is not beside the leader", control.ErrMoved, a.opt.Name)
		}
		for _, r := range s.observation.Reports {
			if !r.Keeper || !r.Etcd.Healthy {
				continue
			}
			got, err := there(control.NewClient(r.Agent, a.parts.HTTP))
			if !undone(err) {
				return got, err
			}
		}
		if time.Now().After(until) {
			return none, fmt.Errorf("%w: no agent beside a leader answers", control.ErrRefused)
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return none, context.Cause(ctx)
		}
	}
}

// undone says that the asked agent has not done anything: nobody is there, or
// it passes the question back.
func undone(err error) bool {
	lost := (*net.OpError)(nil)
	return errors.Is(err, control.ErrMoved) || errors.As(err, &lost) && lost.Op == "dial"
}
