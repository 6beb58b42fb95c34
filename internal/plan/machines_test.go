package plan

import (
	"testing"
	"time"

	"github.com/quorate/quorate/internal/cluster"
)

// Options: the machines, and what the cloud can do to them.

func cloud(o *Observation) {
	o.Settings.HasCloud, o.Settings.SurgeWait, o.Settings.CrashLimit = true, 5*time.Minute, 5
	o.Machines.Announced = true
}

// grouped puts all machines into a group.
func grouped(o *Observation) {
	for _, p := range o.View.Value().Peers {
		peerIs(p.Name, func(p *cluster.Peer) { p.Group = "g" })(o)
	}
}

func unannounced(o *Observation) { o.Machines.Announced = false }

func peerIs(name string, f func(*cluster.Peer)) opt {
	return func(o *Observation) {
		v := o.View.Value()
		v.Peers = append([]cluster.Peer(nil), v.Peers...)
		for i := range v.Peers {
			if v.Peers[i].Name == name {
				f(&v.Peers[i])
			}
		}
		o.View = cluster.Known(v)
	}
}

// ending has machines terminate, held by their group's hook.
func ending(names ...string) opt {
	return func(o *Observation) {
		for _, n := range names {
			peerIs(n, func(p *cluster.Peer) { p.State, p.Held = cluster.Terminating, true })(o)
		}
	}
}

func coming(name string) opt {
	return peerIs(name, func(p *cluster.Peer) { p.State, p.Held = cluster.Pending, true })
}

func unheld(name string) opt { return peerIs(name, func(p *cluster.Peer) { p.Held = false }) }

func capacity(n int) opt {
	return func(o *Observation) {
		v := o.View.Value()
		v.Size = n
		o.View = cluster.Known(v)
	}
}

func handled(step string, ago time.Duration) opt {
	return func(o *Observation) {
		if o.Machines.Handled == nil {
			o.Machines.Handled = map[string]time.Time{}
		}
		o.Machines.Handled[step] = o.Now.Add(-ago)
	}
}

func departs(name string, ago time.Duration) opt {
	return func(o *Observation) {
		if o.Machines.DepartsSince == nil {
			o.Machines.DepartsSince = map[string]time.Time{}
		}
		o.Machines.DepartsSince[name] = o.Now.Add(-ago)
	}
}

// doomed has a machine terminate by a spot interruption.
func doomed(name string) opt {
	return func(o *Observation) {
		o.Machines.Doomed = append(o.Machines.Doomed, "i-"+name)
		o.View = cluster.Known(Doom(o.View.Value(), o.Machines.Doomed))
	}
}

func uneasy(names ...string) opt {
	return func(o *Observation) {
		for _, n := range names {
			o.Machines.Uneasy = append(o.Machines.Uneasy, "i-"+n)
		}
	}
}

func crashes(name string, n int) opt {
	return and(down(name, time.Hour), says(name, func(r *cluster.Report) { *r = report(name); r.Disk = diskOf(name, 1, 5, 100); r.Crashes = n }))
}

func unreadAt(name string, d time.Duration) opt {
	return and(down(name, time.Hour), says(name, func(r *cluster.Report) {
		r.Disk = cluster.Disk{}
		r.At, r.Since = noon, noon.Add(-d)
	}))
}

// held3 is house3 on machines of a cloud, with no need for a hold in this minute.
func held3(opts ...opt) Observation {
	return house3(append([]opt{cloud, handled("HoldMachine{a}", 0), handled("HoldMachine{b}", 0), handled("HoldMachine{c}", 0)}, opts...)...)
}

func TestHold(t *testing.T) { check(t, holdRows()) }

