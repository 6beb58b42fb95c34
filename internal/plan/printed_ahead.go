package plan

import (
	"slices"

	"github.com/quorate/quorate/internal/cluster"
)

// Ahead is the start that a decision's steps lead to: the one that they end
// with, else the one of a later round, when all goes as it seems now. Who
// changes something for a start must be able to say that start.
func (o Print) Ahead(d Decision) StartEtcd {
	for _, s := range d.Steps {
		if s, ok := s.(StartEtcd); ok {
			return s
		}
	}
	own := cluster.Member{PeerURLs: []string{o.PeerURL}}
	switch {
	case o.Disk.State == cluster.DiskData:
		return StartEtcd{State: "resume"}
	case o.Members.Known(): // an entry that this node has already is taken away, or it would start
		others := slices.DeleteFunc(slices.Clone(o.Members.Value()), func(m cluster.Member) bool { return d.removes(m.ID) })
		return StartEtcd{State: "existing", Initial: initialCluster(append(others, own), own.ID, o.Name)}
	}
	return StartEtcd{State: "new", Initial: initialCluster([]cluster.Member{own}, own.ID, o.Name), Token: o.Token}
}

func (d Decision) removes(id cluster.MemberID) bool {
	return slices.ContainsFunc(d.Steps, func(s Step) bool {
		r, _ := s.(RemoveMember) // of another step none: no member's id is 0
		return r.ID == id
	})
}
