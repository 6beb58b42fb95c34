package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/control"
)

const (
	// straggle is for how long the agents are waited for that are silent when the
	// first has answered.
	straggle = 2 * time.Second
	// outdated is how old an answer may be: then that agent is asked once more.
	outdated = 500 * time.Millisecond
	// settle is for how long an agent that has just started is waited for: others
	// tell it within that what there is.
	settle = 4 * time.Second
)

// ask asks one agent, or with --peers every agent of the source, so that what
// the one does not see, the others tell. That there is no quorum is believed of an
// agent that has just started only once it has had the time to hear of one.
func (c *statusCmd) ask(ctx context.Context) (control.Status, error) {
	agents, err := agentsOf(ctx, c.Target)
	if err != nil {
		return control.Status{}, err
	}
	for began := time.Now(); ; {
		s, err := c.askOnce(ctx, agents)
		unsure := err == nil && s.State == control.NoQuorum && s.Starting && time.Since(began) < settle
		if !unsure || c.Watch || ctx.Err() != nil {
			return s, err
		}
		select {
		case <-ctx.Done():
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func (c *statusCmd) askOnce(ctx context.Context, agents []*control.Client) (control.Status, error) {
	all := c.askAll(ctx, agents)
	var best control.Status
	var errs []string
	for _, t := range all {
		switch {
		case t.err != nil:
			errs = append(errs, t.err.Error())
		case best.Cluster == "" || tellsMore(t.status, best):
			best = t.status
		}
	}
	if best.Cluster == "" {
		return best, fmt.Errorf("no agent answers: %s", strings.Join(errs, "; "))
	}
	for i, t := range all {
		if t.err == nil && foreign(t.status, best) && best.State == control.Healthy {
			best.State, best.Reason = control.Degraded, fmt.Sprintf("the agent at %s keeps another cluster, %s", agents[i].Base(), t.status.Cluster)
		}
	}
	return best, nil
}

// tellsMore says that s is to be shown and not t: of one cluster, which is proven
// to have a quorum; else which is healthy; else who knows of more nodes.
func tellsMore(s, t control.Status) bool {
	if s.Proven != t.Proven && !foreign(s, t) {
		return s.Proven
	}
	if a, b := s.State == control.Healthy, t.State == control.Healthy; a != b {
		return a
	}
	return len(s.Nodes) > len(t.Nodes)
}

// told is one agent's answer.
type told struct {
	status control.Status
	err    error
}

// askAll asks every agent. While a silent one was waited for, the others' answers
// have grown old: they are asked again, and what they said stands if they do not
// answer at once.
func (c *statusCmd) askAll(ctx context.Context, agents []*control.Client) []told {
	began := time.Now()
	all := askTogether(ctx, agents, c.Timeout)
	if time.Since(began) <= outdated {
		return all
	}
	var answered []*control.Client
	for i, t := range all {
		if t.err == nil {
			answered = append(answered, agents[i])
		}
	}
	for i, t := range askTogether(ctx, answered, min(c.Timeout, time.Second)) {
		if t.err == nil {
			all[slices.Index(agents, answered[i])] = t
		}
	}
	return all
}

// askTogether asks them at the same time, each within the limit. It ends straggle
// after the first answer.
func askTogether(ctx context.Context, agents []*control.Client, limit time.Duration) []told {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	all, done := make([]told, len(agents)), make(chan error, len(agents))
	for i, a := range agents {
		go func() {
			call, cancel := context.WithTimeout(ctx, limit)
			defer cancel()
			all[i].status, all[i].err = a.Status(call)
			done <- all[i].err
		}()
	}
	var late <-chan time.Time
	for left := len(agents); left > 0; {
		select {
		case err := <-done:
			if left--; err == nil && late == nil {
				late = time.After(straggle)
			}
		case <-late:
			stop()
		}
	}
	return all
}

// foreign says that two statuses are of two clusters: each has members, and they
// have none in common.
func foreign(a, b control.Status) bool {
	members := func(s control.Status) (ids []cluster.MemberID) {
		for _, n := range s.Nodes {
			if n.MemberID != 0 && n.Role != "outsider" {
				ids = append(ids, n.MemberID)
			}
		}
		return ids
	}
	ours, theirs := members(a), members(b)
	return len(ours) > 0 && len(theirs) > 0 && !slices.ContainsFunc(ours, func(id cluster.MemberID) bool { return slices.Contains(theirs, id) })
}