func holdRows() map[string]row {
	const hold, release = "keep: a machine's lifecycle hook is kept from running out: HoldMachine{c}", "keep: a machine that is no member may end: ReleaseMachine{c}"
	two := func(opts ...opt) Observation {
		return see(append([]opt{keeping(voters("a", "b")...), cloud}, opts...)...)
	}
	const few = "keep: fewer voters than wanted, and no machine to add (2 of 2 voters healthy)"
	return map[string]row{
		"a member's machine ends":              {house3(cloud, ending("c")), hold},
		"two of them":                          {house3(cloud, ending("b", "c")), "keep: a machine's lifecycle hook is kept from running out: HoldMachine{b}, HoldMachine{c}"},
		"held a moment ago":                    {house3(cloud, ending("c"), handled("HoldMachine{c}", 59*time.Second)), "keep: a voter departs once its replacement votes (c)"},
		"held a minute ago":                    {house3(cloud, ending("c"), handled("HoldMachine{c}", time.Minute)), hold},
		"nothing can be held":                  {house3(ending("c")), "keep: a voter departs once its replacement votes (c)"},
		"it waits for nobody":                  {house3(cloud, ending("c"), unheld("c")), "keep: a voter departs once its replacement votes (c)"},
		"a learner's machine comes up":         {see(peers("a", "b", "c"), keeping(of(voters("a", "b"), learner("c"))...), cloud, coming("c"), probe("c", lagging)), hold},
		"a machine that is no member yet":      {two(coming("c")), few}, // the hook's time limit is for one that never gets in
		"a member under another name":          {two(ending("c"), func(o *Observation) { m := o.Members.Value(); m[1].Name = "c" }), hold},
		"a member at its address, unstarted":   {see(keeping(of(voters("a", "b"), unstarted(learner("c")))...), cloud, ending("c")), hold},
		"paused":                               {house3(cloud, ending("c"), paused), hold}, // a hook that runs out would end a voter
		"paused, no member any more":           {two(ending("c"), paused), hold},           // an operator may be looking at it
		"paused, it comes up":                  {two(coming("c"), paused), "keep: housekeeping is paused (ann: upgrade)"},
		"the lock is unread, no member":        {two(ending("c"), unknownLock), hold},
		"before the list is written":           {house3(cloud, ending("c"), checkpoint()), hold},
		"no member any more":                   {two(ending("c")), release},
		"never was one":                        {see(keeping(voters("a", "b", "c")...), peers("a", "b", "c", "d"), cloud, ending("d")), "keep: a machine that is no member may end: ReleaseMachine{d}"},
		"let go a moment ago":                  {two(ending("c"), handled("ReleaseMachine{c}", 14*time.Second)), few},
		"let go, and it is still there":        {two(ending("c"), handled("ReleaseMachine{c}", 15*time.Second)), release},
		"held a moment ago, and now removed":   {two(ending("c"), handled("HoldMachine{c}", 0)), release},
		"no member, and it waits for nobody":   {two(ending("c"), unheld("c")), few},
		"no member, and nothing can let it go": {two(func(o *Observation) { o.Settings.HasCloud = false }, ending("c")), few},
		"holds before it lets go":              {see(peers("a", "b", "c", "d"), keeping(voters("a", "b", "c")...), cloud, ending("c", "d")), hold},
		"the source is down":                   {two(ending("c"), sourceDown), "keep: the peers source cannot be read: no machine is added, and none counts as gone (2 of 2 voters healthy)"},
	}
}

func TestDepart(t *testing.T) { check(t, departRows()) }

