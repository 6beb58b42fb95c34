package plan

import (
	"testing"
	"time"

	"github.com/quorate/quorate/internal/cluster"
)

// roomy is a house of a and b with room for the newcomer d.
func roomy(opts ...opt) Observation {
	return see(append([]opt{peers("a", "b", "d"), keeping(voters("a", "b")...), asks("d")}, opts...)...)
}

func wants(name string, j cluster.JoinStrategy) opt {
	return says(name, func(r *cluster.Report) { r.Joining, r.Join = true, j })
}

func TestAdmit(t *testing.T) { check(t, admitRows()) }

func admitRows() map[string]row {
	abcd := peers("a", "b", "c", "d")
	return map[string]row{
		"room":                                 {roomy(), "keep: a newcomer joins (d): WriteCheckpoint{3 members}, AddLearner{d}"},
		"a lone voter grows":                   {see(peers("a", "d"), keeping(voters("a")...), asks("d")), "keep: a newcomer joins (d): WriteCheckpoint{2 members}, AddLearner{d}"}, // etcd lets it; 1 to 3 never happened
		"no limit":                             {see(size(0), peers("a", "b", "d"), keeping(voters("a", "b")...), asks("d")), "keep: a newcomer joins (d): WriteCheckpoint{3 members}, AddLearner{d}"},
		"room by the source's size":            {roomy(auto(3)), "keep: a newcomer joins (d): WriteCheckpoint{3 members}, AddLearner{d}"},
		"the source of the size is down":       {roomy(auto(3), sourceDown), "keep: the peers source cannot be read: no machine is added, and none counts as gone (2 of 2 voters healthy)"},
		"full by the source's size":            {roomy(auto(2)), "keep: all is well (2 of 2 voters healthy)"},
		"full":                                 {house3(abcd, asks("d")), "keep: all is well (3 of 3 voters healthy)"},
		"full, one departs":                    {house3(abcd, asks("d"), state("c", cluster.Terminating)), "keep: a newcomer joins (d): WriteCheckpoint{4 members}, AddLearner{d}"},
		"full, one dead: replace":              {house3(abcd, asks("d"), down("c", time.Hour)), "keep: a newcomer replaces a dead voter (d for c): RemoveMember{c}"}, // trap 7
		"full, one down, not long enough":      {house3(abcd, asks("d"), down("c", time.Second)), "keep: a voter is unhealthy, and nothing proves that it is lost (2 of 3 voters healthy)"},
		"full, one dead: add":                  {house3(abcd, wants("d", cluster.JoinAdd), down("c", time.Hour)), "keep: a voter is unhealthy, and nothing proves that it is lost (2 of 3 voters healthy)"},
		"full, one dead: prune":                {house3(abcd, wants("d", cluster.JoinPrune), down("c", time.Hour)), "keep: a newcomer replaces a dead voter (d for c): RemoveMember{c}"},
		"room, one dead: prune":                {house5(peers("a", "b", "c", "d", "e", "f"), size(7), wants("f", cluster.JoinPrune), down("c", time.Hour)), "keep: a newcomer replaces a dead voter (f for c): RemoveMember{c}"}, // trap 14
		"room, one dead: replace adds first":   {house5(peers("a", "b", "c", "d", "e", "f"), size(7), asks("f"), down("c", time.Hour)), "keep: a newcomer joins (f): WriteCheckpoint{6 members}, AddLearner{f}"},
		"room, but etcd would refuse: replace": {house3(size(5), abcd, asks("d"), down("c", time.Hour)), "keep: a newcomer replaces a dead voter (d for c): RemoveMember{c}"},
		"room, but etcd would refuse: add":     {house3(size(5), abcd, wants("d", cluster.JoinAdd), down("c", time.Hour)), "keep: a newcomer waits: etcd adds none while too few voters are healthy (d)"},
		"replacing would risk the quorum":      {house5(peers("a", "b", "c", "d", "e", "f"), asks("f"), down("b", time.Hour), unwell("c", noEtcd), unwell("d", noEtcd), unwell("e", noEtcd)), "keep: a newcomer would replace a dead voter, but the rest would not be a quorum (b)"},
		"two ask: the older":                   {roomy(peers("a", "b", "d", "e"), asks("e"), says("d", func(r *cluster.Report) { r.Launched = noon }), says("e", func(r *cluster.Report) { r.Launched = noon.Add(-time.Hour) })), "keep: a newcomer joins (e): WriteCheckpoint{3 members}, AddLearner{e}"}, // trap 6
		"two ask: by name":                     {roomy(peers("a", "b", "d", "e"), asks("e")), "keep: a newcomer joins (d): WriteCheckpoint{3 members}, AddLearner{d}"},
		"two ask, in the other order":          {see(peers("a", "b", "d", "e"), keeping(voters("a", "b")...), asks("e"), asks("d")), "keep: a newcomer joins (d): WriteCheckpoint{3 members}, AddLearner{d}"},
		"two ask: the emptier zone":            {roomy(peers("a", "b", "d", "e"), asks("e"), says("d", func(r *cluster.Report) { r.Zone = "z-b" })), "keep: a newcomer joins (e): WriteCheckpoint{3 members}, AddLearner{e}"},
		"two ask: the leader's zone is full":   {roomy(peers("a", "b", "d", "e"), asks("e"), says("d", func(r *cluster.Report) { r.Zone = "z-a" }), func(o *Observation) { v := o.View.Value(); v.Peers[0].Zone = "z-a" }), "keep: a newcomer joins (e): WriteCheckpoint{3 members}, AddLearner{e}"},
		"the list is unread":                   {roomy(ledger(func(l *Ledger) { l.Checkpoint = cluster.Unknown[cluster.Checkpoint]() })), "keep: a newcomer waits: the store's member list is unreadable (d)"},
		"without a store":                      {roomy(noStore, ledger(func(l *Ledger) { l.Checkpoint = cluster.Unknown[cluster.Checkpoint]() })), "keep: a newcomer joins (d): WriteCheckpoint{3 members}, AddLearner{d}"},
		"not in the source":                    {roomy(peers("a", "b")), "keep: fewer voters than wanted, and no machine to add (2 of 2 voters healthy)"},
		"not in a mere list: a guest":          {roomy(peers("a", "b"), listOnly), "keep: a newcomer joins (d): WriteCheckpoint{3 members}, AddLearner{d}"},
		"the source is down":                   {roomy(sourceDown), "keep: the peers source cannot be read: no machine is added, and none counts as gone (2 of 2 voters healthy)"},
		"terminating":                          {roomy(state("d", cluster.Terminating)), "keep: fewer voters than wanted, and no machine to add (2 of 2 voters healthy)"}, // trap 9
		"under another name":                   {roomy(peers("a", "b", "x"), movedTo("x", "d")), "keep: fewer voters than wanted, and no machine to add (2 of 2 voters healthy)"},
		"it leaves":                            {roomy(says("d", func(r *cluster.Report) { r.Leaving = true })), "keep: fewer voters than wanted, and no machine to add (2 of 2 voters healthy)"},
		"its disk has no id":                   {roomy(says("d", func(r *cluster.Report) { r.Disk.ID = "" })), "keep: fewer voters than wanted, and no machine to add (2 of 2 voters healthy)"},
		"its disk holds data":                  {roomy(says("d", func(r *cluster.Report) { r.Disk.State = cluster.DiskData })), "keep: fewer voters than wanted, and no machine to add (2 of 2 voters healthy)"},
		"another cluster's":                    {roomy(says("d", func(r *cluster.Report) { r.Cluster = "x" })), "keep: fewer voters than wanted, and no machine to add (2 of 2 voters healthy)"},
		"it does not ask":                      {roomy(says("d", func(r *cluster.Report) { r.Joining = false })), "keep: fewer voters than wanted, and no machine to add (2 of 2 voters healthy)"},
		"an old entry at its address":          {house3(asks("c"), down("c", 0), asks("c")), "keep: a voter is unhealthy, and nothing proves that it is lost (2 of 3 voters healthy)"},
		"a learner is on its way":              {see(keeping(of(voters("a", "b"), learner("e"))...), probe("e", lagging), asks("d"), peers("a", "b", "d", "e")), "keep: waiting for the learner to catch up (e)"}, // trap 6
	}
}

