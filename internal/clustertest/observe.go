package clustertest

import (
	"fmt"
	"slices"
	"time"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/plan"
)

// observe gathers what m's agent knows, as internal/agent does.
func (w *World) observe(m *machine) plan.Observation {
	a := m.agent
	a.settings = w.settings
	o := plan.Observation{Now: w.clockOf(m), Nonce: fmt.Sprintf("n%d", w.serial()), Settings: a.settings,
		Self: plan.Self{Name: m.name, PeerURL: m.peerURL(), Scheme: "http", Since: a.since, Leaving: m.leaving}}
	o.Disk = w.diskFact(m)
	if m.disk.staged != nil {
		o.Staged = m.disk.staged.epoch
	}
	o.Process = w.process(m)
	w.observeCA(m, &o)
	w.observeEtcd(m, &o)
	w.observeView(m, &o)
	w.hear(m, &o)
	if d := m.disk.data; d != nil && d.serial == a.localOf {
		o.Local = a.local
	}
	if w.settings.HasStore {
		w.readLedger(m, o.Etcd.Value().Healthy)
	} else {
		w.readConsent(m, o)
	}
	if a.seedEpoch == a.ledger.Charter.Value().Epoch {
		o.Process.SeedFails = a.seedFails
	}
	o.Ledger = a.ledger
	o.Ledger.BackupTried = a.backupTried
	for _, r := range o.Reports {
		m.disk.stored = m.disk.stored.Farther(r.Stored)
	}
	o.Stored = m.disk.stored
	w.observeRoll(m, &o)
	w.observeMachines(m, &o)
	w.listen(m, &o)
	return o
}

// listen adds what this round has heard to what is known of the members' lives.
func (w *World) listen(m *machine, o *plan.Observation) {
	a := m.agent
	o.Care.Own.Paused = m.etcd != nil && m.etcd.stopped
	for _, r := range o.Reports {
		o.Care.Own.Hears = append(o.Care.Own.Hears, r.Name)
	}
	passed := w.now - a.listened
	if a.listened = w.now; passed > reportAge {
		passed = 0
	}
	if m.etcd == nil || !m.etcd.leads {
		a.probes = nil // whoever leads anew begins to listen anew
	}
	if o.Probes != nil {
		o.Probes = plan.Listen(*o, passed)
		a.probes = o.Probes
	}
}

func (w *World) diskFact(m *machine) cluster.Disk {
	d := cluster.Disk{State: cluster.DiskEmpty, ID: m.disk.id, Spent: m.disk.spent}
	for i := range m.disk.aside {
		d.Aside = append(d.Aside, fmt.Sprint("aside-", i))
	}
	if x := m.disk.data; x != nil && !(m.etcd != nil && w.now < m.etcd.boots && !m.etcd.foreign) {
		d.State, d.Stamp, d.ClusterID, d.MemberID = cluster.DiskData, x.stamp, x.cluster, x.member
		d.Term, d.Index = x.lastTerm(), uint64(len(x.log))
		d.Removed = m.etcd == nil && x.conf.removed[x.member] // a running etcd locks its database
		if id := x.member.String(); !slices.Contains(m.disk.spent, id) {
			m.disk.spent = append(slices.Clone(m.disk.spent), id) // what a disk has held, it has spent
		}
	}
	return d
}

func (w *World) process(m *machine) plan.Process {
	p := plan.Process{Running: m.etcd != nil, Foreign: m.etcd != nil && m.etcd.foreign}
	last := time.Duration(0)
	for _, end := range m.ends {
		if w.now-end < 30*time.Second {
			p.Crashes++
			last = end
		}
	}
	if p.Crashes > 0 && !p.Running {
		p.NotBefore = zeroTime.Add(last + m.agent.clock + min(500*time.Millisecond<<p.Crashes, 8*time.Second))
	}
	return p
}

// observeCA compares what etcd has read with what the machine's files hold.
func (w *World) observeCA(m *machine, o *plan.Observation) {
	a, p := m.agent, m.etcd
	switch {
	case p == nil || p.foreign || p.ca == m.ca:
		a.staleSince = time.Time{}
	case a.staleSince.IsZero() || a.staleOf != m.ca:
		a.staleSince, a.staleOf = o.Now, m.ca
	}
	if !a.staleSince.IsZero() {
		o.Process.Stale = cluster.Stale{Why: plan.StaleCA, Since: a.staleSince}
	}
}

func (w *World) etcdState(p *proc) cluster.EtcdState {
	e := cluster.EtcdState{Running: true, Foreign: p.foreign, ClusterID: p.d.cluster, MemberID: p.id(), Term: p.d.term,
		Index: uint64(p.d.commit), Applied: uint64(p.d.applied)}
	if w.healthy(p) {
		e.Healthy, e.Leader = true, p.leader
	}
	e.Version = p.version.String()
	v := w.versionsOf(p.d.cluster)
	e.ClusterVersion, e.DowngradeTo = v.agreed, v.downTo
	if p.version.Minor > 5 {
		e.Storage = v.agreed
	}
	m, listed := cluster.ByID(p.d.conf.members, p.id())
	e.Learner = !listed || m.Learner
	e.Revision = p.d.bump + int64(len(p.d.writes(p.d.applied)))
	return e
}