func departRows() map[string]row {
	const waits, shrinks = "keep: a voter departs once its replacement votes (c)", "keep: a voter departs, and no replacement is due: RemoveMember{c}"
	late := "keep: a voter departs, and its replacement has not come in time: RemoveMember{c}"
	abcd := peers("a", "b", "c", "d")
	return map[string]row{
		"one is due":                                 {held3(ending("c"), departs("c", time.Minute), capacity(3)), waits},
		"one is due, by --size alone":                {held3(ending("c"), departs("c", time.Minute)), waits},
		"first seen now":                             {held3(ending("c"), capacity(3)), waits},
		"a spare is there":                           {held3(abcd, ending("c"), departs("c", time.Minute), capacity(3)), waits},
		"the group shrinks":                          {held3(ending("c"), capacity(2)), shrinks},
		"the group shrinks, a spare departs":         {held3(abcd, ending("c", "d"), capacity(2), handled("ReleaseMachine{d}", 0)), shrinks},
		"the group shrinks, no word of size":         {held3(size(0), ending("c")), "keep: a voter departs, and its replacement votes: RemoveMember{c}"},
		"size is the group's":                        {held3(size(0), ending("c"), capacity(3)), waits},
		"a learner is the replacement":               {see(abcd, keeping(of(voters("a", "b", "c"), learner("d"))...), cloud, ending("c"), handled("HoldMachine{c}", 0), capacity(3), probe("d", lagging)), "keep: waiting for the learner to catch up (d)"},
		"a newcomer is let in":                       {held3(abcd, ending("c"), asks("d"), capacity(3)), "keep: a newcomer joins (d): WriteCheckpoint{4 members}, AddLearner{d}"},
		"its replacement votes":                      {see(abcd, keeping(voters("a", "b", "c", "d")...), cloud, ending("c"), handled("HoldMachine{c}", 0), capacity(3)), "keep: a voter departs, and its replacement votes: RemoveMember{c}"},
		"just in time":                               {held3(ending("c"), departs("c", 5*time.Minute-1), capacity(3)), waits},
		"not in time":                                {held3(ending("c"), departs("c", 5*time.Minute), capacity(3)), late},
		"two at once: the first":                     {held3(ending("b", "c"), departs("b", 5*time.Minute), departs("c", 5*time.Minute), capacity(3)), "keep: a voter departs, and its replacement has not come in time: RemoveMember{b}"},
		"two at once: the second waits":              {see(peers("a", "b", "c"), keeping(voters("a", "c")...), cloud, ending("b", "c"), departs("c", 49*time.Minute), capacity(3), handled("HoldMachine{c}", 0), handled("ReleaseMachine{b}", 0)), waits}, // two terminations in three ended the quorum
		"two at once: the second in the end":         {see(peers("a", "b", "c"), keeping(voters("a", "c")...), cloud, ending("b", "c"), departs("c", 50*time.Minute), capacity(3), handled("HoldMachine{c}", 0), handled("ReleaseMachine{b}", 0)), late},
		"two at once, the group shrinks to one":      {see(size(1), peers("a", "b", "c"), keeping(voters("a", "b", "c")...), cloud, ending("b", "c"), capacity(1), handled("HoldMachine{b}", 0), handled("HoldMachine{c}", 0)), "keep: a voter departs, and its replacement votes: RemoveMember{b}"},
		"interrupted: a little patience":             {held3(doomed("c"), departs("c", 44*time.Second), capacity(3)), waits},
		"interrupted: not much":                      {held3(doomed("c"), departs("c", 45*time.Second), capacity(3)), late},
		"interrupted, and less patience is set":      {held3(doomed("c"), departs("c", 10*time.Second), capacity(3), func(o *Observation) { o.Settings.SurgeWait = 10 * time.Second }), late},
		"interrupted, two at once":                   {see(peers("a", "b", "c"), keeping(voters("a", "c")...), cloud, doomed("b"), doomed("c"), departs("c", 45*time.Second), capacity(3)), late},
		"another is interrupted":                     {held3(abcd, doomed("d"), ending("c"), departs("c", time.Minute), capacity(3)), waits},
		"it does not answer":                         {held3(ending("c"), down("c", time.Hour), capacity(3)), "keep: a voter departs, and does not answer any more: RemoveMember{c}"}, // nobody else would ever remove it: the hook held it
		"it does not answer, for a moment":           {held3(ending("c"), down("c", time.Second), capacity(3)), "keep: a voter is unhealthy, and nothing proves that it is lost (2 of 3 voters healthy)"},
		"another is down":                            {held3(ending("c"), down("b", 0), capacity(2)), "keep: a voter must go, but the rest would not be a quorum (c)"},
		"the lone voter":                             {see(size(1), peers("a"), keeping(voters("a")...), cloud, ending("a"), handled("HoldMachine{a}", 0), capacity(1)), "keep: a voter departs once its replacement votes (a)"},
		"the lone voter's replacement":               {see(size(1), peers("a", "d"), keeping(voters("a")...), asks("d"), cloud, ending("a"), handled("HoldMachine{a}", 0), capacity(1)), "keep: a newcomer joins (d): WriteCheckpoint{2 members}, AddLearner{d}"},
		"a learner departs":                          {see(abcd, keeping(of(voters("a", "b", "c"), learner("d"))...), cloud, ending("d"), handled("HoldMachine{d}", 0), down("d", 0)), "keep: a learner's machine does not stay: RemoveMember{d}"},
		"who shrinks anyway":                         {see(peers("a", "b", "c", "d"), keeping(voters("a", "b", "c", "d")...), cloud, ending("b"), handled("HoldMachine{b}", 0), down("d", 0)), "keep: a voter departs, and its replacement votes: RemoveMember{b}"},
		"a group that shrinks says which go":         {house5(cloud, grouped, auto(3)), "keep: all is well (5 of 5 voters healthy)"}, // another one was removed, and had to come back
		"a group that has shrunk":                    {house5(cloud, grouped, auto(3), state("d", cluster.Terminated), state("e", cluster.Terminated), down("d", 0)), "keep: a voter's machine is gone: RemoveMember{d}"},
		"a group that never says":                    {house5(cloud, auto(3)), "keep: more voters than wanted (5 of 3): RemoveMember{e}"},
		"a group that shrinks, by hand":              {house5(cloud, grouped, size(3)), "keep: more voters than wanted (5 of 3): RemoveMember{e}"},
		"a machine that has gone is not one":         {see(peers("a", "b", "c", "d", "x"), keeping(voters("a", "b", "c", "d")...), cloud, grouped, auto(3), peerIs("d", func(p *cluster.Peer) { p.Group = "" }), state("x", cluster.Terminating)), "keep: more voters than wanted (4 of 3): RemoveMember{d}"},
		"a group that says which goes":               {house5(cloud, grouped, auto(3), ending("b"), handled("HoldMachine{b}", 0)), "keep: a voter departs, and its replacement votes: RemoveMember{b}"},
		"a group that lacks one machine":             {house5(cloud, grouped, auto(3), peers("a", "b"), listOnly), "keep: more voters than wanted (5 of 3): RemoveMember{e}"},
		"the leader may be interrupted":              {held3(uneasy("a")), "keep: the leader's machine may be interrupted, and hands over: TransferLeadership{b}"},
		"it hands over to one that stays":            {held3(uneasy("a", "b")), "keep: the leader's machine may be interrupted, and hands over: TransferLeadership{c}"},
		"one that stays, though it lags":             {held3(uneasy("a", "b"), probe("c", lagging)), "keep: the leader's machine may be interrupted, and hands over: TransferLeadership{c}"},
		"one that stays, listed first":               {held3(uneasy("a", "c"), probe("b", lagging)), "keep: the leader's machine may be interrupted, and hands over: TransferLeadership{b}"},
		"all may be interrupted":                     {held3(uneasy("a", "b", "c")), "keep: all is well (3 of 3 voters healthy)"},
		"it may be interrupted, nobody else is well": {held3(uneasy("a"), down("b", 0), down("c", 0)), "keep: a voter is unhealthy, and nothing proves that it is lost (1 of 3 voters healthy)"},
		"all others may be, and it leaves":           {held3(leaving, uneasy("b", "c"), probe("c", lagging)), "keep: the leader does not stay, and hands over first: TransferLeadership{b}"},
		"a follower may be interrupted":              {held3(uneasy("b")), "keep: all is well (3 of 3 voters healthy)"},
		"a machine without an id":                    {held3(uneasy("a"), func(o *Observation) { o.Machines.Uneasy = []string{""} }, peerIs("a", func(p *cluster.Peer) { p.ID = "" })), "keep: all is well (3 of 3 voters healthy)"},
	}
}

