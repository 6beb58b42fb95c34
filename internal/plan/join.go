package plan

import (
	"strings"

	"github.com/quorate/quorate/internal/cluster"
)

// join gets this empty disk into the living cluster. The keeper changes the
// membership; the joiner only says that it is here (Claim), and starts when an
// entry has been made for its disk.
func join(o Observation) Decision {
	k, found, torn := o.keeper()
	switch {
	case torn:
		return refuse("two clusters answer: end one of them")
	case !found:
		return wait("no agent beside a leader answers")
	}
	if d, no := notOurPlace(o); no && !guest(o) {
		return d
	}
	if c := o.Ledger.Charter.Value(); k.Charter != nil && k.Charter.Nonce != c.Nonce || k.Disk.Stamp != nil && k.Disk.Stamp.Charter.Nonce != c.Nonce {
		return wait("the keeper does not live by the charter that we have read", k.Name)
	}
	var old *cluster.Member
	for _, m := range k.Members {
		switch {
		case !m.Listens(o.Self.PeerURL):
		case invited(o, m, k.Invitations):
			return enter(o, k, m)
		default:
			old = &m
		}
	}
	voters, learners := cluster.Voters(k.Members), cluster.Learners(k.Members)
	switch {
	case old != nil:
		return wait("the keeper must first remove the entry that a lost disk has left", "member ", old.ID, ", keeper ", k.Name)
	case o.Settings.Join == cluster.JoinPrepared:
		return wait("no entry has been prepared for this node", "strategy prepared")
	case len(learners) > 0:
		return wait("another learner is joining", learners[0].Label())
	case o.size() > 0 && len(voters) >= o.size():
		return announceSpare(o, wait("the cluster is full: standing by as a spare", len(voters), " voters of ", o.size()), voters)
	}
	if why := o.unready(cluster.Report{Offers: o.Process.Offers}, o.runningVersion()); why != "" {
		return wait("no etcd that this node has may join now", why)
	}
	return wait("the keeper has been asked for an entry", "keeper ", k.Name)
}

// enter starts as the invited member m. At the address of an adopted member the
// first entry is marked: from then on an empty disk here is a lost one.
func enter(o Observation, k cluster.Report, m cluster.Member) Decision {
	c := o.Ledger.Charter.Value()
	d := do("join", "an entry awaits this disk", []any{"member ", m.ID}, StartEtcd{
		State: "existing", Initial: initialCluster(k.Members, m.ID, o.Self.Name),
		Token: c.Token, Spends: m.ID.String(), Charter: c, Roll: o.joinsFor()})
	if c.Seed.Kind == cluster.SeedAdopted && o.Ledger.Mark.Absent() {
		d.Steps = append([]Step{WriteStartedMark{c.Epoch}}, d.Steps...)
	}
	return d
}

// initialCluster is etcd's --initial-cluster for a joiner: it must list exactly
// the members that the cluster lists. Names of others need only be distinct.
func initialCluster(members []cluster.Member, own cluster.MemberID, name string) string {
	var parts []string
	for _, m := range members {
		n := m.Name
		if m.ID == own {
			n = name
		} else if n == "" || n == name {
			n = m.ID.String()
		}
		for _, u := range m.PeerURLs {
			parts = append(parts, n+"="+u)
		}
	}
	return strings.Join(parts, ",")
}
