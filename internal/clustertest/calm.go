package clustertest

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/quorate/quorate/internal/cluster"
)

// becomesWell waits in virtual time until all is well. Where quorate rightly
// waits for an operator, the operator tells the truth.
func (w *World) becomesWell() {
	const patience = 5 * time.Minute
	start, spoken := w.now, w.now
	for w.now-start < 3*patience {
		acks := w.truth.acks
		for range 40 {
			w.pass()
			if w.chance(0.5) {
				w.clientWrites()
			}
		}
		why := w.notWell()
		if w.profile.adopts && w.truth.epoch == 0 && why == "no leader" {
			w.logf("what quorate has not adopted it does not recover")
			w.reasons["end: a foreign cluster died before it was adopted"]++
			return
		}
		if w.now-spoken > patience/2 {
			w.logf("not well: %s", why)
		}
		switch {
		case why == "" && w.truth.acks > acks:
			w.logf("all is well")
			return
		case w.now-spoken > patience/3 && w.cancelStuck():
			spoken = w.now
		case w.now-spoken > patience/3 && w.needsOperator():
			w.operate()
			spoken = w.now
		case w.now-spoken > patience/3 && w.profile.adopts && (w.stopForeign() || w.tidy()):
			spoken = w.now
		case w.now-spoken > patience/3 && (w.profile.join == cluster.JoinPrepared || !w.source.authoritative) && w.tidy():
			spoken = w.now
		case w.now-spoken > patience:
			w.fail("not well %s after the faults ended: %s; %s", w.now-start, why, w.doing())
		}
	}
	w.fail("not well %s after the faults ended: %s; %s", w.now-start, w.notWell(), w.doing())
}

func (w *World) doing() string {
	var out []string
	for _, m := range w.live {
		out = append(out, fmt.Sprintf("%s: %s", m.name, m.agent.decision))
	}
	return strings.Join(out, "; ")
}

// notWell says what is missing for all to be well.
func (w *World) notWell() string {
	var leader *proc
	for _, p := range w.procs() {
		if p.leads && w.quorumReached(p) {
			if leader != nil {
				return "two leaders"
			}
			leader = p
		}
	}
	if leader == nil {
		return "no leader"
	}
	inc := w.truth.clusters[leader.d.cluster]
	if inc.epoch != w.truth.epoch {
		return "the leader is of an older epoch"
	}
	want := 0
	for _, m := range w.live {
		if !m.leaving {
			want++
		}
	}
	if s := w.settings.Size; s > 0 {
		want = min(want, s)
	}
	members := leader.d.conf.members
	if got := len(cluster.Voters(members)); got != want || len(members) != want {
		return fmt.Sprintf("%d voters of %d members, want %d", got, len(members), want)
	}
	for _, x := range members {
		m := w.byName(x.Name)
		if m == nil || m.etcd == nil || m.etcd.id() != x.ID || !w.healthy(m.etcd) || !x.Listens(m.peerURL()) {
			return "member " + x.Label() + " is not healthy"
		}
	}
	for _, m := range w.live {
		if m.etcd != nil && !m.etcd.foreign && m.etcd.ca != m.ca {
			return "etcd of " + m.name + " trusts an old CA"
		}
	}
	if r, open := w.openRoll(leader); open {
		return fmt.Sprintf("roll %d is open", r.FirstNumber())
	}
	if w.settings.HasStore && w.store.ready[w.truth.epoch].Epoch == 0 {
		return "no ready mark"
	}
	w.owes(leader.d, "in the end "+leader.m.name+" leads")
	return ""
}

// lostMajority names the members of the newest epoch whose disks are really
// lost, and says whether raft can elect nobody with what is left.
func (w *World) lostMajority() (names []string, majority bool) {
	c := w.truth.charters[w.truth.epoch]
	id := clusterIDOf(c)
	if c.Seed.Kind == cluster.SeedAdopted {
		id = c.Seed.ClusterID
	}
	electable := false
	for _, x := range w.lastMembers(c, id) {
		d := w.holder(id, x.ID)
		if d == nil {
			names = append(names, x.Label())
			continue
		}
		kept, voters := w.kept(d)
		electable = electable || d.conf.votes(x.ID) && kept >= cluster.Quorum(voters)
	}
	return names, len(names) > 0 && !electable
}

// needsOperator says that quorate may rightly wait for `quorate recover`.
func (w *World) needsOperator() bool {
	_, lost := w.lostMajority()
	if w.truth.epoch == 0 || !lost {
		return false
	}
	_, restorable := w.store.newestBackup(true)
	if !w.source.authoritative && w.vacated() {
		return true
	}
	if w.truth.charters[w.truth.epoch].Seed.Kind == cluster.SeedSurvivor && !w.truth.ready[w.truth.epoch] {
		return true // others' data of the epoch before may have been set aside
	}
	if slices.ContainsFunc(w.live, func(m *machine) bool { return m.disk.data != nil && len(m.disk.data.log) == 0 }) {
		return true // a learner that was cut off before its first entry
	}
	if w.undecided() {
		return true
	}
	return w.profile.adopts || w.profile.join == cluster.JoinPrepared || !w.settings.HasStore || !w.settings.AutoRecover || !restorable || w.profile.damagedBackups > 0
}

// undecided says that some survivor's log and the newest good backup may each
// hold what the other lacks.
func (w *World) undecided() bool {
	b, ok := w.store.newestBackup(true)
	return ok && b.Epoch == w.truth.epoch && slices.ContainsFunc(w.live, func(m *machine) bool {
		d := m.disk.data
		return d != nil && w.truth.clusters[d.cluster].epoch == b.Epoch && b.Term > d.lastTerm() && b.Index < uint64(len(d.log))
	})
}

