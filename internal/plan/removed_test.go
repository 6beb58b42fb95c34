package plan

import (
	"slices"
	"testing"

	"github.com/quorate/quorate/internal/cluster"
)

func TestRemoved(t *testing.T) { check(t, removedRows()) }

// The story, by the simulator (seed 69676): b was removed with its own
// acknowledgement while a was down, and c then died for good. A has the same
// log, and has not applied the removal: it counted on b, whose etcd ended at
// each start.
func removedRows() map[string]row {
	abc := voters("a", "b", "c")
	story := leftover(local(abc...), peers("a", "b"), holds("b", 1, 5, 100), removed("b"))
	return map[string]row{
		"the other has not applied it":            {story, "recover: a majority is proven lost, and this survivor's log is the newest (term 5 index 100; in the store k1, term 0 index 0): WriteCharter{2 survivor a}"},
		"its log is newer":                        {leftover(local(abc...), peers("a", "b"), holds("b", 1, 5, 101), removed("b")), "wait: the survivor with the newest log founds the next epoch (b)"},
		"its log is newer, says itself":           {ended(data(1), peers("a", "b"), holds("b", 1, 5, 99), removed("a")), "recover: a majority is proven lost, and this survivor's log is the newest (term 5 index 100; in the store k1, term 0 index 0): WriteCharter{2 survivor a}"},
		"of equal logs a member's comes first":    {ended(data(1), peers("a", "b"), holds("b", 1, 5, 100), removed("a")), "wait: the survivor with the newest log founds the next epoch (b)"},
		"the others may come back":                {ended(data(1), checkpoint(abc...), removed("a")), "wait: a quorum of the last members may come back (waiting for b c)"},
		"the others are enough":                   {leftover(local(abc...), holds("b", 1, 5, 100), holds("c", 1, 5, 100), removed("b")), "wait: a quorum of the last members may come back (all that are left answer)"},
		"four, one removed: two of three":         {leftover(checkpoint(voters("a", "b", "c", "d")...), peers("a", "b", "c"), holds("b", 1, 5, 100), holds("c", 1, 5, 100), removed("b")), "wait: a quorum of the last members may come back (all that are left answer)"},
		"its etcd is not started, the store down": {see(data(1), storeDown, removed("a")), "wait: no quorum answers, and the ledger is unreadable"},
		"its etcd is not started, still listed":   {see(data(1), charter(1, "a", "b", "c"), leads("b", abc...), removed("a")), "wait: a quorum lives"},
		"a cluster lives without it":              {see(data(1), charter(1, "a", "b", "c"), leads("b", voters("b", "c")...), removed("a")), "rejoin: this member has been removed from the cluster (member a): SetDataAside{removed}"},
		"data of another cluster":                 {see(data(1), charter(1, "a", "b", "c"), leads("b", abc...), removed("a"), says("b", func(r *cluster.Report) { r.Etcd.ClusterID = 9 })), "refuse: the data belongs to another cluster (etcd cluster id c1, b leads 9)"},
	}
}

// removed has nodes' own data say that their member has been removed.
func removed(names ...string) opt {
	return func(o *Observation) {
		o.Disk.Removed = slices.Contains(names, o.Self.Name)
		for i := range o.Reports {
			o.Reports[i].Disk.Removed = slices.Contains(names, o.Reports[i].Name)
		}
	}
}
