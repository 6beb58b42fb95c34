package clustertest

import (
	"slices"
	"time"

	"github.com/quorate/quorate/internal/cluster"
)

// entry is one raft entry; its index is its place in the log, from 1.
type entry struct {
	term   uint64
	write  int // a client's write, 0 for none
	change *change
}

// change is a membership change, or (publish) a member saying its name.
type change struct {
	op   string // found, add, promote, remove, update, publish
	id   cluster.MemberID
	url  string
	name string
	at   time.Duration // when it was proposed
}

// conf is a membership as one member has applied it.
type conf struct {
	members []cluster.Member
	removed map[cluster.MemberID]bool
}

func (c conf) clone() conf {
	out := conf{members: slices.Clone(c.members), removed: make(map[cluster.MemberID]bool, len(c.removed))}
	for id := range c.removed {
		out.removed[id] = true
	}
	return out
}

func (c conf) voters() []cluster.Member { return cluster.Voters(c.members) }

func (c conf) votes(id cluster.MemberID) bool {
	m, ok := cluster.ByID(c.members, id)
	return ok && !m.Learner
}

// apply returns a new conf, so that lists handed out before stay as they were.
func (c conf) apply(ch change) conf {
	out := c.clone()
	at := slices.IndexFunc(out.members, func(m cluster.Member) bool { return m.ID == ch.id })
	switch {
	case ch.op == "add" && at < 0 && !out.removed[ch.id]:
		out.members = append(out.members, cluster.Member{ID: ch.id, PeerURLs: []string{ch.url}, Learner: true})
	case ch.op == "found" && at < 0:
		out.members = append(out.members, cluster.Member{ID: ch.id, Name: ch.name, PeerURLs: []string{ch.url}})
	case at < 0:
	case ch.op == "promote":
		out.members[at].Learner = false
	case ch.op == "remove":
		out.members = slices.Delete(out.members, at, at+1)
		out.removed[ch.id] = true
	case ch.op == "update":
		out.members[at].PeerURLs = []string{ch.url}
	case ch.op == "publish":
		out.members[at].Name = ch.name
	}
	return out
}

// data is one etcd data directory.
type data struct {
	stamp   *cluster.Stamp
	cluster cluster.ClusterID
	member  cluster.MemberID
	base    []int // writes that the seed brought
	bump    int64
	log     []entry
	term    uint64
	commit  int
	applied int
	conf    conf
	ran     cluster.Version // last on it
	serial  int             // tells this directory from every other one of the run
}

func (d *data) lastTerm() uint64 {
	if len(d.log) == 0 {
		return 0
	}
	return d.log[len(d.log)-1].term
}

// behind says that d's log is older than e's, as raft compares them.
func (d *data) behind(e *data) bool {
	if d.lastTerm() != e.lastTerm() {
		return d.lastTerm() < e.lastTerm()
	}
	return len(d.log) < len(e.log)
}

// writes are those in the seed and the first n entries.
func (d *data) writes(n int) []int {
	out := slices.Clone(d.base)
	for _, e := range d.log[:n] {
		if e.write != 0 {
			out = append(out, e.write)
		}
	}
	return out
}

func (d *data) holds(write int) bool {
	if slices.Contains(d.base, write) {
		return true
	}
	return slices.ContainsFunc(d.log, func(e entry) bool { return e.write == write })
}

// proc is a running etcd.
type proc struct {
	m       *machine
	d       *data
	leads   bool
	leader  cluster.MemberID // whom it follows; itself when it leads
	heard   time.Duration
	patient time.Duration // its election timeout
	started time.Duration
	foreign bool
	stopped bool          // by a signal: it goes on where it was, or never
	boots   time.Duration // until then a first start has written no log yet
	match   map[cluster.MemberID]int
	since   map[cluster.MemberID]time.Duration // connected since
	lonely  time.Duration                      // a leader without a quorum since
	ca      int                                // that it read when it started
	version cluster.Version
}

func (p *proc) id() cluster.MemberID { return p.d.member }

