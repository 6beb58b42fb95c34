package plan

import (
	"slices"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/cluster"
)

// Without a quorum nobody keeps the house: who holds data holds its own machine.
func TestHoldOwn(t *testing.T) { check(t, holdOwnRows()) }

func holdOwnRows() map[string]row {
	alone := func(opts ...opt) Observation {
		return see(append([]opt{data(1), leaderless, charter(1, "a", "b", "c"), cloud, ending("a")}, opts...)...)
	}
	const (
		waits = "a quorum of the last members may come back"
		hold  = "hold: " + waits + " (our machine ends, and no keeper answers): HoldMachine{a}"
		quiet = "wait: " + waits + " (waiting for b c)"
	)
	backOff := func(o *Observation) { o.Process = Process{NotBefore: o.Now.Add(time.Second)}; unknownEtcd(o) }
	return map[string]row{
		"its machine ends, and nobody leads":    {alone(), hold}, // both others had died, and its hook ran out
		"held a moment ago":                     {alone(handled("HoldMachine{a}", 59*time.Second)), quiet},
		"held a minute ago":                     {alone(handled("HoldMachine{a}", time.Minute)), hold},
		"another has been held":                 {alone(handled("HoldMachine{b}", 0)), hold},
		"nothing can be held":                   {alone(func(o *Observation) { o.Settings.HasCloud = false }), quiet},
		"its machine stays":                     {alone(peerIs("a", func(p *cluster.Peer) { p.State, p.Held = cluster.Running, false })), quiet},
		"its machine comes up":                  {alone(coming("a")), quiet},
		"its machine waits for nobody":          {alone(unheld("a")), quiet},
		"another's machine ends":                {alone(coming("a"), unheld("a"), ending("b")), quiet},
		"the source is down":                    {alone(sourceDown), quiet},
		"nobody leads, for a moment":            {alone(func(o *Observation) { o.UnhealthySince = o.Now }), "hold: etcd is starting or has no leader (our machine ends, and no keeper answers): HoldMachine{a}"},
		"it follows, and the keeper is silent":  {alone(following), "hold: voter: following the leader (our machine ends, and no keeper answers): HoldMachine{a}"},
		"it follows, and the keeper answers":    {alone(following, leads("b", voters("a", "b", "c")...)), "serve: voter: following the leader"},
		"two clusters answer":                   {alone(leads("b", voters("a", "b", "c")...), leads("c", voters("a", "b", "c")...), says("c", func(r *cluster.Report) { r.Etcd.ClusterID = 9 })), "wait: a quorum lives"},
		"its etcd has ended":                    {alone(backOff), "hold: etcd ended too soon: backing off (our machine ends, and no keeper answers): HoldMachine{a}"},
		"its etcd is to be started":             {alone(func(o *Observation) { o.Process = Process{}; unknownEtcd(o) }), "start: the data is usable: StartEtcd{resume}"},
		"it found the next epoch":               {alone(lost("b", "c")), "recover: a majority is proven lost, and this survivor's log is the newest (term 5 index 100; in the store nothing of this epoch): WriteCharter{2 survivor a}"},
		"it has been removed":                   {alone(removed("a"), func(o *Observation) { o.Process = Process{}; unknownEtcd(o) }), hold}, // its log may be the newest
		"paused":                                {alone(paused), "hold: no quorum answers, and housekeeping is paused (our machine ends, and no keeper answers): HoldMachine{a}"},
		"the ledger is unread":                  {alone(storeDown), "hold: no quorum answers, and the ledger is unreadable (our machine ends, and no keeper answers): HoldMachine{a}"},
		"data of a newer epoch":                 {alone(data(2)), hold},
		"data of an older epoch":                {alone(charter(2, "b"), foreign), "refuse: an etcd of an older epoch runs here that quorate did not start: stop it (our data is of epoch 1, the charter of 2)"},
		"data of another cluster":               {alone(disk(func(d *cluster.Disk) { d.Stamp.Cluster = "x" }), func(o *Observation) { o.Process = Process{}; unknownEtcd(o) }), "refuse: the data belongs to another cluster (its stamp says x, --cluster says test)"},
		"unstamped data of the adopted cluster": {alone(unstamped, seed(cluster.Seed{Kind: cluster.SeedAdopted, ClusterID: 0x77}), backOff), "hold: etcd ended too soon: backing off (our machine ends, and no keeper answers): HoldMachine{a}"},
		"unstamped data of another":             {alone(unstamped, backOff), "wait: etcd ended too soon: backing off (until 12:00:01)"},
		"an empty disk":                         {alone(func(o *Observation) { o.Disk = see().Disk; o.Process = Process{}; unknownEtcd(o) }, checkpoint(voters("a", "b", "c")...), mark("disk-a")), quiet},
		"the keeper, of another founding":       {house3(cloud, ending("a"), refounded), "refuse: the etcd that runs here is not of the charter in force (charter 1, our data is of epoch 1)"}, // it answers
	}
}

