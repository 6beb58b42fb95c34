package plan

import (
	"testing"
	"time"

	"github.com/quorate/quorate/internal/cluster"
)

// house3 is a the keeper of a, b and c, all well.
func house3(opts ...opt) Observation {
	return see(append([]opt{keeping(voters("a", "b", "c")...)}, opts...)...)
}

func house5(opts ...opt) Observation {
	return see(append([]opt{size(5), peers("a", "b", "c", "d", "e"), keeping(voters("a", "b", "c", "d", "e")...)}, opts...)...)
}

func of(members []cluster.Member, more ...cluster.Member) []cluster.Member {
	return append(append([]cluster.Member{}, members...), more...)
}

func TestDeclare(t *testing.T) { check(t, declareRows()) }

func declareRows() map[string]row {
	return map[string]row{
		"all is well":                            {house3(), "keep: all is well (3 of 3 voters healthy)"},
		"not yet ready":                          {house3(ledger(func(l *Ledger) { l.Ready = cluster.Absent[cluster.ReadyMark]() })), "keep: a majority of the founders are healthy voters: WriteReadyMark{1}"},
		"not ready with one of three founders":   {see(keeping(voters("a")...), ledger(func(l *Ledger) { l.Ready = cluster.Absent[cluster.ReadyMark]() })), "keep: fewer voters than wanted, and no machine to add (1 of 1 voters healthy)"},
		"not ready, and nobody says how many":    {see(size(0), keeping(voters("a")...), ledger(func(l *Ledger) { l.Ready = cluster.Absent[cluster.ReadyMark]() })), "keep: all is well (1 of 1 voters healthy)"},
		"ready with one, and no more are wanted": {see(size(1), keeping(voters("a")...), ledger(func(l *Ledger) { l.Ready = cluster.Absent[cluster.ReadyMark]() })), "keep: a majority of the founders are healthy voters: WriteReadyMark{1}"}, // simulated schedule 26964: adopted, and shrunk before it was ready
		"ready when a majority of founders is":   {see(keeping(voters("a", "b")...), ledger(func(l *Ledger) { l.Ready = cluster.Absent[cluster.ReadyMark]() })), "keep: a majority of the founders are healthy voters: WriteReadyMark{1}"},
		"not ready alone":                        {house3(ledger(func(l *Ledger) { l.Ready = cluster.Absent[cluster.ReadyMark]() }), down("b", 0), down("c", 0)), "keep: a voter is unhealthy, and nothing proves that it is lost (1 of 3 voters healthy)"},
		"the source cannot be read":              {house3(func(o *Observation) { o.View = cluster.Unknown[cluster.View]() }), "keep: the peers source cannot be read: no machine is added, and none counts as gone (3 of 3 voters healthy)"},
		"ready mark unread":                      {house3(ledger(func(l *Ledger) { l.Ready = cluster.Unknown[cluster.ReadyMark]() })), "keep: all is well (3 of 3 voters healthy)"},
		"the list is old":                        {house3(checkpoint(voters("a", "b")...)), "keep: the store's member list is not etcd's: WriteCheckpoint{3 members}"},
		"the list has another address":           {house3(checkpoint(of(voters("a", "b"), cluster.Member{ID: id("c"), Name: "c", PeerURLs: []string{at("x")}})...)), "keep: the store's member list is not etcd's: WriteCheckpoint{3 members}"},
		"the list has another name":              {house3(checkpoint(of(voters("a", "b"), unstarted(voter("c")))...)), "keep: the store's member list is not etcd's: WriteCheckpoint{3 members}"},
		"the list has another role":              {house3(checkpoint(of(voters("a", "b"), learner("c"))...)), "keep: the store's member list is not etcd's: WriteCheckpoint{3 members}"},
		"the list is of another order":           {house3(checkpoint(voters("c", "b", "a")...)), "keep: all is well (3 of 3 voters healthy)"},
		"no list yet":                            {house3(ledger(func(l *Ledger) { l.Checkpoint = cluster.Absent[cluster.Checkpoint]() })), "keep: the store's member list is not etcd's: WriteCheckpoint{3 members}"},
		"the ledger is lost":                     {house3(ledger(func(l *Ledger) { *l = see().Ledger })), "keep: the ledger has lost the charter that our data is stamped with: WriteCharter{1 empty a+b+c}"},
		"the ledger is lost, in epoch 2":         {house3(data(2), ledger(func(l *Ledger) { *l = see().Ledger })), "refuse: the etcd that runs here is not of the charter in force (charter 0, our data is of epoch 2)"},
		"the ledger is unread":                   {house3(storeDown), "wait: the maintenance lock is unreadable: the membership stays as it is"},
		"a cluster without a charter":            {house3(unstamped, ledger(func(l *Ledger) { *l = see().Ledger })), "adopt: this cluster runs and has no charter: WriteCharter{1 adopted a+b+c}"}, // adoption
		"paused, but not yet declared":           {house3(paused, checkpoint()), "keep: the store's member list is not etcd's: WriteCheckpoint{3 members}"},
		"paused":                                 {house3(paused, peers("a", "b"), down("c", time.Hour)), "keep: housekeeping is paused (ann: upgrade)"},
		"a lock that has expired":                {house3(paused, func(o *Observation) { o.Now = o.Now.Add(2 * time.Hour) }, snapshot("k", 0)), "keep: all is well (3 of 3 voters healthy)"}, // trap 21
		"the lock is unread":                     {house3(peers("a", "b"), down("c", time.Hour), ledger(func(l *Ledger) { l.Lock = cluster.Unknown[cluster.Lock]() })), "wait: the maintenance lock is unreadable: the membership stays as it is"},
		"not of the charter in force":            {house3(refounded), "refuse: the etcd that runs here is not of the charter in force (charter 1, our data is of epoch 1)"},
		"foreign, and a charter of another":      {house3(elsewhere, foreign), "refuse: the etcd that runs here is not of the charter in force (charter 1, our data is of epoch 0)"},
		"a word that was wrong":                  {house3(word(time.Hour, "b", "c")), "keep: a quorum lives: the operator's word on what is lost has lapsed ([b c]): LapseVerdict{by op}"},
		"a word of a minute":                     {house3(word(time.Minute, "b")), "keep: a quorum lives: the operator's word on what is lost has lapsed ([b]): LapseVerdict{by op}"},
		"a word of a moment ago":                 {house3(word(time.Minute-1, "b")), "keep: all is well (3 of 3 voters healthy)"},
		"a word, by a clock that is ahead":       {house3(word(-time.Hour, "b")), "keep: a quorum lives: the operator's word on what is lost has lapsed ([b]): LapseVerdict{by op}"},
		"a word, paused":                         {house3(word(time.Hour, "b"), paused), "keep: a quorum lives: the operator's word on what is lost has lapsed ([b]): LapseVerdict{by op}"},
		"a word that has lapsed":                 {house3(lapsed), "keep: all is well (3 of 3 voters healthy)"},
		"the stamp is another cluster's":         {house3(disk(func(d *cluster.Disk) { d.Stamp.Cluster = "x" })), "refuse: the data belongs to another cluster (its stamp says x, --cluster says test)"},
		"another cluster answers":                {house3(says("b", func(r *cluster.Report) { r.Keeper, r.Members, r.Etcd.ClusterID = true, voters("b"), 9 })), "refuse: two clusters answer: end one of them"},
		"another keeper of our cluster":          {house3(says("b", func(r *cluster.Report) { r.Keeper, r.Members = true, voters("a", "b", "c") })), "keep: all is well (3 of 3 voters healthy)"},
		"two other clusters answer":              {house3(says("b", func(r *cluster.Report) { r.Keeper, r.Members, r.Etcd.ClusterID = true, voters("b"), 9 }), says("c", func(r *cluster.Report) { r.Keeper, r.Members = true, voters("b") })), "refuse: two clusters answer: end one of them"},
	}
}

