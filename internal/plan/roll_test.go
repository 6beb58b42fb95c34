package plan

import (
	"testing"
	"time"

	"github.com/quorate/quorate/internal/cluster"
)

func TestRoll(t *testing.T)     { check(t, rollRows()) }
func TestRollBack(t *testing.T) { check(t, rollBackRows()) }
func TestRollTurns(t *testing.T) {
	check(t, rollTurnRows())
}

var (
	v35 = cluster.Version{Major: 3, Minor: 5, Patch: 33}
	v36 = cluster.Version{Major: 3, Minor: 6, Patch: 14}
	v37 = cluster.Version{Major: 3, Minor: 7, Patch: 3}
)

// ordered is a roll of entry 4 that everybody knows.
func ordered(kind cluster.RollKind, hop, to cluster.Version) opt {
	r := cluster.Roll{Number: 4, ID: "r", Epoch: 1, Nonce: "r4", Kind: kind, State: cluster.RollOpen, Hop: hop, To: to}
	return known(r)
}

func known(r cluster.Roll) opt {
	return func(o *Observation) {
		o.Ledger.Roll = cluster.Known(r)
		for i := range o.Reports {
			mine := r
			o.Reports[i].Roll = &mine
		}
	}
}

// orderedAs has the newest entry be one of the roll that people know as n.
func orderedAs(n uint64) opt {
	return func(o *Observation) {
		r := o.Ledger.Roll.Value()
		r.First = n
		known(r)(o)
	}
}

func cancelled(o *Observation) {
	r := o.Ledger.Roll.Value()
	r.State = cluster.RollCancelled
	o.Ledger.Roll = cluster.Known(r)
}

// run has an etcd say its version; ours with "a".
func run(name string, v cluster.Version) opt {
	return etcdOf(name, func(e *cluster.EtcdState) { e.Version = v.String() })
}

func etcdOf(name string, change func(*cluster.EtcdState)) opt {
	if name != "a" {
		return says(name, func(r *cluster.Report) { change(&r.Etcd) })
	}
	return func(o *Observation) {
		e := o.Etcd.Value()
		change(&e)
		o.Etcd = cluster.Known(e)
	}
}

func allRun(v cluster.Version) opt { return and(run("a", v), run("b", v), run("c", v)) }

// offered has every node offer all versions.
func offered(o *Observation) {
	all := []cluster.Version{v35, v36, v37}
	o.Process.Offers = all
	for i := range o.Reports {
		o.Reports[i].Offers = all
	}
}

func rolled(name string, n uint64) opt {
	if name == "a" {
		return func(o *Observation) { o.Process.Rolled.Number, o.Process.Rolled.Up = n, true }
	}
	return says(name, func(r *cluster.Report) { r.Rolled = n })
}

func failedAt(name string, n uint64) opt {
	f := &cluster.RollFailure{Number: n, Why: "it ended"}
	if name == "a" {
		return func(o *Observation) { o.Process.Rolled.Failed = f }
	}
	return says(name, func(r *cluster.Report) { r.RollFailed = f })
}

// stale has our etcd wait for its turn in entry 4.
func stale(ago time.Duration) opt {
	return func(o *Observation) {
		o.Process.Stale = cluster.Stale{Why: "roll 4", Roll: 4, Since: o.Now.Add(-ago)}
	}
}

func staleAt(name string, ago time.Duration) opt {
	return says(name, func(r *cluster.Report) {
		r.At = noon.Add(time.Hour)
		r.Stale = cluster.Stale{Why: "roll 4", Roll: 4, Since: r.At.Add(-ago)}
	})
}

func agreed(v cluster.Version) opt {
	return etcdOf("a", func(e *cluster.EtcdState) { e.ClusterVersion = minor(v) })
}

func newestBackup(key string) opt {
	return func(o *Observation) { o.Ledger.Backup = cluster.Known(cluster.Backup{Key: key, Epoch: 1, At: o.Now}) }
}

