package agent

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/etcd"
	"github.com/quorate/quorate/internal/plan"
)

// Time limits of a comparison of the members' keys.
const (
	hashLimit   = 10 * time.Minute // for one member: etcd reads its whole database
	hashCatchUp = 10 * time.Second // for a member to come to the revision
	hashTries   = 3                // compactions that may come in between
)

// hungAfter is how long an etcd may take to answer after its start.
const hungAfter = 10 * time.Second

// careState is guarded by Agent.mu.
type careState struct {
	hashes    *cluster.HashCheck // the newest that this node knows
	tried     time.Time          // when the last comparison of our own ended
	comparing bool

	unburdened time.Time // when a leader last handed over because it was slow
}

// hearCare takes note of what other agents tell. Called with mu held.
func (a *Agent) hearCare(reports []cluster.Report) {
	for _, r := range reports {
		if r.Cluster != a.opt.Settings.Cluster {
			continue
		}
		if h := r.Care.Hashes; h != nil && (a.care.hashes == nil || h.At.After(a.care.hashes.At)) {
			a.care.hashes = h
		}
		if r.Care.Unburdened.After(a.care.unburdened) {
			a.care.unburdened = r.Care.Unburdened
		}
	}
}

// observeCare adds what this agent knows of how the etcds fare. Called with mu held.
func (a *Agent) observeCare(o *plan.Observation) {
	a.hearCare(o.Reports)
	o.Care.Own.Slow, o.Care.Own.Fsync = a.pulse.now()
	o.Care.Own.Paused = a.proc != nil && a.proc.Paused()
	o.Care.Own.Hung = o.Process.Running && o.Etcd.Unknown() && o.Now.Sub(a.launch.at) > hungAfter
	if o.Process.Running && (o.Etcd.Value().Learner || !o.Etcd.Value().Healthy) {
		o.Care.Own.Catching = etcd.CatchingUp(a.opt.Etcd.DataDir)
	}
	for _, r := range o.Reports {
		o.Care.Own.Hears = append(o.Care.Own.Hears, r.Name)
	}
	o.Care.Hashes, o.Care.HashTried, o.Care.Unburdened = a.care.hashes, a.care.tried, a.care.unburdened
	if a.care.comparing {
		o.Care.HashTried = o.Now
	}
}

// reportCare is what the others are told.
func (a *Agent) reportCare(o plan.Observation) cluster.Care {
	c := o.Care.Own
	c.Hashes, c.Unburdened = o.Care.Hashes, o.Care.Unburdened
	if o.Members.Known() {
		c.Torn = plan.Torn(o)
	}
	if b, ok := a.book.(*storeBook); ok && o.IsKeeper() {
		f := b.trouble()
		c.Store, c.StoreSince = f.why, f.since
	}
	for _, ails := range plan.Ailments(o) {
		c.Ails = append(c.Ails, ails.Ailment)
	}
	return c
}

// noteUnburdened remembers that this node hands over because it is slow, tried
// or done: the lead goes round once a minute at most.
func (a *Agent) noteUnburdened(d plan.Decision) {
	if d.Reason != plan.Unburdens {
		return
	}
	a.mu.Lock()
	a.care.unburdened = time.Now()
	a.mu.Unlock()
}

// startComparing compares the voters' keys in the background: on a large
// database that takes seconds.
func (a *Agent) startComparing(ctx context.Context, o plan.Observation) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.care.comparing {
		return
	}
	a.care.comparing = true
	a.work.Go(func() {
		c, err := a.compareHashes(ctx, o)
		a.mu.Lock()
		a.care.comparing, a.care.tried = false, time.Now()
		if err == nil {
			a.care.hashes = &c
		}
		a.mu.Unlock()
		switch {
		case err != nil:
			a.log.Warn("comparing the members' keys", "error", err)
		case !c.Last().Agree():
			a.log.Error("the members' keys differ", "hashes", fmt.Sprint(c.Rounds))
		default:
			a.log.Info("the members' keys are the same", "revision", c.Last().Revision, "members", len(c.Last().Hashes))
		}
		a.poke()
	})
}

// compareHashes makes one round, and after a difference a second one.
func (a *Agent) compareHashes(ctx context.Context, o plan.Observation) (cluster.HashCheck, error) {
	c := cluster.HashCheck{At: time.Now(), By: a.opt.Name, Alarms: o.Etcd.Value().Alarms}
	for len(c.Rounds) < 2 && c.Last().Agree() == (len(c.Rounds) == 0) {
		r, err := a.hashRound(ctx, cluster.Voters(o.Members.Value()))
		if err != nil {
			return c, err
		}
		c.Rounds = append(c.Rounds, r)
	}
	return c, nil
}

// hashRound asks the voters, one after the other, for the hash of their keys at
// our own etcd's revision. One that does not answer is left out; a compaction in
// between begins it anew.
func (a *Agent) hashRound(ctx context.Context, voters []cluster.Member) (cluster.HashRound, error) {
	own := a.parts.Dial(a.clientURL())
	defer own.Close()
	for range hashTries {
		call, cancel := context.WithTimeout(ctx, etcdLook)
		s, err := own.Status(call)
		cancel()
		if err != nil {
			return cluster.HashRound{}, err
		}
		r := cluster.HashRound{Revision: s.Revision, Hashes: map[cluster.MemberID]uint32{}}
		compacted := false
		for _, m := range voters {
			h, err := a.hashOf(ctx, m, s.Revision)
			switch {
			case errors.Is(err, etcd.ErrCompacted):
				compacted = true
			case ctx.Err() != nil:
				return r, ctx.Err()
			case err != nil:
				a.log.Warn("comparing the members' keys: a member is left out", "member", m.Label(), "error", err)
			case len(r.Hashes) > 0 && h.Compact != r.Compact:
				compacted = true
			default:
				r.Compact, r.Hashes[m.ID] = h.Compact, h.Hash
			}
		}
		if !compacted {
			return r, nil
		}
	}
	return cluster.HashRound{}, fmt.Errorf("the members have been compacted %d times in between", hashTries)
}

// hashOf asks one member, and waits a little until it has come to the revision.
func (a *Agent) hashOf(ctx context.Context, m cluster.Member, rev int64) (etcd.Hash, error) {
	if len(m.ClientURLs) == 0 {
		return etcd.Hash{}, errors.New("it has not told its client URL")
	}
	c := a.parts.Dial(m.ClientURLs[0])
	defer c.Close()
	call, cancel := context.WithTimeout(ctx, etcdLook)
	s, err := c.Status(call) // a member that is down must not be waited for
	cancel()
	if err != nil {
		return etcd.Hash{}, err
	}
	if s.MemberID != m.ID {
		return etcd.Hash{}, fmt.Errorf("member %s answers there", s.MemberID)
	}
	ctx, cancel = context.WithTimeout(ctx, hashLimit)
	defer cancel()
	for late := time.Now().Add(hashCatchUp); ; {
		h, err := c.HashKV(ctx, rev)
		if !errors.Is(err, etcd.ErrFutureRevision) || time.Now().After(late) {
			return h, err
		}
		sleep(ctx, 100*time.Millisecond)
	}
}
