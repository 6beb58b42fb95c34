package plan

import (
	"testing"
	"time"

	"github.com/quorate/quorate/internal/cluster"
)

// The rows that TestMutants asked for: each stands for one guard that the
// stories of the other files do not need.

func TestGuards(t *testing.T) {
	check(t, guardRows())
	checkAs(t, guardClaimRows(), askClaim)
	checkAs(t, guardExplainRows(), askExplain)
	checkAs(t, guardShutdownRows(), askShutdown)
}

func guardRows() map[string]row {
	abc := voters("a", "b", "c")
	adopted := seed(cluster.Seed{Kind: cluster.SeedAdopted, ClusterID: 0x77})
	noBackup := ledger(func(l *Ledger) { l.Backup = cluster.Absent[cluster.Backup]() })
	notReady := ledger(func(l *Ledger) { l.Ready = cluster.Absent[cluster.ReadyMark]() })
	fromK1 := seed(cluster.Seed{Kind: cluster.SeedBackup, Backup: "k1"})
	fromX := seed(cluster.Seed{Kind: cluster.SeedSurvivor, Survivor: "x"})
	etcd := func(f func(*cluster.EtcdState)) opt {
		return func(o *Observation) { e := o.Etcd.Value(); f(&e); o.Etcd = cluster.Known(e) }
	}
	sick := func(n string) opt { return probe(n, func(_ *Observation, p *Probe) { p.Healthy = false }) }
	return map[string]row{
		"backup by one whose probe is well too":                   {house3(snapshot("k", time.Hour), sick("b")), "keep: a backup is due (by c): TakeBackup{c}"},
		"backup by one of ours":                                   {house3(snapshot("k", time.Hour), says("b", func(r *cluster.Report) { r.Cluster = "x" })), "keep: a backup is due (by c): TakeBackup{c}"},
		"backup by one at a second address":                       {see(keeping(voter("a"), cluster.Member{ID: id("b"), Name: "b", PeerURLs: []string{at("x"), at("b")}, ClientURLs: []string{"u"}}, voter("c")), snapshot("k", time.Hour), silent("c")), "keep: a backup is due (by b): TakeBackup{b}"},
		"mark unread, the cluster lives":                          {see(charter(1, "a", "b", "c"), unknownMark, leads("b", abc...)), "wait: the keeper must first remove the entry that a lost disk has left (member a, keeper b)"},
		"mark unread, no founder":                                 {dee(unknownMark), "wait: a quorum of the last members may come back (waiting for a b c)"},
		"full, one dead of five: replace":                         {house5(peers("a", "b", "c", "d", "e", "f"), asks("f"), down("c", time.Hour)), "keep: a newcomer replaces a dead voter (f for c): RemoveMember{c}"},
		"unstarted, and yet its probe is well":                    {see(peers("a", "b", "d"), keeping(voter("a"), voter("b"), unstarted(learner("d")))), "keep: waiting for the learner to catch up (http://d:2380)"},
		"a lost learner is no lost vote":                          {leftover(checkpoint(append(voters("a", "b", "c"), learner("d"))...), peers("a", "c"), holds("c", 1, 5, 1)), "wait: a quorum of the last members may come back (all that are left answer)"},
		"more than wanted, listed otherwise":                      {see(peers("a", "b", "c", "d"), keeping(voter("a"), voter("d"), voter("c"), voter("b"))), "keep: more voters than wanted (4 of 3): RemoveMember{d}"},
		"more than wanted, the leader's name is last":             {see(size(1), keeping(cluster.Member{ID: id("a"), Name: "z", PeerURLs: []string{at("a")}}, voter("b"))), "keep: more voters than wanted (2 of 1): RemoveMember{b}"},
		"granting, and a mere list":                               {see(noStore, listOnly, as("b"), agrees("a", "c"), granted("a", proposal("a", "p1", "a", "b", "c"))), "found: every peer answers with an empty disk and the same view: granting (to a): GrantCharter{1 by a}"},
		"proposing, and a mere list":                              {see(noStore, listOnly, agrees("b", "c")), "found: every peer answers with an empty disk and the same view: proposing: GrantCharter{1 by a}"},
		"another's proposal is withdrawn, though fair":            {see(noStore, agrees("b", "c"), bound(proposal("c", "p0", "a", "b", "c")), granted("c", proposal("a", "p1", "a", "b", "c"))), "found: every peer answers with an empty disk and the same view: proposing: GrantCharter{1 by a}"},
		"bound, its author's machine is gone":                     {see(noStore, size(2), peers("a", "b"), says("b", sees("a", "b")), bound(proposal("c", "p0", "c", "a", "b"))), "found: every peer answers with an empty disk and the same view: proposing: GrantCharter{1 by a}"},
		"bound, its author started anew":                          {see(noStore, agrees("b", "c"), bound(proposal("c", "p0", "c", "a", "b")), says("c", func(r *cluster.Report) { r.At = noon })), "found: every peer answers with an empty disk and the same view: proposing: GrantCharter{1 by a}"},
		"bound, its author has not spoken since":                  {see(noStore, agrees("b", "c"), bound(func() cluster.Charter { c := proposal("c", "p0", "c", "a", "b"); c.At = noon; return c }()), says("c", func(r *cluster.Report) { r.At = noon })), "wait: bound to an older proposal that may still be completed (by c)"},
		"bound, its author still holds to it":                     {see(noStore, agrees("b", "c"), bound(proposal("c", "p0", "c", "a", "b")), granted("c", proposal("c", "p0", "c", "a", "b")), says("c", func(r *cluster.Report) { r.At = noon })), "wait: bound to an older proposal that may still be completed (by c)"},
		"no charter is read: no ready mark":                       {house3(unknownCharter, notReady), "keep: all is well (3 of 3 voters healthy)"},
		"no charter is read: no list":                             {house3(unknownCharter, checkpoint(voters("a")...)), "keep: all is well (3 of 3 voters healthy)"},
		"adopted, invited, already marked":                        {adopting(mark("disk-a"), leads("b", voter("b"), unstarted(cluster.Member{ID: 9, PeerURLs: []string{at("a")}, Learner: true})), invites("b", 9, "disk-a")), "join: an entry awaits this disk (member 9): StartEtcd{existing}"},
		"a stamp without data is not fenced":                      {see(charter(2, "a", "b", "c"), disk(func(d *cluster.Disk) { d.Stamp = &cluster.Stamp{Cluster: "test", Epoch: 1} })), "found: the charter names this node (founder of epoch 2): WriteStartedMark{2}, StartEtcd{new}"},
		"an unnamed learner's machine answers":                    {see(peers("a", "b", "d"), keeping(voter("a"), voter("b"), unstarted(learner("d"))), probe("d", func(o *Observation, p *Probe) { *p = Probe{FirstSeen: o.Now} }), func(o *Observation) { o.Invitations = map[cluster.MemberID]string{id("d"): "x"} }, empty("d")), "keep: waiting for the learner to catch up (http://d:2380)"},
		"a dying machine of a mere list joins nothing":            {dee(listOnly, state("d", cluster.Terminating), leads("b", voters("a", "b")...)), "wait: this machine is being terminated"},
		"a founder holds its data at a new address":               {see(charter(1, "a", "b", "c"), data(1), leaderless, peers("a", "b"), movedTo("b", "y"), holds("b", 1, 5, 1), says("b", func(r *cluster.Report) { r.PeerURL = at("y") })), "wait: a quorum of the last members may come back (all that are left answer)"},
		"a founder holds its data under a new name":               {see(charter(1, "a", "b", "c"), data(1), leaderless, holds("x", 1, 5, 1), says("x", func(r *cluster.Report) { r.PeerURL = at("b") })), "wait: a quorum of the last members may come back (waiting for c)"},
		"the same name holds another member's data":               {leftover(holds("b", 1, 5, 1), says("b", func(r *cluster.Report) { r.Disk.MemberID = 99 })), "wait: a quorum of the last members may come back (waiting for b c)"},
		"b's machine moved, with other data":                      {leftover(peers("a", "b"), movedTo("b", "y"), holds("b", 1, 5, 1), says("b", func(r *cluster.Report) { r.PeerURL, r.Disk.MemberID, r.Disk.Stamp = at("y"), 99, &cluster.Stamp{} })), "recover: a majority is proven lost, and this survivor's log is the newest (term 5 index 100; in the store k1, term 0 index 0): WriteCharter{2 survivor a}"},
		"adopted data that another holds, unstamped":              {leftover(adopted, holds("b", 1, 5, 1), says("b", func(r *cluster.Report) { r.Disk.Stamp, r.Disk.ClusterID = nil, 0x77 })), "wait: a quorum of the last members may come back (waiting for c)"},
		"no disk id, no invitation":                               {dee(disk(func(d *cluster.Disk) { d.ID = "" }), leads("b", voter("b"), entry)), "wait: the keeper must first remove the entry that a lost disk has left (member 9, keeper b)"},
		"leads, but the list is unread":                           {house3(unknownMembers), "serve: voter: following the leader"},
		"a follower with a list":                                  {house3(following), "serve: voter: following the leader"},
		"a sick leader":                                           {house3(etcd(func(e *cluster.EtcdState) { e.Healthy = false })), "wait: etcd is starting or has no leader"},
		"nobody leads, and no id":                                 {house3(etcd(func(e *cluster.EtcdState) { e.Leader, e.MemberID = 0, 0 })), "serve: voter: following the leader"},
		"a sick learner":                                          {house3(etcd(func(e *cluster.EtcdState) { e.Healthy, e.Learner = false, true })), "wait: etcd is starting or has no leader"},
		"a keeper that tells no charter":                          {dee(leads("b", abc...), says("b", func(r *cluster.Report) { r.Charter = nil })), "wait: the cluster is full: standing by as a spare (3 voters of 3)"},
		"a keeper without a stamp":                                {dee(leads("b", abc...), says("b", func(r *cluster.Report) { r.Disk.Stamp = nil })), "wait: the cluster is full: standing by as a spare (3 voters of 3)"},
		"a keeper that tells another charter":                     {dee(leads("b", abc...), says("b", func(r *cluster.Report) { c := charterOf(1); c.Nonce = "x"; r.Charter = &c })), "wait: the keeper does not live by the charter that we have read (b)"},
		"a keeper with another charter's data":                    {dee(leads("b", abc...), says("b", refoundedData)), "wait: the keeper does not live by the charter that we have read (b)"},
		"a list from one that is no keeper":                       {dee(leads("b", abc...), says("b", func(r *cluster.Report) { r.Keeper = false })), "wait: a quorum of the last members may come back (waiting for a c)"},
		"a keeper that lives by an old charter":                   {dee(charter(2, "a", "b", "c"), leads("b", abc...), says("b", func(r *cluster.Report) { r.Disk.Stamp = nil })), "wait: a quorum of the last members may come back (waiting for a b c)"},
		"a keeper with old data and the new charter":              {dee(charter(2, "a", "b", "c"), leads("b", abc...), says("b", func(r *cluster.Report) { c := charterOf(2); r.Charter = &c })), "wait: a quorum of the last members may come back (waiting for a b c)"},
		"a zone that nobody names":                                {roomy(peers("a", "b", "d", "e"), asks("e"), says("d", zone("")), silent("b"), inZoneA), "keep: a newcomer joins (d): WriteCheckpoint{3 members}, AddLearner{d}"},
		"the leader's zone counts once":                           {see(size(5), peers("a", "b", "c", "d", "e"), keeping(voters("a", "b", "c")...), asks("d"), asks("e"), says("d", func(r *cluster.Report) { r.Zone = "z-a" }), says("b", zone("z")), says("c", zone("z")), says("e", zone("z")), func(o *Observation) { v := o.View.Value(); v.Peers[0].Zone = "z-a" }), "keep: a newcomer joins (d): WriteCheckpoint{4 members}, AddLearner{d}"},
		"an old entry at its address, and room":                   {house5(size(7), down("c", 0), asks("c")), "keep: a voter is unhealthy, and nothing proves that it is lost (4 of 5 voters healthy)"},
		"two that wait: the first says why":                       {house3(size(5), peers("a", "b", "c", "d"), says("b", func(r *cluster.Report) { r.Leaving = true }), sick("c"), asks("d")), "keep: a voter must go, but the rest would not be a quorum (b)"},
		"founder, the list unread, the keeper tells it":           {see(charter(1, "a", "b", "c"), unknownCheckpoint, leads("b", unpublished("a"), voter("b"))), "found: the charter names this node (founder of epoch 1): WriteStartedMark{1}, StartEtcd{new}"},
		"founder, another's unstarted entry":                      {see(charter(1, "a", "b", "c"), checkpoint(unpublished("b"), voter("c"))), "wait: a quorum of the last members may come back (waiting for b c)"},
		"all gone, an etcd answers at another":                    {fresh(func(o *Observation) { o.Strangers = []string{at("e")} }), "recover: every disk of the epoch is proven lost (seed: k1): WriteCharter{2 backup d+e+f}"},
		"all gone, a peer knows the same charter":                 {fresh(says("e", func(r *cluster.Report) { c := charterOf(1); r.Charter = &c })), "recover: every disk of the epoch is proven lost (seed: k1): WriteCharter{2 backup d+e+f}"},
		"the survivor that seeds is lost":                         {fresh(fromX, notReady), "refuse: the survivor that was to seed this epoch is lost: data that other nodes have set aside may be newer than any backup: use `quorate recover` (x)"},
		"the survivor that seeds is lost, a word that has lapsed": {fresh(lapsed, fromX, notReady), "refuse: the survivor that was to seed this epoch is lost: data that other nodes have set aside may be newer than any backup: use `quorate recover` (x)"},
		"the survivor that seeds is lost, an operator":            {fresh(fromX, notReady, orEmpty), "recover: every disk of the epoch is proven lost (seed: k1): WriteCharter{2 backup d+e+f}"},
		"the survivor that seeds is lost, no backup":              {fresh(fromX, notReady, noBackup), "refuse: every disk is lost and nothing can be restored: use `quorate recover --empty` (charter 1 exists)"},
		"the survivor's epoch lived":                              {fresh(fromX), "recover: every disk of the epoch is proven lost (seed: k1): WriteCharter{2 backup d+e+f}"},
		"a failed seed, an operator insists":                      {fresh(fromK1, orEmpty, says("e", func(r *cluster.Report) { r.SeedFailed = 1 })), "recover: every disk of the epoch is proven lost (seed: k1): WriteCharter{2 backup d+e+f}"},
		"a failed seed was another's":                             {fresh(says("e", func(r *cluster.Report) { r.SeedFailed = 1 })), "recover: every disk of the epoch is proven lost (seed: k1): WriteCharter{2 backup d+e+f}"},
		"a newcomer's disk is unread":                             {leftover(checkpoint(voter("a"), voter("b"), cluster.Member{PeerURLs: []string{at("d")}, Learner: true}), peers("a"), says("d", func(r *cluster.Report) { r.Disk = cluster.Disk{} })), "wait: a silent member may hold the newest data (http://d:2380)"},
		"a member's data serves elsewhere":                        {leftover(peers("a"), says("b", servesElsewhere)), "wait: a quorum of the last members may come back (waiting for b)"},
		"a member is not lost as a founder":                       {leftover(says("b", func(r *cluster.Report) { r.Lost = 1 }), disowns("c", id("c"))), "wait: a quorum of the last members may come back (waiting for b)"},
		"gone and well, a learner on its way":                     {see(peers("a", "b", "d"), keeping(of(voters("a", "b", "c"), learner("d"))...), probe("d", lagging)), "keep: waiting for the learner to catch up (d)"},
		"data of nobody, all members lost":                        {ended(data(1), leaderless, checkpoint(voters("b", "c")...), peers("a")), "wait: every last known member is lost, and this disk is none of them"},
		"the wanted size, not the old charter's":                  {fresh(size(1)), "recover: every disk of the epoch is proven lost (seed: k1): WriteCharter{2 backup d}"},
		"the ledger has answered":                                 {see(data(1), charter(1, "a", "b", "c"), justStarted, ledger(func(l *Ledger) { l.Asking = true })), "start: the data is usable: StartEtcd{resume}"},
		"the ledger is not even asked":                            {see(data(1), justStarted, storeDown), "start: the data is usable: StartEtcd{resume}"},
		"the ledger is asked":                                     {see(data(1), justStarted, storeDown, ledger(func(l *Ledger) { l.Asking = true })), "wait: the ledger is being asked whether the data is of an epoch that is over"},
		"data before its first entry, nobody leads":               {see(data(1), disk(func(d *cluster.Disk) { d.Term = 0 }), charter(1, "a", "b", "c")), "start: the data is usable: StartEtcd{resume}"},
		"the list has another id":                                 {house3(checkpoint(of(voters("a", "b"), cluster.Member{ID: 99, Name: "c", PeerURLs: []string{at("c")}})...)), "keep: the store's member list is not etcd's: WriteCheckpoint{3 members}"},
		"stamped data of the adopted cluster":                     {see(data(1), disk(func(d *cluster.Disk) { d.ClusterID = 0x77 }), charter(1, "a", "b", "c"), adopted, following), "serve: voter: following the leader"},
		"adopted, served elsewhere":                               {see(elsewhere, disk(func(d *cluster.Disk) { d.ClusterID = 0x77 }), charter(1, "a", "b", "c"), adopted, following), "serve: voter: following the leader"},
		"a learner not seen before":                               {see(peers("a", "b"), keeping(voter("a"), voter("b"), unstarted(learner("d"))), probe("d", func(_ *Observation, p *Probe) { *p = Probe{} })), "keep: waiting for the learner to catch up (http://d:2380)"},
		"stalled, its agent says that etcd is down":               {see(peers("a", "b", "d"), keeping(voter("a"), voter("b"), learner("d")), probe("d", func(o *Observation, p *Probe) { p.ProgressAt, p.Healthy = o.Now.Add(-2*time.Minute), false }), says("d", func(r *cluster.Report) { r.Etcd.Running = false })), "keep: a learner has stopped getting nearer: RemoveMember{d}"},
		"sick, nobody knows since when":                           {house3(peers("a", "b", "c", "d"), asks("d"), sick("c")), "keep: a voter is unhealthy, and nothing proves that it is lost (2 of 3 voters healthy; c: unreached, its etcd is well, as its own agent says, and does not answer from here)"},
		"well again, its sickness remembered":                     {house3(peers("a", "b", "c", "d"), asks("d"), probe("c", func(o *Observation, p *Probe) { p.UnhealthySince = o.Now.Add(-time.Hour) })), "keep: all is well (3 of 3 voters healthy)"},
		"the leader has no probe of itself":                       {house3(func(o *Observation) { delete(o.Probes, id("a")) }), "keep: all is well (3 of 3 voters healthy)"},
		"one disowns, a later one does not":                       {house3(down("c", 0), disowns("c", id("c")), empty("x")), "keep: a voter's disk is lost: RemoveMember{c}"},
		"the lead goes to one that has applied nothing":           {house3(leaving, probe("b", func(_ *Observation, p *Probe) { p.State.Applied = 0 }), probe("c", func(_ *Observation, p *Probe) { p.State.Applied = 0 })), "keep: the leader does not stay, and hands over first: TransferLeadership{b}"},
		"the newest survivor has our name":                        {leftover(peers("a"), checkpoint(voters("a", "b", "c", "d", "e")...), holds("x", 1, 9, 9), says("x", func(r *cluster.Report) { r.Name, r.Disk.MemberID = "a", id("b") })), "wait: the survivor with the newest log founds the next epoch (a)"},
		"caught up, the list unread":                              {see(peers("a", "b", "d"), keeping(voter("a"), voter("b"), learner("d")), unknownCheckpoint), "keep: the learner has caught up, but the store's member list is unreadable (d)"},
		"caught up, no store":                                     {see(noStore, peers("a", "b", "d"), keeping(voter("a"), voter("b"), learner("d")), unknownCheckpoint), "keep: the learner has caught up: PromoteLearner{d}"},
		"on its way, the list unread":                             {see(peers("a", "b", "d"), keeping(voter("a"), voter("b"), learner("d")), unknownCheckpoint, probe("d", lagging)), "keep: waiting for the learner to catch up (d)"},
		"gone, and only just seen":                                {house3(peers("a", "b"), down("c", 0), probe("c", func(o *Observation, p *Probe) { p.FirstSeen = o.Now })), "keep: a voter's machine is gone: RemoveMember{c}"},
		"crashing, and all others lost":                           {ended(data(1), peers("a"), crashing(3)), "recover: a majority is proven lost, and this survivor's log is the newest (term 5 index 100; in the store k1, term 0 index 0): WriteCharter{2 survivor a}"},
		"crashing twice, and all others lost":                     {ended(data(1), peers("a"), crashing(2)), "start: the data is usable: StartEtcd{resume}"},
		"crashing, and nobody is lost":                            {ended(data(1), crashing(3)), "start: the data is usable: StartEtcd{resume}"},
		"a disk that was cut off before its first entry":          {leftover(peers("a", "b"), holds("b", 1, 0, 0)), "wait: a quorum of the last members may come back (waiting for b)"},
		"all gone, a stamp of a later epoch without its data":     {fresh(says("e", func(r *cluster.Report) { r.Disk.Stamp = &cluster.Stamp{Epoch: 2} })), "recover: every disk of the epoch is proven lost (seed: k1): WriteCharter{2 backup d+e+f}"},
		"our disk has never had an entry":                         {leftover(disk(func(d *cluster.Disk) { d.Index = 0 })), "recover: this disk has never received an entry: its etcd ends first: StopEtcd{}"},
		"our disk has never had an entry, not ours to stop":       {leftover(foreign, disk(func(d *cluster.Disk) { d.Index = 0 })), "wait: a quorum of the last members may come back (waiting for a b c)"},
		"all gone, but for a disk without an entry":               {fresh(holds("b", 1, 0, 0)), "wait: a silent member may hold the newest data (b)"},
		"moved, and no member of ours":                            {house3(says("c", func(r *cluster.Report) { r.PeerURL, r.Moved, r.Disk.MemberID = at("y"), true, 99 })), "keep: all is well (3 of 3 voters healthy)"},
	}
}

