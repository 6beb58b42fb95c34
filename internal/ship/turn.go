package ship

import (
	"cmp"
	"slices"
	"time"

	"github.com/quorate/quorate/internal/cluster"
)

// patience is how long the second in the order lets committed entries be
// unshipped before it ships too, and how much longer each further one does.
// What it knows of the others' shipping is up to 2 s old.
const (
	patience     = 3 * time.Second
	morePatience = 1500 * time.Millisecond
)

// node is a healthy voter whose agent ships.
type node struct {
	name   string
	leader bool
	unable bool
	hole   bool
}

// order is who ships before whom: a follower, because the leader has enough to
// do, by name; and whoever has said that it cannot, last.
func order(nodes []node) []node {
	nodes = slices.Clone(nodes)
	rank := func(n node) int {
		switch {
		case n.unable && n.leader:
			return 3
		case n.unable:
			return 2
		case n.leader:
			return 1
		}
		return 0
	}
	slices.SortFunc(nodes, func(a, b node) int { return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.name, b.name)) })
	return nodes
}

// turn says whether a node ships, when the oldest entry that it knows to be
// committed and not stored is of that age.
func turn(self string, nodes []node, unshipped time.Duration) bool {
	place := slices.IndexFunc(order(nodes), func(n node) bool { return n.name == self })
	switch {
	case place < 0:
		return false
	case place == 0:
		return true
	}
	return unshipped >= patience+time.Duration(place-1)*morePatience
}

// lost says that the chain cannot be continued by anybody who is here: every
// log lacks the entry that comes next.
func lost(nodes []node) bool {
	return len(nodes) > 0 && !slices.ContainsFunc(nodes, func(n node) bool { return !n.hole })
}

// first says that a node is the one to begin a new chain.
func first(self string, nodes []node) bool {
	all := order(nodes)
	return len(all) > 0 && all[0].name == self
}

// nodesOf are the healthy voters of an epoch, as their reports say.
func nodesOf(epoch cluster.Epoch, reports []cluster.Report) (nodes []node) {
	for _, r := range reports {
		if r.Log == nil || !r.Etcd.Healthy || r.Etcd.Learner || r.Charter == nil || r.Charter.Epoch != epoch {
			continue
		}
		nodes = append(nodes, node{name: r.Name, leader: r.Etcd.Leader == r.Etcd.MemberID, unable: r.Log.Unable != "", hole: r.Log.Hole})
	}
	return nodes
}