// orphaned is a without a keeper, whose machine may end.
func orphaned() space {
	stopped := func(o *Observation) { o.Process = Process{}; unknownEtcd(o) }
	return space{name: "orphaned", base: func() Observation { return see(data(1), leaderless, charter(1, "a", "b", "c"), cloud) }, axes: []axis{
		{"disk", []opt{asIs, data(2), unstamped, elsewhere, unread, blank, and(data(1), removed("a")), disk(func(d *cluster.Disk) { d.Stamp.Cluster = "x" }), func(o *Observation) { o.Disk = see().Disk }}},
		{"charter", []opt{asIs, unknownCharter, charter(2, "b", "c"), seed(cluster.Seed{Kind: cluster.SeedAdopted, ClusterID: 0x77})}},
		{"self", []opt{asIs, ending("a"), state("a", cluster.Terminating), coming("a"), and(ending("a"), leaving), sourceDown, ending("b")}},
		mate("b"), mate("c"),
		{"etcd", []opt{asIs, stopped, following, foreign, keeping(voters("a", "b", "c")...)}},
		{"handled", []opt{asIs, handled("HoldMachine{a}", 0), handled("HoldMachine{a}", time.Minute)}},
		{"lock", []opt{asIs, paused, unknownLock}},
		{"cloud", []opt{asIs, func(o *Observation) { o.Settings.HasCloud = false }}},
	}}
}

// holdBreaks holds a hold against who may need it: the keeper a member, or a
// pause; whoever else, itself alone, for its data, while no keeper answers.
func holdBreaks(o Observation, p cluster.Peer, member bool) string {
	e := o.Etcd.Value()
	keeper := e.Healthy && e.Leader == e.MemberID && o.Members.Known()
	silent := !slices.ContainsFunc(o.Reports, func(r cluster.Report) bool {
		return r.Keeper && r.Etcd.Healthy && (r.Disk.Stamp == nil || r.Disk.Stamp.Epoch >= o.Ledger.Charter.Value().Epoch)
	})
	d := o.Disk
	ours := d.State == cluster.DiskData && (d.Stamp == nil && d.ClusterID == o.Ledger.Charter.Value().Seed.ClusterID ||
		d.Stamp != nil && d.Stamp.Cluster == "test" && d.Stamp.Epoch >= o.Ledger.Charter.Value().Epoch)
	at, asked := o.Machines.Handled["HoldMachine{"+p.Name+"}"]
	switch {
	case !p.Held, keeper && !member && !isPaused(o) && o.Ledger.Lock.Known():
		return "a machine is held that nobody needs"
	case asked && o.Now.Sub(at) < time.Minute:
		return "a machine is held twice in a minute"
	case !keeper && (p.Name != "a" || p.State != cluster.Terminating || !ours || !silent):
		return "a machine is held that is a keeper's to hold, or nobody's"
	}
	return ""
}
