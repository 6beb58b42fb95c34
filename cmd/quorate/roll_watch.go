package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/control"
)

// newest is the newest entry that any agent knows.
func (c *rollFlags) newest(ctx context.Context) (cluster.Roll, error) {
	agents, err := agentsOf(ctx, c.Target)
	if err != nil {
		return cluster.Roll{}, err
	}
	var newest cluster.Roll
	var errs []error
	for _, a := range agents {
		call, cancel := context.WithTimeout(ctx, c.Timeout)
		r, err := a.NewestRoll(call)
		cancel()
		if err != nil {
			errs = append(errs, err)
		}
		if r.Number > newest.Number {
			newest = r
		}
	}
	if len(errs) == len(agents) {
		return newest, errors.Join(errs...)
	}
	return newest, nil
}

// watch prints what changes until the roll ends. Who is interrupted ends the
// watching alone.
func (c *rollFlags) watch(ctx context.Context, out io.Writer, ordered cluster.Roll) error {
	began := time.Now()
	said := map[string]string{}
	say := func(key, line string) {
		if said[key] != line {
			said[key] = line
			fmt.Fprintf(out, "%6.1fs  %s\n", time.Since(began).Seconds(), line)
		}
	}
	for {
		r, err := c.newest(ctx)
		switch {
		case ctx.Err() != nil:
			fmt.Fprintln(out, "not watched any more; the roll goes on")
			return nil
		case err != nil:
			say("", err.Error())
		case r.Number < ordered.Number: // the agents that were asked have not heard of it
		case r.ID == ordered.ID && !r.Open():
			return ended(out, r, time.Since(began))
		case r.ID != ordered.ID:
			return fmt.Errorf("another roll has begun: %d, ordered by %s", r.FirstNumber(), r.By)
		case !r.Hop.Zero():
			say("hop", fmt.Sprintf("the hop to etcd %s is open", r.Hop))
		}
		c.sayNodes(ctx, say)
		select {
		case <-ctx.Done():
		case <-time.After(500 * time.Millisecond):
		}
	}
}

func (c *rollFlags) sayNodes(ctx context.Context, say func(key, line string)) {
	status := statusCmd{Target: c.Target}
	s, err := status.ask(ctx)
	if err != nil {
		return // the newest entry was asked the same agents: what is wrong is said there
	}
	if s.Lock != nil {
		say("lock", "rests: paused by "+s.Lock.Holder+": "+s.Lock.Reason)
	}
	for _, n := range s.Nodes {
		switch n.Turn {
		case control.TurnDone:
			say(n.Name, fmt.Sprintf("%s runs etcd %s", n.Name, orDash(n.Etcd)))
		case control.TurnRestarts:
			say(n.Name, n.Name+" restarts")
		case control.TurnFailed, control.TurnWaits:
			say(n.Name, fmt.Sprintf("%s: %s", n.Name, n.Doing))
		}
	}
}

func ended(out io.Writer, r cluster.Roll, took time.Duration) error {
	if r.State == cluster.RollDone {
		fmt.Fprintf(out, "roll %d done in %s\n", r.FirstNumber(), took.Round(100*time.Millisecond))
		return nil
	}
	fmt.Fprintf(out, "roll %d has %s: %s\n", r.FirstNumber(), map[cluster.RollState]string{cluster.RollFailed: "failed", cluster.RollCancelled: "been cancelled"}[r.State], r.Why)
	return exitWith(1)
}
