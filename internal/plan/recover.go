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
	verdict := o.toldWhatIsLost()
	switch {
	case !c.Known():
		return wait("no quorum answers, and the ledger is unreadable")
	case o.quorumAnswers():
		return wait("a quorum lives")
	case lock.Unknown():
		return wait("no quorum answers, and the maintenance lock is unreadable")
	case lock.Value().Held(o.Now):
		return wait("no quorum answers, and housekeeping is paused", lock.Value().Holder, ": ", lock.Value().Reason)
	case !o.Settings.AutoRecover && !verdict:
		return refuse("no quorum answers, and automatic recovery is off: use `quorate recover`")
	case !o.Settings.HasStore && !verdict:
		return wait("no quorum answers, and without a store only an operator can say who is lost: `quorate recover`")
	case o.Ledger.Checkpoint.Unknown():
		return wait("no quorum answers, and the last member list is unreadable")
	case o.Now.Sub(o.Self.Since) < o.Settings.FoundingWait && !nobodyLeft(o):
		return wait("no quorum answers: waiting for agents to answer")
	case o.Disk.State == cluster.DiskData && o.Disk.Index == 0 && !o.Process.Foreign:
		return makeRoom(o)
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
	if learners := strayLearners(o); len(learners) > 0 {
		return survive(o, learners)
	}
	return reseed(o)
}

// SeeksBackup says that it is time to find out which backup is good: to read
// the newest whole, which costs as much as a restore. A founder's charter says
// which it is, and who can join needs none.
func SeeksBackup(o Observation) bool {
	wait := o.Settings.FoundingWait / 2
	switch {
	case o.Etcd.Value().Healthy || o.Disk.State != cluster.DiskEmpty && o.Disk.State != cluster.DiskData:
		return false
	case o.Disk.State == cluster.DiskEmpty && (mayStartAsFounder(o) || o.quorumAnswers()):
		return false
	}
	return nobodyLeft(o) || o.Now.Sub(o.Self.Since) >= wait && o.Now.Sub(o.UnhealthySince) >= wait
}

// makeRoom sets the data aside that a learner has made and that was cut off
// before its first entry: it has promised nothing, and with an empty disk it can
// say so and disown its entry. A first entry may arrive until its etcd has
// ended: whether one has, the next look at the disk says.
func makeRoom(o Observation) Decision {
	if o.Process.Running {
		return do("recover", "this disk has never received an entry: its etcd ends first", nil, StopEtcd{})
	}
	return do("recover", "this disk has never received an entry: it makes room", nil, SetDataAside{"unused"})
}

func missingNames(silent []string, survivors []cluster.Report) string {
	if len(silent) > 0 {
		return "waiting for " + join2(silent)
	}
	return "all that are left answer"
}

