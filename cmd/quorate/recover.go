package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/quorate/quorate/internal/agent"
	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/config"
	"github.com/quorate/quorate/internal/control"
	"github.com/quorate/quorate/internal/plan"
)

// recoverCmd gives an operator's word on what is lost for good.
type recoverCmd struct {
	config.Target
	Lost   []string `help:"Names of members whose disks will never come back; the peer URL of one that has never said its name." placeholder:"NAME"`
	Backup string   `help:"Which backup to restore if no disk survives, or if nobody can say whether it is newer than the survivors' logs; as backup list names it (default: the newest good one)." placeholder:"KEY"`
	NoLog  bool     `help:"Restore --backup as it is, without the raft log behind it: to go back to before a mistake. Default: the log too, to its end, so that nothing that is stored is lost."`
	Empty  bool     `help:"Go on without backups. If no disk survives and nothing can be restored, found an empty cluster: what it held is gone."`
	GiveUp []string `help:"With --empty: names of nodes whose disks answer and hold data that an empty cluster passes over. All of them must be named." placeholder:"NAME"`
	Reason string   `help:"Why; kept in the ledger."`
	Yes    bool     `short:"y" help:"Do not ask."`
}

func (c *recoverCmd) Run(ctx context.Context, out io.Writer) error {
	switch {
	case len(c.Lost) == 0 && !c.Empty && c.Backup == "":
		return usage{fmt.Errorf("lost: name the members whose disks will never come back, or give --backup or --empty")}
	case c.NoLog && c.Backup == "":
		return usage{fmt.Errorf("no-log: it says how --backup is restored: give that too")}
	case len(c.GiveUp) > 0 && !c.Empty:
		return usage{fmt.Errorf("give-up: it goes with --empty alone")}
	}
	if err := control.CheckReason(c.Reason); err != nil {
		return usage{err}
	}
	e, s, err := c.atStake(ctx)
	if err != nil {
		return err
	}
	q := control.RecoverRequest{Lost: c.Lost, Empty: c.Empty, GiveUp: c.GiveUp, Backup: c.Backup, NoLog: c.NoLog, Reason: c.Reason, By: operator()}
	listed, err := c.listed(ctx)
	if err := errors.Join(agent.Misnamed(e.Observation, q), c.unlisted(listed, err)); err != nil {
		return err
	}
	fmt.Fprintf(out, "%s says: %s\n", e.Observation.Self.Name, e.Line)
	c.show(out, s, e.Observation.Now, listed)
	if !c.Yes && !agreed(ctx, out, "Go on?") { // whose reading no request's time limit cuts short
		return usage{fmt.Errorf("not confirmed: nothing was done (--yes answers for you)")}
	}
	return withAgent(ctx, c.Target, func(ctx context.Context, a *control.Client) error {
		v, err := a.Recover(ctx, q)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "recorded for epoch %d; the agents go on by themselves: watch `quorate status --watch`\n", v.Epoch)
		return nil
	})
}

// quorumWait is how long a quorum that seems to live may be one that has just been
// lost: a member says so an election time-out and a round later.
const quorumWait = 5 * time.Second

// atStake is what an agent sees, and what hangs on the word, once no quorum lives.
func (c *recoverCmd) atStake(ctx context.Context) (control.Explanation, plan.Stakes, error) {
	for until := time.Now().Add(quorumWait); ; {
		e, err := onAgent(ctx, c.Target, func(ctx context.Context, a *control.Client) (control.Explanation, error) { return a.Explain(ctx) })
		if err != nil {
			return e, plan.Stakes{}, err
		}
		s := plan.AtStake(e.Observation, cluster.Verdict{Lost: c.Lost, Backup: c.Backup, NoLog: c.NoLog, Empty: c.Empty, GiveUp: c.GiveUp})
		switch {
		case !s.Lives:
			return e, s, nil
		case time.Now().After(until):
			return e, s, fmt.Errorf("%w: a quorum lives: what is lost it replaces by itself", control.ErrRefused)
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
			return e, s, context.Cause(ctx)
		}
	}
}

// show says who answers, how far each log and the newest backup go, and what
// the answer yes would lose.
func (c *recoverCmd) show(out io.Writer, s plan.Stakes, now time.Time, listed []cluster.Backup) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "MEMBER\tANSWERS\tLAST ENTRY")
	for _, m := range s.Members {
		fmt.Fprintf(w, "%s\t%s\t%s\n", m.Name, answer(m), entry(m))
	}
	w.Flush()
	fmt.Fprintf(out, "newest backup: %s\n", c.backupLine(s, now))
	if len(c.Lost) > 0 {
		fmt.Fprintf(out, "These disks will never come back: %s. Should one return, its data is set aside.\n", strings.Join(c.Lost, ", "))
	}
	newest, any := s.Newest()
	if any {
		fmt.Fprintf(out, "Epoch %d ends. Writes that neither %s's log nor a newer backup holds are gone.\n", s.Epoch, newest.Name)
	} else if c.Backup != "" {
		c.showNamed(out, s.Epoch, now, listed)
	} else if b := s.Backup; b.Known() {
		fmt.Fprintf(out, "Epoch %d ends. No disk that answers holds its data: what was written after the backup (revision %d) is gone.\n", s.Epoch, b.Value().Revision)
	} else if c.Empty {
		fmt.Fprintf(out, "Epoch %d ends. No disk that answers holds its data and no backup is known: the new cluster may be EMPTY.\n", s.Epoch)
		showListed(out, listed)
	}
	if c.Empty && !any {
		c.showPassed(out, s.Passed)
	}
	fmt.Fprintf(out, "Then: %s\n", s.Then)
}

func answer(m plan.Stake) string {
	switch {
	case m.Holds && m.Lost:
		return "yes, with its data: you give its vote up"
	case m.Holds:
		return "yes, with its data"
	case m.Lost:
		return "no: lost"
	}
	return "no: SILENT, and nothing proves it lost"
}

func entry(m plan.Stake) string {
	switch {
	case !m.Holds:
		return "-"
	case m.Revision == 0:
		return fmt.Sprintf("term %d index %d", m.Term, m.Index)
	}
	return fmt.Sprintf("term %d index %d (revision %d applied)", m.Term, m.Index, m.Revision)
}

// backupLine holds the newest backup against the newest log.
func (c *recoverCmd) backupLine(s plan.Stakes, now time.Time) string {
	b := s.Backup.Value()
	switch {
	case s.Backup.Unknown():
		return "not read yet by this node"
	case s.Backup.Absent():
		return "none of this epoch"
	}
	line := fmt.Sprintf("%s, of %s ago: term %d index %d (revision %d)", b.Key, now.Sub(b.At).Round(time.Second), b.Term, b.Index, b.Revision)
	newest, any := s.Newest()
	switch {
	case !any:
		return line
	case b.Index < newest.Index:
		return line + fmt.Sprintf(": %d entries less than the log of %s", newest.Index-b.Index, newest.Name)
	case b.Index > newest.Index:
		return line + fmt.Sprintf(": %d entries more than the log of %s", b.Index-newest.Index, newest.Name)
	}
	return line + ": as far as the log of " + newest.Name
}
