package plan

import (
	"testing"
	"time"

	"github.com/quorate/quorate/internal/cluster"
)

func TestProvesBackup(t *testing.T) {
	// c follows a; every six hours.
	asC := func(opts ...opt) Observation {
		o := house3(opts...)
		e := o.Etcd.Value()
		e.MemberID = id("c")
		o.Etcd, o.Self.Name = cluster.Known(e), "c"
		return o
	}
	newest := cluster.Backup{Key: "k", Epoch: 1}
	proving := func(change ...func(*Proving)) Proving {
		p := Proving{Every: 6 * time.Hour, Began: noon.Add(-time.Hour), Newest: &newest}
		for _, f := range change {
			f(&p)
		}
		return p
	}
	tests := map[string]struct {
		o    Observation
		p    Proving
		want string
	}{
		"the last follower by name": {asC(), proving(), ""},
		"not the leader":            {house3(), proving(), "it is for c to do"},
		"not the leader, though last": {asC(func(o *Observation) {
			e := o.Etcd.Value()
			e.Leader = id("c")
			o.Etcd = cluster.Known(e)
		}), proving(), "it is for b to do"},
		"the one before, without it":   {house3(silent("c")), proving(), "it is for b to do"},
		"not one that is sick":         {house3(says("c", func(r *cluster.Report) { r.Etcd.Healthy = false })), proving(), "it is for b to do"},
		"not one that goes":            {house3(says("c", func(r *cluster.Report) { r.Leaving = true })), proving(), "it is for b to do"},
		"the leader, if it is alone":   {see(size(1), keeping(voters("a")...)), proving(), ""},
		"the leader, if nobody can":    {house3(silent("b"), silent("c")), proving(), ""},
		"no learner":                   {see(keeping(append(voters("a", "b"), learner("d"))...)), proving(), "it is for b to do"},
		"none are wanted":              {asC(), proving(func(p *Proving) { p.Every = 0 }), "no backups are proven"},
		"without a store":              {asC(func(o *Observation) { o.Settings.HasStore = false }), proving(), "no backups are proven"},
		"there is no backup":           {asC(), proving(func(p *Proving) { p.Newest = nil }), "no backup is known"},
		"of another epoch":             {asC(), proving(func(p *Proving) { p.Newest = &cluster.Backup{Epoch: 2} }), "the newest backup is of another epoch"},
		"not in a pause":               {asC(paused), proving(), "housekeeping rests"},
		"the last is young":            {asC(), proving(func(p *Proving) { p.Last = noon.Add(-time.Hour) }), "the last proof is young"},
		"the last is old":              {asC(), proving(func(p *Proving) { p.Last = noon.Add(-6 * time.Hour) }), ""},
		"the last is in the future":    {asC(), proving(func(p *Proving) { p.Last = noon.Add(900 * time.Hour) }), ""},
		"the agent is young":           {asC(), proving(func(p *Proving) { p.Began = noon.Add(-35 * time.Minute) }), "the agent is young"},
		"the members are unknown":      {asC(unknownMembers), proving(), "the members are unknown"},
		"this node is not healthy":     {asC(sick(time.Minute)), proving(), "this node is no healthy voter"},
		"a maintenance lock is unread": {asC(ledger(func(l *Ledger) { l.Lock = cluster.Unknown[cluster.Lock]() })), proving(), ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if due, why := ProvesBackup(tt.o, tt.p); why != tt.want || due != (tt.want == "") {
				t.Errorf("%v, %q, want %q", due, why, tt.want)
			}
		})
	}
}