func TestCondemn(t *testing.T) { check(t, condemnRows()) }

func condemnRows() map[string]row {
	const given, unwell = "keep: a machine with a bad disk is given up (c: etcd has ended 5 times in a row): CondemnMachine{c}", "keep: a voter is unhealthy, and nothing proves that it is lost (2 of 3 voters healthy)"
	bad := func(opts ...opt) Observation { return held3(append([]opt{crashes("c", 5)}, opts...)...) }
	return map[string]row{
		"its etcd ends again and again":       {bad(), given},
		"not yet":                             {bad(crashes("c", 4)), unwell},
		"never, if so wished":                 {bad(func(o *Observation) { o.Settings.CrashLimit = 0 }), unwell},
		"nothing can":                         {bad(func(o *Observation) { o.Settings.HasCloud = false }), unwell},
		"its disk is unreadable":              {held3(unreadAt("c", 5*time.Minute)), "keep: a machine with a bad disk is given up (c: its data directory is unreadable): CondemnMachine{c}"},
		"its disk is unreadable, for a while": {held3(unreadAt("c", 5*time.Minute-1)), unwell},
		"its disk is readable, for long":      {held3(unreadAt("c", time.Hour), says("c", func(r *cluster.Report) { r.Disk = diskOf("c", 1, 5, 100) })), unwell},
		"it serves now":                       {bad(probe("c", func(_ *Observation, p *Probe) { p.Healthy = true })), "keep: all is well (3 of 3 voters healthy)"},
		"its agent is silent":                 {bad(silent("c")), unwell},
		"another is down too":                 {house5(cloud, crashes("c", 5), down("b", 0)), "keep: a machine with a bad disk stays: the rest is not whole (c)"},
		"the rest would be no quorum":         {see(size(2), peers("a", "b"), keeping(voters("a", "b")...), cloud, crashes("b", 5)), "keep: a machine with a bad disk is given up (b: etcd has ended 5 times in a row): CondemnMachine{b}"},
		"two of them":                         {house5(cloud, crashes("c", 5), crashes("d", 5)), "keep: a machine with a bad disk stays: the rest is not whole (c)"},
		"a learner is on its way":             {see(peers("a", "b", "c", "d"), keeping(of(voters("a", "b", "c"), learner("d"))...), cloud, crashes("c", 5), probe("d", lagging)), unwell},
		"another machine ends":                {bad(peers("a", "b", "c", "d"), ending("d"), handled("ReleaseMachine{d}", 0)), unwell},
		"another machine comes":               {bad(peers("a", "b", "c", "d"), coming("d")), unwell},
		"another has been given up":           {bad(peerIs("b", func(p *cluster.Peer) { p.Unhealthy = true })), unwell},
		"it has been given up":                {bad(peerIs("c", func(p *cluster.Peer) { p.Unhealthy = true })), unwell},
		"this agent has just given one up":    {bad(handled("CondemnMachine{b}", 10*time.Minute-1)), unwell},
		"this agent gave one up long ago":     {bad(handled("CondemnMachine{b}", 10*time.Minute)), given},
		"paused":                              {bad(paused), "keep: housekeeping is paused (ann: upgrade)"},
		"the source is down":                  {bad(sourceDown), "keep: the peers source cannot be read: no machine is added, and none counts as gone (2 of 3 voters healthy)"},
		"the source does not know it":         {bad(listOnly, peers("a", "b")), unwell},
		"a newcomer goes first":               {bad(peers("a", "b", "c", "d"), asks("d")), "keep: a newcomer replaces a dead voter (d for c): RemoveMember{c}"},
		"the keeper itself":                   {see(size(1), peers("a"), keeping(voters("a")...), cloud, says("x", func(r *cluster.Report) { r.PeerURL, r.Crashes = at("a"), 9 })), "keep: all is well (1 of 1 voters healthy)"},
	}
}

