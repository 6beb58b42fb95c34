package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/config"
	"github.com/quorate/quorate/internal/control"
)

// rollFlags are of everything that restarts one member after the other.
type rollFlags struct {
	config.Target
	Plan   bool   `help:"Only print what would be done, and what is in its way: exit code 3 if anything is."`
	Cancel bool   `help:"End the one that is under way: who has not restarted yet stays as it is."`
	Watch  bool   `help:"Order nothing, and watch the one that is under way."`
	Reason string `help:"Why; shown by status." placeholder:"TEXT"`
	Yes    bool   `short:"y" help:"Do not ask."`
}

// rollCmd restarts every member's etcd, one after the other.
type rollCmd struct {
	rollFlags
}

func (c *rollCmd) Run(ctx context.Context, out io.Writer) error {
	return c.run(ctx, out, control.RollRequest{Kind: cluster.RollRestart})
}

// upgradeCmd takes etcd to another version, one minor and one member at a time.
type upgradeCmd struct {
	rollFlags
	To *string `help:"Where to: a version that every node's --etcd offers; an older minor is a downgrade. Default: the newest that all offer." placeholder:"VERSION"`
}

func (c *upgradeCmd) Run(ctx context.Context, out io.Writer) error {
	q := control.RollRequest{Kind: cluster.RollUpgrade}
	if c.To != nil {
		to, err := cluster.ParseVersion(*c.To)
		if err != nil || to.String() != strings.TrimPrefix(*c.To, "v") {
			return usage{fmt.Errorf("to: %q: want a version such as 3.7.3", *c.To)}
		}
		q.To = to
	}
	return c.run(ctx, out, q)
}

// planRefused is the exit code of a plan that would be refused.
const planRefused = 3

func (c *rollFlags) run(ctx context.Context, out io.Writer, q control.RollRequest) error {
	if set := count(c.Plan, c.Cancel, c.Watch); set > 1 {
		return usage{errors.New("plan, cancel, watch: want one of them at most")}
	}
	if err := control.CheckReason(c.Reason); err != nil {
		return usage{err}
	}
	q.Reason, q.By = c.Reason, operator()
	switch {
	case c.Watch:
		r, err := newestRoll(ctx, c.Target)
		if err == nil && !r.Open() {
			err = fmt.Errorf("%w: no roll is under way", control.ErrRefused)
		}
		if err != nil {
			return err
		}
		return c.watch(ctx, out, r)
	case c.Cancel:
		q.Cancel = true
		a, err := c.send(ctx, q)
		if err == nil {
			fmt.Fprintf(out, "roll %d is cancelled: who has not restarted stays as it is\n", a.Roll.FirstNumber())
		}
		return err
	}
	plan := q
	plan.Plan = true
	p, err := c.send(ctx, plan)
	if err != nil {
		return err
	}
	printRollPlan(out, p)
	switch {
	case isThere(p) && !p.Roll.Open():
		return nil
	case len(p.Problems) > 0 && c.Plan:
		return exitWith(planRefused)
	case len(p.Problems) > 0:
		return fmt.Errorf("%w: nothing was done", control.ErrRefused)
	case c.Plan:
		return nil
	case p.Roll.Open():
		return fmt.Errorf("%w: roll %d (%s) is under way, ordered by %s: --watch shows it, --cancel ends it", control.ErrRefused, p.Roll.FirstNumber(), p.Roll.Kind, p.Roll.By)
	case !c.Yes && !agreed(ctx, out, "Do it?"):
		return usage{errors.New("not confirmed: nothing was done (--yes answers for you)")}
	}
	q.To = p.To // what was agreed to, whatever is offered by now
	a, err := c.send(ctx, q)
	switch {
	case err != nil:
		return err
	case a.Nothing(): // somebody else has done it meanwhile
		printRollPlan(out, a)
		return nil
	}
	fmt.Fprintf(out, "ordered as roll %d; the agents carry it out, whatever becomes of this command\n", a.Roll.FirstNumber())
	return c.watch(ctx, out, a.Roll)
}

func count(flags ...bool) (n int) {
	for _, f := range flags {
		if f {
			n++
		}
	}
	return n
}

func (c *rollFlags) send(ctx context.Context, q control.RollRequest) (control.RollAnswer, error) {
	return onAgent(ctx, c.Target, func(ctx context.Context, a *control.Client) (control.RollAnswer, error) { return a.Roll(ctx, q) })
}

// isThere says that every member runs the wanted version already, whatever would
// be in the way of another.
func isThere(p control.RollAnswer) bool {
	return p.Nothing() || p.Kind == cluster.RollUpgrade && len(p.Hops) == 0 && !p.To.Zero() && p.From == p.To
}

// printRollPlan says what each step does.
func printRollPlan(out io.Writer, p control.RollAnswer) {
	if isThere(p) {
		fmt.Fprintf(out, "nothing to do: every member runs etcd %s already\n", p.To)
		for _, problem := range p.Problems {
			fmt.Fprintf(out, "but %s\n", problem)
		}
		return
	}
	step := 0
	line := func(format string, args ...any) {
		step++
		fmt.Fprintf(out, "%3d. %s\n", step, fmt.Sprintf(format, args...))
	}
	hops := p.Hops
	if p.Kind == cluster.RollRestart {
		fmt.Fprintln(out, "restart every member's etcd, one after the other")
		hops = []cluster.Version{{}}
	} else {
		fmt.Fprintln(out, fromTo(p))
	}
	for _, hop := range hops {
		if p.Backups {
			line("take a backup")
		}
		if p.Kind == cluster.RollDowngrade {
			line("have etcd bring its data to the format of %d.%d", hop.Major, hop.Minor)
		}
		as := ""
		if !hop.Zero() {
			as = " as " + hop.String()
		}
		for i, name := range p.Members {
			if i == len(p.Members)-1 && i > 0 {
				line("hand the lead over, and restart %s%s", name, as)
				continue
			}
			line("restart %s%s, and wait until it is well", name, as)
		}
	}
	for _, problem := range p.Problems {
		fmt.Fprintf(out, "refused: %s\n", problem)
	}
}

// fromTo leaves out what is not known.
func fromTo(p control.RollAnswer) string {
	text := string(p.Kind) + " etcd"
	if !p.From.Zero() {
		text += " from " + p.From.String()
	}
	if !p.To.Zero() {
		text += " to " + p.To.String()
	}
	return text
}

// printRoll is status's line on a roll.
func printRoll(out io.Writer, r cluster.Roll) {
	fmt.Fprintf(out, "roll %d (%s", r.FirstNumber(), r.Kind)
	if !r.To.Zero() {
		fmt.Fprintf(out, " to %s", r.To)
	}
	fmt.Fprintf(out, ") %s, ordered by %s", r.State, r.By)
	if r.Reason != "" {
		fmt.Fprintf(out, ": %s", r.Reason)
	}
	if r.Why != "" {
		fmt.Fprintf(out, "; %s", r.Why)
	}
	fmt.Fprintln(out)
}

func turn(n control.Node) string {
	if n.Turn == "" {
		return ""
	}
	return "[roll: " + string(n.Turn) + "] "
}