func rollTurnRows() map[string]row {
	restart := ordered(cluster.RollRestart, cluster.Version{}, cluster.Version{})
	down := ordered(cluster.RollDowngrade, v36, v36)
	const turn = "turn: etcd restarts in its turn (roll 4): TakeTurn{entry 4}, StopEtcd{}"
	const waits = "turn: etcd must restart, and waits: "
	base := func(opts ...opt) Observation { return ring("b", append([]opt{restart, stale(turnAfter)}, opts...)...) }
	storage := func(name string, v cluster.Version) opt {
		return etcdOf(name, func(e *cluster.EtcdState) { e.Storage = v })
	}
	low := func(opts ...opt) Observation {
		return base(append([]opt{down, allRun(v37), storage("a", v36), storage("b", v36), storage("c", v36)}, opts...)...)
	}
	return map[string]row{
		"all know of it":                  {base(), turn},
		"it defragments":                  {base(ordered(cluster.RollDefragment, cluster.Version{}, cluster.Version{})), turn + ", DefragmentData{}"},
		"the only member":                 {see(keeping(voters("a")...), size(1), restart, stale(0)), "turn: etcd restarts in its turn (roll 4, the only member): TakeTurn{entry 4}, StopEtcd{}"},
		"another comes first":             {base(func(o *Observation) { o.Self.Name = "d" }, staleAt("c", time.Hour)), waits + "another voter's turn comes first (c; roll 4)"},
		"the one before has restarted":    {base(func(o *Observation) { o.Self.Name = "d" }, rolled("c", 4)), turn},
		"one has not heard of it":         {base(says("c", func(r *cluster.Report) { r.Roll = nil })), waits + "a voter has not heard of this roll, or has heard of another (c; roll 4)"},
		"one knows an older one":          {base(says("c", func(r *cluster.Report) { r.Roll.Number = 3 })), waits + "a voter has not heard of this roll, or has heard of another (c; roll 4)"},
		"one knows that it is cancelled":  {base(says("c", func(r *cluster.Report) { r.Roll.Number = 5 })), waits + "a voter has not heard of this roll, or has heard of another (c; roll 4)"},
		"one knows another of its number": {base(says("c", func(r *cluster.Report) { r.Roll.Nonce = "other" })), waits + "a voter has not heard of this roll, or has heard of another (c; roll 4)"},
		"it has failed at one":            {base(failedAt("c", 4)), waits + "a voter did not come up as this roll wants it (c; roll 4)"},
		"another has failed at one":       {base(failedAt("c", 3)), turn},
		"a new CA asks nobody for a roll": {ring("b", restart, newCA(turnAfter), says("c", func(r *cluster.Report) { r.Roll = nil }), failedAt("c", 4)), "turn: etcd restarts in its turn (its CA has changed): StopEtcd{}"},
		"paused":                          {base(paused), waits + "housekeeping is paused, or its lock is unreadable (roll 4)"},
		"sick":                            {base(sick(time.Hour)), "wait: etcd does not follow the leader that answers (b leads; etcd must restart: roll 4)"},
		"down: the data is ready":         {low(), turn},
		"down: ours is not":               {low(storage("a", v37)), waits + "its data is not ready for the version that the roll wants (a; roll 4)"},
		"down: another's is not":          {low(storage("c", v37)), waits + "a voter's data is not ready for the version that the roll wants (c; roll 4)"},
		"down: another is there":          {low(storage("c", cluster.Version{}), run("c", v36)), turn},
		"up: its format is no matter":     {base(ordered(cluster.RollUpgrade, v37, v37), allRun(v36), storage("a", v36)), turn},
		"down: a new CA does not wait":    {ring("b", down, newCA(turnAfter), allRun(v37), storage("a", v37)), "turn: etcd restarts in its turn (its CA has changed): StopEtcd{}"},
	}
}

