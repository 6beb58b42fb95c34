package plan

import (
	"slices"
	"time"

	"github.com/quorate/quorate/internal/cluster"
)

// keep is the keeper's housekeeping: one change at a time. First what makes
// the cluster known (charter, ready mark, checkpoint); then what costs no vote
// (addresses, learners); then what has lost its vote anyway; then size; then
// newcomers; and last the backups.
func keep(o Observation) Decision {
	h, lock := survey(o), o.Ledger.Lock
	torn := o.integrity(h).torn
	if d, ok := tendMachines(o, torn != "" || lock.Unknown() || lock.Value().Held(o.Now)); ok {
		return d
	}
	if d, ok := declare(o, h); ok {
		return d
	}
	switch {
	case torn != "":
		d := refuse(tearing, torn)
		if again, ok := compare(o, h); ok {
			d.Steps = again.Steps
		}
		return d
	case lock.Unknown():
		return wait("the maintenance lock is unreadable: the membership stays as it is")
	case lock.Value().Held(o.Now):
		return do("keep", "housekeeping is paused", []any{lock.Value().Holder, ": ", lock.Value().Reason})
	}
	rules := allRules
	switch {
	case o.Ledger.Roll.Unknown():
		return wait("whether a roll is under way is unreadable: the membership stays as it is")
	case o.Ledger.Roll.Value().Open():
		rules = rollRules
	}
	// A rule that can only wait hides none of the later ones: what one of them
	// does may be what it waits for.
	resting := Decision{}
	for _, rule := range rules {
		switch d, ok := rule(o, h); {
		case ok && (len(d.Steps) > 0 || d.Verb != "keep"):
			return d
		case ok && resting.Reason == "":
			resting = d
		}
	}
	if resting.Reason != "" {
		return resting
	}
	return steady(o, h)
}

// allRules are the keeper's while no roll is open, the most urgent first.
var allRules = []func(Observation, house) (Decision, bool){corrupt, relieve, endDowngrade, tendMoved, tendLearner, handOver, unburden, removeLost, shrink, admit, condemn, compaction, compare, backUp}

// declare writes what the ledger must know of a cluster that lives.
func declare(o Observation, h house) (Decision, bool) {
	l := o.Ledger
	switch {
	case l.Charter.Absent() && o.Disk.Stamp != nil:
		return do("keep", "the ledger has lost the charter that our data is stamped with", nil, WriteCharter{o.Disk.Stamp.Charter}), true
	case l.Charter.Absent():
		return do("adopt", "this cluster runs and has no charter", nil, WriteCharter{adoption(o)}), true
	case l.Ready.Absent() && l.Charter.Known() && h.healthy >= cluster.Quorum(max(len(h.voters), foundersWanted(o))):
		return do("keep", "a majority of the founders are healthy voters", nil, WriteReadyMark{o.epoch()}), true
	case l.Charter.Known() && !l.Checkpoint.Unknown() && !sameMembers(l.Checkpoint.Value().Members, o.Members.Value()):
		return do("keep", "the store's member list is not etcd's", nil, WriteCheckpoint{o.Members.Value()}), true
	case o.toldWhatIsLost() && !within(o.Now.Sub(l.Verdict.Value().At), lapseAfter):
		return do("keep", "a quorum lives: the operator's word on what is lost has lapsed", []any{l.Verdict.Value().Lost}, LapseVerdict{l.Verdict.Value()}), true
	}
	return Decision{}, false
}

// lapseAfter is how long a quorum lives on before an operator's word that it was
// lost is taken back: more than a leader takes to find out that it is alone. Left
// standing, the word would count members as lost that have long been back.
const lapseAfter = time.Minute

// foundersWanted is how many founders the charter has, or fewer where fewer
// voters are wanted by now: those that were removed since will not come.
func foundersWanted(o Observation) int {
	n := len(o.Ledger.Charter.Value().Founders)
	if wanted := o.wanted(); wanted > 0 {
		return min(n, wanted)
	}
	return n
}

