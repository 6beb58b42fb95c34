package gate

import (
	"context"
	"sync"
	"time"

	"go.etcd.io/raft/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Gate lets requests through, or holds them back for a moment. The zero Gate is
// open. Safe for concurrent use.
type Gate struct {
	mu       sync.Mutex
	opened   chan struct{} // closed when the gate opens; nil: it is open
	holds    int           // who holds it
	underWay int           // requests that must not meet a hand-over
	idle     chan struct{} // closed when none is under way; nil: nobody waits

	streams streams
}

// shut shuts the gate until as many calls of open. The channel that it returns
// is closed once no request is under way that passed before.
func (g *Gate) shut() (idle <-chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.holds++; g.holds == 1 {
		g.opened = make(chan struct{})
	}
	if g.idle == nil {
		g.idle = make(chan struct{})
		g.settle()
	}
	return g.idle
}

func (g *Gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.holds--; g.holds == 0 {
		close(g.opened)
		g.opened, g.idle = nil, nil
	}
}

// settle tells those who wait that nothing is under way. Under g.mu.
func (g *Gate) settle() {
	if g.idle == nil || g.underWay > 0 {
		return
	}
	select {
	case <-g.idle:
	default:
		close(g.idle)
	}
}

// pass waits until the gate is open, and counts the request as under way until
// done is called. It does not wait longer than HoldLimit, whoever holds.
func (g *Gate) pass(ctx context.Context, counts bool) (done func(), err error) {
	limit := time.Time{}
	for {
		g.mu.Lock()
		opened := g.opened
		if opened == nil || !limit.IsZero() && time.Now().After(limit) {
			done = g.enter(counts)
			g.mu.Unlock()
			return done, nil
		}
		g.mu.Unlock()
		if limit.IsZero() {
			limit = time.Now().Add(HoldLimit)
		}
		timer := time.NewTimer(time.Until(limit) + time.Millisecond)
		select {
		case <-opened:
		case <-timer.C:
		case <-ctx.Done():
			err = status.FromContextError(ctx.Err()).Err()
		}
		timer.Stop()
		if err != nil {
			return nil, err
		}
	}
}

// enter is under g.mu.
func (g *Gate) enter(counts bool) (done func()) {
	if !counts {
		return func() {}
	}
	g.underWay++
	return func() {
		g.mu.Lock()
		g.underWay--
		g.settle()
		g.mu.Unlock()
	}
}

// Options make a gRPC server of etcd ask the gate. They stand before etcd's own
// interceptors, which measure and log how long a request takes.
func (g *Gate) Options() []grpc.ServerOption {
	return []grpc.ServerOption{grpc.UnaryInterceptor(g.unary), grpc.StreamInterceptor(g.stream)}
}

func (g *Gate) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	kind := kindOf(info.FullMethod, req)
	if kind == free {
		return handle(ctx, req)
	}
	for until := time.Now().Add(HoldLimit); ; {
		done, err := g.pass(ctx, kind == proposal)
		if err != nil {
			return nil, err
		}
		answer, err := handle(ctx, req)
		done()
		if kind == waiting || !wasDropped(err) || time.Now().After(until) {
			return answer, err
		}
		if err := pause(ctx, dropPause); err != nil {
			return nil, err
		}
	}
}

// dropPause parts a proposal that was dropped from the next try: a hand-over
// that nobody has told us of is over after some milliseconds.
const dropPause = 5 * time.Millisecond

// wasDropped says that this member has refused to propose, because it hands the
// lead over: the request is in nobody's log, and may be proposed again.
func wasDropped(err error) bool {
	s, ok := status.FromError(err)
	return ok && s.Code() == codes.Unknown && s.Message() == raft.ErrProposalDropped.Error()
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return status.FromContextError(ctx.Err()).Err()
	}
}
