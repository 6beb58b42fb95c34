package plan

import (
	"slices"
	"time"

	"github.com/quorate/quorate/internal/cluster"
)

// standing is how a member stands in the keeper's eyes.
type standing struct {
	cluster.Member
	probe      Probe
	machine    cluster.Peer // as the source tells of it; zero when it does not
	healthy    bool         // its etcd answers and follows our leader
	gone       bool         // a source that can prove it says that its machine is gone
	leavesSoon bool         // its machine is being terminated
	uneasy     bool         // its machine may be interrupted: it should not lead
	disowned   bool         // the machine at its address says that it never will hold its data
	leaving    bool         // `quorate leave`
	unfit      bool         // without a sign of life for --dead-after: for the join strategies alone
}

// departing says that the member serves, and its machine does not stay.
func (s standing) departing() bool { return s.healthy && (s.gone || s.leavesSoon || s.leaving) }

// house is the keeper's view of the whole membership.
type house struct {
	voters   []standing
	learners []standing
	healthy  int // voters
	distrust bool
}

func survey(o Observation) house {
	var h house
	for _, m := range o.Members.Value() {
		s := stand(o, m)
		if m.Learner {
			h.learners = append(h.learners, s)
			continue
		}
		h.voters = append(h.voters, s)
		if s.healthy {
			h.healthy++
		}
	}
	h.distrustMassLoss()
	return h
}

// distrustMassLoss forgets what the source says when more than a minority
// would be gone at once: that is how a wrong, partial or foreign answer looks.
func (h *house) distrustMassLoss() {
	gone := 0
	for _, s := range h.voters {
		if s.gone {
			gone++
		}
	}
	if n := len(h.voters); gone <= n-cluster.Quorum(n) {
		return
	}
	h.distrust = true
	for i := range h.voters {
		h.voters[i].gone = false
	}
	for i := range h.learners {
		h.learners[i].gone = false
	}
}

func stand(o Observation, m cluster.Member) standing {
	p := o.Probes[m.ID]
	s := standing{Member: m, probe: p, healthy: p.Healthy && p.State.MemberID == m.ID || m.ID == o.Etcd.Value().MemberID}
	s.gone = goneFromSource(o, m)
	s.unfit = s.dead(o)
	for _, p := range o.View.Value().Peers {
		if m.Listens(p.PeerURL(o.Self.Scheme)) {
			s.machine, s.leavesSoon, s.uneasy = p, p.State == cluster.Terminating, p.ID != "" && slices.Contains(o.Machines.Uneasy, p.ID)
		}
	}
	for _, r := range o.answers() {
		// A member that answers is not lost, whatever an old report says.
		s.disowned = s.disowned || !s.healthy && slices.Contains(r.Disowns, m.ID)
		s.leaving = s.leaving || r.Leaving && r.Disk.MemberID == m.ID
	}
	return s
}

// mayGo says that removing the voter s leaves a quorum of healthy voters.
func (h house) mayGo(s standing) bool {
	healthy := h.healthy
	if s.healthy {
		healthy--
	}
	return cluster.RemovalKeepsQuorum(len(h.voters), healthy)
}

// mayAdd says whether etcd's strict check would take one more member: the
// healthy voters must be a quorum of one voter more. Etcd lets a lone voter
// grow, or no cluster of one ever could.
func (h house) mayAdd() bool {
	return len(h.voters) == 1 || h.healthy >= cluster.Quorum(len(h.voters)+1)
}

func (h house) find(match func(standing) bool) (standing, bool) {
	for _, s := range h.voters {
		if match(s) {
			return s, true
		}
	}
	return standing{}, false
}

// stalled says that a learner has stopped getting nearer: it applies no more
// entries, and no more bytes of the leader's database arrive on its disk, however
// long that takes altogether. While a database that has arrived is being loaded
// nothing of it shows: then it gets ten times the patience.
func (s standing) stalled(o Observation) bool {
	patience := o.Settings.LearnerPatience
	if r, ok := o.reportOf(s.Member); ok && r.Etcd.Running && r.Care.Catching.Whole {
		patience *= 10
	}
	since := s.probe.ProgressAt
	if since.IsZero() {
		since = s.probe.FirstSeen
	}
	return !since.IsZero() && o.Now.Sub(since) >= patience
}

func (o Observation) reportOf(m cluster.Member) (cluster.Report, bool) {
	for _, u := range m.PeerURLs {
		if r, ok := o.reportAt(u); ok {
			return r, true
		}
	}
	return cluster.Report{}, false
}

// caughtUp says that promotion is worth trying: etcd itself has the last word.
func (s standing) caughtUp(o Observation) bool {
	lead := o.Etcd.Value().Applied
	return s.Started() && s.healthy && s.probe.State.Applied > 0 && s.probe.State.Applied+lead/10+10 >= lead
}

// joiners are the empty machines that ask for an entry, the one whose zone has
// the fewest voters first, then the oldest.
func joiners(o Observation, h house) []cluster.Report {
	var out []cluster.Report
	for _, r := range o.Reports {
		if !r.Joining || r.Cluster != o.Settings.Cluster || r.Disk.State != cluster.DiskEmpty || r.Disk.ID == "" || r.Leaving || !admitted(o, r) {
			continue
		}
		if slices.ContainsFunc(o.Members.Value(), func(m cluster.Member) bool { return m.Listens(r.PeerURL) }) {
			continue // has an entry already, or an old one that must go first
		}
		out = append(out, r)
	}
	inZone := func(zone string) int {
		n := 0
		for _, s := range h.voters {
			if r, ok := o.reportOf(s.Member); ok && r.Zone == zone || s.ID == o.Etcd.Value().MemberID && o.zone() == zone {
				n++
			}
		}
		return n
	}
	slices.SortStableFunc(out, func(a, b cluster.Report) int {
		if d := inZone(a.Zone) - inZone(b.Zone); d != 0 {
			return d
		}
		if c := a.Launched.Compare(b.Launched); c != 0 {
			return c
		}
		if a.Name < b.Name {
			return -1
		}
		return 1
	})
	return out
}

func (o Observation) zone() string {
	p, _ := o.peer()
	return p.Zone
}

// admitted says that the environment counts the newcomer in, or, where it
// cannot prove who is out, that it does not speak of it.
func admitted(o Observation, r cluster.Report) bool {
	v := o.View
	if v.Unknown() {
		return false
	}
	if p, in := v.Value().PeerAt(o.Self.Scheme, r.PeerURL); in {
		return p.Alive() && p.Name == r.Name
	}
	return !v.Value().Authoritative
}

func sinceOrZero(now, t time.Time) time.Duration {
	if t.IsZero() {
		return 0
	}
	return now.Sub(t)
}
