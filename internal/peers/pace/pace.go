// Package pace keeps a peers source from asking the world in every round of the
// agent's loop: an answer is held for a while.
package pace

import (
	"context"
	"slices"
	"time"

	"github.com/quorate/quorate/internal/cluster"
)

// Source asks Look at most every so often. Safe for concurrent use.
//
// Only what is whole is held: an error, and a view with fewer peers than its
// size, is asked for anew each time, so that founding waits for nobody's clock.
type Source struct {
	every time.Duration
	look  func(context.Context) (cluster.View, error)
	mine  chan struct{} // of one: whoever holds it may look, and use what follows
	view  cluster.View
	until time.Time
}

// New holds what look says for the time every; 0 holds nothing.
func New(every time.Duration, look func(context.Context) (cluster.View, error)) *Source {
	return &Source{every: every, look: look, mine: make(chan struct{}, 1)}
}

// View is the view that is held, or a new one; the caller's own. Callers at
// once wait for one look.
func (s *Source) View(ctx context.Context) (cluster.View, error) {
	select {
	case <-ctx.Done():
		return cluster.View{}, context.Cause(ctx)
	case s.mine <- struct{}{}:
		defer func() { <-s.mine }()
	}
	if ctx.Err() != nil { // both were ready
		return cluster.View{}, context.Cause(ctx)
	}
	if time.Now().Before(s.until) {
		return clone(s.view), nil
	}
	asked := time.Now()
	view, err := s.look(ctx)
	if err != nil {
		return cluster.View{}, err
	}
	s.view, s.until = view, time.Time{}
	if len(view.Peers) >= view.Size {
		s.until = asked.Add(s.every)
	}
	return clone(view), nil
}

func clone(v cluster.View) cluster.View {
	v.Peers = slices.Clone(v.Peers)
	return v
}
