package clustertest

import (
	"slices"
	"time"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/plan"
)

// releases are etcd's; a world begins with one or more of them, and an order to
// upgrade brings what it lacks to every machine.
var releases = []cluster.Version{{Major: 3, Minor: 5, Patch: 33}, {Major: 3, Minor: 6, Patch: 14}, {Major: 3, Minor: 7, Patch: 3}}

// versions is what a cluster's members have agreed on.
type versions struct {
	agreed cluster.Version // a minor
	downTo cluster.Version // a downgrade is enabled
	looked time.Duration   // when the leader last looked whether all run a newer one
}

// monitorVersions is how often etcd's leader looks (server.go: monitorVersionInterval).
const monitorVersions = 5 * time.Second

func (w *World) versionsOf(id cluster.ClusterID) *versions {
	v := w.agreements[id]
	if v == nil {
		v = &versions{}
		w.agreements[id] = v
	}
	return v
}

// agree is the leader's part: the oldest minor that a member runs is the
// cluster's, once it hears of all of them, or of all that it can while there is
// none yet.
func (w *World) agree(p *proc) {
	v := w.versionsOf(p.d.cluster)
	if !v.agreed.Zero() && w.now-v.looked < monitorVersions {
		return
	}
	v.looked = w.now
	oldest, all, down := p.version, true, true
	for _, m := range p.d.conf.members {
		q := p
		if m.ID != p.id() {
			q = w.peerProc(p, m.ID)
		}
		if q == nil {
			all = false
			continue
		}
		if q.version.Less(oldest) {
			oldest = q.version
		}
		down = down && q.version.SameMinor(v.downTo)
	}
	oldest.Patch = 0
	switch {
	case !v.downTo.Zero():
		if all && down {
			v.downTo = cluster.Version{}
		}
	case v.agreed.Zero() || all && v.agreed.Less(oldest):
		v.agreed = oldest
	}
}

// downgrade is what a leader does when it is asked to enable or to cancel one.
func (w *World) downgrade(p *proc, to cluster.Version) error {
	l := w.leaderFor(p)
	switch {
	case l == nil || !w.quorumReached(l):
		return errNoLeader
	case w.chance(w.faults.etcdRefuse):
		return errInjected
	}
	v := w.versionsOf(l.d.cluster)
	to.Patch = 0
	v.downTo = to
	if !to.Zero() {
		v.agreed = to
	}
	if w.chance(w.faults.etcdReplyLost) {
		return errTimeout
	}
	return nil
}

// offersOf is what m could run: what every machine could, unless its image has less.
func (w *World) offersOf(m *machine) []cluster.Version {
	if m.image != nil {
		return m.image
	}
	return w.offers
}

// choose is which etcd m's agent starts, as internal/agent does.
func (w *World) choose(m *machine, s plan.StartEtcd) (cluster.Version, string) {
	ran := plan.LastRun{}
	if d := m.disk.data; d != nil {
		ran.Version = d.ran
	}
	return plan.StartAs(m.agent.seen, s, ran)
}

// fits says whether etcd stays up as that version, on that data, in that cluster.
// What would damage the data, or kill others, is a broken promise.
func (w *World) fits(m *machine, d *data, v cluster.Version) bool {
	c := w.versionsOf(d.cluster)
	minor := func(v cluster.Version) int { return v.Minor }
	switch {
	case !d.ran.Zero() && minor(v) < minor(d.ran) && !c.agreed.Zero() && minor(v) < minor(c.agreed):
		w.fail("%s starts etcd %s on data of %s, which the cluster has agreed on as %s", m.name, v, d.ran, c.agreed)
	case !c.agreed.Zero() && minor(v) > minor(c.agreed)+1:
		w.fail("%s starts etcd %s in a cluster of %s", m.name, v, c.agreed)
	case !c.agreed.Zero() && minor(v) < minor(c.agreed):
		w.logf("%s: etcd %s exits: the cluster is at %s", m.name, v, c.agreed)
		return false
	}
	for _, x := range w.live {
		if q := x.etcd; q != nil && x != m && q.d.cluster == d.cluster && q.d.conf.votes(q.id()) && max(minor(q.version), minor(v))-min(minor(q.version), minor(v)) > 1 {
			w.fail("%s starts etcd %s beside %s of %s", m.name, v, q.version, x.name)
		}
	}
	return true
}

// observeRoll notes what m has done for rolls, and whether its etcd must restart.
func (w *World) observeRoll(m *machine, o *plan.Observation) {
	a := m.agent
	if r := &m.disk.rolled; r.Number > 0 && !r.Up && o.Etcd.Value().Healthy {
		r.Up = true
	}
	o.Process.Rolled, o.Process.Offers = m.disk.rolled, w.offersOf(m)
	stale := plan.RollStale(*o)
	if stale.Why == "" || m.etcd == nil || m.etcd.foreign {
		a.rollStale = cluster.Stale{}
		return
	}
	if a.rollStale.Roll != stale.Roll {
		a.rollStale, a.rollStale.Since = stale, o.Now
	}
	o.Process.Stale = a.rollStale
}

// recallRolled is an agent's start: an etcd that is not up has as long as ever.
func (w *World) recallRolled(m *machine) {
	if !m.disk.rolled.Up {
		m.disk.rolled.At = zeroTime.Add(w.now + m.agent.clock)
	}
}

func (w *World) noteStart(m *machine, s plan.StartEtcd, v cluster.Version) {
	r := &m.disk.rolled
	if s.Roll > r.Number {
		*r = plan.Rolled{Number: s.Roll, At: w.clockOf(m), Before: r.Runs}
	}
	r.Turn, r.Runs = 0, v
}