// inZoneA puts the leader's machine into zone z-a.
func inZoneA(o *Observation) {
	v := o.View.Value()
	v.Peers[0].Zone = "z-a"
}

func refoundedData(r *cluster.Report) {
	r.Charter = nil
	r.Disk.Stamp = &cluster.Stamp{Epoch: 1, Charter: cluster.Charter{Nonce: "x"}}
}

func servesElsewhere(r *cluster.Report) {
	r.PeerURL = at("y")
	r.Disk = cluster.Disk{State: cluster.DiskElsewhere, MemberID: id("b")}
}

// leftAStamp is an empty disk with the stamp of data that it once held.
func leftAStamp(r *cluster.Report) {
	r.Disk.Term, r.Disk.Index, r.Disk.Stamp, r.Local = 9, 9, diskOf("b", 1, 1, 1).Stamp, voters("b", "c", "d")
}

func crashing(n int) opt { return func(o *Observation) { o.Process.Crashes = n } }

func zone(z string) func(*cluster.Report) { return func(r *cluster.Report) { r.Zone = z } }

// local is a node's own copy of the member list.
func local(members ...cluster.Member) opt {
	return func(o *Observation) { o.Local = members }
}

func TestLocalLists(t *testing.T) { check(t, localRows()) }

// The store's list lags behind etcd's by a change that it did not take: the
// newest survivor's own list says who votes, and both lists who must answer.
func localRows() map[string]row {
	abc := voters("a", "b", "c")
	theirs := func(name string, members ...cluster.Member) opt {
		return says(name, func(r *cluster.Report) { r.Local = members })
	}
	return map[string]row{
		"it votes alone, the store lists three":    {leftover(local(voters("a")...)), "wait: a quorum of the last members may come back (waiting for b c)"},
		"it votes with d, the store lists three":   {leftover(local(voters("a", "d")...), peers("a")), "recover: a majority is proven lost, and this survivor's log is the newest (term 5 index 100; in the store k1, term 0 index 0): WriteCharter{2 survivor a}"},
		"d is silent":                              {leftover(local(voters("a", "d")...), peers("a", "d")), "wait: a quorum of the last members may come back (waiting for d)"},
		"the store's b is silent":                  {leftover(local(voters("a", "d")...), peers("a", "b")), "wait: a silent member may hold the newest data (b)"},
		"both lists agree":                         {leftover(local(abc...), peers("a", "b")), "wait: a quorum of the last members may come back (waiting for b)"},
		"both lists agree, two gone":               {leftover(local(abc...), peers("a")), "recover: a majority is proven lost, and this survivor's log is the newest (term 5 index 100; in the store k1, term 0 index 0): WriteCharter{2 survivor a}"},
		"a newer one's list counts":                {leftover(local(abc...), peers("a", "b"), holds("b", 1, 6, 1), theirs("b", voters("b", "c", "d")...)), "wait: the survivor with the newest log founds the next epoch (b)"},
		"an older one's list does not":             {leftover(local(abc...), peers("a", "b"), holds("b", 1, 4, 1), theirs("b", voters("b", "c", "d")...)), "wait: a quorum of the last members may come back (all that are left answer)"},
		"an older epoch's list does not":           {leftover(local(abc...), peers("a", "b"), holds("b", 0, 9, 1), theirs("b", voters("b", "c", "d")...)), "wait: a quorum of the last members may come back (waiting for b)"},
		"an empty disk's list does not":            {leftover(local(abc...), peers("a", "b"), says("b", leftAStamp)), "wait: a quorum of the last members may come back (waiting for b)"},
		"the newest has no list":                   {leftover(local(voters("a")...), peers("a", "b"), holds("b", 1, 6, 1)), "wait: a quorum of the last members may come back (all that are left answer)"},
		"founders that its list has, by name":      {see(charter(1, "a", "b", "c"), data(1), leaderless, local(voter("a"), cluster.Member{ID: 0xb, Name: "b", PeerURLs: []string{at("x")}}, voter("c")), peers("a"), lost("c")), "recover: a majority is proven lost, and this survivor's log is the newest (term 5 index 100; in the store nothing of this epoch): WriteCharter{2 survivor a}"},
		"founders that its list has, by address":   {see(charter(1, "a", "b", "c"), data(1), leaderless, local(voter("a"), cluster.Member{ID: 0xb, PeerURLs: []string{at("b")}}, voter("c")), peers("a")), "recover: a majority is proven lost, and this survivor's log is the newest (term 5 index 100; in the store nothing of this epoch): WriteCharter{2 survivor a}"},
		"founders that its list lacks":             {see(charter(1, "a", "b", "c"), data(1), leaderless, local(voters("a")...), peers("a", "b")), "wait: a quorum of the last members may come back (waiting for b)"},
		"a newcomer that its list has by now":      {leftover(checkpoint(voter("a"), voter("b"), cluster.Member{PeerURLs: []string{at("d")}, Learner: true}), local(voter("a"), voter("b"), learner("d")), peers("a", "d")), "wait: a silent member may hold the newest data (d)"},
		"a newcomer that never came into the list": {leftover(checkpoint(voter("a"), cluster.Member{PeerURLs: []string{at("d")}, Learner: true}), local(voter("a"), voter("b"), voter("c")), peers("a", "d")), "wait: a silent member may hold the newest data (http://d:2380)"},
		"founders all silent, one by name":         {see(charter(1, "a", "b", "c"), data(1), leaderless, local(voter("a"), cluster.Member{ID: 0xb, Name: "b", PeerURLs: []string{at("x")}}, voter("c"))), "wait: a quorum of the last members may come back (waiting for b c)"},
		"founders all silent, one by address":      {see(charter(1, "a", "b", "c"), data(1), leaderless, local(voter("a"), cluster.Member{ID: 0xb, PeerURLs: []string{at("b")}}, voter("c"))), "wait: a quorum of the last members may come back (waiting for http://b:2380 c)"},
		"all silent, one address under two ids":    {leftover(checkpoint(voter("a"), voter("b"), cluster.Member{ID: 99, Name: "c", PeerURLs: []string{at("c")}}), local(abc...)), "wait: a quorum of the last members may come back (waiting for b c c)"},
		"one id, another address":                  {leftover(checkpoint(voter("a"), voter("b"), cluster.Member{ID: id("c"), Name: "c", PeerURLs: []string{at("y")}}), local(abc...), peers("a", "b")), "wait: a quorum of the last members may come back (waiting for b)"},
		"one address, another id":                  {leftover(checkpoint(voter("a"), voter("b"), cluster.Member{ID: 99, Name: "c", PeerURLs: []string{at("c")}}), local(abc...), peers("a")), "recover: a majority is proven lost, and this survivor's log is the newest (term 5 index 100; in the store k1, term 0 index 0): WriteCharter{2 survivor a}"},
	}
}

