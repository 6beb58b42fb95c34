package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/config"
	"github.com/quorate/quorate/internal/control"
)

// newestRoll is the newest entry that any of the target's agents knows.
func newestRoll(ctx context.Context, t config.Target) (cluster.Roll, error) {
	agents, err := agentsOf(ctx, t)
	if err != nil {
		return cluster.Roll{}, err
	}
	var newest cluster.Roll
	var errs []error
	for _, a := range agents {
		call, cancel := context.WithTimeout(ctx, t.Timeout)
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

// watchPatience is how long no agent may answer who watches a roll.
const watchPatience = time.Minute

// rollWatch follows a roll through the target's agents, and where none of them
// answers any more through those that they have told of.
type rollWatch struct {
	at       config.Target
	others   []string // agents of the cluster, as its status names them
	patience time.Duration
	lost     time.Time // since when nobody answers; zero: somebody does
	began    time.Time
	out      io.Writer
	said     map[string]string
}

// watch prints what changes until the roll ends. Who is interrupted ends the
// watching alone.
func (c *rollFlags) watch(ctx context.Context, out io.Writer, ordered cluster.Roll) error {
	w := &rollWatch{at: c.Target, patience: watchPatience, began: time.Now(), out: out, said: map[string]string{}}
	return w.run(ctx, ordered)
}

func (w *rollWatch) run(ctx context.Context, ordered cluster.Roll) error {
	for {
		r, err := w.newest(ctx)
		switch {
		case ctx.Err() != nil:
			fmt.Fprintln(w.out, "not watched any more; the roll goes on")
			return nil
		case err != nil && time.Since(w.lost) > w.patience:
			return fmt.Errorf("roll %d is not watched any more: no agent has answered for %s; the roll goes on without: %w", ordered.FirstNumber(), w.patience, err)
		case err != nil:
			w.say("", err.Error())
		case r.Number < ordered.Number: // the agents that were asked have not heard of it
		case r.ID == ordered.ID && !r.Open():
			return ended(w.out, r, time.Since(w.began))
		case r.ID != ordered.ID:
			return fmt.Errorf("another roll has begun: %d, ordered by %s", r.FirstNumber(), r.By)
		case !r.Hop.Zero():
			w.say("hop", fmt.Sprintf("the hop to etcd %s is open", r.Hop))
		}
		if err == nil {
			w.sayNodes(ctx)
		}
		select {
		case <-ctx.Done():
		case <-time.After(500 * time.Millisecond):
		}
	}
}

func (w *rollWatch) say(key, line string) {
	if w.said[key] != line {
		w.said[key] = line
		fmt.Fprintf(w.out, "%6.1fs  %s\n", time.Since(w.began).Seconds(), line)
	}
}

// newest asks whom it has asked so far, and else the first other that answers:
// that one is asked from then on.
func (w *rollWatch) newest(ctx context.Context) (cluster.Roll, error) {
	r, err := newestRoll(ctx, w.at)
	if err != nil {
		r, err = w.elsewhere(ctx, err)
	}
	switch {
	case err == nil:
		w.lost = time.Time{}
	case w.lost.IsZero():
		w.lost = time.Now()
	}
	return r, err
}

func (w *rollWatch) elsewhere(ctx context.Context, err error) (cluster.Roll, error) {
	for _, agent := range w.others {
		t := w.at
		t.Agent = agent
		if r, errThere := newestRoll(ctx, t); errThere == nil {
			w.say("", fmt.Sprintf("%s; asking %s now", err, agent))
			w.at = t
			return r, nil
		}
	}
	return cluster.Roll{}, err
}

// sayNodes says how far each member is, and remembers their agents.
func (w *rollWatch) sayNodes(ctx context.Context) {
	status := statusCmd{Target: w.at}
	s, err := status.ask(ctx)
	if err != nil {
		return // the newest entry is asked of the same agents: what is wrong is said there
	}
	if s.Lock != nil {
		w.say("lock", "rests: paused by "+s.Lock.Holder+": "+s.Lock.Reason)
	}
	for _, n := range s.Nodes {
		if n.Agent != "" && !slices.Contains(w.others, n.Agent) {
			w.others = append(w.others, n.Agent)
		}
		switch n.Turn {
		case control.TurnDone:
			w.say(n.Name, fmt.Sprintf("%s runs etcd %s", n.Name, orDash(n.Etcd)))
		case control.TurnRestarts:
			w.say(n.Name, n.Name+" restarts")
		case control.TurnFailed, control.TurnWaits:
			w.say(n.Name, fmt.Sprintf("%s: %s", n.Name, n.Doing))
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
