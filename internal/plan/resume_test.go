package plan

import (
	"testing"
	"time"

	"github.com/quorate/quorate/internal/cluster"
)

func TestResume(t *testing.T) { check(t, resumeRows()) }

func resumeRows() map[string]row {
	abc := voters("a", "b", "c")
	return map[string]row{
		"data, store down, peers silent":        {see(data(1), storeDown, sourceDown), "start: the data is usable: StartEtcd{resume}"},                        // issue 2, 9
		"data, a charter, nobody answers":       {see(data(1), charter(1, "a", "b", "c")), "start: the data is usable: StartEtcd{resume}"},                    // trap 3
		"data, and a backup":                    {see(data(1), charter(1, "a", "b", "c"), snapshot("k1", 0)), "start: the data is usable: StartEtcd{resume}"}, // trap 3
		"data, the cluster lives":               {see(data(1), charter(1, "a", "b", "c"), leads("b", abc...)), "start: the data is usable: StartEtcd{resume}"},
		"data of an older epoch":                {see(data(1), charter(2, "b")), "fence: a newer epoch is in force (our data is of epoch 1, the charter of 2): SetDataAside{epoch-1}"}, // TRAPS 2, Q6
		"data of an older epoch, serving":       {see(data(1), charter(2, "b"), following), "fence: a newer epoch is in force (our data is of epoch 1, the charter of 2): StopEtcd{}"},
		"data of an older epoch, backing off":   {see(data(1), charter(2, "b"), func(o *Observation) { o.Process.NotBefore = o.Now.Add(time.Hour) }), "fence: a newer epoch is in force (our data is of epoch 1, the charter of 2): SetDataAside{epoch-1}"},
		"data of an older epoch, foreign etcd":  {see(data(1), charter(2, "b"), foreign), "refuse: an etcd of an older epoch runs here that quorate did not start: stop it (our data is of epoch 1, the charter of 2)"},
		"data of a newer epoch than the ledger": {see(data(2), charter(1, "a", "b", "c")), "start: the data is usable: StartEtcd{resume}"},
		"this disk seeds the next epoch":        {see(data(1), charter(2, "a"), seed(cluster.Seed{Kind: cluster.SeedSurvivor, Survivor: "a", Member: id("a")})), "recover: this disk seeds the new epoch (our data is of epoch 1, the charter of 2): SeedFromSurvivor{2}"},
		"this disk seeds: staged":               {see(data(1), charter(2, "a"), seed(cluster.Seed{Kind: cluster.SeedSurvivor, Survivor: "a", Member: id("a")}), staged(2)), "recover: this disk seeds the new epoch (our data is of epoch 1, the charter of 2): SetDataAside{epoch-1}, WriteStartedMark{2}, InstallSeed{2}"},
		"this disk seeds: stop first":           {see(data(1), charter(2, "a"), seed(cluster.Seed{Kind: cluster.SeedSurvivor, Survivor: "a", Member: id("a")}), running), "fence: a newer epoch is in force (our data is of epoch 1, the charter of 2): StopEtcd{}"},
		"another member's disk under our name":  {see(data(1), charter(2, "a"), seed(cluster.Seed{Kind: cluster.SeedSurvivor, Survivor: "a", Member: 99})), "fence: a newer epoch is in force (our data is of epoch 1, the charter of 2): SetDataAside{epoch-1}"},
		"another survivor seeds":                {see(data(1), charter(2, "b"), seed(cluster.Seed{Kind: cluster.SeedSurvivor, Survivor: "b", Member: id("a")})), "fence: a newer epoch is in force (our data is of epoch 1, the charter of 2): SetDataAside{epoch-1}"},
		"stamped with another cluster":          {see(data(1), charter(2, "b"), disk(func(d *cluster.Disk) { d.Stamp.Cluster = "x" })), "refuse: the data belongs to another cluster (its stamp says x, --cluster says test)"},
		"unstamped, no charter":                 {see(unstamped), "start: the data is usable: StartEtcd{resume}"}, // adoption
		"unstamped, store down":                 {see(unstamped, storeDown), "wait: the ledger is unreadable, and nothing else says whose the data is"},
		"the ledger has not answered yet":       {see(data(1), storeDown, asking(time.Second)), "wait: the ledger is being asked whether the data is of an epoch that is over"},
		"the ledger does not answer for long":   {see(data(1), storeDown, asking(3*time.Second)), "start: the data is usable: StartEtcd{resume}"},
		"unstamped, of the adopted cluster":     {see(unstamped, charter(1, "a", "b", "c"), seed(cluster.Seed{Kind: cluster.SeedAdopted, ClusterID: 0x77})), "start: the data is usable: StartEtcd{resume}"},
		"unstamped, of an unknown cluster":      {see(unstamped, charter(1, "a", "b", "c")), "refuse: the data belongs to another cluster (etcd cluster id 77, unknown to charter 1)"},
		"the same epoch, another founding":      {see(data(1), charter(1, "a", "b", "c"), refounded), "refuse: the data belongs to another founding of this cluster (token test-1-t, the charter says test-1-t)"},
		"another cluster lives":                 {see(data(1), charter(1, "a", "b", "c"), leads("b", abc...), says("b", func(r *cluster.Report) { r.Etcd.ClusterID = 9 })), "refuse: the data belongs to another cluster (etcd cluster id c1, b leads 9)"}, // trap 13
		"removed":                               {see(data(1), charter(1, "a", "b", "c"), leads("b", voters("b", "c")...)), "rejoin: this member has been removed from the cluster (member a): SetDataAside{removed}"},
		"removed, says an old keeper":           {see(data(1), charter(1, "a", "b", "c"), leads("b", voters("b", "c")...), says("b", func(r *cluster.Report) { r.Etcd.Term = 4 })), "start: the data is usable: StartEtcd{resume}"},
		"backing off":                           {see(data(1), func(o *Observation) { o.Process.NotBefore = o.Now.Add(time.Second) }), "wait: etcd ended too soon: backing off (until 12:00:01)"},
		"it leaves, not yet removed":            {see(data(1), leaving), "start: the data is usable: StartEtcd{resume}"},
		"its machine is going away":             {see(data(1), charter(1, "a", "b", "c"), state("a", cluster.Terminating)), "start: the data is usable: StartEtcd{resume}"},
		"an orphan entry, and the quorum lost":  {see(data(1), charter(1, "a", "b", "c"), checkpoint(abc...), peers("a", "b")), "start: the data is usable: StartEtcd{resume}"}, // trap 11
	}
}

