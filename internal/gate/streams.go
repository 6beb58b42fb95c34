package gate

import (
	"context"
	"sync"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc"
)

// streams are the long-lived calls that nobody but the client ends.
type streams struct {
	mu    sync.Mutex
	ended bool
	next  int
	live  map[int]context.CancelFunc
}

// endless are the streams that would hold up a stop until its time limit. The
// client opens each anew elsewhere, a watch from the revision after the last
// that it has seen. A snapshot is not among them: it ends.
var endless = map[string]bool{
	"/etcdserverpb.Watch/Watch":          true,
	"/etcdserverpb.Lease/LeaseKeepAlive": true,
	"/v3electionpb.Election/Observe":     true,
}

// EndStreams ends all watches and keep-alives, and refuses new ones: this member
// stops. Clients take it for what they get from any etcd that stops.
func (g *Gate) EndStreams() {
	g.streams.mu.Lock()
	defer g.streams.mu.Unlock()
	g.streams.ended = true
	for _, end := range g.streams.live {
		end()
	}
}

// add notes a stream; ok is false when no more are taken.
func (s *streams) add(end context.CancelFunc) (remove func(), ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return nil, false
	}
	if s.live == nil {
		s.live = map[int]context.CancelFunc{}
	}
	id := s.next
	s.next++
	s.live[id] = end
	return func() {
		s.mu.Lock()
		delete(s.live, id)
		s.mu.Unlock()
	}, true
}

func (s *streams) haveEnded() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ended
}

func (g *Gate) stream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
	if !endless[info.FullMethod] {
		return handle(srv, ss)
	}
	ctx, cancel := context.WithCancel(ss.Context())
	defer cancel()
	// One that asks for a leader would be refused, for good, while there is none.
	if _, err := g.pass(ctx, false); err != nil {
		return err
	}
	remove, ok := g.streams.add(cancel)
	if !ok {
		return rpctypes.ErrGRPCStopped
	}
	defer remove()
	err := handle(srv, endable{ss, ctx})
	if err != nil && g.streams.haveEnded() && ss.Context().Err() == nil {
		return rpctypes.ErrGRPCStopped // and not "canceled", which a client takes for its own doing
	}
	return err
}

// endable is a stream that ends when we say so.
type endable struct {
	grpc.ServerStream
	ctx context.Context
}

// Context is the stream's, until EndStreams.
func (e endable) Context() context.Context { return e.ctx }
