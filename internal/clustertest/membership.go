package clustertest

import (
	"errors"
	"slices"
	"time"

	"github.com/quorate/quorate/internal/cluster"
)

// etcd's answers to a membership change.
var (
	errNoLeader  = errors.New("etcd has no leader")
	errUnhealthy = errors.New("unhealthy cluster")
	errNotReady  = errors.New("the learner is not in sync with the leader")
	errUnknownID = errors.New("member not found")
	errExists    = errors.New("peer URL exists")
	errLearners  = errors.New("too many learner members")
	errTimeout   = errors.New("request timed out")
	errInjected  = errors.New("injected")
)

const healthInterval = 5 * time.Second // etcd's own

// leaderFor is the leader that p forwards to.
func (w *World) leaderFor(p *proc) *proc {
	if p == nil || p.leader == 0 {
		return nil
	}
	if p.leads {
		return p
	}
	if q := w.peerProc(p, p.leader); q != nil && q.leads {
		return q
	}
	return nil
}

// quorumReached says that the leader p reaches a quorum now: what a
// linearizable read proves.
func (w *World) quorumReached(p *proc) bool {
	n := 0
	for _, m := range p.d.conf.voters() {
		if m.ID == p.id() {
			n++
		} else if q := w.peerProc(p, m.ID); q != nil && q.d.term <= p.d.term {
			n++
		}
	}
	return p.leads && n >= cluster.Quorum(len(p.d.conf.voters()))
}

// connected counts the voters that have been connected for etcd's interval.
func (w *World) connected(p *proc) int {
	n := 0
	for _, m := range p.d.conf.voters() {
		if since, ok := p.since[m.ID]; m.ID == p.id() || ok && w.now-since >= healthInterval {
			n++
		}
	}
	return n
}

// changeMembers proposes a change through p's etcd. An error may hide a
// success: the entry may be committed later, or have been already.
func (w *World) changeMembers(p *proc, ch change) (cluster.MemberID, error) {
	l := w.leaderFor(p)
	if l == nil {
		return 0, errNoLeader
	}
	if w.chance(w.faults.etcdRefuse) {
		return 0, errInjected
	}
	ch.at = w.now
	if ch.op == "add" {
		ch.id = cluster.MemberID(hash("member", l.d.cluster, ch.url, int64(w.now/time.Second)))
	}
	if err := w.strict(l, ch); err != nil {
		return 0, err
	}
	if slices.ContainsFunc(l.d.log[l.d.applied:], func(e entry) bool { return e.change != nil }) {
		return 0, errTimeout // one change at a time
	}
	l.d.log = append(l.d.log, entry{term: l.d.term, change: &ch})
	at := len(l.d.log)
	w.promise(l)
	for _, m := range l.d.conf.members {
		if q := w.peerProc(l, m.ID); q != nil && q != l && q.d.term <= l.d.term && !w.chance(w.lag) {
			w.replicate(l, q, 1000)
		}
	}
	w.advance(l)
	switch {
	case l.d.applied < at:
		return ch.id, errTimeout
	case w.chance(w.faults.etcdReplyLost):
		return ch.id, errInjected
	}
	return ch.id, nil
}

// strict is etcd's strict-reconfig check.
func (w *World) strict(l *proc, ch change) error {
	c := l.d.conf
	m, listed := cluster.ByID(c.members, ch.id)
	voters := len(c.voters())
	switch ch.op {
	case "add":
		return w.mayAdd(l, ch)
	case "remove":
		return w.mayRemove(l, m, listed)
	case "promote":
		switch {
		case !listed:
			return errUnknownID
		case !m.Learner || l.match[m.ID]*10 < len(l.d.log)*9:
			return errNotReady
		case startedVoters(c, 0)+1 < cluster.Quorum(voters+1):
			return errUnhealthy
		}
	case "update":
		switch {
		case !listed:
			return errUnknownID
		case slices.ContainsFunc(c.members, func(o cluster.Member) bool { return o.ID != m.ID && o.Listens(ch.url) }):
			return errExists
		}
	}
	return nil
}

func (w *World) mayAdd(l *proc, ch change) error {
	c := l.d.conf
	switch {
	case c.removed[ch.id]:
		return errUnknownID
	case slices.ContainsFunc(c.members, func(o cluster.Member) bool { return o.Listens(ch.url) || o.ID == ch.id }):
		return errExists
	case len(cluster.Learners(c.members)) > 0:
		return errLearners
	case w.connected(l) < cluster.Quorum(len(c.voters())+1) && len(c.voters()) > 1:
		return errUnhealthy
	}
	return nil
}

func (w *World) mayRemove(l *proc, m cluster.Member, listed bool) error {
	voters := len(l.d.conf.voters())
	_, up := l.since[m.ID]
	switch {
	case !listed:
		return errUnknownID
	case m.Learner:
		return nil
	case voters == 1, startedVoters(l.d.conf, m.ID) < cluster.Quorum(voters-1):
		return errUnhealthy
	case m.ID != l.id() && !up:
		return nil
	case w.connected(l)-1 < 1+(voters-1)/2:
		return errUnhealthy
	}
	return nil
}

func startedVoters(c conf, without cluster.MemberID) int {
	n := 0
	for _, m := range c.voters() {
		if m.Started() && m.ID != without {
			n++
		}
	}
	return n
}

// publish lets members that have started say their names.
func (w *World) publish() {
	for _, p := range w.procs() {
		if !p.leads {
			continue
		}
		for _, m := range p.d.conf.members {
			q := w.peerProc(p, m.ID)
			if m.ID == p.id() {
				q = p
			}
			pending := slices.ContainsFunc(p.d.log[p.d.applied:], func(e entry) bool { return e.change != nil })
			if q != nil && m.Name != q.m.name && !pending && w.healthy(q) {
				p.d.log = append(p.d.log, entry{term: p.d.term, change: &change{op: "publish", id: m.ID, name: q.m.name}})
				w.promise(p)
			}
		}
	}
}

// transfer has the leader hand over, if the other's log is complete.
func (w *World) transfer(p *proc, to cluster.MemberID) error {
	if !p.leads {
		return errNoLeader
	}
	q := w.peerProc(p, to)
	if q == nil || !p.d.conf.votes(to) || w.chance(w.faults.etcdRefuse) {
		return errTimeout
	}
	w.replicate(p, q, 1000)
	if !w.tryElect(q, true) {
		return errTimeout
	}
	p.leads, p.leader, p.heard = false, q.id(), w.now
	return nil
}