const electionTimeout = 1500 * time.Millisecond

// healthy says that the etcd knows a leader that has spoken lately.
func (w *World) healthy(p *proc) bool {
	return p != nil && p.leader != 0 && w.now-p.heard <= 2*electionTimeout
}

// procs are all running etcds, in the machines' order.
func (w *World) procs() []*proc {
	out := w.procBuf[:0]
	for _, m := range w.live {
		if m.etcd != nil && w.now >= m.etcd.boots && !m.paused && !m.etcd.stopped {
			out = append(out, m.etcd)
		}
	}
	w.procBuf = out
	return out
}

// peerProc is the running etcd of that member that p reaches.
func (w *World) peerProc(p *proc, id cluster.MemberID) *proc {
	for _, m := range w.live {
		q := m.etcd
		if q != nil && !q.stopped && w.now >= q.boots && q.d.member == id && q.d.cluster == p.d.cluster && w.linked(layerEtcd, p.m, m) {
			return q
		}
	}
	return nil
}

// raftTick lets a little time pass in every etcd.
func (w *World) raftTick() {
	for _, p := range slices.Clone(w.procs()) {
		if p.id() == p.m.renewing && w.healthy(p) {
			p.m.renewing = 0
		}
		if p.m.etcd == p && w.expelled(p) {
			w.logf("%s: etcd exits: member %s has been removed", p.m.name, p.id())
			w.etcdEnds(p.m)
		}
	}
	for _, p := range slices.Clone(w.procs()) {
		if p.m.etcd == p && p.leads {
			w.lead(p)
		}
	}
	for _, p := range slices.Clone(w.procs()) {
		if p.m.etcd == p && !p.leads {
			if w.now-p.heard > 2*electionTimeout {
				p.leader = 0
			}
			w.campaign(p)
			w.applyAll(p)
		}
	}
}

// expelled says that the member has learnt of its removal.
func (w *World) expelled(p *proc) bool {
	if p.d.conf.removed[p.id()] {
		return true
	}
	for _, q := range w.procs() {
		if q != p && q.d.cluster == p.d.cluster && q.d.conf.removed[p.id()] && w.linked(layerEtcd, p.m, q.m) {
			return true
		}
	}
	return false
}

// lead is a leader's part: step down without a quorum, else replicate, commit
// and apply.
func (w *World) lead(p *proc) {
	reached := 0
	for _, m := range p.d.conf.members {
		q := p
		if m.ID != p.id() {
			q = w.peerProc(p, m.ID)
		}
		if q == nil {
			delete(p.since, m.ID)
			continue
		}
		if q.d.term > p.d.term {
			w.stepDown(p, "a higher term")
			return
		}
		if _, ok := p.since[m.ID]; !ok {
			p.since[m.ID] = w.now
		}
		if !m.Learner {
			reached++
		}
	}
	if reached < cluster.Quorum(len(p.d.conf.voters())) {
		if p.lonely == 0 {
			p.lonely = w.now
		}
		if w.now-p.lonely > electionTimeout {
			w.stepDown(p, "no quorum")
		}
		return
	}
	p.lonely, p.heard = 0, w.now
	for _, m := range p.d.conf.members {
		if q := w.peerProc(p, m.ID); q != nil && q != p && !w.chance(w.lag) && !(q.m.slow && w.chance(0.7)) {
			w.replicate(p, q, 1+w.rng.IntN(20))
		}
	}
	w.advance(p)
	w.agree(p)
}