func guardClaimRows() map[string]row {
	abc := voters("a", "b", "c")
	theirs := func(e cluster.Epoch, f func(*cluster.Report)) opt {
		return and(holds("b", e, 5, 1), says("b", func(r *cluster.Report) { r.Local = voters("d"); f(r) }))
	}
	same := func(*cluster.Report) {}
	return map[string]row{
		"data that may lie elsewhere":                {adopting(leads("b", abc...)), "{Lost:0 SeedFailed:0 Disowns:[] Joining:false Moved:false}"},
		"data that may lie elsewhere, while running": {adopting(running, checkpoint(abc...)), "{Lost:0 SeedFailed:0 Disowns:[] Joining:false Moved:false}"},
		"adopted, data here":                         {adopting(data(1), checkpoint(of(abc, cluster.Member{ID: 9, PeerURLs: []string{at("a")}})...)), "{Lost:0 SeedFailed:0 Disowns:[9] Joining:false Moved:false}"},
		"adopted, an agent has held it":              {adopting(mark("disk-a"), leads("b", abc...)), "{Lost:1 SeedFailed:0 Disowns:[a] Joining:true Moved:false}"},
		"adopted, a newcomer's uninvited entry":      {dee(seed(cluster.Seed{Kind: cluster.SeedAdopted}), leads("b", voter("b"), entry)), "{Lost:0 SeedFailed:0 Disowns:[9] Joining:true Moved:false}"},
		"a stamp before its data, while running":     {dee(running, checkpoint(voters("d")...), disk(func(d *cluster.Disk) { d.Stamp = &cluster.Stamp{Name: "d"} })), "{Lost:0 SeedFailed:0 Disowns:[] Joining:false Moved:false}"},
		"a newcomer, an unstarted voter in its way":  {dee(checkpoint(unpublished("d"))), "{Lost:0 SeedFailed:0 Disowns:[d] Joining:true Moved:false}"},
		"data, an entry without an id":               {see(data(1), charter(1, "a"), checkpoint(cluster.Member{PeerURLs: []string{at("a")}})), "{Lost:0 SeedFailed:0 Disowns:[] Joining:false Moved:false}"},
		"no founder, a foreign mark":                 {dee(mark("x")), "{Lost:0 SeedFailed:0 Disowns:[] Joining:true Moved:false}"},
		"data, a foreign mark":                       {see(data(1), charter(1, "a", "b", "c"), mark("x")), "{Lost:0 SeedFailed:0 Disowns:[] Joining:false Moved:false}"},
		"running, and its own list unread":           {see(data(1), following, charter(1, "a"), checkpoint(cluster.Member{ID: id("a"), Name: "a", PeerURLs: []string{at("x")}})), "{Lost:0 SeedFailed:0 Disowns:[] Joining:false Moved:true}"},
		"served elsewhere, its entry moved":          {see(elsewhere, disk(func(d *cluster.Disk) { d.MemberID = id("a") }), charter(1, "a"), checkpoint(cluster.Member{ID: id("a"), Name: "a", PeerURLs: []string{at("x")}})), "{Lost:0 SeedFailed:0 Disowns:[] Joining:false Moved:false}"},
		"another's own list has its address":         {dee(theirs(1, same)), "{Lost:0 SeedFailed:0 Disowns:[d] Joining:true Moved:false}"},
		"another epoch's list does not count":        {dee(theirs(2, same)), "{Lost:0 SeedFailed:0 Disowns:[] Joining:true Moved:false}"},
		"another cluster's list does not count":      {dee(theirs(1, func(r *cluster.Report) { r.Cluster = "x" })), "{Lost:0 SeedFailed:0 Disowns:[] Joining:true Moved:false}"},
		"an empty disk's list does not count":        {dee(theirs(1, func(r *cluster.Report) { r.Disk.State = cluster.DiskEmpty })), "{Lost:0 SeedFailed:0 Disowns:[] Joining:true Moved:false}"},
	}
}

func guardExplainRows() map[string]row {
	return map[string]row{
		"a refusal is no choice":    {see(size(0), empty("b", "c")), "the disk holds no data of ours; no newer epoch than our data's is known; no charter is known; there is no charter; founding needs a size: give --size, or a peers source that knows it; no quorum answers, and the ledger is unreadable; our etcd does not lead"},
		"old data without a leader": {see(data(1), leaderless, charter(2, "b")), "etcd runs already; *a newer epoch is in force; etcd runs already; etcd runs already; charter 2 exists; a newer epoch has been founded; our etcd does not lead"},
	}
}

func guardShutdownRows() map[string]row {
	return map[string]row{
		"a follower that is told to end": {house3(following), "stop: this agent was told to end: StopEtcd{}"},
	}
}
