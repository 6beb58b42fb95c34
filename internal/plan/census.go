package plan

import (
	"cmp"
	"slices"

	"github.com/quorate/quorate/internal/cluster"
)

// suspect is a last known member, or a founder before anyone knew its id.
type suspect struct {
	cluster.Member
	founder bool // only the charter speaks of it
}

// census sorts the last known members into the lost, the silent and those that
// answer with their data. Who votes, the newest survivor's own data says, if it
// can: the store's list lacks a change that the store did not take. Whoever
// either list names must answer or be lost.
//
// A member whose own data says that it has been removed is no voter, even where
// the newest list has not got so far: its word is a committed change of this
// epoch's history, which no later leader undoes; it never changes; and its etcd
// is not started again (resume), so that it elects nobody who still counts on
// its vote. Leaving it out asks for no less loss than counting it as dead would.
// Its log counts all the same: an acknowledged write may be there alone.
func census(o Observation) (voters, lost int, silent []string, survivors []cluster.Report) {
	for _, s := range suspects(o) {
		r, holds := holder(o, s)
		if holds {
			survivors = append(survivors, r) // its log counts, even if an operator gives up its vote
		}
		if r.Disk.Removed {
			continue
		}
		if !s.Learner {
			voters++
		}
		switch {
		case holds && !namedLost(o, s):
		case !provenLost(o, s):
			silent = append(silent, s.Label())
		case !s.Learner:
			lost++
		}
	}
	return voters, lost, silent, survivors
}

// suspects are the voters and learners of the newest survivor's own list, and
// whoever else the store's list or, without one, the charter names: without a
// vote, if that survivor knows better.
func suspects(o Observation) []suspect {
	var kept, out []suspect
	for _, m := range o.Ledger.Checkpoint.Value().Members {
		kept = append(kept, suspect{Member: m})
	}
	if len(kept) == 0 {
		for _, f := range o.Ledger.Charter.Value().Founders {
			kept = append(kept, suspect{Member: cluster.Member{Name: f.Name, PeerURLs: []string{f.PeerURL}}, founder: true})
		}
	}
	newest := newestHolder(o)
	if len(newest.Local) == 0 {
		return kept
	}
	for _, m := range newest.Local {
		out = append(out, suspect{Member: m})
	}
	for _, s := range kept {
		if !slices.ContainsFunc(newest.Local, func(m cluster.Member) bool { return isSame(s, m) }) {
			s.Learner = true
			out = append(out, s)
		}
	}
	return out
}

// LastMembers are those of whom a recovery asks whether they are lost: an
// operator gives them up by their labels.
func LastMembers(o Observation) []cluster.Member {
	var out []cluster.Member
	for _, s := range suspects(o) {
		out = append(out, s.Member)
	}
	return out
}

// isSame says that the store's, or the charter's, s is the member m.
func isSame(s suspect, m cluster.Member) bool {
	if s.founder {
		return s.Name == m.Name || slices.ContainsFunc(m.PeerURLs, s.Listens)
	}
	return s.ID == m.ID || s.ID == 0 && slices.ContainsFunc(m.PeerURLs, s.Listens)
}

// newestHolder is, of all that answer with data of this epoch, the one with the
// newest log; the zero report when there is none.
func newestHolder(o Observation) (newest cluster.Report) {
	for _, r := range o.answers() {
		if !holdsLog(o, r.Disk) {
			continue
		}
		if compareLogs(r, newest) > 0 {
			newest = r
		}
	}
	return newest
}

// compareLogs orders data as raft elects: by last term, then index. Of equals a
// member comes before one that has been removed.
func compareLogs(a, b cluster.Report) int {
	return cmp.Or(cmp.Compare(a.Disk.Term, b.Disk.Term), cmp.Compare(a.Disk.Index, b.Disk.Index),
		cmp.Compare(standingOf(a), standingOf(b)), cmp.Compare(b.Name, a.Name))
}

func standingOf(r cluster.Report) int {
	if r.Disk.Removed {
		return 0
	}
	return 1
}

// holder is the answering node that holds the suspect's data of this epoch.
func holder(o Observation, s suspect) (cluster.Report, bool) {
	for _, r := range o.answers() {
		if !holdsLog(o, r.Disk) {
			continue
		}
		if s.ID != 0 && r.Disk.MemberID == s.ID || s.ID == 0 && (r.Name == s.Name || s.Listens(r.PeerURL)) {
			return r, true
		}
	}
	return cluster.Report{}, false
}