// actRoll takes a roll's steps, and says whether s was one.
func (w *World) actRoll(m *machine, step plan.Step) (bool, error) {
	switch s := step.(type) {
	case plan.TakeTurn:
		m.disk.rolled.Turn = s.Roll
		if m.etcd != nil {
			m.disk.rolled.Runs = m.etcd.version
		}
		return true, nil
	case plan.GiveUpRoll:
		m.disk.rolled.Turn, m.disk.rolled.Failed = 0, &cluster.RollFailure{Number: s.Roll, Why: s.Why}
		m.ends = nil
		return true, nil
	case plan.WriteRoll:
		return true, w.writeRoll(m, s.Roll)
	case plan.EnableDowngrade:
		return true, w.downgrade(m.etcd, s.To)
	case plan.CancelDowngrade:
		return true, w.downgrade(m.etcd, cluster.Version{})
	}
	return false, nil
}

func (w *World) writeRoll(m *machine, r cluster.Roll) error {
	note := func(r cluster.Roll) {
		if m.agent != nil && r.Number > m.agent.ledger.Roll.Value().Number {
			m.agent.ledger.Roll = cluster.Known(r)
		}
	}
	if !w.settings.HasStore {
		if m.disk.roll == nil || r.Number > m.disk.roll.Number {
			w.oneNumber(m.disk.roll, r)
			m.disk.roll = &r
			note(r)
			w.logf("%s: roll %d, entry %d: %s to %s %s", m.name, r.FirstNumber(), r.Number, r.Kind, r.Hop, r.State)
		}
		return nil
	}
	return w.storeCall(m, func() error {
		have := uint64(len(w.store.rolls))
		if r.Number > have+1 {
			w.fail("%s writes entry %d of a roll, and there are %d", m.name, r.Number, have)
		}
		if r.Number == have+1 {
			if have > 0 {
				w.oneNumber(&w.store.rolls[have-1], r)
			}
			w.store.rolls = append(w.store.rolls, r)
			w.logf("%s: roll %d, entry %d: %s to %s %s", m.name, r.FirstNumber(), r.Number, r.Kind, r.Hop, r.State)
		}
		note(w.store.rolls[r.Number-1])
		return nil
	})
}

// oneNumber: people know a roll by one number, from its order to its end.
func (w *World) oneNumber(before *cluster.Roll, r cluster.Roll) {
	if before != nil && before.ID == r.ID && before.FirstNumber() != r.FirstNumber() {
		w.fail("roll %d goes on as roll %d", before.FirstNumber(), r.FirstNumber())
	}
}

// hearRoll is news by a report.
func hearRoll(old cluster.Fact[cluster.Roll], r cluster.Report) cluster.Fact[cluster.Roll] {
	if r.Roll != nil && r.Roll.Number > old.Value().Number {
		return cluster.Known(*r.Roll)
	}
	return old
}

// orderRoll is an operator who orders a roll through the keeper, or cancels one.
func (w *World) orderRoll() {
	p := w.keeping()
	if p == nil || p.m.agent == nil {
		return
	}
	m, last := p.m, p.m.agent.ledger.Roll
	if last.Unknown() {
		return
	}
	r := cluster.Roll{Number: last.Value().Number + 1, ID: itoa(cluster.Epoch(w.serial())), Nonce: itoa(cluster.Epoch(w.serial())), Epoch: w.truth.epoch, State: cluster.RollOpen, By: "operator"}
	switch {
	case last.Value().Open() && w.chance(0.5):
		r = last.Value().Next(cluster.RollCancelled, itoa(cluster.Epoch(w.serial())))
	case last.Value().Open():
		return
	case w.chance(0.4):
		r.Kind = cluster.RollRestart
	default:
		at := slices.IndexFunc(releases, func(v cluster.Version) bool { return v.SameMinor(p.version) })
		r.Kind, r.To = cluster.RollUpgrade, releases[min(at+1+w.rng.IntN(2), len(releases)-1)]
		if at > 0 && w.chance(0.4) {
			r.Kind, r.To = cluster.RollDowngrade, releases[at-1]
		}
		r.Backup = m.agent.ledger.Backup.Value().Key
		w.offers = releases
		if w.chance(0.2) {
			x := w.live[w.rng.IntN(len(w.live))]
			x.bad = r.To
			w.logf("FAULT: etcd %s does not come up at %s", x.bad, x.name)
		}
	}
	w.logf("OPERATOR: roll %d: %s to %s %s, by %s", r.FirstNumber(), r.Kind, r.To, r.State, m.name)
	w.reasons["operator: "+string(r.Kind)+" "+string(r.State)]++
	_ = w.writeRoll(m, r)
}

// keeping is the leader that a quorum follows, if there is one.
func (w *World) keeping() *proc {
	for _, p := range w.procs() {
		if p.leads && w.quorumReached(p) {
			return p
		}
	}
	return nil
}

// openRoll is what the keeper knows of a roll that has not ended.
func (w *World) openRoll(p *proc) (cluster.Roll, bool) {
	if p.m.agent == nil {
		return cluster.Roll{}, false
	}
	r := p.m.agent.ledger.Roll.Value()
	return r, r.Open()
}

// cancelStuck is an operator who ends a roll that says why it cannot go on.
func (w *World) cancelStuck() bool {
	p := w.keeping()
	if p == nil {
		return false
	}
	r, open := w.openRoll(p)
	if !open || p.m.agent.decision.Reason != "the next hop is not safe yet" {
		return false
	}
	w.logf("OPERATOR: cancels roll %d: %s", r.FirstNumber(), p.m.agent.decision)
	w.reasons["operator: cancels a roll that says why"]++
	return w.writeRoll(p.m, r.Next(cluster.RollCancelled, itoa(cluster.Epoch(w.serial())))) == nil
}
