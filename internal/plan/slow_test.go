package plan

import (
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/cluster"
)

func TestSlow(t *testing.T) { check(t, slowRows()) }

// slow has a member's disk be.
func slow(name string) opt {
	care := func(c *cluster.Care) { c.Slow, c.Fsync = true, 2*time.Second }
	if name == "a" {
		return func(o *Observation) { care(&o.Care.Own) }
	}
	return says(name, func(r *cluster.Report) { care(&r.Care) })
}

// unwell has a member's etcd not answer the keeper, while its agent does.
func unwell(name string, f func(*cluster.Report)) opt {
	return and(probe(name, func(o *Observation, p *Probe) {
		p.Healthy, p.UnhealthySince, p.Silent = false, o.Now.Add(-time.Hour), time.Hour
	}),
		says(name, func(r *cluster.Report) {
			r.Etcd = cluster.EtcdState{Running: true, MemberID: id(name)}
			f(r)
		}))
}

func hearsOf(name, other string) opt {
	return says(name, func(r *cluster.Report) { r.Care.Hears = append(r.Care.Hears, other) })
}

func unburdened(ago time.Duration) opt {
	return func(o *Observation) { o.Care.Unburdened = o.Now.Add(-ago) }
}

func slowRows() map[string]row {
	const (
		proves = "keep: a voter is unhealthy, and nothing proves that it is lost (2 of 3 voters healthy"
		hands  = "keep: the leader's disk is slow, and another voter's is not: it hands over (2s for a few bytes): TransferLeadership{"
	)
	nothing := func(*cluster.Report) {}
	pausedEtcd := func(r *cluster.Report) { r.Care.Paused = true }
	fullAndOne := and(peers("a", "b", "c", "d"), asks("d"))
	return map[string]row{
		"a slow follower":                        {house3(slow("c")), "keep: a voter's disk is slow, which is no reason to remove it (3 of 3 voters healthy; c: slow, its disk takes 2s to make a few bytes durable)"},
		"a slow leader":                          {house3(slow("a")), hands + "b}"},
		"a slow leader, b is slow too":           {house3(slow("a"), slow("b")), hands + "c}"},
		"a slow leader, c is slow too":           {house3(slow("a"), slow("c"), probe("b", lagging)), hands + "b}"},
		"a slow leader, c may be interrupted":    {house3(cloud, slow("a"), slow("b"), func(o *Observation) { o.Machines.Uneasy = []string{"i-c"} }), hands + "c}"},
		"all disks are slow":                     {house3(slow("a"), slow("b"), slow("c")), "keep: the leader's disk is slow, and no other voter is fit to lead"},
		"the leader departs, all are slow":       {house3(cloud, slow("b"), slow("c"), state("a", cluster.Terminating)), "keep: the leader does not stay, and hands over first: TransferLeadership{b}"},
		"a slow leader alone":                    {see(size(1), peers("a"), keeping(voters("a")...), slow("a")), "keep: the leader's disk is slow, and no other voter is fit to lead"},
		"a slow leader, paused house":            {house3(slow("a"), paused), "keep: housekeeping is paused (ann: upgrade)"},
		"a slow leader, the lead moved just now": {house3(slow("a"), unburdened(59*time.Second)), "keep: a voter's disk is slow, which is no reason to remove it (3 of 3 voters healthy; a: slow, its disk takes 2s to make a few bytes durable)"},
		"a slow leader, it moved a minute ago":   {house3(slow("a"), unburdened(time.Minute)), hands + "b}"},
		"a slow leader, all others depart":       {house3(slow("a"), state("b", cluster.Terminating), state("c", cluster.Terminating)), "keep: the leader's disk is slow, and no other voter is fit to lead"},
		"paused":                                 {house3(unwell("c", pausedEtcd)), proves + "; c: paused, its etcd is stopped by a signal)"},
		"paused for an hour, a newcomer waits":   {house3(unwell("c", pausedEtcd), fullAndOne), proves + "; c: paused, its etcd is stopped by a signal)"},
		"hung for an hour, a newcomer waits":     {house3(unwell("c", func(r *cluster.Report) { r.Etcd, r.Care.Hung = cluster.EtcdState{Running: true}, true }), fullAndOne), "keep: a newcomer replaces a dead voter (d for c): RemoveMember{c}"},
		"hung":                                   {house3(unwell("c", func(r *cluster.Report) { r.Etcd, r.Care.Hung = cluster.EtcdState{Running: true}, true })), proves + "; c: hung, its etcd runs, and does not answer its own agent)"},
		"cut off from its peers":                 {house3(unwell("c", nothing), fullAndOne), proves + "; c: cut off, its etcd runs, and follows no leader)"},
		"well, by its own word":                  {house3(unwell("c", func(r *cluster.Report) { r.Etcd.Healthy = true })), proves + "; c: unreached, its etcd is well, as its own agent says, and does not answer from here)"},
		"cut off from here, b hears it":          {house3(down("c", time.Hour), hearsOf("b", "c"), fullAndOne), proves + "; c: cut off, it does not answer from here, and b hears its agent)"},
		"silent, and a newcomer waits":           {house3(down("c", time.Hour), hearsOf("b", "d"), fullAndOne), "keep: a newcomer replaces a dead voter (d for c): RemoveMember{c}"},
		"its etcd is down, a newcomer waits":     {house3(unwell("c", func(r *cluster.Report) { r.Etcd = cluster.EtcdState{} }), fullAndOne), "keep: a newcomer replaces a dead voter (d for c): RemoveMember{c}"},
		"slow and silent to us":                  {house3(unwell("c", nothing), slow("c"), fullAndOne), proves + "; c: slow, its disk takes 2s to make a few bytes durable)"},
	}
}

