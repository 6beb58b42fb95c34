package plan

import (
	"slices"

	"github.com/quorate/quorate/internal/cluster"
)

// Claims are what a node says of itself to the others, beyond raw facts. Lost,
// SeedFailed and Disowns are never taken back, so that a reader of an old
// report cannot be wrong about them.
type Claims struct {
	Lost       cluster.Epoch
	SeedFailed cluster.Epoch
	Disowns    []cluster.MemberID
	Joining    bool
	Moved      bool
}

// seedTries is how often a founder tries to restore its seed before it says so.
const seedTries = 3

// Claim works out this node's claims.
func Claim(o Observation) Claims {
	c := Claims{Disowns: disowned(o), Moved: moved(o)}
	if founderLost(o) {
		c.Lost = o.epoch()
	}
	if seedFailing(o) {
		c.SeedFailed = o.epoch()
	}
	_, unplaced := notOurPlace(o)
	// One whose etcd has just ended lets others in first: it may end again.
	c.Joining = o.Disk.State == cluster.DiskEmpty && !o.Process.Running && !o.Now.Before(o.Process.NotBefore) && !o.Self.Leaving &&
		o.Ledger.Charter.Known() && !mayStartAsFounder(o) && !unclaimed(o) && o.Settings.Join != cluster.JoinPrepared &&
		(!unplaced || guest(o))
	return c
}

// guest says that a source which cannot prove who is gone does not list us:
// the keeper may still let us in.
func guest(o Observation) bool {
	_, in := o.peer()
	return o.View.Known() && !o.View.Value().Authoritative && !in
}

// isFounder says that the charter in force names this node at this address.
func isFounder(o Observation) bool {
	f, ok := o.Ledger.Charter.Value().Founder(o.Self.Name)
	return ok && f.PeerURL == o.Self.PeerURL
}

// mayStartAsFounder says that this empty disk may start as the charter's
// founder: it is proven that it has never voted in that epoch, and nothing says
// that the cluster has gone on without us.
func mayStartAsFounder(o Observation) bool {
	_, found, torn := o.keeper()
	if !isFounder(o) || o.Ledger.Charter.Value().Seed.Kind == cluster.SeedAdopted || o.Disk.State != cluster.DiskEmpty || founderSpent(o) || o.Self.Leaving || torn ||
		o.Ledger.Mark.Unknown() || !found && o.Settings.HasStore && o.Ledger.Checkpoint.Unknown() {
		return false
	}
	return !replaced(o)
}

// unborn says that m may be this founder's entry, never started: it votes, and
// no etcd has yet said under it where it serves.
func unborn(o Observation, m cluster.Member) bool {
	return m.Listens(o.Self.PeerURL) && !m.Learner && len(m.ClientURLs) == 0
}

// founderSpent says that this node will never again start as a founder of the
// epoch in force.
func founderSpent(o Observation) bool {
	return founderLost(o) || seedFailing(o)
}

// seedFailing says that this node cannot restore the seed of the epoch in force.
func seedFailing(o Observation) bool {
	return o.Process.SeedFails >= seedTries && o.Staged != o.epoch()
}

// founderLost says that this node was a founder of the epoch in force, and that
// the disk which may have voted as that founder is gone.
func founderLost(o Observation) bool {
	c, m := o.Ledger.Charter.Value(), o.Ledger.Mark
	switch {
	case !isFounder(o) || o.Disk.State != cluster.DiskEmpty:
		return false
	case o.Process.Running: // its etcd is starting, and will write its log yet
		return false
	case m.Known() && m.Value().DiskID != o.Disk.ID:
		return true
	case o.Staged == c.Epoch: // a complete seed that has never been started from
		return false
	case slices.Contains(o.Disk.Spent, founderIdentity(c.Epoch)):
		return true
	}
	// A survivor's seed lies on its own disk alone. So does an adopted member's
	// data, but not always in our directory: only if an agent has held it there.
	return c.Seed.Kind == cluster.SeedSurvivor || c.Seed.Kind == cluster.SeedAdopted && m.Known()
}

// unclaimed says that an adopted member lives, or has lived, at this address
// whose data no agent has ever held: that we do not have it does not mean that
// it is lost. It may lie elsewhere on this machine.
func unclaimed(o Observation) bool {
	c := o.Ledger.Charter.Value()
	if c.Seed.Kind != cluster.SeedAdopted || o.Disk.State != cluster.DiskEmpty || o.Ledger.Mark.Known() ||
		!slices.ContainsFunc(c.Founders, func(f cluster.Founder) bool { return f.PeerURL == o.Self.PeerURL }) {
		return false
	}
	members, invitations := o.knownMembers()
	return slices.ContainsFunc(members, func(m cluster.Member) bool {
		return m.Listens(o.Self.PeerURL) && !invited(o, m, invitations)
	})
}

// replaced says that the best list of members is without our founder's entry.
func replaced(o Observation) bool {
	members, _ := o.knownMembers()
	return len(members) > 0 && !slices.ContainsFunc(members, func(m cluster.Member) bool { return unborn(o, m) })
}

// disowned are the members at this node's address whose data this disk does
// not hold and never will. Data of another node, on a disk that has been
// swapped, says nothing: our own may come back. On an empty disk a staged seed
// keeps nobody's entry but that of the founder that may yet start from it.
func disowned(o Observation) []cluster.MemberID {
	d := o.Disk
	own := d.State == cluster.DiskData && d.Stamp != nil && d.Stamp.Name == o.Self.Name
	if !own && (d.State != cluster.DiskEmpty || o.Process.Running) || own && o.Staged != 0 || unclaimed(o) {
		return nil
	}
	mayFound := d.State == cluster.DiskEmpty && isFounder(o) && !founderSpent(o)
	members, invitations := o.knownMembers()
	var ids []cluster.MemberID
	for _, m := range members {
		if m.ID == 0 || !m.Listens(o.Self.PeerURL) || m.ID == d.MemberID || invited(o, m, invitations) || mayFound && unborn(o, m) {
			continue
		}
		ids = append(ids, m.ID)
	}
	return ids
}

// knownMembers is the best member list at hand: the keeper's, else the store's
// and those in the nodes' own data. An old list does no harm: what we do not
// hold, and never will, we may disown whoever still lists it.
func (o Observation) knownMembers() ([]cluster.Member, map[cluster.MemberID]string) {
	if o.Members.Known() {
		return o.Members.Value(), o.Invitations
	}
	if k, found, _ := o.keeper(); found {
		return k.Members, k.Invitations
	}
	members := append(slices.Clone(o.Ledger.Checkpoint.Value().Members), o.Local...)
	for _, r := range o.Reports {
		if r.Cluster == o.Settings.Cluster && r.Disk.State == cluster.DiskData && holdsEpoch(o, r.Disk) {
			members = append(members, r.Local...)
		}
	}
	return members, nil
}

// invited says that m, at our address, is an unstarted entry made for this very disk.
func invited(o Observation, m cluster.Member, invitations map[cluster.MemberID]string) bool {
	if m.Started() || slices.Contains(o.Disk.Spent, m.ID.String()) {
		return false
	}
	disk, ok := invitations[m.ID]
	return ok && disk == o.Disk.ID || !ok && o.Settings.Join == cluster.JoinPrepared
}

// moved says that our kept data belongs to a member whose entry still has
// another address.
func moved(o Observation) bool {
	if o.Disk.State != cluster.DiskData {
		return false
	}
	members, _ := o.knownMembers()
	m, ok := cluster.ByID(members, o.Disk.MemberID)
	return ok && !m.Listens(o.Self.PeerURL)
}
