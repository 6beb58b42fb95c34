package agent

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/etcd"
	"github.com/quorate/quorate/internal/plan"
)

// spaceLimit bounds one compaction or defragmentation: of many gigabytes on a slow disk.
const spaceLimit = 30 * time.Minute

// spaceState is of the loop alone, but for busy, compacted and freed, which
// Agent.mu guards.
type spaceState struct {
	moments   []plan.Moment
	since     time.Time // for how long our database has been one to defragment
	defragged time.Time

	busy      string
	compacted plan.Moment
	freed     map[cluster.MemberID]time.Time
}

// momentsKept bounds the memory of revisions: the policy needs one that is just
// old enough, to a twentieth of what it keeps.
const momentsKept = 64

// observeSpace notes our etcd's revision now and then, so that any node knows
// what to forget the moment it leads, and whether our database is to be
// defragmented in a turn.
func (a *Agent) observeSpace(o *plan.Observation) {
	s := &a.space
	if e := o.Etcd.Value(); e.Healthy && !e.Learner {
		every := max(o.Settings.Care.CompactKeep/20, time.Second)
		if n := len(s.moments); n == 0 || o.Now.Sub(s.moments[n-1].At) >= every {
			s.moments = append(s.moments, plan.Moment{At: o.Now, Revision: e.Revision})
		}
		s.moments = s.moments[max(0, len(s.moments)-momentsKept):]
	}
	o.Care.Moments, o.Care.Compacted, o.Care.Busy, o.Care.Defragged = slices.Clone(s.moments), s.compacted, s.busy, s.defragged
	o.Care.Freed = maps.Clone(s.freed)
	switch {
	case o.Process.Stale.Why != "", !plan.DefragStale(*o):
		s.since = time.Time{}
		return
	case s.since.IsZero():
		s.since = o.Now
	}
	o.Process.Stale = cluster.Stale{Why: plan.StaleDefrag, Since: s.since}
}

// freeSpace does one thing at a time for space, in the background.
func (a *Agent) freeSpace(ctx context.Context, what string, work func(context.Context) error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.space.busy != "" {
		return
	}
	a.space.busy = what
	a.work.Go(func() {
		ctx, cancel := context.WithTimeout(ctx, spaceLimit)
		defer cancel()
		began := time.Now()
		err := work(ctx)
		a.mu.Lock()
		a.space.busy = ""
		a.mu.Unlock()
		if err != nil {
			a.log.Warn(what, "error", err)
			sleep(ctx, retryPause)
		} else {
			a.log.Info(what, "took", time.Since(began).Round(time.Millisecond))
		}
		a.poke()
	})
}

func (a *Agent) startCompacting(ctx context.Context, s plan.Compact) {
	a.mu.Lock()
	a.space.compacted.At = time.Now() // one that fails is tried again with the next revision
	a.mu.Unlock()
	a.freeSpace(ctx, fmt.Sprintf("compacting to revision %d", s.Revision), func(ctx context.Context) error {
		c := a.parts.Dial(a.clientURL())
		defer c.Close()
		err := c.Compact(ctx, s.Revision)
		if err == nil {
			a.mu.Lock()
			a.space.compacted = plan.Moment{At: time.Now(), Revision: s.Revision}
			a.mu.Unlock()
		}
		return err
	})
}

// startDefragmenting has a member's running etcd defragment.
func (a *Agent) startDefragmenting(ctx context.Context, o plan.Observation, s plan.Defragment) error {
	m, ok := cluster.ByID(o.Members.Value(), s.ID)
	if !ok || len(m.ClientURLs) == 0 {
		return fmt.Errorf("member %s has not told its client URL", s.ID)
	}
	a.freeSpace(ctx, "defragmenting "+s.Name, func(ctx context.Context) error {
		c := a.parts.Dial(m.ClientURLs[0])
		defer c.Close()
		err := c.Defragment(ctx)
		now, statusErr := c.Status(ctx)
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.space.freed == nil {
			a.space.freed = map[cluster.MemberID]time.Time{}
		}
		a.space.freed[s.ID] = time.Now()
		// What is decided next must not be decided on its old size.
		if p := a.probes[s.ID]; p != nil && err == nil && statusErr == nil {
			p.State = now
		}
		return err
	})
	return nil
}

// defragmentData writes our stopped etcd's database anew. Done or failed, it is
// not done again for a while.
func (a *Agent) defragmentData() error {
	a.space.defragged = time.Now()
	d, err := etcd.DefragmentData(a.opt.Etcd.DataDir, func(done, most int64) {
		a.log.Info("defragmenting", "bytes", done, "of_at_most", most)
	})
	if err == nil {
		a.log.Info("defragmented", "before", d.Before, "after", d.After, "took", d.Took.Round(time.Millisecond))
	}
	return err
}
