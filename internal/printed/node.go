// Package printed is print mode: a node that runs no agent looks around before
// each start of its own etcd, changes the membership where it may, and says how
// that etcd is to be started. Every decision is plan.DecidePrint's.
package printed

import (
	"context"
	"fmt"
	"time"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/etcd"
	"github.com/quorate/quorate/internal/plan"
)

// Source tells who should be in the cluster; an error means unknown.
type Source interface {
	View(ctx context.Context) (cluster.View, error)
}

// Registrar is a Source whose peers have registered themselves.
type Registrar interface {
	Register(ctx context.Context, name, peerURL string) error
}

// Marker keeps, for a node of that name and address, the mark of the disk that
// last had its identity. Reading one that is not there gives an empty text.
type Marker interface {
	Mark(ctx context.Context, name, peerURL string) (string, error)
	SetMark(ctx context.Context, name, peerURL, mark string) error
}

// Recorder is a Registrar that keeps who founds, for good: false when nobody has
// yet, none when a cluster runs that was founded otherwise. Setting it where it is
// set changes nothing and is no failure.
type Recorder interface {
	Founders(ctx context.Context) ([]cluster.Founder, bool, error)
	SetFounders(ctx context.Context, founders []cluster.Founder) error
}

// Syncer is a Registrar whose registrations follow the members that a quorum has.
type Syncer interface {
	InStep(ctx context.Context, members []cluster.Member) (bool, error)
	Sync(ctx context.Context, members []cluster.Member) error
}

// Node is one node's print mode.
type Node struct {
	// Asked is what does not change between looks: identity, strategy, size,
	// leave to register, token.
	Asked plan.Print
	// AutoSize takes the size from each look at the source: without an answer of
	// the source nothing is decided that a size matters to.
	AutoSize bool
	EtcdDir  string // etcd's data directory
	Dir      string // quorate's directory; the mark is there where the source keeps none
	Open     func() (Source, error)
	Dial     func(endpoint string) *etcd.Client
	AtPeer   func(ctx context.Context, peerURL string) (etcd.PeerPort, error)
	Scheme   string        // of client URLs
	Look     time.Duration // how long a member must be silent to count as dead
	// Sayable says why a start could not be printed; nil takes every start. It is
	// asked before each change: one whose start cannot be printed must not be made.
	Sayable func(etcd.Start) error
}

// times between rounds: etcd refuses to add an address again in the second in
// which it was removed, and a newcomer while a member has just connected.
const (
	pause        = 500 * time.Millisecond
	afterRemoval = 2 * time.Second
	patience     = 2 * time.Second // of one question
	mostRounds   = 64              // of changes in one run
)

// Run looks, decides and acts until there is a start to print, or until a wait
// has lasted for as long as given. The decision says why there is no start; an
// error is a change that failed.
func (n *Node) Run(ctx context.Context, wait time.Duration) (plan.Decision, error) {
	until := time.Now().Add(wait)
	var d plan.Decision
	for round := 0; ; round++ {
		if err := ctx.Err(); err != nil {
			return d, err
		}
		source, err := n.Open()
		if err != nil {
			return d, err
		}
		var o plan.Print
		o, err = n.observe(ctx, source)
		rest := pause
		if err == nil {
			d = plan.DecidePrint(o)
			if err := n.sayable(o, d); err != nil {
				return plan.Decision{}, err
			}
			rest, err = n.act(ctx, source, o, d.Steps)
		}
		switch {
		case err == nil && len(d.Steps) > 0 && starts(d), err == nil && d.Verb == "refuse":
			return d, nil
		case err == nil && len(d.Steps) > 0 && round < mostRounds: // a change was made: look anew
		case time.Now().After(until):
			return d, err
		}
		select {
		case <-ctx.Done():
		case <-time.After(rest):
		}
	}
}

// sayable wants the start that a decision's steps lead to, now or in a later
// round, to be printable.
func (n *Node) sayable(o plan.Print, d plan.Decision) error {
	if n.Sayable == nil || len(d.Steps) == 0 {
		return nil
	}
	if err := n.Sayable(startOf(o.Ahead(d))); err != nil {
		return fmt.Errorf("the start that would follow: %w", err)
	}
	return nil
}

func starts(d plan.Decision) bool {
	_, ok := Start(d)
	return ok
}

// Start is the start of etcd that a decision ends with.
func Start(d plan.Decision) (etcd.Start, bool) {
	if len(d.Steps) == 0 {
		return etcd.Start{}, false
	}
	s, ok := d.Steps[len(d.Steps)-1].(plan.StartEtcd)
	return startOf(s), ok
}

func startOf(s plan.StartEtcd) etcd.Start {
	if s.State == "resume" {
		return etcd.Start{}
	}
	return etcd.Start{State: s.State, InitialCluster: s.Initial, Token: s.Token}
}

// act makes a decision's changes, and says how long to rest before the next look.
func (n *Node) act(ctx context.Context, source Source, o plan.Print, steps []plan.Step) (time.Duration, error) {
	if len(steps) == 0 {
		return pause, nil
	}
	rest := 10 * time.Millisecond
	for _, s := range steps {
		ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
		var err error
		if _, sync := s.(plan.SyncRegistry); sync {
			_ = source.(Syncer).Sync(ctx, o.Members.Value()) // no registry keeps an etcd from starting; the next run does it
		} else {
			err = n.take(ctx, source, s)
		}
		cancel()
		if err != nil {
			return pause, fmt.Errorf("%s: %w", s, err)
		}
		if _, removal := s.(plan.RemoveMember); removal {
			rest = afterRemoval
		}
	}
	return rest, nil
}

func (n *Node) take(ctx context.Context, source Source, s plan.Step) error {
	switch s := s.(type) {
	case plan.StartEtcd:
		return nil
	case plan.RegisterSelf:
		return source.(Registrar).Register(ctx, s.Name, s.PeerURL)
	case plan.WriteFounders:
		return source.(Recorder).SetFounders(ctx, s.Founders)
	case plan.MarkDisk:
		return n.mark(ctx, source)
	}
	return n.change(ctx, source, func(c *etcd.Client) error {
		switch s := s.(type) {
		case plan.RemoveMember:
			return c.Remove(ctx, s.ID)
		case plan.AddLearner:
			_, _, err := c.AddLearner(ctx, s.PeerURL)
			return err
		case plan.AddVoter:
			return c.AddVoter(ctx, s.PeerURL)
		case plan.UpdateMember:
			return c.Update(ctx, s.ID, []string{s.PeerURL})
		case plan.PromoteLearner:
			return c.Promote(ctx, s.ID)
		}
		return fmt.Errorf("print mode does not know this step")
	})
}