func rollRows() map[string]row {
	up := func(opts ...opt) Observation {
		return house3(append([]opt{newestBackup("k1"), ordered(cluster.RollUpgrade, v36, v37), allRun(v35), offered}, opts...)...)
	}
	order := func(opts ...opt) Observation {
		return up(append([]opt{ordered(cluster.RollUpgrade, cluster.Version{}, v37)}, opts...)...)
	}
	ofBackup := func(key string) opt {
		return func(o *Observation) {
			r := o.Ledger.Roll.Value()
			r.Backup = key
			o.Ledger.Roll = cluster.Known(r)
		}
	}
	restart := func(opts ...opt) Observation {
		return up(append([]opt{ordered(cluster.RollRestart, cluster.Version{}, cluster.Version{}), rolled("a", 4), rolled("b", 4), rolled("c", 4)}, opts...)...)
	}
	lower := func(opts ...opt) Observation {
		return up(append([]opt{ordered(cluster.RollDowngrade, v36, v36), allRun(v37), agreed(v37)}, opts...)...)
	}
	downTo := func(v cluster.Version) opt {
		return etcdOf("a", func(e *cluster.EtcdState) { e.DowngradeTo = minor(v) })
	}
	unfit := func(_ *Observation, p *Probe) { p.Healthy = false }
	const done = "roll: every member has restarted (roll 4): WriteRoll{entry 5: restart done}"
	const open = "roll: the members restart in their turns "
	return map[string]row{
		"a restart is done":     {restart(), done},
		"a later entry's is":    {restart(orderedAs(2)), "roll: every member has restarted (roll 2): WriteRoll{entry 5: restart done}"},
		"by more than this one": {restart(rolled("b", 9)), done},
		"we have not":           {restart(rolled("a", 3)), open + "(a is next or waits)"},
		"a learner that has rolled": {restart(peers("a", "b", "c", "d"), func(o *Observation) {
			o.Members = cluster.Known(of(o.Members.Value(), learner("d")))
			o.Ledger.Checkpoint = cluster.Known(cluster.Checkpoint{Epoch: 1, Members: o.Members.Value()})
		}, asks("d"), says("d", func(r *cluster.Report) {
			r.Etcd, r.Rolled = cluster.EtcdState{Running: true, Healthy: true, MemberID: id("d"), Learner: true}, 4
		}), probe("d", func(o *Observation, p *Probe) { lagging(o, p); p.Healthy, p.State.MemberID = true, id("d") })), "roll: the members restart in their turns (d is next or waits)"},
		"one has not":                    {restart(rolled("b", 3)), open + "(b is next or waits)"},
		"a corrupt member is replaced":   {restart(rolled("b", 3), hashes(time.Second, "aab", "aab")), "keep: a member's keys differ from the majority's: it is replaced, its data kept (c; at revision 8: a 00000061, b 00000061, c 00000062): RemoveMember{c}"},
		"etcd has no space":              {restart(rolled("b", 3), noSpace("b"), db("a", 100, 90), db("b", 100, 90), db("c", 999, 100)), "keep: etcd has no space: a database is defragmented (c: 100.0 MB used of 999.0 MB): Defragment{c}"},
		"nothing more can be freed":      {restart(noSpace("b"), db("a", 100, 90), db("b", 100, 90), db("c", 999, 990), freed(0, "c")), done},
		"the log wants a backup":         {restart(rolled("b", 3), func(o *Observation) { o.Ledger.FullWanted = true }), "keep: a backup is due (by b): TakeBackup{b}"},
		"a backup is due by its time":    {restart(rolled("b", 3), snapshot("k1", time.Hour)), open + "(b is next or waits)"},
		"one does not answer us":         {restart(probe("b", unfit)), open + "(b is next or waits)"},
		"a restart, of any version":      {restart(agreed(v35)), done},
		"there is room, and no limit":    {restart(size(0), peers("a", "b", "c", "d"), asks("d")), "keep: a newcomer joins (d): WriteCheckpoint{4 members}, AddLearner{d}"},
		"order, one does not answer us":  {order(probe("b", unfit)), "roll: the next hop is not safe yet (b is unhealthy)"},
		"order, another etcd is there":   {order(says("b", func(r *cluster.Report) { r.Etcd.MemberID = 0x99 })), "roll: the next hop is not safe yet (b is unhealthy)"},
		"order, no store, no backups":    {order(func(o *Observation) { o.Settings.HasStore, o.Ledger.Backup = false, cluster.Unknown[cluster.Backup]() }), "roll: the next hop begins (etcd 3.6.14): WriteRoll{entry 5: upgrade to 3.6.14 open}"},
		"order, without a store":         {order(func(o *Observation) { o.Settings.HasStore = false }), "roll: the next hop begins (etcd 3.6.14): WriteRoll{entry 5: upgrade to 3.6.14 open}"},
		"order, its backup has gone":     {order(ofBackup("k0"), newestBackup("")), "roll: a backup is taken before the next hop (by b): TakeBackup{b}"},
		"up, run, of a downgrade before": {up(ordered(cluster.RollUpgrade, v37, v37), allRun(v37), agreed(v37), downTo(v36)), "roll: every member has restarted (roll 4): WriteRoll{entry 5: upgrade to 3.7.3 done}"},
		"down, run, agreed, not ended":   {lower(allRun(v36), agreed(v36), downTo(v36)), "roll: etcd has not ended its part of the downgrade yet (to 3.6.0)"},
		"down, run, not agreed on yet":   {lower(allRun(v36), agreed(v37), downTo(v36)), "roll: etcd has not agreed on its new version yet (it is 3.7.0)"},
		"down, run, and not agreed on":   {lower(allRun(v36)), "roll: etcd has not agreed on its new version yet (it is 3.7.0)"},
		"down, cancelled before a hop":   {house3(ordered(cluster.RollDowngrade, cluster.Version{}, v36), cancelled), "keep: all is well (3 of 3 voters healthy)"},
		"one is silent":                  {restart(silent("b")), open + "(b is next or waits)"},
		"one is unhealthy":               {restart(down0("b")), open + "(b is next or waits)"},
		"one says that it is unhealthy":  {restart(says("b", func(r *cluster.Report) { r.Etcd.Healthy = false })), open + "(b is next or waits)"},
		"another etcd is there":          {restart(says("b", func(r *cluster.Report) { r.Etcd.MemberID = 0x99 })), open + "(b is next or waits)"},
		"one did not come up":            {restart(failedAt("b", 4)), "roll: a member did not come up as the roll wants it (b: it ended): WriteRoll{entry 5: restart failed}"},
		"we did not":                     {restart(failedAt("a", 4)), "roll: a member did not come up as the roll wants it (a: it ended): WriteRoll{entry 5: restart failed}"},
		"one did not, another time":      {restart(failedAt("b", 3)), done},
		"it rests while paused":          {restart(paused), "keep: housekeeping is paused (ann: upgrade)"},
		"whether there is one is unread": {house3(unknownRoll), "wait: whether a roll is under way is unreadable: the membership stays as it is"},
		"its cluster is over":            {restart(func(o *Observation) { r := o.Ledger.Roll.Value(); r.Epoch = 0; o.Ledger.Roll = cluster.Known(r) }), "roll: the roll's cluster is over (of epoch 0): WriteRoll{entry 5: restart failed}"},
		"it is cancelled":                {restart(cancelled), "keep: all is well (3 of 3 voters healthy)"},
		"too many voters may wait":       {restart(size(1)), done},
		"a lost one goes":                {restart(down0("c"), disowns("c", id("c"))), "keep: a voter's disk is lost: RemoveMember{c}"},
		"a newcomer gets room":           {restart(size(4), peers("a", "b", "c", "d"), asks("d")), "keep: a newcomer joins (d): WriteCheckpoint{4 members}, AddLearner{d}"},
		"and nobody's place":             {restart(peers("a", "b", "c", "d"), asks("d"), down("c", time.Hour)), open + "(c is next or waits)"},
		"nor by strategy":                {restart(size(4), peers("a", "b", "c", "d"), wants("d", cluster.JoinPrune), down("c", time.Hour)), open + "(c is next or waits)"},
		"a learner":                      {restart(func(o *Observation) { o.Members = cluster.Known(of(o.Members.Value(), learner("d"))) }), "keep: the store's member list is not etcd's: WriteCheckpoint{4 members}"},
		"an order: a backup first":       {order(ofBackup("k1")), "roll: a backup is taken before the next hop (by b): TakeBackup{b}"},
		"an order: none is there":        {order(func(o *Observation) { o.Ledger.Backup = cluster.Absent[cluster.Backup]() }), "roll: a backup is taken before the next hop (by b): TakeBackup{b}"},
		"an order: it is being taken":    {order(ofBackup("k1"), func(o *Observation) { o.Ledger.BackupTried = o.Now.Add(-time.Second) }), "roll: the next hop waits for its backup (by b)"},
		"an order: which there are":      {order(unknownBackup), "roll: the next hop waits for its backup (which there are is not known)"},
		"an order: it has been taken":    {order(ofBackup("k0")), "roll: the next hop begins (etcd 3.6.14): WriteRoll{entry 5: upgrade to 3.6.14 open}"},
		"an order: without a store":      {order(noStore), "roll: the next hop begins (etcd 3.6.14): WriteRoll{entry 5: upgrade to 3.6.14 open}"},
		"an order: one is unhealthy":     {order(ofBackup("k0"), says("b", func(r *cluster.Report) { r.Etcd.Healthy = false })), "roll: the next hop is not safe yet (b is unhealthy)"},
		"an order: one is silent":        {order(ofBackup("k0"), silent("c")), "roll: the next hop is not safe yet (c is unhealthy: it does not say which etcd it runs)"},
		"an order: v2 content":           {order(ofBackup("k0"), says("c", func(r *cluster.Report) { r.V2 = "a key" })), "roll: the next hop is not safe yet (c holds content of the v2 store, on which etcd 3.6 does not start: a key)"},
		"an order: all are there":        {order(ofBackup("k0"), allRun(v37)), "roll: every member has restarted (all run 3.7.3): WriteRoll{entry 5: upgrade done}"},
		"an order: it would go down":     {order(ofBackup("k0"), ordered(cluster.RollUpgrade, cluster.Version{}, v36), allRun(v37)), "roll: the roll's way is not what was ordered (the members run other versions than when it was ordered): WriteRoll{entry 5: upgrade failed}"},
		"an order: it would go up":       {order(ordered(cluster.RollDowngrade, cluster.Version{}, v36), allRun(v35)), "roll: the roll's way is not what was ordered (the members run other versions than when it was ordered): WriteRoll{entry 5: downgrade failed}"},
		"a hop: nobody runs it":          {up(), open + "(a is next or waits)"},
		"a hop: one runs another":        {up(run("a", v36), run("c", v36)), open + "(b is next or waits)"},
		"a hop: one is beyond it":        {up(run("a", v36), run("b", v37), run("c", v36)), "roll: the next hop begins (etcd 3.7.3): WriteRoll{entry 5: upgrade to 3.7.3 open}"},
		"a hop: started is not enough":   {up(rolled("b", 4), run("a", v36), run("c", v36)), open + "(b is next or waits)"},
		"a hop: etcd has not agreed":     {up(allRun(v36), agreed(v35)), "roll: etcd has not agreed on its new version yet (it is 3.5.0)"},
		"a hop: the next":                {up(allRun(v36), agreed(v36)), "roll: the next hop begins (etcd 3.7.3): WriteRoll{entry 5: upgrade to 3.7.3 open}"},
		"a hop: etcd does not tell":      {up(allRun(v36)), "roll: the next hop begins (etcd 3.7.3): WriteRoll{entry 5: upgrade to 3.7.3 open}"},
		"a hop: the next wants a backup": {up(allRun(v36), agreed(v36), ofBackup("k1")), "roll: a backup is taken before the next hop (by b): TakeBackup{b}"},
		"the last hop":                   {up(ordered(cluster.RollUpgrade, v37, v37), allRun(v37), agreed(v37)), "roll: every member has restarted (roll 4): WriteRoll{entry 5: upgrade to 3.7.3 done}"},
		"down: enabled first":            {lower(), "roll: the data is to be brought to the older format (3.6.14): EnableDowngrade{3.6.14}"},
		"down: it is enabled":            {lower(downTo(v36)), open + "(a is next or waits)"},
		"down: another minor is":         {lower(downTo(v35)), "roll: the data is to be brought to the older format (3.6.14): EnableDowngrade{3.6.14}"},
		"down: it is at the older one":   {lower(agreed(v36)), open + "(a is next or waits)"},
		"down: done":                     {lower(allRun(v36), agreed(v36)), "roll: every member has restarted (roll 4): WriteRoll{entry 5: downgrade to 3.6.14 done}"},
		"down: cancelled":                {lower(downTo(v36), cancelled), "roll: a downgrade has ended before its end (to 3.6.0): CancelDowngrade{}"},
		"down: failed": {lower(downTo(v36), func(o *Observation) {
			r := o.Ledger.Roll.Value()
			r.State = cluster.RollFailed
			o.Ledger.Roll = cluster.Known(r)
		}), "roll: a downgrade has ended before its end (to 3.6.0): CancelDowngrade{}"},
		"down: done, and etcd not yet": {lower(downTo(v36), func(o *Observation) {
			r := o.Ledger.Roll.Value()
			r.State = cluster.RollDone
			o.Ledger.Roll = cluster.Known(r)
		}), "keep: all is well (3 of 3 voters healthy)"},
		"down: cancelled, nothing enabled": {lower(cancelled), "keep: all is well (3 of 3 voters healthy)"},
		"down: cancelled, another's":       {lower(downTo(v35), cancelled), "keep: all is well (3 of 3 voters healthy)"},
		"up: cancelled beside a downgrade": {up(downTo(v36), cancelled), "keep: all is well (3 of 3 voters healthy)"},
	}
}

