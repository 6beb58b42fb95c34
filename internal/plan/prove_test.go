package plan

import (
	"testing"
	"time"

	"github.com/quorate/quorate/internal/cluster"
)

func TestProvesBackup(t *testing.T) { checkAs(t, provesRows(), askProves) }

// prover is a node, and what it knows of the proof of backups.
type prover struct {
	o Observation
	p Proving
}

func askProves(x prover) string {
	if due, why := ProvesBackup(x.o, x.p); !due {
		return "not now: " + why
	}
	return "now"
}

// provesRows: c follows a, and a backup is to be proven every six hours.
func provesRows() map[string]rowOf[prover] {
	etcd := func(f func(*cluster.EtcdState)) opt {
		return func(o *Observation) {
			e := o.Etcd.Value()
			f(&e)
			o.Etcd = cluster.Known(e)
		}
	}
	node := func(name string, opts ...opt) Observation {
		return house3(and(as(name), etcd(func(e *cluster.EtcdState) { e.MemberID = id(name) }), and(opts...)))
	}
	led := func(name string) opt { return etcd(func(e *cluster.EtcdState) { e.Leader = id(name) }) }
	newest := cluster.Backup{Key: "k", Epoch: 1}
	proving := func(change ...func(*Proving)) Proving {
		p := Proving{Every: 6 * time.Hour, Began: noon.Add(-time.Hour), Newest: &newest}
		for _, f := range change {
			f(&p)
		}
		return p
	}
	return map[string]rowOf[prover]{
		"the last follower by name":     {prover{node("c"), proving()}, "now"},
		"not the leader":                {prover{house3(), proving()}, "not now: it is for c to do"},
		"not the leader, though last":   {prover{node("c", led("c")), proving()}, "not now: it is for b to do"},
		"the last but the leader":       {prover{node("b", led("c"), says("c", func(r *cluster.Report) { r.Etcd.Leader = id("c") })), proving()}, "now"},
		"by name, whatever the ids are": {prover{house3(func(o *Observation) { o.Members = cluster.Known(voters("c", "a", "b")) }), proving()}, "not now: it is for c to do"},
		"the one before, without it":    {prover{house3(silent("c")), proving()}, "not now: it is for b to do"},
		"not one that is sick":          {prover{house3(says("c", func(r *cluster.Report) { r.Etcd.Healthy = false })), proving()}, "not now: it is for b to do"},
		"not one that goes":             {prover{house3(says("c", func(r *cluster.Report) { r.Leaving = true })), proving()}, "not now: it is for b to do"},
		"the leader, if it is alone":    {prover{see(size(1), keeping(voters("a")...)), proving()}, "now"},
		"the leader, if nobody can":     {prover{house3(silent("b"), silent("c")), proving()}, "now"},
		"no learner":                    {prover{see(keeping(append(voters("a", "b"), learner("d"))...)), proving()}, "not now: it is for b to do"},
		"none are wanted":               {prover{node("c"), proving(func(p *Proving) { p.Every = 0 })}, "not now: no backups are proven"},
		"without a store":               {prover{node("c", func(o *Observation) { o.Settings.HasStore = false }), proving()}, "not now: no backups are proven"},
		"there is no backup":            {prover{node("c"), proving(func(p *Proving) { p.Newest = nil })}, "not now: no backup is known"},
		"of another epoch":              {prover{node("c"), proving(func(p *Proving) { p.Newest = &cluster.Backup{Epoch: 2} })}, "not now: the newest backup is of another epoch"},
		"not in a pause":                {prover{node("c", paused), proving()}, "not now: housekeeping rests"},
		"the last is young":             {prover{node("c"), proving(func(p *Proving) { p.Last = noon.Add(-time.Hour) })}, "not now: the last proof is young"},
		"the last is old":               {prover{node("c"), proving(func(p *Proving) { p.Last = noon.Add(-6 * time.Hour) })}, "now"},
		"the last is in the future":     {prover{node("c"), proving(func(p *Proving) { p.Last = noon.Add(900 * time.Hour) })}, "now"},
		"the agent is young":            {prover{node("c"), proving(func(p *Proving) { p.Began = noon.Add(-35 * time.Minute) })}, "not now: the agent is young"},
		"the members are unknown":       {prover{node("c", unknownMembers), proving()}, "not now: the members are unknown"},
		"this node is not healthy":      {prover{node("c", sick(time.Minute)), proving()}, "not now: this node is no healthy voter"},
		"this node is a learner":        {prover{node("c", etcd(func(e *cluster.EtcdState) { e.Learner = true })), proving()}, "not now: this node is no healthy voter"},
		"a pause has run out":           {prover{node("c", paused, ledger(func(l *Ledger) { k := l.Lock.Value(); k.Expires = noon; l.Lock = cluster.Known(k) })), proving()}, "now"},
		"a maintenance lock is unread":  {prover{node("c", ledger(func(l *Ledger) { l.Lock = cluster.Unknown[cluster.Lock]() })), proving()}, "now"},
	}
}
