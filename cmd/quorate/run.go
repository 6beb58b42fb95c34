package main

import (
	"context"
	"sync"

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
	reloading := *w // it changes its configuration, while the others read theirs
	var work sync.WaitGroup
	work.Go(func() { reloading.reload(ctx, a) })
	work.Go(func() { w.keepRegistry(ctx, source, a) })
	work.Go(func() { trim(ctx) })
	work.Go(func() { w.putFigures(ctx, a) })
	work.Go(func() { w.keepFirewall(ctx, a) })
	err = a.Run(ctx, ln)
	stop()
	work.Wait()
	return err
}