// holdsEpoch says that the data is of the epoch in force: by its stamp or,
// where quorate has not stamped it yet, as the adopted cluster's.
func holdsEpoch(o Observation, d cluster.Disk) bool {
	if d.Stamp != nil {
		return d.Stamp.Epoch == o.epoch()
	}
	return d.ClusterID == o.Ledger.Charter.Value().Seed.ClusterID
}

// toldWhatIsLost says that an operator's word is known, and stands.
func (o Observation) toldWhatIsLost() bool { return o.Ledger.Verdict.Value().Stands() }

// namedLost says that an operator has given the suspect up, by name or, for an
// entry without a name, by peer URL.
func namedLost(o Observation, s suspect) bool {
	return slices.Contains(o.Ledger.Verdict.Value().Lost, s.Label())
}

// holdsLog says that the disk has something of this epoch to lose. A learner
// that was cut off before its first entry has not: it must not win over a backup.
func holdsLog(o Observation, d cluster.Disk) bool {
	return d.State == cluster.DiskData && d.Index > 0 && holdsEpoch(o, d)
}

// provenLost says that the suspect's disk will never come back: its own machine
// says so, an operator says so, or the source says that the machine is gone and
// nothing answers at its address.
func provenLost(o Observation, s suspect) bool {
	if namedLost(o, s) {
		return true
	}
	if lost, told := ownWord(o, s); told {
		return lost
	}
	return goneFromSource(o, s.Member) && !slices.ContainsFunc(s.PeerURLs, func(u string) bool { return slices.Contains(o.Strangers, u) })
}

// ownWord is what the suspect's own machine says of its disk: that it is lost,
// for good, or that it may not be; told is false when that machine is silent.
func ownWord(o Observation, s suspect) (lost, told bool) {
	for _, r := range o.answers() {
		switch {
		case s.ID != 0 && r.Disk.MemberID == s.ID:
			return false, true
		case s.Name != "" && s.Name != r.Name:
			// Another machine at its address knows nothing of its disk.
		case s.ID != 0 && slices.Contains(r.Disowns, s.ID):
			return true, true
		case !s.Listens(r.PeerURL):
		case s.founder && (r.Lost >= o.epoch() || r.SeedFailed >= o.epoch() && o.Ledger.Ready.Absent()):
			return true, true
		case s.ID == 0 && !s.founder && r.Disk.State == cluster.DiskEmpty:
			return true, true // its entry was never made: a newcomer that has not started
		default:
			return false, true // something answers there that does not say it is lost
		}
	}
	return false, false
}

// nobodyLeft says that a fresh agent has nobody to wait for: of a source that
// lists whoever belongs here every machine answers, with an empty disk and the
// same view, and each last member's own machine says that its disk is lost, for
// good. What the source alone, or an operator, says of a loss does not count
// here: that who is still alive has had the time to answer is a part of that
// evidence. Nor does the list of members, if somebody is just coming in.
func nobodyLeft(o Observation) bool {
	if _, all := unanimous(o); !all || !o.View.Value().Authoritative {
		return false
	}
	members := suspects(o)
	return len(members) > 0 && !slices.ContainsFunc(members, func(s suspect) bool {
		lost, _ := ownWord(o, s)
		return !lost || s.ID == 0 && !s.founder
	})
}

// goneFromSource says that a source which can prove it says that the member's
// machine is gone. A peer of the same name at another address, or of another
// name at the same address, may be the same machine with its data: it must say
// what it holds before we conclude.
func goneFromSource(o Observation, m cluster.Member) bool {
	v := o.View.Value()
	if !v.Authoritative {
		return false
	}
	for _, p := range v.Peers {
		u := p.PeerURL(o.Self.Scheme)
		here, same := m.Listens(u), p.Name == m.Name
		switch {
		case p.State == cluster.Terminated || !here && !same:
		case here && (same || m.Name == ""):
			return false
		case !holdsAnother(o, u, m.ID):
			return false
		}
	}
	return true
}

// holdsAnother says that the agent at that address answers for its disk, and
// that it is not the member's.
func holdsAnother(o Observation, peerURL string, id cluster.MemberID) bool {
	return slices.ContainsFunc(o.answers(), func(r cluster.Report) bool {
		return r.PeerURL == peerURL && (r.Disk.State == cluster.DiskEmpty || r.Disk.State != cluster.DiskUnread && r.Disk.MemberID != id)
	})
}
