package deploy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/quorate/quorate/internal/control"
	"github.com/quorate/quorate/internal/hosts"
)

// Plan is what is to be done, by what Check has found.
func (f *Fleet) Plan(ctx context.Context) (hosts.Plan, error) {
	leader := ""
	if running := f.runs(); len(running) > 0 {
		if s, err := best(ctx, running); err == nil {
			leader = s.Leader
		}
	}
	var all []hosts.Standing
	for _, n := range f.Nodes {
		all = append(all, hosts.Standing{Name: n.Name, Facts: n.looked.Facts, Want: n.Release.Manifest(), Leads: n.Name == leader})
	}
	return hosts.Decide(all), stopped(ctx, ctx.Err())
}

// Apply does what is planned, turn after turn. When a turn fails, or the user
// interrupts it, the hosts of that turn get back what they had before; earlier
// turns stand, and later hosts are as they were. A cluster that has come into
// being is never undone.
func (f *Fleet) Apply(ctx context.Context, plan hosts.Plan) error {
	var due []*Node
	for _, t := range plan {
		due = append(due, f.of(t)...)
	}
	err := stopped(ctx, f.place(ctx, due))
	if err != nil {
		return errors.Join(err, f.undo(ctx, due))
	}
	for _, t := range plan {
		if err := stopped(ctx, f.turn(ctx, t)); err != nil {
			return errors.Join(err, f.undo(ctx, f.of(t)), f.displace(ctx, due))
		}
	}
	return each(ctx, due, func(ctx context.Context, n *Node) error {
		_, err := n.script(ctx, "tidy", "")
		return err
	})
}

func (f *Fleet) of(t hosts.Turn) []*Node {
	var out []*Node
	for _, n := range f.Nodes {
		if slices.ContainsFunc(t, func(a hosts.Action) bool { return a.Host == n.Name }) {
			out = append(out, n)
		}
	}
	return out
}

// place puts the releases on the hosts, and switches to none.
func (f *Fleet) place(ctx context.Context, nodes []*Node) error {
	return each(ctx, nodes, func(ctx context.Context, n *Node) error {
		m := n.Release.Manifest()
		if n.looked.Facts.Release == m && n.looked.Facts.ReleaseID == m.ID() {
			return nil // it is there, and in force
		}
		n.placed = true
		all, order := n.Release.contents()
		_, err := n.script(ctx, "install", files(all, order), [2]string{"ID", m.ID()}, [2]string{"BINARY", m.Binary}, [2]string{"DATA_DIR", n.Release.DataDir})
		if err != nil {
			return fmt.Errorf("installing: %w", err)
		}
		f.Say(n.Name, "installed release "+m.ID())
		return nil
	})
}

// turn does one turn to its end: the hosts' agents answer, and the cluster is
// as well as it was.
func (f *Fleet) turn(ctx context.Context, t hosts.Turn) error {
	nodes := f.of(t)
	switch t[0].Kind {
	case hosts.Switch:
		return each(ctx, nodes, f.change)
	case hosts.Restart:
		n := nodes[0]
		before, err := f.spare(ctx, n)
		if err != nil {
			return err
		}
		f.Say(n.Name, "restarting: "+t[0].Why)
		if err := f.restart(ctx, n); err != nil {
			return err
		}
		return f.follow(ctx, nodes, f.backAgain(n, before.Healthy))
	}
	if err := each(ctx, nodes, f.change); err != nil {
		return err
	}
	if err := each(ctx, nodes, f.begin); err != nil {
		return err
	}
	return f.follow(ctx, nodes, f.complete(nodes))
}

// spare waits until the cluster can do without the host's etcd for a moment,
// and is the cluster as it is then.
func (f *Fleet) spare(ctx context.Context, n *Node) (s control.Status, err error) {
	err = f.until(ctx, "before restarting "+n.Name, func(ctx context.Context) (bool, string, error) {
		if s, err = best(ctx, f.runs()); err != nil {
			return false, err.Error(), nil
		}
		if me, ok := nodeIn(s, n.Name); ok && !votes(me) {
			return true, "", nil
		}
		if err := hosts.MayRestart(n.Name, nodesOf(s)); err != nil {
			return false, err.Error(), nil
		}
		return true, "", nil
	})
	return s, err
}

// change switches the host to its new release.
func (f *Fleet) change(ctx context.Context, n *Node) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	n.turned = true
	if _, err := n.script(ctx, "switch", "", [2]string{"ID", n.Release.Manifest().ID()}); err != nil {
		return fmt.Errorf("switching: %w", err)
	}
	return nil
}

func (f *Fleet) restart(ctx context.Context, n *Node) error {
	if err := f.change(ctx, n); err != nil {
		return fmt.Errorf("%s: %w", n.Name, err)
	}
	if err := f.begin(ctx, n); err != nil {
		return fmt.Errorf("%s: %w", n.Name, err)
	}
	return nil
}

// begin starts the service, anew if it runs.
func (f *Fleet) begin(ctx context.Context, n *Node) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	n.began = true
	if err := n.service(ctx, "restart"); err != nil {
		return fmt.Errorf("starting: %w", err)
	}
	f.Say(n.Name, "started")
	return nil
}

// service tells systemd. Like a script, it is not broken off.
func (n *Node) service(ctx context.Context, verb string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	ctx, cancel := undoing(ctx)
	defer cancel()
	return n.exec(ctx, nil, nil, "systemctl", verb, "quorate.service")
}

// journal is the end of the service's log: why it does not come up.
func (n *Node) journal(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, lookLimit)
	defer cancel()
	var out strings.Builder
	if err := n.exec(ctx, nil, &out, "journalctl", "--unit=quorate.service", "--lines=12", "--no-pager", "--output=cat"); err != nil {
		return ""
	}
	return strings.TrimSpace(out.String())
}
