package plan

import (
	"cmp"
	"slices"

	"github.com/quorate/quorate/internal/cluster"
)

// revisionBump is added to the revision of every restored seed: far more than
// any cluster writes between a backup and its loss (etcd's own advice).
const revisionBump = 1_000_000_000

// recovery is asked for when no quorum answers. A next epoch is founded only if
// a majority of the last known members is proven lost and every other one has
// answered; silence is never proof.
func recovery(o Observation) Decision {
	c := o.Ledger.Charter
	lock := o.Ledger.Lock
	_, verdict := o.Ledger.Verdict.Value(), o.Ledger.Verdict.Known()
	switch {
	case !c.Known():
		return wait("no quorum answers, and the ledger is unreadable")
	case o.quorumAnswers():
		return wait("a quorum lives")
	case lock.Unknown():
		return wait("no quorum answers, and the maintenance lock is unreadable")
	case lock.Known() && lock.Value().Held(o.Now):
		return wait("no quorum answers, and housekeeping is paused", lock.Value().Holder, ": ", lock.Value().Reason)
	case !o.Settings.AutoRecover && !verdict:
		return refuse("no quorum answers, and automatic recovery is off: use `quorate recover`")
	case !o.Settings.HasStore && !verdict:
		return wait("no quorum answers, and without a store only an operator can say who is lost: `quorate recover`")
	case o.Ledger.Checkpoint.Unknown():
		return wait("no quorum answers, and the last member list is unreadable")
	case o.Now.Sub(o.Self.Since) < o.Settings.FoundingWait:
		return wait("no quorum answers: waiting for agents to answer")
	}
	voters, lost, silent, survivors := census(o)
	switch {
	case voters == 0:
		return wait("no quorum answers, and nothing says who the members were")
	case voters-lost >= cluster.Quorum(voters):
		return wait("a quorum of the last members may come back", missingNames(silent, survivors))
	case len(silent) > 0:
		return wait("a silent member may hold the newest data", join2(silent))
	case len(survivors) > 0:
		return survive(o, survivors)
	}
	return reseed(o)
}

func missingNames(silent []string, survivors []cluster.Report) string {
	if len(silent) > 0 {
		return "waiting for " + join2(silent)
	}
	return "all that are left answer"
}

// suspect is a last known member, or a founder before anyone knew its id.
type suspect struct {
	cluster.Member
	founder bool // only the charter speaks of it
}

// census sorts the last known members into the lost, the silent and those that
// answer with their data.
func census(o Observation) (voters, lost int, silent []string, survivors []cluster.Report) {
	for _, s := range suspects(o) {
		if !s.Learner {
			voters++
		}
		if r, ok := holder(o, s); ok {
			survivors = append(survivors, r)
			continue
		}
		switch {
		case !provenLost(o, s):
			silent = append(silent, s.Label())
		case !s.Learner:
			lost++
		}
	}
	return voters, lost, silent, survivors
}

func suspects(o Observation) []suspect {
	var out []suspect
	for _, m := range o.Ledger.Checkpoint.Value().Members {
		out = append(out, suspect{Member: m})
	}
	if len(out) > 0 {
		return out
	}
	for _, f := range o.Ledger.Charter.Value().Founders {
		out = append(out, suspect{Member: cluster.Member{Name: f.Name, PeerURLs: []string{f.PeerURL}}, founder: true})
	}
	return out
}