func TestAdmitVersions(t *testing.T) { check(t, admitVersionsRows()) }

// admitVersionsRows: an entry that no etcd answers for keeps the members from
// agreeing on the next version, and so its own etcd from starting: none is made.
func admitVersionsRows() map[string]row {
	runs := func(agreed, each string) opt {
		return func(o *Observation) {
			e := o.Etcd.Value()
			e.Healthy, e.Version, e.ClusterVersion = true, each, version(agreed)
			o.Etcd = cluster.Known(e)
			for i := range o.Reports {
				o.Reports[i].Etcd.Version = each
			}
		}
	}
	offers := func(name, text string) opt {
		return says(name, func(r *cluster.Report) { r.Offers = versions(text) })
	}
	elder := says("b", func(r *cluster.Report) { r.Elder = "old entries" })
	ours := func(o *Observation) { o.Process.Elder = "old entries" }
	const joins = "keep: a newcomer joins (d): WriteCheckpoint{3 members}, AddLearner{d}"
	waits := func(why string) string {
		return "keep: a newcomer waits: no etcd that it has may join (d: " + why + ")"
	}
	lacks := func(runs, offers string) string {
		return "the cluster runs etcd " + runs + ", and --etcd offers " + offers + ": a joiner runs the cluster's minor, or the next"
	}
	yet := "keep: a newcomer waits: the members have yet to agree on a version that its etcd may join (d: " + lacks("3.5.32", "3.7.3") + ")"
	older := says("b", func(r *cluster.Report) { r.Etcd.Version = "3.5.33" })
	abcd := peers("a", "b", "c", "d")
	return map[string]row{
		"the next minor":                     {roomy(runs("3.6.0", "3.6.14"), offers("d", "3.7.3")), joins},
		"the members have not agreed yet":    {roomy(runs("3.5.0", "3.6.14"), offers("d", "3.7.3")), yet},
		"two minors above":                   {roomy(runs("3.5.0", "3.5.33"), offers("d", "3.7.3")), waits(lacks("3.5.33", "3.7.3"))},
		"two minors above one of them":       {roomy(runs("3.5.0", "3.6.14"), older, offers("d", "3.7.3")), waits(lacks("3.5.33", "3.7.3"))},
		"two minors above us":                {roomy(runs("", "3.5.33"), says("b", func(r *cluster.Report) { r.Etcd.Version = "3.6.14" }), offers("d", "3.7.3")), waits(lacks("3.5.33", "3.7.3"))},
		"another newcomer may":               {roomy(runs("3.5.0", "3.6.14"), peers("a", "b", "d", "e"), offers("d", "3.7.3"), asks("e"), offers("e", "3.6.14")), "keep: a newcomer joins (e): WriteCheckpoint{3 members}, AddLearner{e}"},
		"another newcomer may soon":          {roomy(runs("3.5.0", "3.6.14"), peers("a", "b", "d", "e"), offers("d", "3.5.33"), asks("e"), offers("e", "3.7.3")), "keep: a newcomer joins (d): WriteCheckpoint{3 members}, AddLearner{d}"},
		"it does not say what it has":        {roomy(runs("3.5.0", "3.6.14")), joins},
		"etcd would panic over a log":        {roomy(runs("3.6.0", "3.6.14"), offers("d", "3.7.3"), elder), waits("etcd 3.7.3 would end in a panic: b: old entries")},
		"etcd would panic over our log":      {roomy(runs("3.6.0", "3.6.14"), offers("d", "3.7.3"), ours), waits("etcd 3.7.3 would end in a panic: a: old entries")},
		"full: a spare, whatever it has":     {house3(abcd, asks("d"), runs("3.5.0", "3.5.33"), offers("d", "3.7.3")), "keep: all is well (3 of 3 voters healthy)"},
		"full: a spare, whatever is agreed":  {house3(abcd, asks("d"), runs("3.5.0", "3.6.14"), offers("d", "3.7.3")), "keep: all is well (3 of 3 voters healthy)"},
		"full, one departs":                  {house3(abcd, asks("d"), runs("3.5.0", "3.6.14"), offers("d", "3.7.3"), state("c", cluster.Terminating)), "keep: a voter departs once its replacement votes (c)"},
		"full, one dead: who can never join": {house3(abcd, asks("d"), runs("3.5.0", "3.5.33"), offers("d", "3.7.3"), down("c", time.Hour)), waits(lacks("3.5.33", "3.7.3"))},
		// The dead one is what keeps them from agreeing.
		"full, one dead: who can once it is gone": {house3(abcd, asks("d"), runs("3.5.0", "3.6.14"), offers("d", "3.7.3"), down("c", time.Hour)), "keep: a newcomer replaces a dead voter (d for c): RemoveMember{c}"},
	}
}

