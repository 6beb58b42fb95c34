package clustertest

import (
	"fmt"
	"hash/fnv"

	"github.com/quorate/quorate/internal/cluster"
)

func hash(parts ...any) uint64 {
	h := fnv.New64a()
	for _, p := range parts {
		fmt.Fprint(h, p, "\x00")
	}
	return h.Sum64()>>8 | 1
}

// clusterIDOf and memberIDOf are etcd's: hashes of what the first members and
// the token are, so that the same charter always makes the same ids.
func clusterIDOf(c cluster.Charter) cluster.ClusterID {
	return cluster.ClusterID(hash("cluster", c.Token, c.InitialCluster()))
}

func memberIDOf(token, url string) cluster.MemberID {
	return cluster.MemberID(hash("member", token, url))
}

// bootstrap is a data directory as etcd makes it for a founder: the founders'
// entries are in its log, committed, at term 1.
func (w *World) bootstrap(c cluster.Charter, name, url string, base []int, bump int64) *data {
	d := &data{cluster: clusterIDOf(c), member: memberIDOf(c.Token, url), term: 1, base: base, bump: bump,
		stamp:  &cluster.Stamp{Cluster: c.Cluster, Epoch: c.Epoch, Charter: c, Name: name},
		conf:   conf{removed: map[cluster.MemberID]bool{}},
		serial: w.serial()}
	for _, f := range c.Founders {
		ch := change{op: "found", id: memberIDOf(c.Token, f.PeerURL), url: f.PeerURL, name: f.Name}
		d.conf = d.conf.apply(ch)
		d.log = append(d.log, entry{term: 1, change: &ch})
	}
	d.commit, d.applied = len(d.log), len(d.log)
	return d
}
