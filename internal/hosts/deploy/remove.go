package deploy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/quorate/quorate/internal/control"
)

// keep is what a removal leaves, and what it destroys.
type keep struct {
	dir      bool // the data's directory was not made by us
	user     bool // nor the user
	dropData bool
}

func yesNo(yes bool) string {
	if yes {
		return "yes"
	}
	return "no"
}

// remove ends the service and takes everything of ours away.
// It tells what stays.
func (n *Node) remove(ctx context.Context, k keep) (string, error) {
	dataDir := n.Release.DataDir
	out, err := n.script(ctx, "remove", "", [2]string{"DATA_DIR", dataDir}, [2]string{"DROP_DATA", yesNo(k.dropData)},
		[2]string{"KEEP_DIR", yesNo(k.dir)}, [2]string{"KEEP_USER", yesNo(k.user)})
	if err != nil {
		return "", fmt.Errorf("removing: %w", err)
	}
	return strings.TrimSpace(out), nil
}

// Ruin is what a removal would take.
type Ruin struct {
	Gone    []string // hosts on which nothing of ours is
	Cluster string
	// Leaves are hosts that leave a cluster that goes on without them.
	Leaves []string
	// Stays are the members that remain.
	Stays []string
}

// Prepare looks at what Remove would do. Hosts that are not of one cluster, or
// cannot be looked at, are an error.
func (f *Fleet) Prepare(ctx context.Context) (Ruin, error) {
	var r Ruin
	_ = each(ctx, f.Nodes, func(ctx context.Context, n *Node) error { n.look(ctx, "/nonexistent"); return nil })
	var problems []error
	for _, n := range f.Nodes {
		facts := n.looked.Facts
		switch c := facts.Release.Cluster; {
		case n.looked.Failed != "":
			problems = append(problems, fmt.Errorf("%s: %s", n.Name, n.looked.Failed))
		case !facts.Root:
			problems = append(problems, fmt.Errorf("%s: we are not root there", n.Name))
		case facts.Release.None():
			r.Gone = append(r.Gone, n.Name)
		case r.Cluster != "" && r.Cluster != c:
			problems = append(problems, fmt.Errorf("%s: it belongs to cluster %s, and another host to %s", n.Name, c, r.Cluster))
		default:
			r.Cluster = c
		}
		n.Release.DataDir = facts.Release.DataDir
	}
	if err := errors.Join(problems...); err != nil || len(f.runs()) == 0 {
		return r, stopped(ctx, err)
	}
	if s, err := best(ctx, f.runs()); err == nil {
		f.part(s, &r)
	}
	return r, stopped(ctx, ctx.Err())
}

// part tells who would leave a cluster that others stay in.
func (f *Fleet) part(s control.Status, r *Ruin) {
	var leaves []string
	for _, n := range s.Nodes {
		named := slices.ContainsFunc(f.Nodes, func(m *Node) bool { return m.Name == n.Name })
		switch {
		case !isMember(n):
		case named:
			leaves = append(leaves, n.Name)
		default:
			r.Stays = append(r.Stays, n.Name)
		}
	}
	if len(r.Stays) > 0 {
		r.Leaves = leaves
	}
}

// Remove takes quorate off the hosts. Where others stay in the cluster, each
// host leaves it first, one after the other. Data stays unless dropData.
func (f *Fleet) Remove(ctx context.Context, r Ruin, dropData bool) error {
	for _, name := range r.Leaves {
		i := slices.IndexFunc(f.Nodes, func(n *Node) bool { return n.Name == name })
		if err := f.leave(ctx, f.Nodes[i]); err != nil {
			return stopped(ctx, err)
		}
	}
	err := each(ctx, f.Nodes, func(ctx context.Context, n *Node) error {
		if n.looked.Facts.Release.None() && !n.looked.Facts.Installed {
			return nil
		}
		known := n.Release.DataDir != ""
		stays, err := n.remove(ctx, keep{dir: !dropData, user: !known, dropData: dropData && known})
		if err != nil {
			return err
		}
		f.Say(n.Name, strings.TrimSuffix("removed; "+stays, "; "))
		return nil
	})
	return stopped(ctx, err)
}

// leave takes the node out of its cluster and waits until it is no member.
func (f *Fleet) leave(ctx context.Context, n *Node) error {
	f.Say(n.Name, "leaves the cluster")
	if _, err := n.ask(ctx, "leave", "--yes"); err != nil {
		return fmt.Errorf("%s: leaving: %w", n.Name, err)
	}
	return f.until(ctx, n.Name+": leaving", func(ctx context.Context) (bool, string, error) {
		s, err := n.status(ctx)
		if err != nil {
			return false, n.Name + ": " + err.Error(), nil
		}
		me, ok := nodeIn(s, n.Name)
		if ok && isMember(me) {
			return false, n.Name + ": " + me.Doing, nil
		}
		return true, "", nil
	})
}