func TestAnnounce(t *testing.T) { check(t, announceRows()) }

func announceRows() map[string]row {
	const spare, quiet = "spare: the cluster is full: standing by as a spare (3 voters of 3): AnnounceReady{}", "wait: the cluster is full: standing by as a spare (3 voters of 3)"
	standby := func(opts ...opt) Observation {
		return see(append([]opt{as("d"), peers("a", "b", "c", "d"), charter(1, "a", "b", "c"), leads("b", voters("a", "b", "c")...), holds("a", 1, 5, 100), holds("c", 1, 5, 100),
			well("a"), well("c"), cloud, unannounced}, opts...)...)
	}
	voting := func(opts ...opt) Observation {
		return see(append([]opt{data(1), charter(1, "a", "b", "c"), ready, following, cloud, unannounced}, opts...)...)
	}
	announced := func(o *Observation) { o.Machines.Announced = true }
	notReady := ledger(func(l *Ledger) { l.Ready = cluster.Absent[cluster.ReadyMark]() })
	const follows = "serve: voter: following the leader"
	return map[string]row{
		"a voter":                        {voting(), follows + ": AnnounceReady{}"},
		"a voter that has":               {voting(announced), follows},
		"a voter without a cloud":        {voting(func(o *Observation) { o.Settings.HasCloud = false }), follows},
		"a voter that tried":             {voting(handled("AnnounceReady{}", 14*time.Second)), follows},
		"a voter that tried a while ago": {voting(handled("AnnounceReady{}", 15*time.Second)), follows + ": AnnounceReady{}"},
		"a voter that departs":           {voting(state("a", cluster.Terminating)), follows},
		"a voter that nobody lists":      {voting(peers("b", "c")), follows},
		"an epoch that is not ready":     {voting(notReady), follows},
		"the ready mark is unread":       {voting(unknownReady), follows + ": AnnounceReady{}"},
		"no charter is known":            {voting(unknownCharter, notReady), follows + ": AnnounceReady{}"},
		"a learner":                      {voting(func(o *Observation) { e := o.Etcd.Value(); e.Learner = true; o.Etcd = cluster.Known(e) }), "serve: learner: catching up"},
		"no leader":                      {voting(leaderless, func(o *Observation) { o.UnhealthySince = o.Now }), "wait: etcd is starting or has no leader"},
		"the keeper":                     {house3(cloud, unannounced), "keep: all is well (3 of 3 voters healthy): AnnounceReady{}"},
		"the keeper has other work":      {house3(cloud, unannounced, checkpoint()), "keep: the store's member list is not etcd's: WriteCheckpoint{3 members}"},
		"the keeper, paused":             {house3(cloud, unannounced, paused), "keep: housekeeping is paused (ann: upgrade): AnnounceReady{}"},
		"the keeper, the lock is unread": {house3(cloud, unannounced, unknownLock), "wait: the maintenance lock is unreadable: the membership stays as it is"},
		"a spare":                        {standby(), spare}, // a group that launches before it terminates waited for it, and it for a voter to depart
		"a spare that has":               {standby(announced), quiet},
		"a spare, one is unwell":         {standby(says("c", func(r *cluster.Report) { r.Etcd.Healthy = false })), quiet},
		"a spare, one is silent":         {standby(silent("c")), quiet},
		"a spare that departs":           {standby(state("d", cluster.Terminating)), "wait: this machine is being terminated"},
	}
}

