package plan

import (
	"slices"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/cluster"
)

func TestTurns(t *testing.T) { check(t, turnRows()) }

// newCA has the CA of our etcd changed for so long.
func newCA(ago time.Duration) opt {
	return func(o *Observation) { o.Process.Stale = cluster.Stale{Why: StaleCA, Since: o.Now.Add(-ago)} }
}

// newCAAt has that of another node's, whose clock is an hour ahead.
func newCAAt(name string, ago time.Duration) opt {
	return says(name, func(r *cluster.Report) {
		r.At = noon.Add(time.Hour)
		r.Stale = cluster.Stale{Why: StaleCA, Since: r.At.Add(-ago)}
	})
}

// ring is a b c, all well under that leader, and a's CA has changed.
func ring(leader string, opts ...opt) Observation {
	o := see(keeping(voters("a", "b", "c")...), newCA(turnAfter))
	e := o.Etcd.Value()
	e.Leader = id(leader)
	o.Etcd = cluster.Known(e)
	for i := range o.Reports {
		r := &o.Reports[i]
		r.Etcd.Leader, r.Etcd.Term = id(leader), 5
		if r.Name == leader {
			r.Keeper, r.Members, r.Charter = true, o.Members.Value(), &r.Disk.Stamp.Charter
		}
	}
	for _, f := range opts {
		f(&o)
	}
	return o
}

// follows has a node say whom it follows, and since which election.
func follows(name, leader string, term uint64) opt {
	return says(name, func(r *cluster.Report) { r.Etcd.Leader, r.Etcd.Term = id(leader), term })
}

// sick has our etcd follow nobody for so long.
func sick(ago time.Duration) opt {
	return func(o *Observation) {
		e := o.Etcd.Value()
		e.Healthy, e.Leader = false, 0
		o.Etcd, o.UnhealthySince = cluster.Known(e), o.Now.Add(-ago)
		unknownMembers(o)
	}
}

// restartBreaks is the judge's word on an etcd that is stopped in its turn: of
// those that need it, the first alone, in a cluster that is well without it.
func restartBreaks(o Observation, d Decision) string {
	if _, goesBack := d.Steps[0].(GiveUpRoll); goesBack && !o.Process.Foreign {
		return wayBackBreaks(o)
	}
	if o.Process.Stale.Why == "" || o.Process.Foreign || o.Ledger.Lock.Unknown() || isPaused(o) {
		return "an etcd is stopped that serves"
	}
	me := o.Etcd.Value()
	keeper := slices.IndexFunc(o.Reports, func(r cluster.Report) bool {
		return r.Keeper && r.Etcd.Healthy && r.Etcd.ClusterID == o.Disk.ClusterID
	})
	roll := o.Ledger.Roll.Value()
	if o.Process.Stale.Roll != 0 && (roll.Number != o.Process.Stale.Roll || roll.State != cluster.RollOpen || !me.Healthy) {
		return "an etcd is stopped for a roll that is not open, or while it is sick"
	}
	if !me.Healthy {
		if keeper < 0 || o.UnhealthySince.IsZero() || o.Now.Sub(o.UnhealthySince) < 10*time.Second || o.Now.Sub(o.Process.Stale.Since) < 10*time.Second {
			return "a sick etcd is stopped too soon, or where no quorum lives without it"
		}
		return ""
	}
	var members []cluster.Member
	switch {
	case o.Members.Known():
		members = o.Members.Value()
	case keeper >= 0:
		members = o.Reports[keeper].Members
	}
	if len(members) == 1 && members[0].ID == me.MemberID {
		return ""
	}
	if me.Leader == me.MemberID || o.Now.Sub(o.Process.Stale.Since) < 10*time.Second || len(members) == 0 {
		return "a leader is stopped, or before all know of its CA"
	}
	for _, m := range members {
		i := reporter(o, m.Name)
		switch {
		case m.ID == me.MemberID:
		case m.Learner || i < 0:
			return "a voter is stopped beside a learner or a silent one"
		case !o.Reports[i].Etcd.Healthy || o.Reports[i].Restarting:
			return "two etcds are down"
		case o.Reports[i].Etcd.Leader != me.Leader || o.Reports[i].Etcd.Term != me.Term:
			return "a voter is stopped in an election"
		case o.Process.Stale.Roll != 0 && (o.Reports[i].Roll == nil || o.Reports[i].Roll.Number != roll.Number || o.Reports[i].Roll.Nonce != roll.Nonce):
			return "a voter is stopped for a roll that another does not know"
		case o.Process.Stale.Roll != 0 && o.Reports[i].RollFailed != nil && o.Reports[i].RollFailed.Number == roll.Number:
			return "a voter is stopped for a roll that has failed at another"
		case o.Reports[i].Stale.Why != "" && m.ID != me.Leader && m.Name < o.Self.Name:
			return "a voter is stopped out of its turn"
		}
	}
	return ""
}