func adoption(o Observation) cluster.Charter {
	var founders []cluster.Founder
	for _, m := range cluster.Voters(o.Members.Value()) {
		if m.Started() && len(m.PeerURLs) > 0 {
			founders = append(founders, cluster.Founder{Name: m.Name, PeerURL: m.PeerURLs[0]})
		}
	}
	seed := cluster.Seed{Kind: cluster.SeedAdopted, ClusterID: o.Etcd.Value().ClusterID}
	return newCharter(o, 1, founders, seed, "adopting a running cluster")
}

func sameMembers(a, b []cluster.Member) bool {
	same := func(x, y cluster.Member) bool {
		return x.ID == y.ID && x.Name == y.Name && x.Learner == y.Learner && slices.Equal(x.PeerURLs, y.PeerURLs)
	}
	return len(a) == len(b) && !slices.ContainsFunc(a, func(m cluster.Member) bool {
		return !slices.ContainsFunc(b, func(n cluster.Member) bool { return same(m, n) })
	})
}

// tendMoved tells etcd the new address of a member that runs on kept data.
func tendMoved(o Observation, _ house) (Decision, bool) {
	for _, r := range o.answers() {
		m, ok := cluster.ByID(o.Members.Value(), r.Disk.MemberID)
		taken := slices.ContainsFunc(o.Members.Value(), func(m cluster.Member) bool { return m.Listens(r.PeerURL) })
		if r.Moved && ok && !taken && r.Disk.ClusterID == o.Etcd.Value().ClusterID {
			return do("keep", "a member has moved, with its data", nil, UpdateMember{m.ID, m.Label(), r.PeerURL}), true
		}
	}
	return Decision{}, false
}

// tendLearner brings the one learner to an end: a voter, or gone. A learner has
// no vote, so its removal risks no quorum.
func tendLearner(o Observation, h house) (Decision, bool) {
	for _, l := range h.learners {
		evict := func(reason string) (Decision, bool) {
			return do("keep", reason, nil, RemoveMember{l.ID, l.Label()}), true
		}
		_, inviting := o.Invitations[l.ID]
		switch {
		case l.disowned:
			return evict("a learner's disk is lost")
		case l.leaving:
			return evict("a learner leaves")
		case l.departing() || l.leavesSoon:
			return evict("a learner's machine does not stay")
		case l.gone && (inviting || sinceOrZero(o.Now, l.probe.FirstSeen) >= o.Settings.LearnerPatience):
			return evict("a learner's machine is gone")
		case l.stalled(o) && (inviting || l.Started() || o.Settings.Join != cluster.JoinPrepared):
			return evict("a learner has stopped getting nearer")
		case l.caughtUp(o) && o.Settings.HasStore && o.Ledger.Checkpoint.Unknown():
			return do("keep", "the learner has caught up, but the store's member list is unreadable", []any{l.Label()}), true
		case l.caughtUp(o):
			return do("keep", "the learner has caught up", nil, PromoteLearner{l.ID, l.Label()}), true
		}
	}
	if len(h.learners) > 0 && h.healthy == len(h.voters) {
		return do("keep", "waiting for the learner to catch up", []any{h.learners[0].Label()}), true
	}
	return Decision{}, false
}

const stillPublished = "a voter goes once its DNS records have been withdrawn for their TTL"

// removeLost removes a voter that has lost its disk, whose machine is gone, or
// that leaves: one at a time, and only while the rest stay a quorum.
func removeLost(o Observation, h house) (Decision, bool) {
	alone := len(h.learners) == 0 && len(joiners(o, h)) == 0
	why := func(s standing) string {
		awaited := sinceOrZero(o.Now, s.probe.FirstSeen) < o.Settings.LearnerPatience
		switch {
		case s.disowned:
			return "a voter's disk is lost"
		case s.gone && !s.healthy && (s.Started() || !awaited):
			return "a voter's machine is gone"
		case s.leaving && len(h.learners) == 0:
			return "a voter leaves"
		case s.leavesSoon:
			return s.departs(o, h)
		case s.departing() && len(h.voters) > o.wanted():
			return "a voter departs, and its replacement votes"
		case s.gone && s.healthy && alone:
			return "a voter's machine has left the group, and nobody waits to replace it"
		}
		return ""
	}
	blocked := Decision{}
	for _, s := range h.voters {
		reason := why(s)
		switch {
		case reason == "":
		case reason == awaitsReplacement:
			blocked = do("keep", reason, []any{s.Label()})
		case !h.mayGo(s):
			blocked = do("keep", "a voter must go, but the rest would not be a quorum", []any{s.Label()})
		case s.ID == o.Etcd.Value().MemberID: // handOver has found no successor
			blocked = do("keep", "the leader must go, and no other voter is fit to lead", nil)
		case s.inUse(o) && !Withdrawn(o, s.ID):
			blocked = do("keep", stillPublished, []any{s.Label()})
		default:
			return do("keep", reason, nil, RemoveMember{s.ID, s.Label()}), true
		}
	}
	return blocked, blocked.Reason != ""
}