// replicate sends up to n entries to q, which stores them before it answers.
func (w *World) replicate(p, q *proc, n int) {
	at := min(len(p.d.log), len(q.d.log))
	for at > 0 && p.d.log[at-1].term != q.d.log[at-1].term {
		at--
	}
	if at < len(q.d.log) && at < len(p.d.log) || at < q.d.commit {
		if at < q.d.commit {
			w.fail("member %s would drop the committed entry %d (log of %s ends at %d)", q.id(), at+1, p.id(), len(p.d.log))
		}
		q.d.log = q.d.log[:at:at]
	}
	if len(q.d.log) == 0 {
		q.d.base, q.d.bump = p.d.base, p.d.bump // a seed's content comes with the snapshot
	}
	if at == len(q.d.log) {
		q.d.log = append(q.d.log, p.d.log[at:min(len(p.d.log), at+n)]...)
		at = len(q.d.log)
	}
	q.d.term, q.leads, q.leader, q.heard = p.d.term, false, p.id(), w.now
	q.d.commit = max(q.d.commit, min(p.d.commit, at))
	p.match[q.id()] = at
	w.promise(q)
	w.applyAll(q)
}

// advance commits what a quorum of disks holds, and applies it.
func (w *World) advance(p *proc) {
	for range 3 { // an applied change can make more committable
		p.match[p.id()] = len(p.d.log)
		var at []int
		for _, m := range p.d.conf.voters() {
			at = append(at, p.match[m.ID])
		}
		slices.Sort(at)
		n := at[len(at)-cluster.Quorum(len(at))]
		if n <= p.d.commit || p.d.log[n-1].term != p.d.term {
			return
		}
		p.d.commit = n
		w.applyAll(p)
		if p.m.etcd != p {
			return
		}
	}
}

func (w *World) applyAll(p *proc) {
	for p.d.applied < p.d.commit {
		e := p.d.log[p.d.applied]
		p.d.applied++
		if e.change != nil {
			before := p.d.conf
			p.d.conf = before.apply(*e.change)
			w.onChange(p, before, *e.change)
		}
		if e.write != 0 && p.leads {
			w.acknowledge(p, e.write)
		}
		if p.d.conf.removed[p.id()] {
			w.etcdEnds(p.m)
			return
		}
	}
}

func (w *World) stepDown(p *proc, why string) {
	w.logf("%s: steps down: %s", p.m.name, why)
	p.leads, p.leader, p.lonely, p.heard = false, 0, 0, w.now
}

// campaign elects p if its patience is over and a quorum of its own
// configuration, none of which follows a leader or has a newer log, grants it.
func (w *World) campaign(p *proc) {
	if w.now-p.heard < p.patient || !p.d.conf.votes(p.id()) {
		return
	}
	p.patient = electionTimeout + time.Duration(w.rng.IntN(3000))*time.Millisecond
	w.tryElect(p, false)
}

// tryElect is one vote; forced when the leader has asked p to take over.
func (w *World) tryElect(p *proc, forced bool) bool {
	var granted []*proc
	voters := p.d.conf.voters()
	for _, m := range voters {
		q := p
		if m.ID != p.id() {
			q = w.peerProc(p, m.ID)
		}
		if q == nil || p.d.behind(q.d) || !forced && q != p && q.leader != 0 && w.now-q.heard < electionTimeout {
			continue
		}
		granted = append(granted, q)
	}
	if len(granted) < cluster.Quorum(len(voters)) {
		return false
	}
	term := uint64(0)
	for _, q := range granted {
		term = max(term, q.d.term)
	}
	for _, q := range granted {
		q.d.term, q.leads, q.leader, q.heard = term+1, false, p.id(), w.now
		w.promise(q)
	}
	p.leads, p.match, p.since = true, map[cluster.MemberID]int{}, map[cluster.MemberID]time.Duration{}
	p.lonely = 0
	p.d.log = append(p.d.log, entry{term: p.d.term})
	w.promise(p)
	w.logf("%s: leads %s at term %d", p.m.name, p.d.cluster, p.d.term)
	w.onElection(p)
	return true
}

// clientWrites has a client write through a random leader.
func (w *World) clientWrites() {
	var leaders []*proc
	for _, p := range w.procs() {
		if p.leads {
			leaders = append(leaders, p)
		}
	}
	if len(leaders) == 0 {
		return
	}
	p := leaders[w.rng.IntN(len(leaders))]
	w.nextWrite++
	p.d.log = append(p.d.log, entry{term: p.d.term, write: w.nextWrite})
	w.promise(p)
}
