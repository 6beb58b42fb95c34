package plan

import (
	"time"

	"github.com/quorate/quorate/internal/cluster"
)

// Proving is what is known of the proof of backups on this node.
type Proving struct {
	Every  time.Duration // between two proofs; 0: none
	Last   time.Time     // when this node began its last one; zero: never
	Began  time.Time     // when the agent did
	Newest *cluster.Backup
}

// ProvesBackup says whether this node is to restore the newest backup now, to
// see that it can be done, and if not, why. One node does it: the last healthy
// follower by name, because the first ones take backups; the leader only where
// it is alone. A young agent waits a tenth of the interval: there is enough to do
// after a start.
func ProvesBackup(o Observation, p Proving) (due bool, why string) {
	switch {
	case p.Every <= 0 || !o.Settings.HasStore:
		return false, "no backups are proven"
	case !o.Etcd.Value().Healthy || o.Etcd.Value().Learner:
		return false, "this node is no healthy voter"
	case !o.Members.Known():
		return false, "the members are unknown"
	case o.Ledger.Lock.Value().Held(o.Now):
		return false, "housekeeping rests"
	case p.Newest == nil:
		return false, "no backup is known"
	case p.Newest.Epoch != o.epoch():
		return false, "the newest backup is of another epoch"
	case within(o.Now.Sub(p.Last), p.Every):
		return false, "the last proof is young"
	case within(o.Now.Sub(p.Began), p.Every/10):
		return false, "the agent is young"
	}
	if by := ProofBy(o); by != o.Self.Name {
		return false, "it is for " + by + " to do"
	}
	return true, ""
}

// ProofBy is who restores backups for a proof. Each node decides it for itself,
// by reports that may be seconds old: two at a time, or none for a while, does no
// harm.
func ProofBy(o Observation) string {
	by := ""
	for _, m := range o.Members.Value() {
		name, e, leaves := o.Self.Name, o.Etcd.Value(), o.Self.Leaving
		if m.ID != e.MemberID {
			r, _ := o.reportOf(m) // none: nobody says that it is healthy
			name, e, leaves = r.Name, r.Etcd, r.Leaving
		}
		if !m.Learner && e.Healthy && m.ID != e.Leader && !leaves && name > by {
			by = name
		}
	}
	if by == "" {
		return o.Self.Name // alone, or the others cannot
	}
	return by
}