func TestServe(t *testing.T) { check(t, serveRows()) }

func serveRows() map[string]row {
	abc := voters("a", "b", "c")
	healthyLearner := func(o *Observation) { e := o.Etcd.Value(); e.Learner = true; o.Etcd = cluster.Known(e) }
	return map[string]row{
		"a voter":                               {see(data(1), charter(1, "a", "b", "c"), following), "serve: voter: following the leader"},
		"a learner":                             {see(data(1), charter(1, "a", "b", "c"), following, healthyLearner), "serve: learner: catching up"},
		"just started":                          {see(data(1), charter(1, "a", "b", "c"), running), "wait: etcd is starting or has no leader"},
		"without a leader for a moment":         {see(data(1), charter(1, "a", "b", "c"), leaderless, func(o *Observation) { o.UnhealthySince = o.Now }), "wait: etcd is starting or has no leader"},
		"another leads, ours does not follow":   {see(data(1), charter(1, "a", "b", "c"), leaderless, leads("b", abc...)), "wait: etcd does not follow the leader that answers (b leads)"}, // trap 13
		"removed":                               {see(data(1), charter(1, "a", "b", "c"), leaderless, leads("b", voters("b", "c")...)), "rejoin: this member has been removed from the cluster (member a): StopEtcd{}"},
		"removed, says an old keeper":           {see(data(1), charter(1, "a", "b", "c"), leaderless, leads("b", voters("b", "c")...), says("b", func(r *cluster.Report) { r.Etcd.Term = 4 })), "wait: etcd does not follow the leader that answers (b leads)"},
		"removed, but not ours to stop":         {see(data(1), charter(1, "a", "b", "c"), leaderless, foreign, leads("b", voters("b", "c")...)), "wait: etcd does not follow the leader that answers (b leads)"},
		"removed, on a directory of its own":    {see(elsewhere, charter(1, "a", "b", "c"), leaderless, leads("b", voters("b", "c")...)), "wait: etcd does not follow the leader that answers (b leads)"},
		"another cluster's list is not ours":    {see(data(1), charter(1, "a", "b", "c"), leaderless, leads("b", voters("b", "c")...), says("b", func(r *cluster.Report) { r.Etcd.ClusterID = 9 })), "wait: etcd does not follow the leader that answers (b leads)"},
		"no leader, nobody lost":                {see(data(1), charter(1, "a", "b", "c"), leaderless, holds("b", 1, 5, 1), holds("c", 1, 5, 1)), "wait: a quorum of the last members may come back (all that are left answer)"},
		"adopted, its data unstamped":           {see(unstamped, charter(1, "a", "b", "c"), seed(cluster.Seed{Kind: cluster.SeedAdopted, ClusterID: 0x77}), following), "adopt: the data is of the adopted cluster: WriteStartedMark{1}, AdoptData{1}"},
		"unstamped, not of the adopted cluster": {see(unstamped, charter(1, "a", "b", "c"), seed(cluster.Seed{Kind: cluster.SeedAdopted, ClusterID: 0x78}), following), "serve: voter: following the leader"},
		"unstamped, charter of another seed":    {see(unstamped, charter(1, "a", "b", "c"), seed(cluster.Seed{Kind: cluster.SeedEmpty, ClusterID: 0x77}), following), "serve: voter: following the leader"},
		"running foreign, nothing to stamp":     {see(elsewhere, charter(1, "a", "b", "c"), seed(cluster.Seed{Kind: cluster.SeedAdopted}), following), "serve: voter: following the leader"},
		"status unread for long":                {see(data(1), charter(1, "a", "b", "c"), leaderless, func(o *Observation) { o.Etcd = cluster.Unknown[cluster.EtcdState]() }), "wait: a quorum of the last members may come back (waiting for b c)"},
		"the disk is unread while etcd runs":    {see(unread, charter(1, "a", "b", "c"), following), "wait: the data directory is unread (permission denied)"},
	}
}

// asking is an agent that runs for so long, and whose store is at its first answer.
func asking(since time.Duration) func(*Observation) {
	return func(o *Observation) { o.Ledger.Asking, o.Self.Since = true, o.Now.Add(-since) }
}
