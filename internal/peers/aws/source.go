// Package aws is the peers source on AWS: an Auto Scaling group, or all
// instances with a tag, in one region or several.
//
//	aws-asg://NAME?region=eu-central-1&address=private|public|ipv6&every=10s
//	aws-asg://?regions=eu-central-1,eu-west-1        # NAME: this machine's own group's
//	aws-tag://KEY=VALUE?…                            # VALUE empty: this machine's own
//
// It is authoritative: AWS says which machines there are and what becomes of
// them. So every doubt about an answer is an error, which means unknown, and
// never a shorter group: a region that does not answer, an empty answer, an
// instance that one API lists and the other does not know.
//
// The calls are autoscaling:DescribeAutoScalingGroups and
// DescribeAutoScalingInstances, and ec2:DescribeInstances.
package aws

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	machine "github.com/quorate/quorate/internal/aws"
	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/peers/entry"
)

// lookLimit bounds all calls of one look.
const lookLimit = 9 * time.Second

// Source asks AWS at most each at.every, and says the same in between. Safe
// for concurrent use.
type Source struct {
	at       place
	ports    entry.Ports
	pageSize int32 // of the lists that AWS sends; 0: its own choice

	hint atomic.Bool   // something has happened: the held answer is old
	mine chan struct{} // of one: whoever holds it may look, and use what follows

	held    cluster.View
	heldErr error
	until   time.Time
	clients map[string]clients // by region
	own     string             // the value that at leaves to this machine, once found
}

// Refresh makes the next View ask AWS: something may have happened.
func (s *Source) Refresh() { s.hint.Store(true) }

// View is the last answer, or a new one when that is old. The error of a failed
// look stands as long as an answer would: nobody is served what was true before.
func (s *Source) View(ctx context.Context) (cluster.View, error) {
	select {
	case <-ctx.Done():
		return cluster.View{}, ctx.Err()
	case s.mine <- struct{}{}:
		defer func() { <-s.mine }()
	}
	if err := ctx.Err(); err != nil { // both were ready
		return cluster.View{}, err
	}
	if hinted := s.hint.Swap(false); hinted || !time.Now().Before(s.until) {
		asked := time.Now()
		s.held, s.heldErr = s.look(ctx)
		s.until = asked.Add(s.at.every)
		if ctx.Err() != nil {
			s.until = time.Time{} // the caller's hurry says nothing of AWS
		}
	}
	view := s.held
	view.Peers = slices.Clone(view.Peers)
	return view, s.heldErr
}

func (s *Source) look(ctx context.Context) (cluster.View, error) {
	ctx, cancel := context.WithTimeout(ctx, lookLimit)
	defer cancel()
	answers, err := s.ask(ctx)
	if err != nil {
		return cluster.View{}, fmt.Errorf("asking AWS for %s: %w", s.at, err)
	}
	view, err := read(s.at, answers)
	if err != nil {
		return cluster.View{}, fmt.Errorf("asking AWS for %s: %w", s.at, err)
	}
	for i, p := range view.Peers {
		view.Peers[i] = s.ports.Fill(p)
	}
	if err := check(view); err != nil {
		return cluster.View{}, fmt.Errorf("asking AWS for %s: %w", s.at, err)
	}
	return view, nil
}

func check(view cluster.View) error {
	problems := []error{entry.Unique(view.Peers)}
	for _, p := range view.Peers {
		problems = append(problems, entry.Check(p))
	}
	return errors.Join(problems...)
}

// Self is this machine as the source calls it: by its instance id, at the
// wanted address. It asks the machine's own metadata, within two seconds.
func (s *Source) Self(ctx context.Context) (cluster.Peer, error) {
	me, err := identity(ctx)
	if err != nil {
		return cluster.Peer{}, err
	}
	if len(s.at.regions) > 0 && !slices.Contains(s.at.regions, me.Region) {
		return cluster.Peer{}, fmt.Errorf("this machine is in %s, which is not among the regions %v", me.Region, s.at.regions)
	}
	host := map[string]string{"private": me.PrivateIPv4, "public": me.PublicIPv4, "ipv6": me.IPv6}[s.at.address]
	if host == "" {
		return cluster.Peer{}, fmt.Errorf("this machine has no %s address", s.at.address)
	}
	return s.ports.Fill(cluster.Peer{ID: me.InstanceID, Name: me.InstanceID, Host: host, Zone: me.Zone, Region: me.Region,
		State: cluster.Running, Launched: me.Launched}), nil
}

func identity(ctx context.Context) (machine.Identity, error) {
	metadata, err := machine.OpenMetadata()
	if err != nil {
		return machine.Identity{}, err
	}
	return metadata.Identity(ctx)
}