// holder is the answering node that holds the suspect's data of this epoch.
func holder(o Observation, s suspect) (cluster.Report, bool) {
	for _, r := range o.answers() {
		if r.Disk.State != cluster.DiskData || !holdsEpoch(o, r.Disk) {
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

// provenLost says that the suspect's disk will never come back: its own machine
// says so, an operator says so, or the source says that the machine is gone and
// nothing answers at its address.
func provenLost(o Observation, s suspect) bool {
	if v := o.Ledger.Verdict; v.Known() && slices.Contains(v.Value().Lost, s.Label()) {
		return true
	}
	for _, r := range o.answers() {
		switch {
		case s.ID != 0 && r.Disk.MemberID == s.ID:
			return false
		case s.Name != "" && s.Name != r.Name:
			// Another machine at its address knows nothing of its disk.
		case s.ID != 0 && slices.Contains(r.Disowns, s.ID):
			return true
		case !s.Listens(r.PeerURL):
		case s.founder && (r.Lost >= o.epoch() || r.SeedFailed >= o.epoch() && o.Ledger.Ready.Absent()):
			return true
		case s.ID == 0 && !s.founder && r.Disk.State == cluster.DiskEmpty:
			return true // its entry was never made: a newcomer that has not started
		default:
			return false // something answers there that does not say it is lost
		}
	}
	return goneFromSource(o, s.Member) && !slices.ContainsFunc(s.PeerURLs, func(u string) bool { return slices.Contains(o.Strangers, u) })
}

// goneFromSource says that a source which can prove it says that the member's
// machine is gone. A peer of the same name at another address, or of another
// name at the same address, may be the same machine with its data: it must say
// what it holds before we conclude.
func goneFromSource(o Observation, m cluster.Member) bool {
	v := o.View.Value()
	if !o.View.Known() || !v.Authoritative {
		return false
	}
	for _, p := range v.Peers {
		u := p.PeerURL(o.Self.Scheme)
		here, same := m.Listens(u), m.Name != "" && p.Name == m.Name
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
		return r.PeerURL == peerURL && r.Disk.State != cluster.DiskUnread && r.Disk.MemberID != id
	})
}

// survive makes the survivor with the newest log the only founder of the next
// epoch: by last raft term, then index, as raft itself elects.
func survive(o Observation, survivors []cluster.Report) Decision {
	best := slices.MaxFunc(survivors, func(a, b cluster.Report) int {
		return cmp.Or(cmp.Compare(a.Disk.Term, b.Disk.Term), cmp.Compare(a.Disk.Index, b.Disk.Index), cmp.Compare(b.Name, a.Name))
	})
	if best.Name != o.Self.Name || best.PeerURL != o.Self.PeerURL {
		return wait("the survivor with the newest log founds the next epoch", best.Name)
	}
	if o.Process.Foreign {
		return refuse("this disk should seed the next epoch, but an etcd that quorate did not start runs on it")
	}
	seed := cluster.Seed{Kind: cluster.SeedSurvivor, Survivor: o.Self.Name, Member: o.Disk.MemberID,
		Term: o.Disk.Term, Index: o.Disk.Index, Bump: revisionBump}
	c := newCharter(o, o.epoch()+1, []cluster.Founder{{Name: o.Self.Name, PeerURL: o.Self.PeerURL}}, seed,
		"a majority is proven lost, and this survivor's log is the newest")
	return do("recover", "a majority is proven lost, and this survivor's log is the newest",
		[]any{"term ", o.Disk.Term, " index ", o.Disk.Index}, WriteCharter{c})
}

// reseed founds the next epoch when no disk of this one is left.
func reseed(o Observation) Decision {
	if o.Disk.State != cluster.DiskEmpty {
		return wait("every last known member is lost, and this disk is none of them")
	}
	if d, no := mayNotFound(o); no {
		return d
	}
	if name, holds := strayHolder(o); holds {
		return wait("a machine that is no known member holds data of this epoch", name)
	}
	seed, d, ok := nextSeed(o)
	if !ok {
		return d
	}
	if !o.Settings.HasStore {
		return reseedAlone(o, seed)
	}
	founders, d, ok := electFounders(o, reseedSize(o))
	if !ok {
		return d
	}
	reason := "every disk of epoch " + itoa(o.epoch()) + " is proven lost"
	return do("recover", "every disk of the epoch is proven lost", []any{"seed: ", cmp.Or(seed.Backup, string(seed.Kind))},
		WriteCharter{newCharter(o, o.epoch()+1, founders, seed, reason)})
}

// reseedAlone founds the next epoch without a store: nothing there makes one
// charter of two, so every peer of the view must answer with an empty disk and
// the same view, and the first of them founds alone. Its own grant says that
// this disk is the one that wrote the charter; the others join.
func reseedAlone(o Observation, seed cluster.Seed) Decision {
	if d, ok := unanimous(o); !ok {
		return d
	}
	if first := o.View.Value().Peers[0]; first.Name != o.Self.Name {
		return wait("the first peer of the view founds the next epoch", first.Name)
	}
	c := newCharter(o, o.epoch()+1, []cluster.Founder{{Name: o.Self.Name, PeerURL: o.Self.PeerURL}}, seed,
		"every disk of epoch "+itoa(o.epoch())+" is proven lost")
	return do("recover", "every disk of the epoch is proven lost", []any{"seed: ", seed.Kind}, GrantCharter{c}, WriteCharter{c})
}

// strayHolder is a node that is not in the last member list, and yet holds data
// of this epoch: the list may be older than we think.
func strayHolder(o Observation) (string, bool) {
	for _, r := range o.Reports {
		holds := r.Disk.State == cluster.DiskElsewhere || r.Disk.State == cluster.DiskData && (r.Disk.Epoch() > o.epoch() || holdsEpoch(o, r.Disk))
		if holds && !slices.Contains(o.Ledger.Verdict.Value().Lost, r.Name) {
			return r.Name, true
		}
	}
	return "", false
}

func reseedSize(o Observation) int {
	if n := o.foundingSize(); n > 0 {
		return n
	}
	return len(o.Ledger.Charter.Value().Founders)
}

// seedFailed says that a founder of the epoch in force could not restore its
// seed. Founders that were lost before they could say so prove nothing of it.
func seedFailed(o Observation) bool {
	return slices.ContainsFunc(o.answers(), func(r cluster.Report) bool { return r.SeedFailed >= o.epoch() && o.epoch() > 0 })
}

// nextSeed is the newest verified backup; without any, the old charter's empty
// seed if its epoch died before its birth, or an operator's word.
func nextSeed(o Observation) (cluster.Seed, Decision, bool) {
	c, b, v := o.Ledger.Charter.Value(), o.Ledger.Backup, o.Ledger.Verdict
	switch {
	case o.Ledger.Ready.Unknown():
		return cluster.Seed{}, wait("the ready mark is unreadable"), false
	case b.Unknown():
		return cluster.Seed{}, wait("every disk is lost, and the backups are unreadable"), false
	case v.Value().Backup != "" && b.Value().Key != v.Value().Backup:
		return cluster.Seed{}, wait("the backup that the operator has named is not the one that was verified", v.Value().Backup), false
	case b.Known() && b.Value().Key == c.Seed.Backup && !v.Known() && seedFailed(o):
		return cluster.Seed{}, refuse("the newest backup has been tried and cannot be restored: use `quorate recover`", b.Value().Key), false
	case b.Known():
		return cluster.Seed{Kind: cluster.SeedBackup, Backup: b.Value().Key, SHA256: b.Value().SHA256, Bump: revisionBump}, Decision{}, true
	case o.Ledger.Ready.Absent() && c.Seed.Kind == cluster.SeedEmpty && o.Settings.HasStore:
		return cluster.Seed{Kind: cluster.SeedEmpty}, Decision{}, true
	case v.Known() && v.Value().Empty:
		return cluster.Seed{Kind: cluster.SeedEmpty}, Decision{}, true
	}
	return cluster.Seed{}, refuse("every disk is lost and nothing can be restored: use `quorate recover --empty`", "charter ", c.Epoch, " exists"), false
}
