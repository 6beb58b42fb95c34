package plan

import (
	"slices"

	"github.com/quorate/quorate/internal/cluster"
)

// Ahead is the start that a decision's steps lead to: the one that they end
// with, else the one of a later round, when all goes as it seems now. Who
// changes something for a start must be able to say that start.
func (o Print) Ahead(d Decision) StartEtcd {
	if n := len(d.Steps); n > 0 {
		if s, ok := d.Steps[n-1].(StartEtcd); ok {
			return s
		}
	}
	own := cluster.Member{PeerURLs: []string{o.PeerURL}}
	switch {
	case o.Disk.State == cluster.DiskData:
		return StartEtcd{State: "resume"}
	case o.Members.Known():
		others := slices.DeleteFunc(slices.Clone(o.Members.Value()), func(m cluster.Member) bool { return m.Listens(o.PeerURL) || d.removes(m.ID) })
		return StartEtcd{State: "existing", Initial: initialCluster(append(others, own), own.ID, o.Name)}
	}
	return StartEtcd{State: "new", Initial: initialCluster([]cluster.Member{own}, own.ID, o.Name), Token: o.Token}
}

func (d Decision) removes(id cluster.MemberID) bool {
	return slices.ContainsFunc(d.Steps, func(s Step) bool { r, ok := s.(RemoveMember); return ok && r.ID == id })
}
