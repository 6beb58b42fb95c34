package deploy

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// undo gives the hosts back what they had before this run. What cannot be
// undone is said; a host whose member has come into being is left to run.
func (f *Fleet) undo(ctx context.Context, nodes []*Node) error {
	ctx, cancel := undoing(ctx)
	defer cancel()
	born := f.born(ctx, nodes)
	nodes = slices.DeleteFunc(slices.Clone(nodes), func(n *Node) bool { return born[n.Name] })
	return each(ctx, nodes, func(ctx context.Context, n *Node) error {
		if err := f.undoOne(ctx, n); err != nil {
			return fmt.Errorf("UNDOING FAILED, look at it: %w", err)
		}
		return nil
	})
}

// born are the started hosts that a cluster counts on by now: taking those away
// would be no undoing.
func (f *Fleet) born(ctx context.Context, nodes []*Node) map[string]bool {
	out := map[string]bool{}
	var begun []*Node
	for _, n := range nodes {
		if n.began && !n.looked.Facts.Active {
			begun = append(begun, n)
		}
	}
	if len(begun) == 0 {
		return out
	}
	s, err := best(ctx, f.Nodes)
	if err != nil || s.Epoch == 0 {
		return out // no agent that answers has a cluster
	}
	for _, n := range begun {
		if me, ok := nodeIn(s, n.Name); ok && isMember(me) && (n.looked.Facts.Release.None() || me.Health == "healthy") {
			out[n.Name] = true
			f.Say(n.Name, "stays: its member is in the cluster; run deploy again, or destroy")
		}
	}
	return out
}

func (f *Fleet) undoOne(ctx context.Context, n *Node) error {
	before := n.looked.Facts
	switch {
	case before.Release.None() && (n.placed || n.turned || n.began):
		stays, err := n.remove(ctx, keep{dir: before.DataDir, user: before.User})
		if err != nil {
			return err
		}
		if stays == "" {
			stays = "nothing of ours is there"
		}
		f.Say(n.Name, "undone: "+stays)
		n.placed, n.turned, n.began, n.staged = false, false, false, false
	case n.turned:
		return f.back(ctx, n)
	case n.placed:
		return n.displace(ctx)
	}
	return nil
}

// back returns a host to the release that it had.
func (f *Fleet) back(ctx context.Context, n *Node) error {
	before := n.looked.Facts
	if _, err := n.script(ctx, "switch", "", [2]string{"ID", before.ReleaseID}); err != nil {
		return fmt.Errorf("switching back: %w", err)
	}
	n.turned = false
	var err error
	switch {
	case !n.began:
	case before.Active:
		f.Say(n.Name, "rolling back to release "+before.ReleaseID)
		if err = n.service(ctx, "restart"); err == nil {
			err = f.follow(ctx, []*Node{n}, f.backAgain(n, 0))
		}
	default:
		err = n.service(ctx, "stop")
	}
	n.began = false
	if err == nil {
		f.Say(n.Name, "as it was: release "+before.ReleaseID)
	}
	return errors.Join(err, n.displace(ctx))
}

// displace takes away the releases and binaries that no host has switched to.
func (f *Fleet) displace(ctx context.Context, nodes []*Node) error {
	ctx, cancel := undoing(ctx)
	defer cancel()
	return each(ctx, nodes, func(ctx context.Context, n *Node) error {
		if n.turned || !n.placed {
			return nil
		}
		return f.undoOne(ctx, n)
	})
}

// displace takes away this run's release, and its binary if this run put it there.
func (n *Node) displace(ctx context.Context) error {
	m := n.Release.Manifest()
	if n.placed && m.ID() != n.looked.Facts.ReleaseID {
		n.placed = false
		if err := n.exec(ctx, nil, nil, "rm", "-rf", Base+"/releases/"+m.ID()); err != nil {
			return err
		}
	}
	if !n.staged {
		return nil
	}
	n.staged = false
	_, err := n.script(ctx, "unstage", "", [2]string{"BINARY", m.Binary})
	return err
}