func TestLearner(t *testing.T) { check(t, learnerRows()) }

func learnerRows() map[string]row {
	house := func(l cluster.Member, opts ...opt) Observation {
		return see(append([]opt{peers("a", "b", "d"), keeping(of(voters("a", "b"), l)...)}, opts...)...)
	}
	stale := func(o *Observation, p *Probe) { p.ProgressAt = o.Now.Add(-2 * time.Minute); p.State.Applied = 1 }
	runs := says("d", func(r *cluster.Report) { r.Etcd.Running = true })
	loads := says("d", func(r *cluster.Report) { r.Care.Catching.Whole = true })
	never := func(o *Observation, p *Probe) {
		*p = Probe{FirstSeen: o.Now.Add(-2 * time.Minute)}
	}
	justAdded := func(o *Observation, p *Probe) { *p = Probe{FirstSeen: o.Now} }
	invite := func(o *Observation) { o.Invitations = map[cluster.MemberID]string{id("d"): "disk-d"} }
	return map[string]row{
		"caught up":                             {house(learner("d")), "keep: the learner has caught up: PromoteLearner{d}"},
		"caught up, its machine terminates":     {house(learner("d"), state("d", cluster.Terminating)), "keep: a learner's machine does not stay: RemoveMember{d}"},
		"caught up, its machine is gone":        {house(learner("d"), peers("a", "b")), "keep: a learner's machine does not stay: RemoveMember{d}"},
		"caught up, the source is not believed": {house(learner("d"), peers()), "keep: the learner has caught up: PromoteLearner{d}"},
		"on its way":                            {house(learner("d"), probe("d", lagging)), "keep: waiting for the learner to catch up (d)"},
		"nearly there":                          {house(learner("d"), probe("d", func(_ *Observation, p *Probe) { p.State.Applied = 890 })), "keep: the learner has caught up: PromoteLearner{d}"},
		"not quite there":                       {house(learner("d"), probe("d", func(_ *Observation, p *Probe) { p.State.Applied = 889 })), "keep: waiting for the learner to catch up (d)"},
		"has applied nothing":                   {house(learner("d"), probe("d", behind)), "keep: waiting for the learner to catch up (d)"},
		"stalled":                               {house(learner("d"), probe("d", stale), silent("d")), "keep: a learner has stopped getting nearer: RemoveMember{d}"},
		"stalled, though its etcd runs":         {house(learner("d"), probe("d", stale), runs), "keep: a learner has stopped getting nearer: RemoveMember{d}"},
		"loading a large database":              {house(learner("d"), probe("d", stale), runs, loads), "keep: waiting for the learner to catch up (d)"}, // J3
		"loaded one once, and its etcd is down": {house(learner("d"), probe("d", stale), loads, says("d", func(r *cluster.Report) { r.Etcd.Running = false })), "keep: a learner has stopped getting nearer: RemoveMember{d}"},
		"loading for ever":                      {house(learner("d"), runs, loads, probe("d", func(o *Observation, p *Probe) { stale(o, p); p.ProgressAt = o.Now.Add(-time.Hour) })), "keep: a learner has stopped getting nearer: RemoveMember{d}"},
		"never started, just added":             {house(unstarted(learner("d")), probe("d", justAdded), invite), "keep: waiting for the learner to catch up (http://d:2380)"},
		"never started":                         {house(unstarted(learner("d")), probe("d", never), invite), "keep: a learner has stopped getting nearer: RemoveMember{http://d:2380}"}, // J2
		"never started, a new keeper":           {house(unstarted(learner("d")), probe("d", never)), "keep: a learner has stopped getting nearer: RemoveMember{http://d:2380}"},         // J1: it outlived its inviter
		"never started, prepared":               {house(unstarted(learner("d")), probe("d", never), strategy(cluster.JoinPrepared)), "keep: waiting for the learner to catch up (http://d:2380)"},
		"prepared, invited all the same":        {house(unstarted(learner("d")), probe("d", never), strategy(cluster.JoinPrepared), invite), "keep: a learner has stopped getting nearer: RemoveMember{http://d:2380}"},
		"prepared, started, stalled":            {house(learner("d"), probe("d", stale), silent("d"), strategy(cluster.JoinPrepared)), "keep: a learner has stopped getting nearer: RemoveMember{d}"},
		"its disk is lost":                      {house(learner("d"), probe("d", never), silent("d"), disowns("d", id("d"))), "keep: a learner's disk is lost: RemoveMember{d}"},
		"it leaves":                             {house(learner("d"), says("d", func(r *cluster.Report) { r.Leaving = true })), "keep: a learner leaves: RemoveMember{d}"},
		"its machine is gone":                   {house(learner("d"), peers("a", "b"), down("d", 0)), "keep: a learner's machine is gone: RemoveMember{d}"},
		"its machine is gone, just invited":     {house(unstarted(learner("d")), peers("a", "b"), probe("d", justAdded), invite), "keep: a learner's machine is gone: RemoveMember{http://d:2380}"},
		"unstarted, gone, just added by hand":   {house(unstarted(learner("d")), peers("a", "b"), probe("d", justAdded)), "keep: waiting for the learner to catch up (http://d:2380)"},
		"on its way, a voter is down":           {house(learner("d"), probe("d", lagging), down("b", 0)), "keep: a voter is unhealthy, and nothing proves that it is lost (1 of 2 voters healthy)"},
		"on its way, a terminating leader":      {house(learner("d"), probe("d", lagging), state("a", cluster.Terminating)), "keep: the leader does not stay, and hands over first: TransferLeadership{b}"}, // the lead was kept until the learner was done
	}
}

