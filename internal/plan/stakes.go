package plan

import (
	"slices"

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
	Members []Stake       // the newest log first, then the others as they are listed
	// Backup is the newest good one of this epoch, as far as that is known.
	Backup cluster.Fact[cluster.Backup]
	// Then is what this node would decide if the word were given.
	Then Decision
}

// AtStake works out what hangs on the verdict v. Nothing is decided by it.
func AtStake(o Observation, v cluster.Verdict) Stakes {
	o.Ledger.Verdict = cluster.Known(v)
	s := Stakes{Epoch: o.epoch(), Backup: o.Ledger.Backup, Then: Decide(o)}
	if b := o.Ledger.Backup; b.Known() && b.Value().Epoch != o.epoch() {
		s.Backup = cluster.Absent[cluster.Backup]()
	}
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
