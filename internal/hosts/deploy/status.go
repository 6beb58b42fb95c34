package deploy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/quorate/quorate/internal/control"
	"github.com/quorate/quorate/internal/hosts"
	"github.com/quorate/quorate/internal/hosts/ssh"
)

// askLimit bounds one question to a host's agent, the way there included.
const askLimit = 20 * time.Second

// asking runs the release's own way to ask the agent, or says by absentCode that
// none is there.
const asking = "[ -e " + Current + `/ask ] || exit 96; exec sh ` + Current + `/ask "$@"`

// absentCode is none of quorate's.
const absentCode = 96

var errAbsent = errors.New("quorate is not installed there")

// ask runs quorate on the host, told how to reach the host's agent.
func (n *Node) ask(ctx context.Context, words ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	var out bytes.Buffer
	err := n.exec(ctx, nil, &out, append([]string{"sh", "-c", asking, "sh"}, words...)...)
	if e := (*ssh.ExitError)(nil); errors.As(err, &e) && e.Code == absentCode {
		err = errAbsent
	}
	return out.String(), err
}

// status is what the host's own agent knows of the cluster.
func (n *Node) status(ctx context.Context) (control.Status, error) {
	var s control.Status
	text, err := n.ask(ctx, "status", "-o", "json")
	if errors.Is(err, errAbsent) {
		return s, err
	}
	if len(strings.TrimSpace(text)) == 0 {
		return s, errors.Join(errors.New("its agent does not answer"), err)
	}
	if err := json.Unmarshal([]byte(text), &s); err != nil { // the exit code is only the cluster's health
		return s, fmt.Errorf("reading its agent's answer: %w", err)
	}
	return s, nil
}

// Status is the cluster as the best informed of the hosts' agents sees it.
func (f *Fleet) Status(ctx context.Context) (control.Status, error) {
	if err := each(ctx, f.Nodes, func(ctx context.Context, n *Node) error { return n.becomeRoot(ctx) }); err != nil && len(f.Nodes) == 1 {
		return control.Status{}, err
	}
	return best(ctx, f.Nodes)
}

// best asks all at once. An error only when none answers.
func best(ctx context.Context, nodes []*Node) (control.Status, error) {
	var best control.Status
	var found bool
	var mu sync.Mutex
	err := each(ctx, nodes, func(ctx context.Context, n *Node) error {
		s, err := n.status(ctx)
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		if !found || better(s, best) {
			best, found = s, true
		}
		return nil
	})
	if !found {
		return best, errors.Join(errors.New("no host's agent answers"), err)
	}
	return best, nil
}

// better says that a tells more than b: a living cluster, then more of it.
func better(a, b control.Status) bool {
	if a.State.ExitCode() != b.State.ExitCode() {
		return a.State.ExitCode() < b.State.ExitCode()
	}
	return len(a.Nodes) > len(b.Nodes)
}

func isMember(n control.Node) bool {
	return slices.Contains([]string{"leader", "voter", "learner"}, n.Role)
}

func votes(n control.Node) bool { return n.Role == "leader" || n.Role == "voter" }

// nodesOf are a status's nodes, as decisions need them.
func nodesOf(s control.Status) []hosts.Node {
	var out []hosts.Node
	for _, n := range s.Nodes {
		if isMember(n) {
			out = append(out, hosts.Node{Name: n.Name, Votes: votes(n), Healthy: n.Health == "healthy"})
		}
	}
	return out
}

// nodeIn finds a host in a status.
func nodeIn(s control.Status, name string) (control.Node, bool) {
	for _, n := range s.Nodes {
		if n.Name == name {
			return n, true
		}
	}
	return control.Node{}, false
}