func TestBackUp(t *testing.T) { check(t, backUpRows()) }

func backUpRows() map[string]row {
	return map[string]row{
		"none yet":                          {house3(ledger(func(l *Ledger) { l.Backup = cluster.Absent[cluster.Backup]() })), "keep: a backup is due (by b): TakeBackup{b}"},
		"due":                               {house3(snapshot("k", 15*time.Minute)), "keep: a backup is due (by b): TakeBackup{b}"},
		"not due":                           {house3(snapshot("k", 14*time.Minute)), "keep: all is well (3 of 3 voters healthy)"},
		"the raft log waits for one":        {house3(snapshot("k", time.Minute), func(o *Observation) { o.Ledger.FullWanted = true }), "keep: a backup is due (by b): TakeBackup{b}"},
		"and one was tried just now":        {house3(snapshot("k", time.Minute), func(o *Observation) { o.Ledger.FullWanted, o.Ledger.BackupTried = true, o.Now.Add(-29*time.Second) }), "keep: all is well (3 of 3 voters healthy)"},
		"and one was tried before":          {house3(snapshot("k", time.Minute), func(o *Observation) { o.Ledger.FullWanted, o.Ledger.BackupTried = true, o.Now.Add(-31*time.Second) }), "keep: a backup is due (by b): TakeBackup{b}"},
		"of an older epoch":                 {house3(func(o *Observation) { o.Ledger.Backup = cluster.Known(cluster.Backup{Key: "k", At: o.Now}) }), "keep: a backup is due (by b): TakeBackup{b}"},
		"dated in the future":               {house3(snapshot("k", -time.Hour)), "keep: a backup is due (by b): TakeBackup{b}"},
		"tried a moment ago":                {house3(snapshot("k", time.Hour), func(o *Observation) { o.Ledger.BackupTried = o.Now.Add(-time.Second) }), "keep: all is well (3 of 3 voters healthy)"}, // trap 19
		"tried a while ago":                 {house3(snapshot("k", time.Hour), func(o *Observation) { o.Ledger.BackupTried = o.Now.Add(-2 * time.Minute) }), "keep: a backup is due (by b): TakeBackup{b}"},
		"tried a minute ago":                {house3(snapshot("k", time.Hour), func(o *Observation) { o.Ledger.BackupTried = o.Now.Add(-time.Minute) }), "keep: all is well (3 of 3 voters healthy)"},
		"tried in the future":               {house3(snapshot("k", time.Hour), func(o *Observation) { o.Ledger.BackupTried = o.Now.Add(time.Hour) }), "keep: a backup is due (by b): TakeBackup{b}"},
		"backups unread":                    {house3(ledger(func(l *Ledger) { l.Backup = cluster.Unknown[cluster.Backup]() })), "keep: all is well (3 of 3 voters healthy)"},
		"not ready":                         {house3(snapshot("k", time.Hour), ledger(func(l *Ledger) { l.Ready = cluster.Unknown[cluster.ReadyMark]() })), "keep: all is well (3 of 3 voters healthy)"},
		"none wanted":                       {house3(snapshot("k", time.Hour), func(o *Observation) { o.Settings.BackupEvery = 0 }), "keep: all is well (3 of 3 voters healthy)"},
		"no store":                          {house3(noStore, snapshot("k", time.Hour)), "keep: all is well (3 of 3 voters healthy)"},
		"by a follower that is well":        {house3(snapshot("k", time.Hour), down("b", 0)), "keep: a backup is due (by c): TakeBackup{c}"},
		"by a follower whose agent answers": {house3(snapshot("k", time.Hour), silent("b")), "keep: a backup is due (by c): TakeBackup{c}"},
		"by one that reads well":            {house3(snapshot("k", time.Hour), says("b", func(r *cluster.Report) { r.Etcd.Healthy = false })), "keep: a backup is due (by c): TakeBackup{c}"},
		"by one that stays":                 {house3(snapshot("k", time.Hour), state("b", cluster.Terminating)), "keep: a backup is due (by c): TakeBackup{c}"},
		"by the leader at last":             {house3(snapshot("k", time.Hour), silent("b"), silent("c")), "keep: a backup is due (by a): TakeBackup{a}"},
		"while a newcomer cannot come in":   {house3(size(5), peers("a", "b", "c", "d"), wants("d", cluster.JoinAdd), down("c", time.Hour), snapshot("k", time.Hour)), "keep: a backup is due (by b): TakeBackup{b}"}, // it hid the backups
	}
}
