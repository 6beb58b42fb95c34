package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"slices"
	"time"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/control"
)

// What the keeper alone does waits for one to be known: after a leader's loss
// the next is elected in 1-2 s, and is heard of a round later. keeperSoon and
// orderLimit, of all until the keeper's answer, stay within the command line's own
// limit of a request, 5 s.
const (
	keeperWait = 15 * time.Second
	keeperSoon = 4 * time.Second
	orderLimit = 4500 * time.Millisecond
)

// errand is what the keeper alone does.
type errand[A any] struct {
	passed bool          // an agent takes us for the keeper: it goes no further
	wait   time.Duration // for a keeper to be known
	tries  int           // of which all but the last may be lost; 1: what may have been done is not repeated
	here   func(*snapshot) (A, error)
	there  func(cluster.Report) (A, error)
}

// atKeeper has the keeper do it: this node, or the one that says that it is. A
// request is passed on once; who is no longer the keeper says so
// (control.ErrMoved), and the next one is looked for.
func atKeeper[A any](ctx context.Context, a *Agent, e errand[A]) (A, error) {
	var none A
	until := time.Now().Add(e.wait)
	for tries := 1; ; {
		s := a.published.Load()
		switch {
		case s.report.Keeper:
			return e.here(s)
		case e.passed:
			return none, fmt.Errorf("%w: node %s is not beside the leader", control.ErrMoved, a.opt.Name)
		}
		got, err := e.passOn(s)
		switch {
		case undone(err):
		case lost(err) && tries < e.tries && ctx.Err() == nil:
			a.log.Warn("the keeper is lost with what it was asked for: the next one is looked for", "error", err)
			tries++
			until = time.Now().Add(e.wait)
		default:
			return got, err
		}
		if time.Now().After(until) {
			return none, fmt.Errorf("%w: %s", control.ErrRefused, nobodyLeads(s))
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return none, context.Cause(ctx)
		}
	}
}

// passOn asks who says that it is the keeper. An error that is undone: nobody
// has done anything.
func (e errand[A]) passOn(s *snapshot) (got A, err error) {
	err = control.ErrMoved // there is none
	for _, r := range s.observation.Reports {
		if !r.Keeper || !r.Etcd.Healthy {
			continue
		}
		if got, err = e.there(r); !undone(err) {
			break
		}
	}
	return got, err
}

// nobodyLeads names the leader that our etcd knows, if its agent is the silent one.
func nobodyLeads(s *snapshot) string {
	leader := s.observation.Etcd.Value().Leader
	i := slices.IndexFunc(s.report.Members, func(m cluster.Member) bool { return m.ID == leader && leader != 0 })
	if i < 0 {
		return "no agent beside a leader answers"
	}
	return fmt.Sprintf("no agent beside a leader answers: %s leads, and its agent is silent", s.report.Members[i].Label())
}

// replaced says that by our own view another agent than r's is the keeper.
func (a *Agent) replaced(r cluster.Report) bool {
	s := a.published.Load()
	return s.report.Keeper || slices.ContainsFunc(s.observation.Reports, func(x cluster.Report) bool {
		return x.Keeper && x.Etcd.Healthy && x.Agent != r.Agent
	})
}

// undone says that the asked agent has not done anything: nobody is there, or
// it passes the question back.
func undone(err error) bool {
	dial := (*net.OpError)(nil)
	return errors.Is(err, control.ErrMoved) || errors.As(err, &dial) && dial.Op == "dial"
}

// lost says that no whole answer has come: whether the asked agent has done it,
// or does it still, is not known.
func lost(err error) bool {
	unanswered, cut := (*url.Error)(nil), (*net.OpError)(nil)
	return errors.Is(err, errSilent) || errors.As(err, &unanswered) || errors.As(err, &cut) || errors.Is(err, io.ErrUnexpectedEOF)
}
