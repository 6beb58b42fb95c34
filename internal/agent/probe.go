package agent

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/etcd"
	"github.com/quorate/quorate/internal/plan"
)

// probe is the keeper's own look at one member's etcd. Guarded by Agent.mu.
type probe struct {
	plan.Probe
	client   *etcd.Client
	endpoint string
	asking   bool
	answered time.Time // when the member last did, or failed to
	received int64     // bytes of the leader's database, by its agent's word
}

// probe asks every other member's etcd, while this node is the keeper.
func (a *Agent) probe(ctx context.Context, o plan.Observation) {
	e := o.Etcd.Value()
	isKeeper := o.Members.Known() && e.Leader == e.MemberID
	a.mu.Lock()
	defer a.mu.Unlock()
	for id, p := range a.probes {
		_, listed := cluster.ByID(o.Members.Value(), id)
		if !p.asking && !(isKeeper && listed) {
			p.close()
			delete(a.probes, id)
			delete(a.invited, id)
		}
	}
	if !isKeeper {
		clear(a.invited)
		return
	}
	for _, m := range o.Members.Value() {
		if m.ID == e.MemberID {
			continue
		}
		p := a.probes[m.ID]
		if p == nil {
			p = &probe{Probe: plan.Probe{FirstSeen: o.Now, ProgressAt: o.Now, UnhealthySince: o.Now}}
			a.probes[m.ID] = p
		}
		p.hear(m, o)
		if p.asking {
			continue
		}
		p.dial(a, endpointOf(m, o))
		if p.client == nil {
			continue
		}
		p.asking = true
		a.work.Go(func() { a.look(ctx, p, m.ID, e) })
	}
}

// hear notes how much of the leader's database has reached the member, which its
// etcd tells nobody. What is sent again after a lost connection counts once: a
// transfer that never gets further gets nowhere.
func (p *probe) hear(m cluster.Member, o plan.Observation) {
	for _, r := range o.Reports {
		if got := r.Care.Catching.Bytes; m.Listens(r.PeerURL) && got > p.received {
			p.received, p.ProgressAt = got, o.Now
		}
	}
}

func (p *probe) dial(a *Agent, endpoint string) {
	if p.endpoint == endpoint && p.client != nil {
		return
	}
	p.close()
	p.endpoint = endpoint
	if endpoint != "" {
		p.client = a.parts.Dial(endpoint)
	}
}

func (p *probe) close() {
	if p.client != nil {
		p.client.Close()
		p.client = nil
	}
}

func endpointOf(m cluster.Member, o plan.Observation) string {
	if len(m.ClientURLs) > 0 {
		return m.ClientURLs[0]
	}
	for _, r := range o.Reports {
		if m.Listens(r.PeerURL) {
			return r.Client
		}
	}
	return ""
}

func (a *Agent) look(ctx context.Context, p *probe, id cluster.MemberID, leader cluster.EtcdState) {
	call, cancel := context.WithTimeout(ctx, time.Second)
	s, err := p.client.Status(call)
	cancel()
	now := time.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	p.asking, p.answered = false, now
	if err == nil && s.Applied > p.State.Applied {
		p.ProgressAt = now
	}
	was := p.Healthy
	p.Healthy = err == nil && s.MemberID == id && s.ClusterID == leader.ClusterID && s.Leader == leader.MemberID
	switch {
	case p.Healthy:
		p.UnhealthySince, p.Silent, p.State = time.Time{}, 0, s
	case p.UnhealthySince.IsZero():
		p.UnhealthySince = now
	}
	if was != p.Healthy {
		a.poke()
	}
}

// listen adds what this round has heard to what is known of the members' lives. A
// round that comes late has not listened before. Called with mu held.
func (a *Agent) listen(o *plan.Observation) {
	passed := o.Now.Sub(a.listened)
	if a.listened = o.Now; passed > reportFresh {
		passed = 0
	}
	o.Probes = plan.Listen(*o, passed)
	for id, p := range o.Probes {
		if known := a.probes[id]; known != nil {
			known.Silent, known.Ailed = p.Silent, p.Ailed
		}
	}
}

// probeResults copies what is known. That a member was healthy says nothing once it
// is as old as a report may be: a round that was held up has asked nobody. Called
// with mu held.
func (a *Agent) probeResults(now time.Time) map[cluster.MemberID]plan.Probe {
	out := map[cluster.MemberID]plan.Probe{}
	for id, p := range a.probes {
		result := p.Probe
		if result.Healthy && now.Sub(p.answered) > reportFresh {
			result.Healthy, result.UnhealthySince = false, now
		}
		out[id] = result
	}
	return out
}

func sortReports(reports []cluster.Report) {
	slices.SortFunc(reports, func(a, b cluster.Report) int { return cmp.Compare(a.PeerURL, b.PeerURL) })
}
