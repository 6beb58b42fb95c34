package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"

	"github.com/quorate/quorate/internal/agent"
	"github.com/quorate/quorate/internal/config"
	"github.com/quorate/quorate/internal/etcd"
)

// listen opens the agent's port, after a look at etcd's own: a port in use is
// bad input. An etcd that runs here already is to be adopted.
func (w *wiring) listen() (net.Listener, error) {
	ln, err := net.Listen("tcp", w.address(w.cfg.AgentPort))
	var problems []error
	if err != nil {
		problems = append(problems, fmt.Errorf("agent-port: %w", err))
	}
	if err := allOf(append(problems, w.othersTaken()...)); err != nil {
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

// othersTaken are the ports in use beside the agent's own.
func (w *wiring) othersTaken() []error {
	var problems []error
	if !w.etcdRunsHere() {
		problems = append(problems, w.taken("client-port", w.cfg.ClientPort), w.taken("peer-port", w.cfg.PeerPort))
	}
	if w.cfg.HealthPort != 0 {
		problems = append(problems, w.taken("health-port", w.cfg.HealthPort))
	}
	return problems
}

// withPorts adds to what is wrong with the input the ports that are in use.
func withPorts(err error, taken func() []error) error {
	var bad usage
	if !errors.As(err, &bad) {
		return err
	}
	return usage{errors.Join(append([]error{bad.error}, taken()...)...)}
}

// portsTaken are the ports in use, of a configuration that may be wrong
// elsewhere. A port that is no port is told of by Validate.
func portsTaken(ctx context.Context, c config.Config) []error {
	cfg := c.Filled(ctx)
	files := etcdFiles(cfg.Files())
	w := &wiring{cfg: cfg, parts: agent.Parts{Secure: agent.Schemes{Client: scheme(cfg.Files())},
		Dial: func(endpoint string) *etcd.Client { return etcd.Dial(endpoint, files, etcd.Credentials{}) }}}
	if net.ParseIP(cfg.ListenHost) == nil {
		return nil
	}
	for _, port := range []int{cfg.AgentPort, cfg.ClientPort, cfg.PeerPort, cfg.HealthPort} {
		if port < 0 || port > 65535 {
			return nil
		}
	}
	return append([]error{w.taken("agent-port", cfg.AgentPort)}, w.othersTaken()...)
}