// survive makes the survivor with the newest log the only founder of the next
// epoch: by last raft term, then index, as raft itself elects. Its log is the
// seed, unless the store holds more.
func survive(o Observation, survivors []cluster.Report) Decision {
	best := slices.MaxFunc(survivors, compareLogs)
	if best.PeerURL != o.Self.PeerURL {
		return wait("the survivor with the newest log founds the next epoch", best.Name)
	}
	if o.Process.Foreign {
		return refuse("this disk should seed the next epoch, but an etcd that quorate did not start runs on it")
	}
	seed, reason, d, ok := longerHistory(o)
	if !ok {
		return d
	}
	c := newCharter(o, o.epoch()+1, []cluster.Founder{{Name: o.Self.Name, PeerURL: o.Self.PeerURL}}, seed, reason+": "+positions(o))
	return do("recover", reason, []any{positions(o)}, WriteCharter{c})
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

// strayLearners are the nodes that are in no member list, hold data of this
// epoch, and only ever were learners: a keeper may die before it has listed one.
// They elect nobody, so that once an operator says who is lost their data wins
// over a backup. Beside any other stray they prove nothing.
func strayLearners(o Observation) (learners []cluster.Report) {
	lost := o.Ledger.Verdict.Value().Lost
	if len(lost) == 0 {
		return nil
	}
	for _, r := range o.answers() {
		switch {
		case slices.Contains(lost, r.Name) || r.Disk.State == cluster.DiskEmpty:
		case !holdsLog(o, r.Disk) || !r.Etcd.Learner:
			return nil
		default:
			learners = append(learners, r)
		}
	}
	return learners
}

// strayHolder is a node that is not in the last member list, and yet holds data
// of this epoch: the list may be older than we think.
func strayHolder(o Observation) (string, bool) {
	for _, r := range o.Reports {
		holds := r.Disk.State == cluster.DiskElsewhere || r.Disk.State == cluster.DiskData && (r.Disk.Epoch() > o.epoch() || holdsLog(o, r.Disk))
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
	return slices.ContainsFunc(o.answers(), func(r cluster.Report) bool { return r.SeedFailed >= o.epoch() })
}

// nextSeed is the newest verified backup; without any, the old charter's empty
// seed if its epoch died before its birth, or an operator's word.
func nextSeed(o Observation) (cluster.Seed, Decision, bool) {
	c, b, v, told := o.Ledger.Charter.Value(), o.Ledger.Backup, o.Ledger.Verdict, o.toldWhatIsLost()
	switch {
	case o.Ledger.Ready.Unknown():
		return cluster.Seed{}, wait("the ready mark is unreadable"), false
	case b.Unknown(), o.Ledger.Unread, o.Ledger.Outdone:
		return cluster.Seed{}, wait("every disk is lost, and which backup is good is not known yet"), false
	case v.Value().Backup != "" && b.Value().Key != v.Value().Backup:
		return cluster.Seed{}, wait("the backup that the operator has named is not the one that was verified", v.Value().Backup), false
	case b.Known() && c.Seed.Kind == cluster.SeedSurvivor && o.Ledger.Ready.Absent() && !told:
		// Others followed the survivor, and set their own data of the epoch before
		// aside: it may hold more than any backup.
		return cluster.Seed{}, refuse("the survivor that was to seed this epoch is lost: data that other nodes have set aside may be newer than any backup: use `quorate recover`", c.Seed.Survivor), false
	case b.Known() && c.Seed.Over != "" && b.Value().Key != c.Seed.Backup && o.Ledger.Ready.Absent() && !told:
		return cluster.Seed{}, refuse("the backup that was to seed this epoch is gone: the data that was set aside for it may be newer than any other: use `quorate recover`", c.Seed.Over), false
	case b.Known() && b.Value().Key == c.Seed.Backup && !told && seedFailed(o):
		return cluster.Seed{}, refuse("the newest backup has been tried and cannot be restored: use `quorate recover`", b.Value().Key), false
	case !told && missed(o, b.Value(), cluster.Disk{}):
		return cluster.Seed{}, refuse("the store once held more than it does now: use `quorate recover`", b.Value().Key), false
	case b.Known():
		return cluster.Seed{Kind: cluster.SeedBackup, Backup: b.Value().Key, SHA256: b.Value().SHA256, Log: b.Value().Log, Bump: revisionBump}, Decision{}, true
	case o.Ledger.Ready.Absent() && c.Seed.Kind == cluster.SeedEmpty && o.Settings.HasStore:
		return cluster.Seed{Kind: cluster.SeedEmpty}, Decision{}, true
	case v.Value().Empty && len(passedOver(o)) > 0:
		return cluster.Seed{}, refuse("an empty cluster would pass over data on a disk that answers: name it to `quorate recover --empty --give-up`", join2(passedOver(o))), false
	case v.Value().Empty:
		return cluster.Seed{Kind: cluster.SeedEmpty}, Decision{}, true
	}
	return cluster.Seed{}, refuse("every disk is lost and nothing can be restored: use `quorate recover --empty`", "charter ", c.Epoch, " exists"), false
}