func well(name string) opt { return says(name, func(r *cluster.Report) { r.Etcd.Healthy = true }) }

// The view in which some are doomed.
func TestDoom(t *testing.T) { checkAs(t, doomRows(), askDoom) }

func askDoom(o Observation) string {
	out := ""
	for _, p := range Doom(o.View.Value(), o.Machines.Doomed).Peers {
		out += p.Name + " " + string(p.State) + " "
	}
	return out
}

func doomRows() map[string]row {
	ids := func(ids ...string) opt { return func(o *Observation) { o.Machines.Doomed = ids } }
	return map[string]row{
		"one of three":         {see(ids("i-b", "i-x")), "a running b terminating c running "},
		"none":                 {see(), "a running b running c running "},
		"it has ended already": {see(ids("i-b"), state("b", cluster.Terminated)), "a running b terminated c running "},
		"machines without ids": {see(ids(""), peerIs("b", func(p *cluster.Peer) { p.ID = "" })), "a running b running c running "},
	}
}

// Who goes from DNS when there are more voters than wanted and one departs: it alone.
func TestDepartureIsTheSurplus(t *testing.T) { checkAs(t, goersRows(), askGone) }

func goersRows() map[string]row {
	four := func(opts ...opt) Observation {
		return see(append([]opt{peers("a", "b", "c", "d"), keeping(voters("a", "b", "c", "d")...)}, opts...)...)
	}
	return map[string]row{
		"one's keys differ":            {four(size(4), hashes(time.Second, "aaba", "aaba")), "[c] keep: a member's keys differ from the majority's: it is replaced, its data kept (c; at revision 8: a 00000061, b 00000061, c 00000062, d 00000061): RemoveMember{c}"},
		"one departs":                  {four(cloud, ending("b"), handled("HoldMachine{b}", 0)), "[b] keep: a voter departs, and its replacement votes: RemoveMember{b}"},
		"one departs, another is down": {four(cloud, ending("b"), handled("HoldMachine{b}", 0), down("c", 0)), "[b] keep: a voter departs, and its replacement votes: RemoveMember{b}"},
	}
}

