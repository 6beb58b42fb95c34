package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/user"
	"strings"
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
	l, err := onAgent(ctx, c.Target, func(ctx context.Context, a *control.Client) (lockLine, error) {
		l, err := a.Pause(ctx, control.PauseRequest{For: c.For, Reason: c.Reason, Holder: operator()})
		return lockLine{l.Number, l.Expires}, err
	})
	if err == nil {
		fmt.Fprintf(out, "paused until %s (lock %d)\n", l.expires.Format(time.RFC3339), l.number)
	}
	return err
}

type lockLine struct {
	number  uint64
	expires time.Time
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

// recoverCmd gives an operator's word on what is lost for good.
type recoverCmd struct {
	config.Target
	Lost   []string `help:"Names of members whose disks will never come back; the peer URL of one that has never said its name." placeholder:"NAME"`
	Backup string   `help:"Which backup to restore if no disk survives, as backup list names it (default: the newest good one)." placeholder:"KEY"`
	Empty  bool     `help:"If nothing can be restored, found an empty cluster: what it held is gone."`
	Reason string   `help:"Why; kept in the ledger."`
	Yes    bool     `short:"y" help:"Do not ask."`
}

func (c *recoverCmd) Run(ctx context.Context, out io.Writer) error {
	if len(c.Lost) == 0 && !c.Empty && c.Backup == "" {
		return usage{fmt.Errorf("lost: name the members whose disks will never come back, or give --backup or --empty")}
	}
	s, err := onAgent(ctx, c.Target, func(ctx context.Context, a *control.Client) (control.Status, error) { return a.Status(ctx) })
	if err != nil {
		return err
	}
	printStatus(out, s)
	if !c.Yes && !agreed(ctx, out, c.question(s)) { // whose reading no request's time limit cuts short
		return usage{fmt.Errorf("not confirmed: nothing was done (--yes answers for you)")}
	}
	return withAgent(ctx, c.Target, func(ctx context.Context, a *control.Client) error {
		v, err := a.Recover(ctx, control.RecoverRequest{Lost: c.Lost, Empty: c.Empty, Backup: c.Backup, Reason: c.Reason, By: operator()})
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "recorded for epoch %d; the agents go on by themselves: watch `quorate status --watch`\n", v.Epoch)
		return nil
	})
}

// question says what the answer yes would lose.
func (c *recoverCmd) question(s control.Status) string {
	var b strings.Builder
	if len(c.Lost) > 0 {
		fmt.Fprintf(&b, "These disks will never come back: %s. Should one return, its data is set aside.\n", strings.Join(c.Lost, ", "))
		fmt.Fprintf(&b, "The survivor with the newest log founds epoch %d; writes that only the lost disks held are gone.\n", s.Epoch+1)
	}
	switch {
	case c.Backup != "":
		fmt.Fprintf(&b, "If no disk survived, the backup %s is restored.\n", c.Backup)
	case s.Backup != nil:
		fmt.Fprintf(&b, "If no disk survived, the backup of %s ago (revision %d) is restored.\n", s.BackupAge.Round(time.Second), s.Backup.Revision)
	case c.Empty:
		b.WriteString("If no disk survived and no backup is good, the new cluster is EMPTY.\n")
	}
	b.WriteString("Go on?")
	return b.String()
}

// confirm asks on the terminal; without one the answer is no.
func confirm(out io.Writer, question string) bool { return agreed(context.Background(), out, question) }

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
