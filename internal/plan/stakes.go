package plan

import (
	"slices"
	"strings"

	"github.com/quorate/quorate/internal/cluster"
)

// Stake is one of the last known members, before an operator gives his word.
type Stake struct {
	Name     string // or the peer URL of one that has never said its name
	Learner  bool
	Holds    bool // it answers, with its data of this epoch
	Lost     bool // it is proven lost, or the word would say so
	Term     uint64
	Index    uint64
	Revision int64 // that its etcd has applied; 0: not known
}

// Stakes are what an operator's word would decide, as far as this node knows.
type Stakes struct {
	Epoch   cluster.Epoch // that would end
	Lives   bool          // a quorum answers: there is nothing to recover, and no word is taken
	Members []Stake       // the newest log first, then the others as they are listed
	// Backup is the newest good one of this epoch, as far as that is known.
	Backup cluster.Fact[cluster.Backup]
	// Passed are the nodes that answer and whose disks hold data that no seed takes
	// over, so that an empty cluster would leave it behind.
	Passed []Passed
	// Then is what this node would decide if the word were given.
	Then Decision
}

// quorumLives says that somebody's etcd, our own included, has read from a quorum: a
// follower's proves it as well as the leader's.
func (o Observation) quorumLives() bool {
	return slices.ContainsFunc(o.answers(), func(r cluster.Report) bool { return r.Etcd.Healthy })
}

// AtStake works out what hangs on the verdict v. Nothing is decided by it.
func AtStake(o Observation, v cluster.Verdict) Stakes {
	o.Ledger.Verdict = cluster.Known(v)
	s := Stakes{Epoch: o.epoch(), Lives: o.quorumLives(), Backup: o.Ledger.Backup, Then: Decide(o)}
	if b := o.Ledger.Backup; b.Known() && b.Value().Epoch != o.epoch() {
		s.Backup = cluster.Absent[cluster.Backup]()
	}
	s.Passed = leftBehind(o)
	for _, x := range suspects(o) {
		r, holds := holder(o, x)
		s.Members = append(s.Members, Stake{Name: x.Label(), Learner: x.Learner, Holds: holds, Lost: provenLost(o, x),
			Term: r.Disk.Term, Index: r.Disk.Index, Revision: r.Etcd.Revision})
	}
	slices.SortStableFunc(s.Members, func(a, b Stake) int {
		if b.behind(a) {
			return -1
		}
		return 1
	})
	return s
}

func (s Stake) behind(other Stake) bool {
	return s.Term < other.Term || s.Term == other.Term && s.Index < other.Index
}

// Newest is the member whose log is the newest of those that answer.
func (s Stakes) Newest() (Stake, bool) {
	if len(s.Members) == 0 || !s.Members[0].Holds {
		return Stake{}, false
	}
	return s.Members[0], true
}

// Passed is data that an empty cluster would leave where it is.
type Passed struct {
	Name    string
	Disk    cluster.Disk
	GivenUp bool // the word names it
}

// leftBehind finds data of whatever epoch on the disks that answer, in place or set
// aside. Which of it counts nobody can say when nothing else is left: an epoch
// that was over may be all that there is.
func leftBehind(o Observation) (all []Passed) {
	v := o.Ledger.Verdict.Value()
	for _, r := range o.answers() {
		if r.Disk.State == cluster.DiskData || slices.ContainsFunc(r.Disk.Aside, mayHoldData) {
			all = append(all, Passed{Name: r.Name, Disk: r.Disk, GivenUp: slices.Contains(v.GiveUp, r.Name) || slices.Contains(v.Lost, r.Name)})
		}
	}
	return all
}

// mayHoldData is false of what was set aside because it never received an entry.
func mayHoldData(aside string) bool { return !strings.HasPrefix(aside, "unused-") }

// passedOver are the nodes whose data would be left behind, and whom the
// operator's word does not name.
func passedOver(o Observation) (names []string) {
	for _, p := range leftBehind(o) {
		if !p.GivenUp {
			names = append(names, p.Name)
		}
	}
	return names
}