// outdone says that the backup holds an acknowledged write that no disk holds.
func (w *World) outdone(b backup) bool {
	return slices.ContainsFunc(b.writes, func(x int) bool {
		return w.truth.must[x] && !slices.ContainsFunc(w.live, func(m *machine) bool { return m.disk.data != nil && m.disk.data.holds(x) })
	})
}

// vacated says that a lost member's address is nobody's now: a list that proves
// nothing then needs an operator.
func (w *World) vacated() bool {
	c := w.truth.charters[w.truth.epoch]
	id := clusterIDOf(c)
	if c.Seed.Kind == cluster.SeedAdopted {
		id = c.Seed.ClusterID
	}
	all := append(slices.Clone(w.lastMembers(c, id)), w.store.checkpoints[w.truth.epoch].Members...)
	for _, f := range c.Founders {
		all = append(all, cluster.Member{ID: memberIDOf(c.Token, f.PeerURL), PeerURLs: []string{f.PeerURL}})
	}
	return slices.ContainsFunc(all, func(x cluster.Member) bool {
		return w.holder(id, x.ID) == nil && !slices.ContainsFunc(w.live, func(m *machine) bool { return x.Listens(m.peerURL()) })
	})
}

// silentToo are others that some agent waits for, and whose data nobody has: of
// an older list, or founders.
func (w *World) silentToo() []string {
	var names []string
	for _, m := range w.live {
		l := m.agent.ledger
		known := slices.Clone(l.Checkpoint.Value().Members)
		for _, f := range l.Charter.Value().Founders {
			id := memberIDOf(l.Charter.Value().Token, f.PeerURL)
			known = append(known, cluster.Member{ID: id, Name: f.Name, PeerURLs: []string{f.PeerURL}})
		}
		for _, x := range known {
			if !slices.ContainsFunc(w.live, func(m *machine) bool {
				return m.disk.data != nil && m.disk.data.member == x.ID && len(m.disk.data.log) > 0
			}) {
				names = append(names, x.Label())
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// stopForeign is an operator who stops an etcd that quorate did not start, as
// it has asked for, when a newer epoch is in force.
func (w *World) stopForeign() bool {
	stopped := false
	for _, m := range w.live {
		if m.etcd != nil && m.etcd.foreign {
			m.etcd, stopped = nil, true
		}
		if d := m.disk.data; d != nil && w.truth.clusters[d.cluster].void {
			m.etcd, m.disk.data, stopped = nil, nil, true // of a cluster that quorate never knew
		}
	}
	return stopped
}

// operate gives the operator's true verdict.
func (w *World) operate() {
	names, _ := w.lostMajority()
	names = append(names, w.silentToo()...)
	newest, restorable := w.store.newestBackup(true)
	v := cluster.Verdict{Epoch: w.truth.epoch, Lost: names, Empty: !restorable, By: "operator", Reason: "test", At: zeroTime.Add(w.now)}
	for _, m := range w.live { // whatever is left on their disks: the operator has looked
		v.GiveUp = append(v.GiveUp, m.name)
	}
	if restorable && w.undecided() && w.outdone(newest) {
		v.Backup = newest.Key
		w.reasons["operator: recover --backup"]++
	}
	w.logf("OPERATOR: recover: lost %v, empty %v; %s", names, v.Empty, w.doing())
	w.reasons["operator: recover"]++
	w.stopForeign()
	if w.settings.HasStore {
		w.store.verdicts[v.Epoch] = v
		return
	}
	for _, m := range w.live {
		m.disk.verdict = &v
		return
	}
}

// actLapse takes a word back, if it is the newest.
func (w *World) actLapse(m *machine, old cluster.Verdict) error {
	lapsed := cluster.Verdict{Epoch: old.Epoch, By: m.name, At: old.At.Add(time.Millisecond)}
	w.reasons["a word lapses"]++
	if w.settings.HasStore {
		return w.storeCall(m, func() error {
			if w.store.verdicts[old.Epoch].At.Equal(old.At) {
				w.store.verdicts[old.Epoch] = lapsed
			}
			m.agent.ledger.Verdict = cluster.Known(w.store.verdicts[old.Epoch])
			return nil
		})
	}
	if m.disk.verdict.At.Equal(old.At) {
		m.disk.verdict = &lapsed
	}
	return nil
}

// tidy is an operator who removes, by hand, an entry whose disk nobody has any
// more: a static list never proves it, and strategy prepared waits for it.
func (w *World) tidy() bool {
	for _, p := range w.procs() {
		if !p.leads || !w.quorumReached(p) {
			continue
		}
		for _, x := range p.d.conf.members {
			if w.holder(p.d.cluster, x.ID) == nil {
				_, err := w.changeMembers(p, change{op: "remove", id: x.ID})
				w.logf("OPERATOR: removes member %s: %v", x.Label(), err)
				w.reasons["operator: member remove"]++
				return err == nil
			}
		}
	}
	return false
}

// prepare is the operator of strategy prepared: one entry for one machine.
func (w *World) prepare() {
	for _, p := range w.procs() {
		if !p.leads || !w.quorumReached(p) {
			continue
		}
		members := p.d.conf.members
		if w.settings.Size > 0 && len(members) >= w.settings.Size {
			return
		}
		at := slices.IndexFunc(w.live, func(m *machine) bool {
			return !m.leaving && m.agent != nil && m.state == cluster.Running && m.disk.data == nil &&
				!slices.ContainsFunc(members, func(x cluster.Member) bool { return x.Listens(m.peerURL()) })
		})
		if at >= 0 {
			_, err := w.changeMembers(p, change{op: "add", url: w.live[at].peerURL()})
			w.logf("OPERATOR: prepares an entry for %s: %v", w.live[at].name, err)
		}
		return
	}
}
