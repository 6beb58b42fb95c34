package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/quorate/quorate/internal/agent"
	"github.com/quorate/quorate/internal/config"
	"github.com/quorate/quorate/internal/control"
	"github.com/quorate/quorate/internal/etcd"
	"github.com/quorate/quorate/internal/plan"
)

// explainCmd looks at what `quorate run` would look at, and decides without
// acting, or is print mode (print.go).
type explainCmd struct {
	config.Config
	printFlags
	Output string        `short:"o" enum:"text,json,env,dropin,flags" default:"text" help:"text, json, or for those who run etcd themselves: env, dropin (systemd) or flags."`
	Look   time.Duration `default:"4s" help:"How long to look for answers of other agents and the store; for those who run etcd themselves, how long a member must be silent to count as dead."`
}

func (c *explainCmd) problems(ctx context.Context) []error {
	return append(c.times(), problemsOf(ctx, c.Config)...)
}

// times says what is wrong with the limits of time.
func (c *explainCmd) times() (problems []error) {
	if c.Look <= 0 {
		problems = append(problems, fmt.Errorf("look: %s: want a time above zero", c.Look))
	}
	if c.Wait < 0 {
		problems = append(problems, fmt.Errorf("wait: %s: want no negative time", c.Wait))
	}
	return problems
}

func (c *explainCmd) Run(ctx context.Context, to streams) error {
	if problems := c.times(); len(problems) > 0 {
		return usage{allOf(append(problems, problemsOf(ctx, c.Config)...))}
	}
	w, err := wire(ctx, c.Config, to.err)
	if err != nil {
		return err
	}
	if c.prints(ctx, w) {
		w.warn(w.cfg.WithoutAgent())
		return c.print(ctx, w, to)
	}
	w.cfg = w.cfg.Asked(ctx, c.Look)
	w.parts.Source = w.cfg.Heard(w.parts.Source)
	w.warn(w.cfg.Warnings())
	e, err := agent.Look(ctx, w.options, w.parts, c.Look)
	if err != nil {
		return err
	}
	switch c.Output {
	case "text":
		printExplanation(to.out, e)
		return nil
	case "json":
		return writeJSON(to.out, e)
	}
	start, ok := startOf(e)
	if !ok {
		return fmt.Errorf("there is no etcd to configure now: %s", e.Line)
	}
	return c.write(to.out, w, start)
}

// startOf is the start of etcd that the decision asks for, or that what runs
// already would need.
func startOf(e control.Explanation) (etcd.Start, bool) {
	for _, s := range e.Decision.Steps {
		if s, ok := s.(plan.StartEtcd); ok {
			if s.State == "resume" {
				return etcd.Start{}, true
			}
			return etcd.Start{State: s.State, InitialCluster: s.Initial, Token: s.Token}, true
		}
	}
	running := e.Observation.Process.Running && (e.Decision.Verb == "keep" || e.Decision.Verb == "serve")
	return etcd.Start{}, running
}

func printExplanation(out io.Writer, e control.Explanation) {
	fmt.Fprintln(out, e.Line)
	for _, a := range e.Alternatives {
		mark := " no"
		switch {
		case a.Chosen:
			mark = "yes"
		case len(a.Decision.Steps) > 0:
			mark = "not now"
		}
		why := a.Decision.Reason
		if a.Decision.Detail != "" {
			why += " (" + a.Decision.Detail + ")"
		}
		fmt.Fprintf(out, "  %-34s %-8s %s\n", a.Choice, mark, why)
	}
}
