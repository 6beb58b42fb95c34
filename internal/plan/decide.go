package plan

import (
	"time"

	"github.com/quorate/quorate/internal/cluster"
)

// Decide says what this node does next, and why.
func Decide(o Observation) Decision { return holdOwn(o, rollBack(o, decide(o))) }

// decide is Decide but for our own machine's hook and an etcd that a roll broke. The order of the cases is the
// safety argument: what is unread is not touched, nor what is another cluster's; data of an epoch that is over
// is never served; what runs is left to run; data on disk comes before every
// way to do without it; a living cluster is joined before anything is founded;
// and founding comes last, behind a ledger that is proven empty.
func decide(o Observation) Decision {
	switch {
	case o.Disk.State == cluster.DiskUnread:
		return wait("the data directory is unread", o.Disk.Detail)
	case o.OfAnother():
		return refuse("the data belongs to another cluster", "its stamp says ", o.Disk.Stamp.Cluster, ", --cluster says ", o.Settings.Cluster)
	case fenced(o):
		return succeed(o)
	case o.Process.Running:
		return serve(o)
	case o.Now.Before(o.Process.NotBefore):
		return wait("etcd ended too soon: backing off", "until ", o.Process.NotBefore.UTC().Format(time.TimeOnly))
	case o.Disk.State == cluster.DiskElsewhere:
		return wait("the etcd that served here is down, and its data is not in our data directory")
	case o.Disk.State == cluster.DiskData:
		return resume(o)
	case o.Self.Leaving:
		return wait("this node has left the cluster")
	case o.Ledger.Unfit != "":
		return refuse("the store cannot hold a ledger", o.Ledger.Unfit)
	case o.Ledger.Charter.Unknown():
		return wait("the ledger is unreadable, and the disk is empty")
	case o.Ledger.Charter.Absent():
		return found(o)
	case mayStartAsFounder(o):
		return execute(o)
	case isFounder(o) && o.Ledger.Mark.Unknown() && !o.quorumAnswers():
		return wait("the charter names this node, and whether it has started is unread")
	case unclaimed(o):
		return refuse("an adopted member's data may lie elsewhere on this machine: give --etcd-data-dir, or remove that member by hand")
	case o.quorumAnswers():
		return join(o)
	}
	return recovery(o)
}

// quorumAnswers says that the agent beside a leader answers, or that several do
// and contradict each other: in both cases there is a cluster.
func (o Observation) quorumAnswers() bool {
	_, found, torn := o.keeper()
	return found || torn
}

// Led says that a cluster answers.
func Led(o Observation) bool { return o.quorumAnswers() }

// fenced says that our data is of an epoch that is over.
func fenced(o Observation) bool {
	s := o.Disk.Stamp
	return o.Disk.State == cluster.DiskData && s != nil && s.Epoch < o.epoch()
}

// succeed ends our part in an older epoch: the data goes aside, unless the new
// charter makes it the seed.
func succeed(o Observation) Decision {
	c := o.Ledger.Charter.Value()
	detail := []any{"our data is of epoch ", o.Disk.Epoch(), ", the charter of ", c.Epoch}
	seeds := c.Seed.Kind == cluster.SeedSurvivor && c.Seed.Survivor == o.Self.Name && c.Seed.Member == o.Disk.MemberID
	switch {
	case o.Process.Foreign:
		return refuse("an etcd of an older epoch runs here that quorate did not start: stop it", detail...)
	case o.Process.Running:
		return do("fence", "a newer epoch is in force", detail, StopEtcd{})
	case seeds && o.Staged != c.Epoch:
		return do("recover", "this disk seeds the new epoch", detail, SeedFromSurvivor{c})
	case seeds:
		return do("recover", "this disk seeds the new epoch", detail,
			SetDataAside{aside(o.Disk.Epoch())}, WriteStartedMark{c.Epoch}, InstallSeed{c.Epoch, founderIdentity(c.Epoch)})
	}
	return do("fence", "a newer epoch is in force", detail, SetDataAside{aside(o.Disk.Epoch())})
}

// ledgerPatience is how long data waits for the ledger's first answer: a store
// that hangs must not keep a cluster down.
const ledgerPatience = 3 * time.Second

// crashLoop is how many ends in a row say that etcd will not stay up on its data.
const crashLoop = 3

