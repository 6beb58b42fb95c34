package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// agent is the process of the node's agent, if it runs. A pid file may be old:
// the process must be this very program, and on this node's data.
func (n devNode) agent(dir string) (pid int, runs bool) {
	raw, _ := os.ReadFile(n.pidFile(dir))
	pid, err := strconv.Atoi(strings.TrimSpace(string(raw)))
	if err != nil || pid <= 1 || !isQuorate(pid) {
		return 0, false
	}
	args, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	return pid, slices.Contains(strings.Split(string(args), "\x00"), n.dataDir(dir))
}

// endOrphans ends the agents that a `quorate dev` has left which was itself
// killed: they hold the ports of those that are to start. Their etcds stop in
// good order, as with Ctrl-C. Called by whoever supervises the directory; ctx ends
// the waiting.
func (s devState) endOrphans(ctx context.Context) {
	for _, n := range s.Nodes {
		if pid, runs := n.agent(s.dir); runs {
			_ = syscall.Kill(pid, syscall.SIGTERM)
		}
	}
	deadline := time.Now().Add(40 * time.Second)
	for _, n := range s.Nodes {
		for pid, runs := n.agent(s.dir); runs; pid, runs = n.agent(s.dir) {
			if time.Now().After(deadline) {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
			select {
			case <-ctx.Done():
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	}
}

// portsFree says which of the agents' ports are taken, all at once. etcd's are
// its agent's to judge: an etcd that has outlived its agent is adopted.
func (s devState) portsFree() error {
	var errs []error
	for _, n := range s.Nodes {
		if n.Lost {
			continue
		}
		ln, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(n.Client-1)))
		if err != nil {
			errs = append(errs, usage{fmt.Errorf("base-port: the port of the agent of %s: %w", n.Name, err)})
			continue
		}
		ln.Close()
	}
	return errors.Join(errs...)
}
