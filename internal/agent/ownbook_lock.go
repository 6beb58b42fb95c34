package agent

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/control"
	"github.com/quorate/quorate/internal/plan"
)

// newerLock decides between two locks alike at every node: without a store two
// operators, each at another node, may be given the same number. Then the pause
// counts and not its end, and of two pauses the longer one: what was said to
// either operator holds.
func newerLock(l, than cluster.Lock) bool {
	pauses := func(l cluster.Lock) int {
		if l.Released {
			return 0
		}
		return 1
	}
	return cmp.Or(cmp.Compare(l.Number, than.Number), cmp.Compare(pauses(l), pauses(than)),
		l.Expires.Compare(than.Expires), cmp.Compare(l.Nonce, than.Nonce)) > 0
}

func (b *ownBook) lock(ctx context.Context, holder, reason string, l cluster.Lock) (cluster.Lock, error) {
	taken, err := b.nextLock(func(old cluster.Lock) (cluster.Lock, error) {
		if old.Held(time.Now()) && old.Holder != holder {
			return old, heldBy(old)
		}
		l.Number, l.Holder, l.Reason, l.Nonce = old.Number+1, holder, reason, nonce()
		return l, nil
	})
	if err != nil {
		return taken, err
	}
	return taken, b.settle(ctx, taken)
}

func (b *ownBook) unlock(ctx context.Context) (cluster.Lock, error) {
	released, err := b.nextLock(func(l cluster.Lock) (cluster.Lock, error) {
		if !l.Held(time.Now()) {
			return l, fmt.Errorf("%w: housekeeping is not paused", control.ErrRefused)
		}
		l.Number, l.Released = l.Number+1, true
		return l, nil
	})
	if err != nil {
		return released, err
	}
	return released, b.settle(ctx, released)
}

// nextLock writes the lock that follows from the newest one that we know.
func (b *ownBook) nextLock(next func(cluster.Lock) (cluster.Lock, error)) (cluster.Lock, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	l, err := next(b.own.Lock.Value())
	if err != nil {
		return l, err
	}
	return l, putLocked(b, lockFile, l, func(l *plan.Ledger) *cluster.Fact[cluster.Lock] { return &l.Lock })
}

func heldBy(l cluster.Lock) error {
	return fmt.Errorf("%w: %s holds the lock until %s: %s", control.ErrRefused, l.Holder, l.Expires.Format(time.RFC3339), l.Reason)
}

// How long an operator waits for the other agents to know a lock, at most, and
// how often we look.
const (
	lockSettles = 600 * time.Millisecond
	lockLook    = 10 * time.Millisecond
)

// settle waits until every agent that answers knows l, or one has told of another
// that counts more: then l is refused, late. A silent agent is not waited for
// long; should it know a better one, all will, and nobody tells the operator.
func (b *ownBook) settle(ctx context.Context, l cluster.Lock) error {
	b.a.gossipNow()
	b.a.poke()
	late, cancel := context.WithTimeout(ctx, lockSettles)
	defer cancel()
	for {
		has := b.facts().Lock.Value()
		if newerLock(has, l) {
			return outdone(has, l, time.Now())
		}
		if b.a.allKnow(l) {
			return nil
		}
		select {
		case <-late.Done():
			return nil
		case <-time.After(lockLook):
		}
	}
}

// outdone says what has become of l, which has has outdone.
func outdone(has, l cluster.Lock, now time.Time) error {
	switch {
	case has.Held(now):
		return heldBy(has)
	case !l.Released:
		return fmt.Errorf("%w: another operator has ended the pause at the same moment", control.ErrRefused)
	}
	return nil
}

// allKnow says that no agent of which we have heard just now knows less than l.
func (a *Agent) allKnow(l cluster.Lock) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	reports, _ := a.freshReports(time.Now())
	for _, r := range reports {
		if r.Cluster == a.opt.Settings.Cluster && (r.Lock == nil || newerLock(l, *r.Lock)) {
			return false
		}
	}
	return true
}

// hearLock takes over a lock that counts more, and passes it on at once: an
// operator waits. Called with Agent.mu and b.mu held.
func (b *ownBook) hearLock(l *cluster.Lock) {
	if l == nil || !newerLock(*l, b.own.Lock.Value()) {
		return
	}
	b.keep(lockFile, *l, func() { b.own.Lock = cluster.Known(*l) })
	for _, c := range b.a.heard {
		c.asked = time.Time{}
	}
}