func turnRows() map[string]row {
	const young = turnAfter - time.Second
	const restarts = "turn: etcd restarts in its turn (its CA has changed): StopEtcd{}"
	const waits = "turn: etcd must restart, and waits: "
	const ca = "; its CA has changed)"
	const calm = "serve: voter: following the leader"
	const nobody = "wait: etcd does not follow the leader that answers (b leads; etcd must restart: its CA has changed)"
	hidden := unknownMembers
	return map[string]row{
		"a follower's turn":                     {ring("b"), restarts},
		"etcd says that one is corrupt":         {ring("b", alarmed(id("c"))), waits + "a member's data is corrupt (its CA has changed)"},
		"one's keys differ from the majority's": {ring("b", hashes(time.Second, "aab", "aab")), waits + "a member's data is corrupt (its CA has changed)"},
		"the members' keys differ":              {ring("b", says("b", func(r *cluster.Report) { r.Care.Torn = "a 1, b 2" })), waits + "the members' keys differ, and no majority agrees (its CA has changed)"},
		"its CA is what it was":                 {ring("b", func(o *Observation) { o.Process.Stale = cluster.Stale{} }), calm},
		"not ours to stop":                      {ring("b", func(o *Observation) { o.Process.Foreign = true }), calm},
		"something else is to be done":          {ring("b", unstamped, seed(cluster.Seed{Kind: cluster.SeedAdopted, ClusterID: 0x77})), "adopt: the data is of the adopted cluster: WriteStartedMark{1}, AdoptData{1}"},
		"the leader has something to do":        {ring("a", size(1)), "keep: more voters than wanted (3 of 1): RemoveMember{c}"},
		"two clusters answer":                   {ring("a", leads("c", voters("c")...), says("c", func(r *cluster.Report) { r.Etcd.ClusterID = 9 })), "refuse: two clusters answer: end one of them"},
		"the leader hands over":                 {ring("a"), "turn: the leader hands over, before its turn (its CA has changed): TransferLeadership{b}"},
		"the leader, after the followers":       {ring("a", newCAAt("c", time.Hour)), waits + "another voter's turn comes first (c" + ca},
		"the leader, and none fit to lead":      {ring("a", state("b", cluster.Terminating), state("c", cluster.Terminating)), waits + "no other voter is fit to lead (its CA has changed)"},
		"before the leader":                     {ring("b", newCAAt("b", time.Hour)), restarts},
		"before the leader, whatever its name":  {ring("b", newCAAt("b", time.Hour), func(o *Observation) { o.Self.Name = "z" }), restarts},
		"by name":                               {ring("b", newCAAt("c", time.Hour)), restarts},
		"by name, another is first":             {ring("b", newCAAt("c", time.Hour), says("c", func(r *cluster.Report) { r.Name = "0" })), waits + "another voter's turn comes first (c" + ca},
		"it has not stood here":                 {ring("b", newCA(young)), waits + "it has not stood long enough (a" + ca},
		"it has not stood there":                {ring("b", newCAAt("c", young)), waits + "it has not stood long enough (c" + ca},
		"a silent voter":                        {ring("b", silent("c")), waits + "a voter's agent is silent (c" + ca},
		"an unhealthy voter":                    {ring("b", says("c", func(r *cluster.Report) { r.Etcd.Healthy = false })), waits + "a voter is unhealthy (c" + ca},
		"another etcd at its address":           {ring("b", says("c", func(r *cluster.Report) { r.Etcd.MemberID = 0x99 })), waits + "a voter is unhealthy (c" + ca},
		"a voter's agent is held up":            {ring("b", says("c", func(r *cluster.Report) { r.Age = turnAge + 1 })), waits + "a voter's agent is held up (c" + ca},
		"a voter's agent took its time":         {ring("b", says("c", func(r *cluster.Report) { r.Age = turnAge })), restarts},
		"a voter restarts":                      {ring("b", says("c", func(r *cluster.Report) { r.Restarting = true })), waits + "a voter restarts (c" + ca},
		"a voter follows another":               {ring("b", follows("c", "c", 5)), waits + "a voter follows another leader (c" + ca},
		"a voter knows of a later term":         {ring("b", follows("c", "b", 6)), waits + "a voter follows another leader (c" + ca},
		"a learner joins":                       {ring("b", func(o *Observation) { o.Members = cluster.Known(of(voters("a", "b", "c"), learner("d"))) }), waits + "a learner is joining (its CA has changed)"},
		"the keeper's list will do":             {ring("b", hidden), restarts},
		"the keeper's list has a learner":       {ring("b", hidden, says("b", func(r *cluster.Report) { r.Members = append(r.Members, learner("d")) })), waits + "a learner is joining (its CA has changed)"},
		"no list":                               {ring("b", hidden, says("b", func(r *cluster.Report) { r.Members = nil })), waits + "the member list is not known (its CA has changed)"},
		"another cluster's list":                {ring("b", hidden, says("b", func(r *cluster.Report) { r.Members, r.Etcd.ClusterID = voters("x"), 9 })), waits + "the member list is not known (its CA has changed)"},
		"the only member":                       {see(keeping(voters("a")...), size(1), newCA(0)), "turn: etcd restarts in its turn (its CA has changed, the only member): StopEtcd{}"},
		"the only member, paused":               {see(keeping(voters("a")...), size(1), newCA(0), paused), waits + "housekeeping is paused, or its lock is unreadable (its CA has changed)"},
		"the only voter, and a learner":         {see(keeping(of(voters("a"), unstarted(learner("b")))...), newCA(time.Hour)), waits + "a learner is joining (its CA has changed)"},
		"two voters":                            {see(keeping(voters("a", "b")...), size(2), newCA(time.Hour), follows("b", "a", 5)), "turn: the leader hands over, before its turn (its CA has changed): TransferLeadership{b}"},
		"paused":                                {ring("b", paused), waits + "housekeeping is paused, or its lock is unreadable (its CA has changed)"},
		"the lock is unread":                    {ring("b", unknownLock), waits + "housekeeping is paused, or its lock is unreadable (its CA has changed)"},
		"sick, a quorum lives without it":       {ring("b", sick(turnAfter)), "turn: etcd follows nobody, and restarts (its CA has changed; b leads): StopEtcd{}"},
		"sick, its status is unread":            {ring("b", sick(turnAfter), unknownEtcd), "turn: etcd follows nobody, and restarts (its CA has changed; b leads): StopEtcd{}"},
		"sick for a moment":                     {ring("b", sick(young)), "wait: etcd is starting or has no leader (etcd must restart: its CA has changed)"},
		"sick, nobody knows since when":         {ring("b", sick(young), func(o *Observation) { o.UnhealthySince = time.Time{} }), "wait: etcd is starting or has no leader (etcd must restart: its CA has changed)"},
		"sick for long, and the CA is new":      {ring("b", sick(time.Hour), newCA(young)), nobody},
		"sick and paused":                       {ring("b", sick(time.Hour), paused), nobody},
		"sick, the lock is unread":              {ring("b", sick(time.Hour), unknownLock), nobody},
		"sick, and the leader is of another":    {ring("b", sick(time.Hour), says("b", func(r *cluster.Report) { r.Etcd.ClusterID = 9 })), nobody},
		"sick, and no quorum lives without it":  {ring("b", sick(time.Hour), says("b", func(r *cluster.Report) { r.Keeper = false })), "wait: a quorum of the last members may come back (all that are left answer; etcd must restart: its CA has changed)"},
	}
}
