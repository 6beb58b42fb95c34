package peers

import (
	"context"
	"slices"

	"github.com/quorate/quorate/internal/cluster"
)

// Registrar is a Source whose peers are those that have said themselves that
// they are there.
type Registrar interface {
	// Register says so of one node. It changes nothing when that has been said,
	// and is safe for concurrent use.
	Register(ctx context.Context, name, peerURL string) error
}

// Syncer is a Source that the keeper may bring in step with the members.
type Syncer interface {
	// Sync adds who is missing and takes out members that have gone. It is
	// idempotent; a failure is repaired by the next call.
	Sync(ctx context.Context, members []cluster.Member) error
}

// Registering is s for a node that runs, and not only looks: where s is a
// Registrar, the node registers itself whenever a view lacks it, until it
// leaves for good.
func Registering(s Source, self cluster.Peer, scheme string, leaves func() bool) Source {
	r, ok := s.(Registrar)
	if !ok {
		return s
	}
	return &registering{s, r, self, scheme, leaves}
}

type registering struct {
	Source
	at     Registrar
	self   cluster.Peer
	scheme string
	leaves func() bool
}

// View is the source's view; the registration shows in the next one.
func (r *registering) View(ctx context.Context) (cluster.View, error) {
	v, err := r.Source.View(ctx)
	if err != nil || r.leaves() {
		return v, err
	}
	u := r.self.PeerURL(r.scheme)
	if slices.ContainsFunc(v.Peers, func(p cluster.Peer) bool { return p.Name == r.self.Name && p.PeerURL(r.scheme) == u }) {
		return v, nil
	}
	if err := r.at.Register(ctx, r.self.Name, u); err != nil {
		return cluster.View{}, err
	}
	return v, nil
}
