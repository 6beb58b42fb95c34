package main

import (
	"bufio"
	"context"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/cluster"
)

// rollRun is a `quorate roll` or `upgrade` that runs.
type rollRun struct {
	cmd   *exec.Cmd
	lines chan string
	said  []string
}

// roll starts the command and waits until it has ordered the roll.
func (h *host) roll(args ...string) *rollRun {
	h.r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	p := &rollRun{cmd: exec.CommandContext(ctx, program, append(args, "--yes", h.agentFlag())...), lines: make(chan string, 1000)}
	out, err := p.cmd.StdoutPipe()
	must(h.r.t, err)
	p.cmd.Stderr = p.cmd.Stdout
	must(h.r.t, p.cmd.Start())
	go func() {
		defer close(p.lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			p.lines <- s.Text()
		}
	}()
	h.r.t.Cleanup(func() { cancel(); p.drain() })
	p.until(h.r.t, "ordered as roll")
	return p
}

// until waits for a line with the text.
func (p *rollRun) until(t testing.TB, text string) {
	t.Helper()
	for line := range p.lines {
		p.said = append(p.said, line)
		if strings.Contains(line, text) {
			return
		}
	}
	t.Fatalf("it ended without saying %q:\n%s", text, strings.Join(p.said, "\n"))
}

func (p *rollRun) drain() {
	for line := range p.lines {
		p.said = append(p.said, line)
	}
}

// end waits for the command's end, and gives what it printed and its exit code.
func (p *rollRun) end() (string, int) {
	p.drain()
	_ = p.cmd.Wait()
	return strings.Join(p.said, "\n"), p.cmd.ProcessState.ExitCode()
}

// rollIs waits until the newest roll that all these hosts know is in that state.
func (r *rig) rollIs(limit time.Duration, state cluster.RollState, names ...string) cluster.Roll {
	r.t.Helper()
	var roll cluster.Roll
	r.eventually(limit, fmt.Sprintf("the roll is %s", state), func() error {
		for _, n := range names {
			x, err := r.nodes[n].report()
			switch {
			case err != nil:
				return err
			case x.Roll == nil || x.Roll.State != state:
				return fmt.Errorf("%s knows of %+v: %s", n, x.Roll, x.Reason)
			}
			roll = *x.Roll
		}
		return nil
	})
	return roll
}

// led is the host beside the leader.
func (r *rig) led(names ...string) (leader *host, others []*host) {
	r.t.Helper()
	r.eventually(20*time.Second, "one leader", func() error {
		leader, others = nil, nil
		for _, n := range names {
			x, err := r.nodes[n].report()
			switch {
			case err != nil:
				return err
			case x.Keeper:
				leader = r.nodes[n]
			default:
				others = append(others, r.nodes[n])
			}
		}
		if leader == nil || len(others) != len(names)-1 {
			return fmt.Errorf("%d others", len(others))
		}
		return nil
	})
	return leader, others
}
