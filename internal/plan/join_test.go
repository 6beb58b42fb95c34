package plan

import (
	"testing"

	"github.com/quorate/quorate/internal/cluster"
)

// dee makes the observer d, a fourth machine, empty, that the source lists.
func dee(opts ...opt) Observation {
	return see(append([]opt{as("d"), peers("a", "b", "c", "d"), charter(1, "a", "b", "c")}, opts...)...)
}

var entry = unstarted(cluster.Member{ID: 9, PeerURLs: []string{at("d")}, Learner: true})

func TestJoin(t *testing.T) { check(t, joinRows()) }

func joinRows() map[string]row {
	abc := voters("a", "b", "c")
	return map[string]row{
		"no keeper answers":                         {dee(empty("a")), "wait: a quorum of the last members may come back (waiting for a b c)"},
		"a keeper of an older epoch does not count": {dee(charter(2, "a", "b", "c"), leads("b", abc...)), "wait: a quorum of the last members may come back (waiting for a b c)"}, // TRAPS 2, Q6
		"a keeper that has lost its leader":         {dee(leads("b", abc...), says("b", func(r *cluster.Report) { r.Etcd.Healthy = false })), "wait: a quorum of the last members may come back (waiting for a c)"},
		"a keeper of another cluster":               {dee(leads("b", abc...), says("b", func(r *cluster.Report) { r.Cluster = "x" })), "wait: a quorum of the last members may come back (waiting for a b c)"},
		"a keeper without a list":                   {dee(leads("b")), "wait: a quorum of the last members may come back (waiting for a c)"},
		"two clusters answer":                       {dee(leads("b", abc...), leads("c", abc...), says("c", func(r *cluster.Report) { r.Etcd.ClusterID = 5 })), "refuse: two clusters answer: end one of them"},
		"the keeper of the newest term counts":      {dee(leads("b", abc...), leads("c", voters("c", "a")...), says("c", func(r *cluster.Report) { r.Etcd.Term = 6 })), "wait: the keeper has been asked for an entry (keeper c)"},
		"an old keeper of an older term does not":   {dee(leads("b", abc...), leads("c", voters("c", "a")...), says("c", func(r *cluster.Report) { r.Etcd.Term = 4 })), "wait: the cluster is full: standing by as a spare (3 voters of 3)"},
		"a keeper of another charter":               {dee(leads("b", abc...), refounded), "wait: the keeper does not live by the charter that we have read (b)"},
		"full: a spare":                             {dee(leads("b", abc...)), "wait: the cluster is full: standing by as a spare (3 voters of 3)"},
		"room: asked":                               {dee(leads("b", voters("a", "b")...)), "wait: the keeper has been asked for an entry (keeper b)"},
		"no limit: asked":                           {dee(size(0), leads("b", abc...)), "wait: the keeper has been asked for an entry (keeper b)"}, // trap 14
		"room, and no etcd for it":                  {dee(leads("b", voters("a", "b")...), says("b", func(r *cluster.Report) { r.Etcd.Version, r.Etcd.ClusterVersion = "3.5.33", version("3.5.0") }), func(o *Observation) { o.Process.Offers = versions("3.7.3") }), "wait: no etcd that this node has may join now (the cluster runs etcd 3.5.33, and --etcd offers 3.7.3: a joiner runs the cluster's minor, or the next)"},
		"another learner joins":                     {dee(leads("b", voter("a"), voter("b"), learner("e"))), "wait: another learner is joining (e)"},
		"invited":                                   {dee(leads("b", voter("a"), voter("b"), entry), invites("b", 9, "disk-d")), "join: an entry awaits this disk (member 9): StartEtcd{existing}"},
		"an entry for another disk":                 {dee(leads("b", voter("a"), voter("b"), entry), invites("b", 9, "disk-lost")), "wait: the keeper must first remove the entry that a lost disk has left (member 9, keeper b)"}, // trap 6
		"an entry that nobody invites to":           {dee(leads("b", voter("a"), voter("b"), entry)), "wait: the keeper must first remove the entry that a lost disk has left (member 9, keeper b)"},
		"an entry whose identity is spent":          {dee(leads("b", voter("a"), voter("b"), entry), invites("b", 9, "disk-d"), spent("9")), "wait: the keeper must first remove the entry that a lost disk has left (member 9, keeper b)"}, // trap 5
		"an entry that has been started":            {dee(leads("b", voter("a"), voter("b"), voter("d")), invites("b", 0xd, "disk-d")), "wait: the keeper must first remove the entry that a lost disk has left (member d, keeper b)"},
		"a prepared entry":                          {dee(strategy(cluster.JoinPrepared), leads("b", voter("a"), voter("b"), unstarted(voter("d")))), "join: an entry awaits this disk (member d): StartEtcd{existing}"},
		"a prepared entry for another disk":         {dee(strategy(cluster.JoinPrepared), leads("b", voter("a"), voter("b"), entry), invites("b", 9, "disk-x")), "wait: the keeper must first remove the entry that a lost disk has left (member 9, keeper b)"},
		"nothing prepared":                          {dee(strategy(cluster.JoinPrepared), leads("b", voters("a", "b")...)), "wait: no entry has been prepared for this node (strategy prepared)"},
		"its machine is going away":                 {dee(state("d", cluster.Terminating), leads("b", voters("a", "b")...)), "wait: this machine is being terminated"}, // trap 9
		"not in the source that can prove it":       {dee(peers("a", "b", "c"), leads("b", voters("a", "b")...)), "wait: this machine is not in the peers source"},
		"not in a list: a guest":                    {dee(peers("a", "b", "c"), listOnly, leads("b", voters("a", "b")...)), "wait: the keeper has been asked for an entry (keeper b)"},
		"the source is down":                        {dee(sourceDown, leads("b", voters("a", "b")...)), "wait: the peers source does not answer"},
		"it leaves":                                 {dee(leaving, leads("b", voters("a", "b")...)), "wait: this node has left the cluster"},
		"another without a name in the way":         {dee(leads("b", voter("a"), unstarted(voter("b")), entry), invites("b", 9, "disk-d")), "join: an entry awaits this disk (member 9): StartEtcd{existing}"},
	}
}