func (w *World) observeEtcd(m *machine, o *plan.Observation) {
	a, p := m.agent, m.etcd
	if p == nil {
		a.unhealthySince = time.Time{}
		return
	}
	if w.now < p.boots || p.stopped {
		return // it does not answer
	}
	e := w.etcdState(p)
	if !w.chance(w.faults.reportLost) {
		o.Etcd = cluster.Known(e)
	}
	switch {
	case o.Etcd.Value().Healthy:
		a.unhealthySince = time.Time{}
	case a.unhealthySince.IsZero():
		a.unhealthySince = o.Now
	}
	o.UnhealthySince = a.unhealthySince
	if p.leads && w.quorumReached(p) && o.Etcd.Known() && !w.chance(w.faults.reportLost) {
		o.Members = cluster.Known(slices.Clone(p.d.conf.members))
		w.probe(m, o)
	}
	o.Invitations = a.invitations
	if len(p.d.conf.members) > 0 && !w.chance(w.faults.reportLost) {
		a.local, a.localOf = p.d.conf.members, p.d.serial
	}
}

// probe is the keeper's own look at each member's etcd.
func (w *World) probe(m *machine, o *plan.Observation) {
	a, p := m.agent, m.etcd
	next := map[cluster.MemberID]plan.Probe{}
	for _, member := range o.Members.Value() {
		pr, seen := a.probes[member.ID]
		if !seen {
			pr.FirstSeen, pr.ProgressAt = o.Now, o.Now
		}
		q := w.peerProc(p, member.ID)
		if member.ID == p.id() {
			q = p
		}
		pr.Healthy = q != nil && w.healthy(q) && q.leader == p.id()
		if q != nil {
			e := w.etcdState(q)
			if e.Applied > pr.State.Applied {
				pr.ProgressAt = o.Now
			}
			pr.State = e
		}
		switch {
		case pr.Healthy:
			pr.UnhealthySince, pr.Silent = time.Time{}, 0
		case pr.UnhealthySince.IsZero():
			pr.UnhealthySince = o.Now
		}
		next[member.ID] = pr
	}
	a.probes, o.Probes = next, next
}

func (w *World) observeView(m *machine, o *plan.Observation) {
	a := m.agent
	if w.now-a.viewAt > 3*time.Second {
		a.view, a.viewAt = w.view(m), w.now
	}
	o.View = a.view
}

// hear exchanges reports with every agent that either side can name.
func (w *World) hear(m *machine, o *plan.Observation) {
	a := m.agent
	for _, other := range w.live {
		if other == m {
			continue
		}
		b := other.agent
		due := w.now-a.heard[other.idx].at >= exchangeEvery || w.chance(0.3) // or it has come to us
		if due && b != nil && w.linked(layerAgent, m, other) && b.report != nil && !b.frozen && !w.chance(w.faults.reportLost) && !((m.slow || other.slow) && w.chance(0.3)) {
			r := *b.report
			r.Age = w.now - b.observed
			a.heard[other.idx] = heard{r, w.now}
			if w.settings.HasStore {
				a.ledger.Roll = hearRoll(a.ledger.Roll, r)
			}
		}
		h, ok := a.heard[other.idx]
		if ok && w.now-h.at <= reportAge {
			o.Reports = append(o.Reports, h.r)
		} else if other.etcd != nil && w.linked(layerEtcd, m, other) {
			o.Strangers = append(o.Strangers, other.peerURL())
		}
	}
}

// reportOf is what m's agent tells the others.
func (w *World) reportOf(m *machine, o plan.Observation) *cluster.Report {
	c := plan.Claim(o)
	for _, id := range c.Disowns {
		if !slices.Contains(m.disk.spent, id.String()) {
			m.disk.spent = append(slices.Clone(m.disk.spent), id.String()) // never taken back
		}
	}
	r := &cluster.Report{Cluster: o.Settings.Cluster, Name: m.name, PeerID: m.id, Host: m.host, Zone: m.zone, PeerURL: m.peerURL(),
		At: o.Now, Launched: m.launched, Disk: o.Disk, Etcd: o.Etcd.Value(), Lost: c.Lost, SeedFailed: c.SeedFailed,
		Disowns: c.Disowns, Join: o.Settings.Join, Joining: c.Joining, Leaving: m.leaving, Moved: c.Moved, Local: o.Local,
		Stale: o.Process.Stale, Restarting: slices.Contains(m.agent.decision.Steps, plan.Step(plan.StopEtcd{}))}
	r.Care = o.Care.Own
	r.Etcd.Running, r.Etcd.Foreign, r.Stored = o.Process.Running, o.Process.Foreign, o.Stored
	if o.Ledger.Charter.Known() {
		v := o.Ledger.Charter.Value()
		r.Charter = &v
	}
	e := r.Etcd
	r.Ready = e.Healthy && !e.Learner && o.Ledger.Ready.Known()
	if e.Healthy && e.Leader == e.MemberID && o.Members.Known() {
		r.Keeper, r.Members, r.Invitations = true, o.Members.Value(), o.Invitations
		r.Invitations = cloneMap(o.Invitations)
	}
	if o.View.Known() {
		r.ViewHash = plan.ViewHash(o.View.Value())
	}
	if g := o.Ledger.Grant; g.Known() {
		v := g.Value()
		r.Grant = &v
	}
	if v := o.Ledger.Verdict; v.Known() {
		x := v.Value()
		r.Verdict = &x
	}
	if v := o.Ledger.Roll; v.Known() {
		x := v.Value()
		r.Roll = &x
	}
	r.Rolled, r.RollFailed, r.Offers = o.Process.Rolled.Number, o.Process.Rolled.Failed, o.Process.Offers
	return r
}

func cloneMap(in map[cluster.MemberID]string) map[cluster.MemberID]string {
	out := make(map[cluster.MemberID]string, len(in))
	for k, v := range in {
		out[k] = v
	}
	return out
}
