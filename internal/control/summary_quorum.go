package control

import (
	"slices"
	"time"

	"github.com/quorate/quorate/internal/cluster"
)

// proofFresh is how old a report may be to prove anything of this moment, and how
// young an agent is that may not have heard the others yet.
const proofFresh = 3 * time.Second

// proof is what etcd itself says of its quorum, whichever agents are silent. The
// zero proof is none.
type proof struct {
	stands bool             // a voter has just read through its leader, and so through a quorum
	leader cluster.MemberID // which that was, in the newest term
	keeper *cluster.Report  // of the agent beside it, if that answers
}

// prove looks for a voter whose report is fresh and says that its etcd has read
// linearizably: that is what healthy means, of a learner alone it does not. A
// report of an epoch that is over proves nothing.
func prove(name string, reports []cluster.Report, members []cluster.Member, epoch cluster.Epoch, now time.Time) (p proof) {
	var term uint64
	for i, r := range reports {
		m, listed := cluster.ByID(members, r.Etcd.MemberID)
		over := r.Disk.Stamp != nil && r.Disk.Epoch() < epoch
		if r.Cluster != name || !listed || m.Learner || !r.Etcd.Healthy || r.Etcd.Learner || over || r.Etcd.Leader == 0 || !fresh(reports, r, now) {
			continue
		}
		if !p.stands || r.Etcd.Term > term {
			p, term = proof{stands: true, leader: r.Etcd.Leader}, r.Etcd.Term
		}
		if r.Keeper && r.Etcd.Term == term {
			p.keeper = &reports[i]
		}
	}
	return p
}

// fresh says that a report tells of now. The first one is the teller's own, by our
// clock; what it has heard of the others came within proofFresh before that, and
// was of that age when it was sent.
func fresh(reports []cluster.Report, r cluster.Report, now time.Time) bool {
	return now.Sub(reports[0].At)+max(r.Age, 0) <= proofFresh
}

// vouches says that the voter's etcd is well although its agent may be silent: it
// leads, or the keeper reaches it and finds nothing the matter.
func (p proof) vouches(m cluster.Member, reports []cluster.Report) bool {
	ails := func(k cluster.Report) bool {
		return slices.ContainsFunc(k.Care.Ails, func(a cluster.Ailment) bool { return a.Member == m.ID })
	}
	switch {
	case !p.stands || m.Learner:
		return false
	case slices.ContainsFunc(reports, func(r cluster.Report) bool { return slices.Contains(r.Disowns, m.ID) }):
		return false
	}
	return p.leads(m) || p.keeper != nil && !ails(*p.keeper)
}

func (p proof) leads(m cluster.Member) bool { return p.stands && m.ID == p.leader }

// hasJustStarted says that the teller may not have heard the others yet.
func hasJustStarted(reports []cluster.Report) bool {
	if len(reports) == 0 || reports[0].Launched.IsZero() {
		return false
	}
	lived := reports[0].At.Sub(reports[0].Launched)
	return lived >= 0 && lived < proofFresh
}

// vouched is what the row of a member says whose agent alone is silent.
const vouched = "its agent does not answer, and its etcd is well"

// speakFor adds to the row of a member whose agent is silent what is known of its
// etcd all the same; that it leads, where no agent says so of its own.
func (s *Status) speakFor(n *Node, m cluster.Member, p proof, reports []cluster.Report, leaderless bool) {
	if leaderless && p.leads(m) {
		n.Role = "leader"
	}
	if p.vouches(m, reports) {
		n.Doing = vouched
		s.Vouched++
	}
}