func down0(name string) opt { return down(name, 0) }

// beginning is our etcd, started for entry 4 as that version so long ago.
func beginning(ago time.Duration, opts ...opt) Observation {
	o := see(data(1), charter(1, "a", "b", "c"), ordered(cluster.RollUpgrade, v37, v37))
	o.Process.Rolled = Rolled{Number: 4, At: o.Now.Add(-ago), Runs: v37, Before: v36}
	for _, f := range opts {
		f(&o)
	}
	return o
}

func crashed(n int) opt { return func(o *Observation) { o.Process.Crashes = n } }

func rollBackRows() map[string]row {
	runs := func(o *Observation) {
		o.Process.Running = true
		o.Etcd = cluster.Known(cluster.EtcdState{Running: true, MemberID: id("a")})
	}
	of := func(change func(*Rolled)) opt { return func(o *Observation) { change(&o.Process.Rolled) } }
	const start = "start: the data is usable: StartEtcd{resume}"
	const again = "start: the data is usable: StartEtcd{resume 3.7.3}"
	const gaveUp = "roll: etcd has not come up as the roll wants it "
	return map[string]row{
		"it ends and ends":             {beginning(crashedLimit, crashed(2)), gaveUp + "(it ended 2 times; 3.6.14 ran before): GiveUpRoll{entry 4}"},
		"not for long enough":          {beginning(crashedLimit-1, crashed(2)), again},
		"once":                         {beginning(crashedLimit, crashed(1)), again},
		"it runs and is not well":      {beginning(upLimit, runs), gaveUp + "(it was not healthy within 2m0s; 3.6.14 ran before): GiveUpRoll{entry 4}, StopEtcd{}"},
		"a restart, likewise":          {beginning(upLimit, runs, of(func(r *Rolled) { r.Before = r.Runs })), gaveUp + "(it was not healthy within 2m0s; 3.7.3 ran before): GiveUpRoll{entry 4}"},
		"it may yet be well":           {beginning(upLimit-1, runs), "wait: etcd is starting or has no leader"},
		"while paused":                 {beginning(upLimit, runs, paused), gaveUp + "(it was not healthy within 2m0s; 3.6.14 ran before): GiveUpRoll{entry 4}, StopEtcd{}"},
		"it was well once":             {beginning(time.Hour, crashed(9), of(func(r *Rolled) { r.Up = true })), start},
		"no roll started it":           {beginning(time.Hour, crashed(9), of(func(r *Rolled) { r.Number = 0 })), start},
		"not ours":                     {beginning(time.Hour, runs, foreign), "wait: etcd is starting or has no leader"},
		"it is well":                   {beginning(time.Hour, following), "serve: voter: following the leader"},
		"the disk is unread":           {beginning(time.Hour, crashed(9), unread), "wait: the data directory is unread (permission denied)"},
		"the data is gone":             {beginning(time.Hour, crashed(9), func(o *Observation) { o.Disk.State = cluster.DiskElsewhere }), "wait: the etcd that served here is down, and its data is not in our data directory"},
		"something else is refused":    {beginning(time.Hour, crashed(9), func(o *Observation) { o.Settings.Cluster = "other" }), "refuse: the data belongs to another cluster (its stamp says test, --cluster says other)"},
		"given up: what ran before":    {beginning(time.Hour, crashed(9), failedAt("a", 4)), "start: the data is usable: StartEtcd{resume 3.6.14}"},
		"given up, and gone back":      {beginning(time.Hour, failedAt("a", 4), of(func(r *Rolled) { r.Runs = r.Before })), start},
		"given up another time":        {beginning(0, failedAt("a", 3)), start},
		"its turn":                     {beginning(0, of(func(r *Rolled) { *r = Rolled{Turn: 4, Runs: v36} })), "start: the data is usable: StartEtcd{resume 3.7.3}"},
		"its turn in one that is over": {beginning(0, cancelled, of(func(r *Rolled) { *r = Rolled{Turn: 4, Runs: v36} })), start},
		"its turn in another":          {beginning(0, of(func(r *Rolled) { *r = Rolled{Turn: 3, Runs: v36} })), start},
		"out of turn":                  {beginning(0, of(func(r *Rolled) { *r = Rolled{Runs: v36} })), start},
	}
}

