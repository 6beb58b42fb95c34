package plan

import (
	"testing"

	"github.com/quorate/quorate/internal/cluster"
)

// adopting: a is where a member of an adopted cluster lives, or has lived.
func adopting(opts ...opt) Observation {
	return see(append([]opt{charter(1, "a", "b", "c"), seed(cluster.Seed{Kind: cluster.SeedAdopted, ClusterID: 7})}, opts...)...)
}

// The story: a hand-made cluster m0 m1 m2 was adopted while m0 was down. The
// agent on m0's machine found its own directory empty, took that for a lost
// disk, and m0 was removed, though its data lay unharmed a directory away.
func TestAdoptedElsewhere(t *testing.T) {
	check(t, adoptedRows())
	abc := voters("a", "b", "c")
	if c := Claim(adopting(leads("b", abc...))); c.Joining || len(c.Disowns) > 0 || c.Lost > 0 {
		t.Errorf("data that may lie elsewhere: got %+v, want no claim", c)
	}
	if c := Claim(adopting(mark("disk-z"), leads("b", abc...))); len(c.Disowns) != 1 || c.Lost != 1 {
		t.Errorf("data that an agent has held: got %+v, want it lost and disowned", c)
	}
}

func adoptedRows() map[string]row {
	abc := voters("a", "b", "c")
	const elsewhere = "refuse: an adopted member's data may lie elsewhere on this machine: give --etcd-data-dir, or remove that member by hand"
	return map[string]row{
		"its member is listed, its data is not here": {adopting(leads("b", abc...)), elsewhere},
		"no leader, the store lists it":              {adopting(checkpoint(abc...)), elsewhere},
		"its member was removed by hand":             {adopting(leads("b", voters("b", "c")...)), "wait: the keeper has been asked for an entry (keeper b)"},
		"an agent has held its data here":            {adopting(mark("disk-z"), leads("b", abc...)), "wait: the keeper must first remove the entry that a lost disk has left (member a, keeper b)"},
		"invited":                                    {adopting(leads("b", voter("b"), voter("c"), unstarted(cluster.Member{ID: 9, PeerURLs: []string{at("a")}, Learner: true})), invites("b", 9, "disk-a")), "join: an entry awaits this disk (member 9): WriteStartedMark{1}, StartEtcd{existing}"},
		"its data, stamped for the second time":      {adopting(unstamped, disk(func(d *cluster.Disk) { d.ClusterID = 7 }), mark("disk-z"), following), "adopt: the data is of the adopted cluster: AdoptData{1}"},
	}
}
