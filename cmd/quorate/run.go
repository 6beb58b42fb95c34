package main

import (
	"context"

	"github.com/quorate/quorate/internal/agent"
	"github.com/quorate/quorate/internal/config"
)

// runCmd is the agent: all wiring, no logic.
type runCmd struct {
	config.Config
}

func (c *runCmd) problems(ctx context.Context) []error {
	return append(problemsOf(ctx, c.Config), portsTaken(ctx, c.Config)...)
}

func (c *runCmd) Run(ctx context.Context, to streams) error {
	w, err := wire(ctx, c.Config, to.err)
	if err != nil {
		return withPorts(err, func() []error { return portsTaken(ctx, c.Config) })
	}
	w.warn(w.cfg.Warnings())
	ln, err := w.listen()
	if err != nil {
		return err
	}
	source := w.parts.Source
	var a *agent.Agent
	w.register(func() bool { return a.Report().Leaving })
	a, err = agent.New(w.options, w.parts)
	if err != nil {
		ln.Close()
		return usage{err} // of data-dir: it cannot be made, or another agent has it
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	stopHealth, err := w.serveHealth(func() (bool, string) {
		if ctx.Err() != nil {
			return false, "the agent is stopping"
		}
		return a.Ready()
	})
	if err != nil {
		ln.Close()
		return err
	}
	defer stopHealth()
	go w.reload(ctx, a)
	go w.keepRegistry(ctx, source, a)
	go trim(ctx)
	figures, rules := make(chan struct{}), make(chan struct{})
	go func() { w.putFigures(ctx, a); close(figures) }()
	go func() { w.keepFirewall(ctx, a); close(rules) }()
	err = a.Run(ctx, ln)
	stop()
	<-figures
	<-rules
	return err
}