// wayBackBreaks is the judge's word on an etcd that goes back to what ran before.
func wayBackBreaks(o Observation) string {
	p := o.Process.Rolled
	if p.Number == 0 || p.Up || p.Failed != nil || o.Etcd.Value().Healthy || o.Now.Sub(p.At) < time.Minute {
		return "an etcd goes back that is up, or may yet be"
	}
	return ""
}

// rolling is three voters and a roll, that one may know otherwise, or have begun.
func rolling() space {
	mate := func(n string) axis {
		return axis{n, []opt{
			asIs, silent(n), staleAt(n, 0), staleAt(n, time.Hour), newCAAt(n, time.Hour), rolled(n, 4), failedAt(n, 4), follows(n, n, 5),
			says(n, func(r *cluster.Report) { r.Roll = nil }), says(n, func(r *cluster.Report) { r.Roll.Number = 5 }), says(n, func(r *cluster.Report) { r.Roll.Nonce = "x" }),
			says(n, func(r *cluster.Report) { r.Etcd.Healthy = false }), says(n, func(r *cluster.Report) { r.Restarting = true }),
		}}
	}
	led := func(leader string) opt {
		return func(o *Observation) {
			*o = ring(leader, ordered(cluster.RollUpgrade, v37, v37), stale(turnAfter), allRun(v36), offered)
		}
	}
	return space{name: "rolling", base: func() Observation { return ring("b") }, axes: []axis{
		{"leader", []opt{led("a"), led("b"), led("c")}},
		{"self", []opt{asIs, stale(0), func(o *Observation) { o.Process.Stale = cluster.Stale{} }, failedAt("a", 4), rolled("a", 4),
			func(o *Observation) {
				o.Process.Rolled = Rolled{Number: 4, At: o.Now.Add(-time.Hour), Runs: v37, Before: v36}
			}}},
		{"kind", []opt{asIs, ordered(cluster.RollRestart, cluster.Version{}, cluster.Version{}), ordered(cluster.RollDowngrade, v36, v36)}},
		mate("b"), mate("c"),
		{"name", []opt{asIs, func(o *Observation) { o.Self.Name = "d" }}},
		{"etcd", []opt{asIs, sick(0), sick(time.Hour), foreign, unknownEtcd}},
		{"members", []opt{asIs, unknownMembers}},
		{"lock", []opt{asIs, paused, unknownLock, unknownRoll}},
	}}
}
