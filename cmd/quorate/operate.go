package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/user"
	"time"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/config"
	"github.com/quorate/quorate/internal/control"
)

// pauseCmd takes the maintenance lock.
type pauseCmd struct {
	config.Target
	For    time.Duration `required:"" help:"How long housekeeping rests, such as 1h; at most 168h."`
	Reason string        `required:"" help:"Why; shown by status and in every decision."`
}

func (c *pauseCmd) Run(ctx context.Context, out io.Writer) error {
	if err := control.CheckPause(c.For, c.Reason); err != nil {
		return usage{err}
	}
	l, err := onAgent(ctx, c.Target, func(ctx context.Context, a *control.Client) (control.PauseAnswer, error) {
		return a.Pause(ctx, control.PauseRequest{For: c.For, Reason: c.Reason, Holder: operator()})
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "paused until %s (lock %d)\n", l.Expires.Format(time.RFC3339), l.Number)
	if old := l.Replaces; old != nil {
		fmt.Fprintf(out, "replaces: held until %s: %s\n", old.Expires.Format(time.RFC3339), old.Reason)
	}
	return nil
}

// resumeCmd releases it.
type resumeCmd struct {
	config.Target
}

func (c *resumeCmd) Run(ctx context.Context, out io.Writer) error {
	_, err := onAgent(ctx, c.Target, func(ctx context.Context, a *control.Client) (struct{}, error) {
		_, err := a.Resume(ctx)
		return struct{}{}, err
	})
	if err == nil {
		fmt.Fprintln(out, "resumed")
	}
	return err
}

// leaveCmd removes the asked node from the cluster for good.
type leaveCmd struct {
	config.Target
	Undo bool `help:"Come back: the node joins again as a new member."`
	Yes  bool `short:"y" help:"Do not ask."`
}

func (c *leaveCmd) Run(ctx context.Context, out io.Writer) error {
	// Of several agents the next would leave when one is silent, or is slow to say yes.
	if agents, err := agentsOf(ctx, c.Target); err != nil {
		return err
	} else if len(agents) != 1 {
		return usage{fmt.Errorf("agent: not given, and peers are %d nodes: want the one that is to leave, as 127.0.0.1:%d", len(agents), c.AgentPort)}
	}
	r, err := onAgent(ctx, c.Target, func(ctx context.Context, a *control.Client) (cluster.Report, error) { return a.Report(ctx) })
	if err != nil {
		return err
	}
	question := fmt.Sprintf("Remove %s (%s) from cluster %s for good?", r.Name, r.Host, r.Cluster)
	if !c.Undo && !c.Yes && !agreed(ctx, out, question) {
		return usage{fmt.Errorf("not confirmed: nothing was done (--yes answers for you)")}
	}
	err = withAgent(ctx, c.Target, func(ctx context.Context, a *control.Client) error {
		return a.Leave(ctx, control.LeaveRequest{Undo: c.Undo})
	})
	switch {
	case err != nil:
		return err
	case c.Undo:
		fmt.Fprintf(out, "%s may join again\n", r.Name)
	default:
		fmt.Fprintf(out, "%s has asked to be removed; `quorate status` shows when it is\n", r.Name)
	}
	return nil
}

func operator() string {
	name := "operator"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	if h, err := os.Hostname(); err == nil {
		name += "@" + h
	}
	return name
}
