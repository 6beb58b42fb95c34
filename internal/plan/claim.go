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
	if o.Process.SeedFails >= seedTries {
		c.SeedFailed = o.epoch()
	}
	_, unplaced := notOurPlace(o)
	c.Joining = o.Disk.State == cluster.DiskEmpty && !o.Process.Running && !o.Self.Leaving &&
		o.Ledger.Charter.Known() && !mayStartAsFounder(o) && o.Settings.Join != cluster.JoinPrepared &&
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
	return o.Ledger.Charter.Known() && ok && f.PeerURL == o.Self.PeerURL
}

// mayStartAsFounder says that this empty disk may start as the charter's
// founder: it is proven that it has never voted in that epoch.
func mayStartAsFounder(o Observation) bool {
	if !isFounder(o) || o.Disk.State != cluster.DiskEmpty || founderLost(o) || o.Ledger.Mark.Unknown() {
		return false
	}
	if o.Self.Leaving {
		return false
	}
	// A living cluster that no longer lists our entry has replaced us.
	if k, found, _ := o.keeper(); found {
		return slices.ContainsFunc(k.Members, func(m cluster.Member) bool { return m.Listens(o.Self.PeerURL) })
	}
	return true
}

// founderLost says that this node was a founder of the epoch in force, and that
// the disk which may have voted as that founder is gone.
func founderLost(o Observation) bool {
	c, m := o.Ledger.Charter.Value(), o.Ledger.Mark
	if !isFounder(o) || o.Disk.State != cluster.DiskEmpty || o.Staged == c.Epoch {
		return false
	}
	switch {
	case slices.Contains(o.Disk.Spent, founderIdentity(c.Epoch)):
		return true
	case m.Known() && m.Value().DiskID != o.Disk.ID:
		return true
	}
	// These seeds lie on the founder's own disk: there is no second copy.
	return c.Seed.Kind == cluster.SeedAdopted || c.Seed.Kind == cluster.SeedSurvivor
}

// disowned are the members at this node's address whose data this disk does
// not hold and never will.
func disowned(o Observation) []cluster.MemberID {
	if o.Disk.State != cluster.DiskEmpty && o.Disk.State != cluster.DiskData || mayStartAsFounder(o) ||
		isFounder(o) && o.Disk.State == cluster.DiskEmpty && o.Ledger.Mark.Unknown() ||
		o.Disk.State == cluster.DiskEmpty && o.Process.Running || o.Staged != 0 {
		return nil
	}
	members, invitations := o.knownMembers()
	var ids []cluster.MemberID
	for _, m := range members {
		if m.ID == 0 || !m.Listens(o.Self.PeerURL) || m.ID == o.Disk.MemberID || invited(o, m, invitations) {
			continue
		}
		ids = append(ids, m.ID)
	}
	return ids
}

// knownMembers is the best member list at hand: the keeper's, else the store's.
func (o Observation) knownMembers() ([]cluster.Member, map[cluster.MemberID]string) {
	if o.Members.Known() && o.Process.Running {
		return o.Members.Value(), o.Invitations
	}
	if k, found, _ := o.keeper(); found {
		return k.Members, k.Invitations
	}
	return o.Ledger.Checkpoint.Value().Members, nil
}

// invited says that m is an unstarted entry made for this very disk.
func invited(o Observation, m cluster.Member, invitations map[cluster.MemberID]string) bool {
	if m.Started() || slices.Contains(o.Disk.Spent, m.ID.String()) || !m.Listens(o.Self.PeerURL) {
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
