package deploy

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/quorate/quorate/internal/control"
)

// pace is the time between two looks at what is followed.
const pace = 500 * time.Millisecond

// crashes is after how many ends of the service nobody believes in it any more.
const crashes = 3

// until repeats a look until it is content, and says what is missing whenever
// that changes. An error of the look ends it at once.
func (f *Fleet) until(ctx context.Context, what string, look func(context.Context) (bool, string, error)) error {
	limited, cancel := context.WithTimeout(ctx, f.Within)
	defer cancel()
	said := ""
	for {
		ok, missing, err := look(limited)
		switch {
		case ok:
			return nil
		case err != nil && limited.Err() == nil:
			return err
		case missing != said && limited.Err() == nil:
			said = missing
			f.Say("", missing)
		}
		select {
		case <-time.After(pace):
		case <-limited.Done():
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return fmt.Errorf("%s: not within %s: %s", what, f.Within, said)
		}
	}
}

// wish looks at the cluster: content, or what is missing.
type wish func(context.Context) (bool, string)

// follow waits for a wish, shows what each node does meanwhile, and gives up
// early on a service that cannot run.
func (f *Fleet) follow(ctx context.Context, nodes []*Node, w wish) error {
	rounds := 0
	return f.until(ctx, "waiting for the cluster", func(ctx context.Context) (bool, string, error) {
		ok, missing := w(ctx)
		if rounds++; ok || rounds%3 != 0 {
			return ok, missing, nil
		}
		return false, missing, each(ctx, nodes, func(ctx context.Context, n *Node) error { return n.lives(ctx) })
	})
}

// lives says when the service has ended again and again, and its last words.
func (n *Node) lives(ctx context.Context) error {
	var out strings.Builder
	if err := n.exec(ctx, nil, &out, "systemctl", "show", "--property=NRestarts", "--value", "quorate.service"); err != nil {
		return nil // it says nothing about the service
	}
	if ends, err := strconv.Atoi(strings.TrimSpace(out.String())); err != nil || ends < crashes {
		return nil
	}
	if said := n.journal(ctx); said != "" {
		return errors.New("its service ends again and again; it says:\n    " + strings.ReplaceAll(said, "\n", "\n    "))
	}
	return errors.New("its service ends again and again")
}

// complete is content when these nodes' agents answer, as many of the hosts vote
// as are wanted, and the cluster is healthy. Of a cluster that ran before, these
// nodes' health is enough: others may have been down all along.
func (f *Fleet) complete(nodes []*Node) wish {
	board := f.board()
	return func(ctx context.Context) (bool, string) {
		s, err := best(ctx, f.Nodes)
		if err != nil {
			return false, "no agent answers yet"
		}
		board(s)
		var waiting []string
		allVote := len(f.runs()) > 0
		for _, n := range nodes {
			me, ok := nodeIn(s, n.Name)
			allVote = allVote && votes(me) && me.Health == "healthy"
			if !ok || me.Agent == "" || s.Voters < f.wanted() && !votes(me) {
				waiting = append(waiting, n.Name)
			}
		}
		switch {
		case len(waiting) > 0:
			return false, fmt.Sprintf("%d of %d vote; waiting for %s", s.Healthy, f.wanted(), strings.Join(waiting, ", "))
		case s.State == control.Degraded && allVote:
			f.Say("", "degraded: "+s.Reason)
		case s.State != control.Healthy:
			return false, string(s.State) + ": " + s.Reason
		}
		return true, ""
	}
}

// wanted is how many of the hosts are to vote; a size of 0 is no limit.
func (f *Fleet) wanted() int {
	if f.Size <= 0 {
		return len(f.Nodes)
	}
	return min(f.Size, len(f.Nodes))
}

// backAgain is content when the node's own, new agent answers, its member is
// healthy, and the cluster too, or at least as many of its voters as before.
func (f *Fleet) backAgain(n *Node, before int) wish {
	return func(ctx context.Context) (bool, string) {
		s, err := n.status(ctx)
		if err != nil {
			return false, n.Name + ": its agent does not answer yet"
		}
		me, ok := nodeIn(s, n.Name)
		switch {
		case !ok:
			return false, n.Name + ": its agent does not know itself yet"
		case isMember(me) && me.Health != "healthy":
			return false, n.Name + ": " + me.Role + ", " + me.Health
		case s.State == control.NoQuorum:
			return false, n.Name + " sees no quorum: " + s.Reason
		case me.Role == "learner", s.State != control.Healthy && s.Healthy < before:
			return false, n.Name + ": " + me.Role + "; cluster " + string(s.State) + ": " + s.Reason
		}
		f.Say(n.Name, me.Role+", healthy")
		return true, ""
	}
}

// board says what a node does whenever that changes.
func (f *Fleet) board() func(control.Status) {
	said := map[string]string{}
	return func(s control.Status) {
		for _, n := range s.Nodes {
			line := fmt.Sprintf("%s, %s: %s", n.Role, n.Health, n.Doing)
			if said[n.Name] != line {
				said[n.Name] = line
				f.Say(n.Name, line)
			}
		}
	}
}

// WaitDNS waits until the cluster's records are seen, from the first host: by
// its program and its credentials; resolver is --resolver of `quorate dns wait`.
func (f *Fleet) WaitDNS(ctx context.Context, url, resolver string) error {
	ctx, cancel := context.WithTimeout(ctx, f.Within+askLimit)
	defer cancel()
	n := f.Nodes[0]
	out := &lines{say: func(line string) { f.Say("dns", line) }}
	words := []string{"sh", Current + "/ask", "dns", "wait", "--dns=" + url, "--within=" + f.Within.String()}
	if resolver != "" {
		words = append(words, "--resolver="+resolver)
	}
	if err := n.exec(ctx, nil, out, words...); err != nil {
		return stopped(ctx, fmt.Errorf("waiting for DNS, on %s: %w", n.Name, err))
	}
	return nil
}