// resume starts etcd on the data that is here, when that data is this
// cluster's and its member has not been removed. A store that is down, silent
// peers and a missing charter are no reason to leave data unserved: but a store
// that may be about to answer is heard first, or old data would serve until then.
func resume(o Observation) Decision {
	s, c := o.Disk.Stamp, o.Ledger.Charter
	k, found, _ := o.keeper()
	sameCluster := found && k.Etcd.ClusterID == o.Disk.ClusterID
	switch {
	case c.Unknown() && o.Ledger.Asking && o.Now.Sub(o.Self.Since) < ledgerPatience:
		return wait("the ledger is being asked whether the data is of an epoch that is over")
	case s == nil && c.Unknown():
		return wait("the ledger is unreadable, and nothing else says whose the data is")
	case s == nil && c.Known() && c.Value().Seed.ClusterID != o.Disk.ClusterID:
		return refuse("the data belongs to another cluster", "etcd cluster id ", o.Disk.ClusterID, ", unknown to charter ", o.epoch())
	case s != nil && s.Epoch == o.epoch() && s.Charter.Nonce != c.Value().Nonce:
		return refuse("the data belongs to another founding of this cluster", "token ", s.Charter.Token, ", the charter says ", c.Value().Token)
	case found && !sameCluster:
		return refuse("the data belongs to another cluster", "etcd cluster id ", o.Disk.ClusterID, ", ", k.Name, " leads ", k.Etcd.ClusterID)
	case sameCluster && k.Etcd.Term >= o.Disk.Term && !listed(k.Members, o.Disk.MemberID):
		return do("rejoin", "this member has been removed from the cluster", []any{"member ", o.Disk.MemberID}, SetDataAside{"removed"})
	}
	if o.Disk.Removed {
		// Nobody will follow it, and it may not help to elect anyone: census counts
		// on that. Its log may yet be the newest that is left.
		return recovery(o)
	}
	// A member that the others have removed while a quorum lived ends at once, and
	// its log may yet be the newest that is left. One that never had an entry has
	// been stopped to make room.
	if d := recovery(o); d.Verb == "recover" && (o.Process.Crashes >= crashLoop || o.Disk.Index == 0) {
		return d
	}
	v, roll := o.startsFor()
	return do("start", "the data is usable", nil, StartEtcd{State: "resume", Charter: stampCharter(o), Version: v, Roll: roll})
}

func stampCharter(o Observation) cluster.Charter {
	if s := o.Disk.Stamp; s != nil {
		return s.Charter
	}
	return o.Ledger.Charter.Value()
}

func listed(members []cluster.Member, id cluster.MemberID) bool {
	_, ok := cluster.ByID(members, id)
	return ok
}

// serve watches over a running etcd, and restarts it when it must and nothing
// else is to be done.
func serve(o Observation) Decision { return announce(o, takeTurn(o, attend(o))) }

// attend is serve but for restarts: the leader's agent keeps the house, the
// others follow, and without a leader somebody must ask whether one can ever
// come back.
func attend(o Observation) Decision {
	e, c := o.Etcd.Value(), o.Ledger.Charter
	adopted := c.Value().Seed.Kind == cluster.SeedAdopted && c.Value().Seed.ClusterID == o.Disk.ClusterID
	k, found, torn := o.keeper()
	switch {
	case o.Disk.State == cluster.DiskData && o.Disk.Stamp == nil && adopted:
		return claimData(o)
	case found && !o.Process.Foreign && o.Disk.State == cluster.DiskData && k.Etcd.ClusterID == o.Disk.ClusterID &&
		k.Etcd.Term >= o.Disk.Term && !listed(k.Members, o.Disk.MemberID):
		return do("rejoin", "this member has been removed from the cluster", []any{"member ", o.Disk.MemberID}, StopEtcd{})
	case o.IsKeeper() && (torn || found && k.Etcd.ClusterID != e.ClusterID):
		return refuse("two clusters answer: end one of them")
	case o.IsKeeper() && !inForce(o):
		return refuse("the etcd that runs here is not of the charter in force", "charter ", o.epoch(), ", our data is of epoch ", o.Disk.Epoch())
	case o.IsKeeper():
		return keep(o)
	case e.Healthy && e.Learner:
		return do("serve", "learner: catching up", nil)
	case e.Healthy:
		return do("serve", "voter: following the leader", nil)
	case o.UnhealthySince.IsZero() || o.Now.Sub(o.UnhealthySince) < o.Settings.FoundingWait:
		return wait("etcd is starting or has no leader")
	case found:
		return wait("etcd does not follow the leader that answers", k.Name, " leads")
	}
	return recovery(o)
}

// inForce says that our running etcd is of the charter in force, as far as the
// ledger tells: an unreadable one is no reason to doubt, and an empty one may
// have lost the charter of a first epoch, never of a later one.
func inForce(o Observation) bool {
	s, c := o.Disk.Stamp, o.Ledger.Charter
	switch {
	case c.Unknown():
		return true
	case c.Absent():
		return s == nil || s.Epoch == 1
	case s != nil:
		return s.Charter.Nonce == c.Value().Nonce
	}
	return c.Value().Seed.ClusterID == o.Etcd.Value().ClusterID
}

// claimData stamps an adopted member's data. The mark comes first: from then on
// an empty disk here is a lost one, and not one whose data is elsewhere.
func claimData(o Observation) Decision {
	c := o.Ledger.Charter.Value()
	d := do("adopt", "the data is of the adopted cluster", nil, AdoptData{c})
	if !o.Ledger.Mark.Known() {
		d.Steps = append([]Step{WriteStartedMark{c.Epoch}}, d.Steps...)
	}
	return d
}

func aside(e cluster.Epoch) string { return "epoch-" + itoa(e) }