// ailmentRows are what is told of the voters beside the keeper's reason.
func ailmentRows() map[string]row {
	nothing := func(*cluster.Report) {}
	return map[string]row{
		"all is well":          {house3(), ""},
		"a follower says none": {ring("b", slow("a")), ""},
		"its etcd is down":     {house3(unwell("c", func(r *cluster.Report) { r.Etcd = cluster.EtcdState{} })), "c down"},
		"it runs no more":      {house3(unwell("c", func(r *cluster.Report) { r.Etcd.Running = false })), "c down"},
		"its etcd runs":        {house3(unwell("c", nothing)), "c cut off"},
		"another etcd runs":    {house3(unwell("c", func(r *cluster.Report) { r.Etcd.MemberID = 0x99 })), "c unheard"},
		"another etcd is well": {house3(unwell("c", func(r *cluster.Report) { r.Etcd.MemberID, r.Etcd.Healthy = 0x99, true })), "c unheard"},
		"another, and b hears": {house3(unwell("c", func(r *cluster.Report) { r.Etcd.MemberID = 0x99 }), hearsOf("b", "c")), "c unheard"},
		"it is silent, lately": {house3(down("c", 0)), "c unheard"},
		"silent, was paused":   {house3(down("c", time.Minute-1), ailed("c", ailsPaused)), "c paused"},
		"long silent":          {house3(down("c", time.Minute), ailed("c", ailsPaused)), "c unheard"},
		"it is silent":         {house3(down("c", time.Hour)), "c unheard"},
	}
}

func TestAilments(t *testing.T) { checkAs(t, ailmentRows(), askAilments) }

func askAilments(o Observation) string {
	var all []string
	for _, a := range Ailments(o) {
		all = append(all, a.Name+" "+a.Kind)
	}
	return strings.Join(all, "; ")
}

// tornRows are why nothing may be let go, in the keeper's eyes and in the others'.
func tornRows() map[string]row {
	return map[string]row{
		"nobody differs":     {house3(), ""},
		"three differ":       {house3(hashes(time.Second, "abc", "abc")), "at revision 8: a 00000061, b 00000062, c 00000063"},
		"by the keeper":      {ring("b", says("b", func(r *cluster.Report) { r.Care.Torn = "a 1, b 2" })), "a 1, b 2"},
		"by the last keeper": {ring("b", hashes(time.Second, "abc", "abc")), ""},
	}
}

func TestTorn(t *testing.T) { checkAs(t, tornRows(), Torn) }

// pulses are what a disk's pace makes of it, beat by beat: s is slow, h hangs, m
// is middling, w is well; upper case is the state after the beat.
var pulses = map[string]string{
	"wwwwww":         "......",
	"swswsmss":       ".......S",
	"ss":             ".S",
	"h":              "S",
	"hwwwwwww":       "SSSSS...",
	"hwwwwmwwwwws":   "SSSSSSSSSS..",
	"hwwwwhwwwww":    "SSSSSSSSSS.",
	"mmmmmmmm":       "........",
	"hmmmmmmmmmmmmm": "SSSSSSSSSSSSSS",
}

func askPulse(beats string) string {
	pace := map[rune]time.Duration{'s': fsyncSlow, 'h': fsyncHung, 'm': fsyncSlow - 1, 'w': fsyncWell - 1}
	var p Pulse
	var got strings.Builder
	for _, b := range beats {
		p = p.Beat(pace[b])
		got.WriteString(map[bool]string{true: "S", false: "."}[p.Slow])
	}
	return got.String()
}

func TestPulse(t *testing.T) {
	for beats, want := range pulses {
		if got := askPulse(beats); got != want {
			t.Errorf("%s: got %s, want %s", beats, got, want)
		}
	}
}