func TestRemove(t *testing.T) { check(t, removeRows()) }

func removeRows() map[string]row {
	return map[string]row{
		"gone and down":                           {house3(peers("a", "b"), down("c", 0)), "keep: a voter's machine is gone: RemoveMember{c}"},
		"terminated and down":                     {house3(state("c", cluster.Terminated), down("c", 0)), "keep: a voter's machine is gone: RemoveMember{c}"},
		"terminating and down":                    {house3(state("c", cluster.Terminating), down("c", 0)), "keep: a voter is unhealthy, and nothing proves that it is lost (2 of 3 voters healthy)"},
		"down for long, in the source":            {house3(down("c", time.Hour)), "keep: a voter is unhealthy, and nothing proves that it is lost (2 of 3 voters healthy)"},                                  // TRAPS 2, 8: time alone proves nothing
		"down, the source is down":                {house3(sourceDown, down("c", time.Hour)), "keep: the peers source cannot be read: no machine is added, and none counts as gone (2 of 3 voters healthy)"}, // trap 8
		"down, missing from a mere list":          {house3(peers("a", "b"), listOnly, down("c", time.Hour)), "keep: a voter is unhealthy, and nothing proves that it is lost (2 of 3 voters healthy)"},
		"the source has lost two of three":        {house3(peers("a"), down("b", 0), down("c", 0)), "keep: the peers source has lost more than a minority at once: not believed (1 of 3 voters healthy)"}, // trap 8
		"the source has lost all":                 {house3(peers()), "keep: the peers source has lost more than a minority at once: not believed (3 of 3 voters healthy)"},                                // trap 8
		"gone, but well: nobody waits":            {house3(peers("a", "b")), "keep: a voter's machine has left the group, and nobody waits to replace it: RemoveMember{c}"},
		"gone, but well: one waits":               {house3(peers("a", "b", "d"), asks("d")), "keep: a newcomer joins (d): WriteCheckpoint{4 members}, AddLearner{d}"}, // adds before it removes
		"terminating, but well":                   {house3(state("c", cluster.Terminating)), "keep: a voter departs once its replacement votes (c)"},                  // adds before it removes
		"terminating, its replacement votes":      {see(peers("a", "b", "c", "d"), state("c", cluster.Terminating), keeping(voters("a", "b", "c", "d")...)), "keep: a voter departs, and its replacement votes: RemoveMember{c}"},
		"gone, but well: its replacement votes":   {see(peers("a", "b", "c", "e"), keeping(voters("a", "b", "c", "d")...), asks("e")), "keep: a voter departs, and its replacement votes: RemoveMember{d}"},
		"its disk is lost":                        {house3(disowns("c", id("c")), down("c", 0), disowns("c", id("c"))), "keep: a voter's disk is lost: RemoveMember{c}"}, // trap 5
		"it answers: an old report is wrong":      {house3(disowns("b", id("c"))), "keep: all is well (3 of 3 voters healthy)"},
		"another answers at its address":          {house3(disowns("c", id("c")), probe("c", func(_ *Observation, p *Probe) { p.State.MemberID = 77 })), "keep: a voter's disk is lost: RemoveMember{c}"},
		"it leaves":                               {house3(says("c", func(r *cluster.Report) { r.Leaving = true })), "keep: a voter leaves: RemoveMember{c}"},
		"it leaves, with its etcd down":           {house3(probe("c", func(_ *Observation, p *Probe) { p.Healthy = false }), says("c", func(r *cluster.Report) { r.Leaving, r.Etcd = true, cluster.EtcdState{} })), "keep: a voter leaves: RemoveMember{c}"},
		"it leaves, a learner is on its way":      {see(peers("a", "b", "c", "d"), keeping(of(voters("a", "b", "c"), learner("d"))...), probe("d", lagging), says("c", func(r *cluster.Report) { r.Leaving = true })), "keep: waiting for the learner to catch up (d)"},
		"the leader leaves":                       {house3(leaving), "keep: the leader does not stay, and hands over first: TransferLeadership{b}"},
		"the leader leaves, nobody else is well":  {house3(leaving, down("b", 0), down("c", 0)), "keep: a voter must go, but the rest would not be a quorum (a)"},
		"the leader's machine terminates":         {house3(state("a", cluster.Terminating)), "keep: the leader does not stay, and hands over first: TransferLeadership{b}"},
		"the leader's machine is gone":            {house3(peers("b", "c")), "keep: the leader does not stay, and hands over first: TransferLeadership{b}"},
		"the lead goes to the most caught-up":     {house3(leaving, probe("b", func(_ *Observation, p *Probe) { p.State.Applied = 10 })), "keep: the leader does not stay, and hands over first: TransferLeadership{c}"},
		"the lead goes to one that stays":         {house3(leaving, state("b", cluster.Terminating)), "keep: the leader does not stay, and hands over first: TransferLeadership{c}"},
		"two of five gone":                        {house5(peers("a", "b", "c"), down("d", 0), down("e", 0)), "keep: a voter's machine is gone: RemoveMember{d}"},
		"three of five gone at once":              {house5(peers("a", "b"), down("c", 0), down("d", 0), down("e", 0)), "keep: the peers source has lost more than a minority at once: not believed (2 of 5 voters healthy)"},
		"a leaving one blocks, a dead one goes":   {house3(says("b", func(r *cluster.Report) { r.Leaving = true }), peers("a", "b"), down("c", 0)), "keep: a voter's machine is gone: RemoveMember{c}"}, // it hid the dead one for ever
		"a leaving one, one down":                 {house3(says("b", func(r *cluster.Report) { r.Leaving = true }), down("c", 0)), "keep: a voter must go, but the rest would not be a quorum (b)"},
		"a lone voter leaves":                     {see(size(1), peers("a"), keeping(voters("a")...), leaving), "keep: a voter must go, but the rest would not be a quorum (a)"},
		"a leaving one, and a terminating leader": {house3(says("b", func(r *cluster.Report) { r.Leaving = true }), state("a", cluster.Terminating)), "keep: the leader does not stay, and hands over first: TransferLeadership{c}"},
		"an unstarted voter, gone":                {see(keeping(of(voters("a", "b"), unstarted(voter("c")))...), peers("a", "b"), probe("c", func(_ *Observation, p *Probe) { p.Healthy = false })), "keep: a voter's machine is gone: RemoveMember{http://c:2380}"}, // TRAPS 2, 24: phantom voters
		"an unstarted voter, gone, just added":    {see(keeping(of(voters("a", "b"), unstarted(voter("c")))...), peers("a", "b"), probe("c", func(o *Observation, p *Probe) { p.Healthy, p.FirstSeen = false, o.Now })), "keep: a voter is unhealthy, and nothing proves that it is lost (2 of 3 voters healthy)"},
		"an unstarted voter of a living machine":  {see(keeping(of(voters("a", "b"), unstarted(voter("c")))...), probe("c", func(_ *Observation, p *Probe) { p.Healthy = false })), "keep: a voter is unhealthy, and nothing proves that it is lost (2 of 3 voters healthy)"},
		"gone, but moved with its data":           {house3(peers("a", "b", "c"), movedTo("c", "y"), silent("c"), holds("c", 1, 5, 100), says("c", func(r *cluster.Report) { r.PeerURL = at("y") }), probe("c", func(_ *Observation, p *Probe) { p.Healthy = false })), "keep: a voter is unhealthy, and nothing proves that it is lost (2 of 3 voters healthy)"},
		"moved, with its data, says so":           {house3(movedTo("c", "y"), says("c", func(r *cluster.Report) { r.PeerURL, r.Moved = at("y"), true })), "keep: a member has moved, with its data: UpdateMember{c http://y:2380}"}, // trap 15
		"moved onto another's address":            {house3(says("c", func(r *cluster.Report) { r.PeerURL, r.Moved = at("b"), true })), "keep: all is well (3 of 3 voters healthy)"},
		"moved, data of another cluster":          {house3(says("c", func(r *cluster.Report) { r.PeerURL, r.Moved, r.Disk.ClusterID = at("y"), true, 9 })), "keep: all is well (3 of 3 voters healthy)"},
		"the leader has moved":                    {house3(func(o *Observation) { o.Self.PeerURL = at("y") }, movedTo("a", "y")), "keep: a member has moved, with its data: UpdateMember{a http://y:2380}"},
		"another cluster's agent disowns":         {house3(down("c", 0), disowns("x", id("c")), says("x", func(r *cluster.Report) { r.Cluster = "x" })), "keep: a voter is unhealthy, and nothing proves that it is lost (2 of 3 voters healthy)"},
		"more voters than wanted":                 {see(peers("a", "b", "c", "d"), keeping(voters("a", "b", "c", "d")...)), "keep: more voters than wanted (4 of 3): RemoveMember{d}"},
		"more than wanted, one down":              {see(peers("a", "b", "c", "d"), keeping(voters("a", "b", "c", "d")...), down("b", 0)), "keep: more voters than wanted (4 of 3): RemoveMember{b}"},
		"more than wanted, one terminating":       {house5(size(4), state("c", cluster.Terminating)), "keep: a voter departs, and its replacement votes: RemoveMember{c}"},
		"more than wanted, others down":           {see(peers("a", "b", "c", "d"), keeping(voters("a", "b", "c", "d")...), down("b", 0), down("c", 0), down("d", 0)), "keep: more voters than wanted, but removing one would risk the quorum (d)"},
		"more than wanted, a learner":             {see(peers("a", "b", "c", "d", "e"), keeping(of(voters("a", "b", "c", "d"), learner("e"))...), probe("e", lagging)), "keep: waiting for the learner to catch up (e)"},
		"no limit":                                {see(size(0), peers("a", "b", "c", "d"), keeping(voters("a", "b", "c", "d")...)), "keep: all is well (4 of 4 voters healthy)"}, // trap 14
		"no limit, one terminates":                {see(size(0), peers("a", "b", "c", "d"), keeping(voters("a", "b", "c", "d")...), state("d", cluster.Terminating)), "keep: a voter departs, and its replacement votes: RemoveMember{d}"},
		"5 to 3, says the source":                 {house5(auto(3)), "keep: more voters than wanted (5 of 3): RemoveMember{e}"},
		"5 to 3, said a source that is down":      {house5(auto(3), sourceDown), "keep: the peers source cannot be read: no machine is added, and none counts as gone (5 of 5 voters healthy)"},
		"5 to 3":                                  {house5(size(3)), "keep: more voters than wanted (5 of 3): RemoveMember{e}"},
		"2 to 1":                                  {see(size(1), peers("a", "b"), keeping(voters("a", "b")...)), "keep: more voters than wanted (2 of 1): RemoveMember{b}"},
		"fewer than wanted":                       {see(peers("a", "b"), keeping(voters("a", "b")...)), "keep: fewer voters than wanted, and no machine to add (2 of 2 voters healthy)"},
	}
}

func lagging(_ *Observation, p *Probe) { p.State.Applied = 1 }