// successor is the healthy voter that stays with the longest applied log; one
// with a slow disk, or that may be interrupted, only where there is no other.
func successor(o Observation, h house) (standing, bool) {
	var best standing
	found := false
	for _, s := range h.voters {
		if s.ID == o.Etcd.Value().MemberID || !s.healthy || s.departing() {
			continue
		}
		slow, bestSlow := s.slow(o), found && best.slow(o)
		if !found || bestSlow && !slow || bestSlow == slow && (best.uneasy && !s.uneasy || best.uneasy == s.uneasy && s.probe.State.Applied > best.probe.State.Applied) {
			best, found = s, true
		}
	}
	return best, found
}

// handOver moves the lead off a machine that does not stay, so that the next
// keeper can remove it.
func handOver(o Observation, h house) (Decision, bool) {
	self, _ := h.find(func(s standing) bool { return s.ID == o.Etcd.Value().MemberID })
	to, ok := successor(o, h)
	step := TransferLeadership{to.ID, to.Label()}
	switch {
	case ok && self.departing():
		return do("keep", "the leader does not stay, and hands over first", nil, step), true
	case ok && self.uneasy && !to.uneasy:
		return do("keep", "the leader's machine may be interrupted, and hands over", nil, step), true
	}
	return Decision{}, false
}

// shrink removes one voter above the wanted size.
func shrink(o Observation, h house) (Decision, bool) {
	out, ok := surplus(o, h)
	switch {
	case !ok:
		return Decision{}, false
	case !h.mayGo(out):
		return do("keep", "more voters than wanted, but removing one would risk the quorum", []any{out.Label()}), true
	case out.inUse(o) && !Withdrawn(o, out.ID):
		return do("keep", stillPublished, []any{out.Label()}), true
	}
	return do("keep", "more voters than wanted", []any{len(h.voters), " of ", o.size()}, RemoveMember{out.ID, out.Label()}), true
}

// surplus is the voter to go when there are more than wanted: the unhealthy
// before the healthy, whoever departs before all others, and never the leader.
func surplus(o Observation, h house) (standing, bool) {
	if o.size() == 0 || len(h.voters) <= o.size() || len(h.learners) > 0 || o.groupChooses() {
		return standing{}, false
	}
	rank := func(s standing) int {
		switch {
		case s.ID == o.Etcd.Value().MemberID:
			return -1
		case s.departing():
			return 2
		case !s.healthy:
			return 1
		}
		return 0
	}
	return slices.MaxFunc(h.voters, func(a, b standing) int {
		if d := rank(a) - rank(b); d != 0 {
			return d
		}
		return compareNames(a.Label(), b.Label())
	}), true
}

func compareNames(a, b string) int {
	if a < b {
		return -1
	}
	return 1
}

// steady is the reason of a round in which nothing is to be done.
func steady(o Observation, h house) Decision { return withAilments(o, calm(o, h)) }

func calm(o Observation, h house) Decision {
	detail := []any{h.healthy, " of ", len(h.voters), " voters healthy"}
	switch {
	case h.distrust:
		return do("keep", "the peers source has lost more than a minority at once: not believed", detail)
	case !o.View.Known():
		return do("keep", "the peers source cannot be read: no machine is added, and none counts as gone", detail)
	case h.healthy < len(h.voters):
		return do("keep", "a voter is unhealthy, and nothing proves that it is lost", detail)
	case slices.ContainsFunc(h.voters, func(s standing) bool { return s.slow(o) }):
		return do("keep", "a voter's disk is slow, which is no reason to remove it", detail)
	case len(h.voters) < o.size():
		return do("keep", "fewer voters than wanted, and no machine to add", detail)
	}
	return do("keep", "all is well", detail)
}