// machinery is the keeper a of b, c and a fourth machine d, in a cloud.
func machinery() space {
	life := func(n string) axis {
		return axis{n, []opt{
			asIs, ending(n), state(n, cluster.Terminating), doomed(n), without1(n), and(ending(n), down(n, 0)), and(ending(n), down(n, time.Hour)), down(n, time.Hour), crashes(n, 5),
			and(ending(n), departs(n, time.Minute)), and(ending(n), departs(n, time.Hour)), peerIs(n, func(p *cluster.Peer) { p.Unhealthy = true }), unreadAt(n, time.Hour),
		}}
	}
	return space{name: "machinery", base: func() Observation { return see(peers("a", "b", "c", "d"), cloud, unannounced) }, axes: []axis{
		{"members", []opt{keeping(voters("a", "b", "c")...), keeping(voters("a", "b", "c", "d")...), keeping(voters("a", "c")...), keeping(of(voters("a", "b", "c"), learner("d"))...)}},
		life("b"), life("c"),
		{"d", []opt{asIs, asks("d"), ending("d"), coming("d"), without1("d"), doomed("d")}},
		{"self", []opt{asIs, ending("a"), uneasy("a"), doomed("a")}},
		{"size", []opt{asIs, size(1), and(size(0), capacity(3)), capacity(2), capacity(4)}},
		{"handled", []opt{asIs, and(handled("HoldMachine{a}", 0), handled("HoldMachine{b}", 0), handled("HoldMachine{c}", 0), handled("HoldMachine{d}", 0)), handled("CondemnMachine{b}", time.Minute)}},
		{"lock", []opt{asIs, paused, unknownLock}},
		{"cloud", []opt{asIs, func(o *Observation) { o.Settings.HasCloud = false }, sourceDown, func(o *Observation) { o.Settings.CrashLimit = 0 }}},
	}}
}

// machineBreaks holds what is done to machines against what they are: by names.
func machineBreaks(o Observation, s Step) string {
	if !o.Settings.HasCloud {
		return "a cloud is asked, and there is none"
	}
	peer := func(name string) (p cluster.Peer, member, voter bool) {
		p, _ = o.View.Value().Peer(name)
		for _, m := range o.Members.Value() {
			if m.Name == name || m.Listens(at(name)) {
				member, voter = true, !m.Learner
			}
		}
		return p, member, voter
	}
	switch s := s.(type) {
	case HoldMachine:
		p, member, _ := peer(s.Name)
		return holdBreaks(o, p, member)
	case ReleaseMachine:
		if p, member, _ := peer(s.Name); member || !p.Held || p.State != cluster.Terminating || !o.Members.Known() {
			return "a machine is let go that is a member, or does not wait to go"
		}
	case AnnounceReady:
		p, _, _ := peer(o.Self.Name)
		if o.Machines.Announced || !p.Alive() || o.Disk.State == cluster.DiskData && !o.Etcd.Value().Healthy {
			return "a node announces itself that is not ready"
		}
	case CondemnMachine:
		return condemnBreaks(o, s.Name)
	}
	return ""
}

func condemnBreaks(o Observation, name string) string {
	for _, p := range o.View.Value().Peers {
		if p.Unhealthy || p.State != cluster.Running {
			return "a machine is given up while another comes or goes"
		}
	}
	voters, healthy := 0, 0
	for _, m := range o.Members.Value() {
		switch {
		case m.Learner:
			return "a machine is given up while a learner joins"
		case m.ID == id(name) && (o.Probes[m.ID].Healthy || m.ID == o.Etcd.Value().MemberID):
			return "a machine is given up that serves"
		case m.ID != id(name) && (m.ID == o.Etcd.Value().MemberID || o.Probes[m.ID].Healthy):
			healthy++
		}
		voters++
	}
	if healthy < voters-1 || healthy < 1 {
		return "a machine is given up, and the rest is not whole"
	}
	for step := range o.Machines.Handled {
		if step == "CondemnMachine{b}" && o.Now.Sub(o.Machines.Handled[step]) < 10*time.Minute {
			return "two machines are given up at once"
		}
	}
	return ""
}
