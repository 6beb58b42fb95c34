package main

import (
	"context"
	"fmt"
	"net"
	"strconv"

	"github.com/quorate/quorate/internal/agent"
	"github.com/quorate/quorate/internal/config"
)

// runCmd is the agent: all wiring, no logic.
type runCmd struct {
	config.Config
}

func (c *runCmd) problems(ctx context.Context) []error { return problemsOf(ctx, c.Config) }

func (c *runCmd) Run(ctx context.Context, to streams) error {
	w, err := wire(ctx, c.Config, to.err)
	if err != nil {
		return err
	}
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

// listen opens the agent's port, after a look at etcd's own: a port in use is
// bad input. An etcd that runs here already is to be adopted.
func (w *wiring) listen() (net.Listener, error) {
	var problems []error
	ln, err := net.Listen("tcp", w.address(w.cfg.AgentPort))
	if err != nil {
		problems = append(problems, fmt.Errorf("agent-port: %w", err))
	}
	if !w.etcdRunsHere() {
		problems = append(problems, w.taken("client-port", w.cfg.ClientPort), w.taken("peer-port", w.cfg.PeerPort))
	}
	if w.cfg.HealthPort != 0 {
		problems = append(problems, w.taken("health-port", w.cfg.HealthPort))
	}
	if err := allOf(problems); err != nil {
		if ln != nil {
			ln.Close()
		}
		return nil, usage{err}
	}
	if files := w.agentFiles(); !files.Empty() {
		ln = tlsListener(ln, files)
	}
	return ln, nil
}

func (w *wiring) address(port int) string {
	return net.JoinHostPort(w.cfg.ListenHost, strconv.Itoa(port))
}

func (w *wiring) taken(key string, port int) error {
	ln, err := net.Listen("tcp", w.address(port))
	if err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	return ln.Close()
}
