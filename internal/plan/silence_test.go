package plan

import (
	"fmt"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/cluster"
)

func TestSilence(t *testing.T) { check(t, silenceRows()) }
func TestListen(t *testing.T)  { checkAs(t, listenRows(), askListen) }

// askListen is what is known of c after two more seconds of listening.
func askListen(o Observation) string {
	p := Listen(o, 2*time.Second)[id("c")]
	return fmt.Sprint(p.Silent, " ", p.Ailed.Kind)
}

// quiet has had a member be silent for so long; ailed is what was last known of it.
func quiet(name string, ago time.Duration) opt {
	return probe(name, func(_ *Observation, p *Probe) { p.Silent = ago })
}
func ailed(name, kind string) opt {
	return probe(name, func(_ *Observation, p *Probe) { p.Ailed = cluster.Ailment{Member: id(name), Kind: kind, Why: "it was"} })
}

// old has the others hear what an agent knew so long ago; deaf has it hear nobody.
func old(name string, ago time.Duration) opt {
	return says(name, func(r *cluster.Report) { r.Age = ago })
}
func deaf(name string) opt {
	return says(name, func(r *cluster.Report) { r.Care.Hears = nil })
}

func noEtcd(r *cluster.Report)   { r.Etcd = cluster.EtcdState{} }
func hungEtcd(r *cluster.Report) { r.Etcd, r.Care.Hung = cluster.EtcdState{Running: true}, true }

// silenceRows: a newcomer waits while c does not answer. Each stands for a voter
// that was only slow, or that others heard, and that was replaced.
func silenceRows() map[string]row {
	const (
		proves    = "keep: a voter is unhealthy, and nothing proves that it is lost (2 of 3 voters healthy"
		uncertain = proves + "; c: uncertain, its agent is silent, and too few others' answer to be sure that it is dead)"
		replaced  = "keep: a newcomer replaces a dead voter (d for c): RemoveMember{c}"
		paused    = proves + "; c: paused, it was, as was last heard)"
	)
	waits := func(opts ...opt) Observation {
		return house3(append([]opt{peers("a", "b", "c", "d"), asks("d")}, opts...)...)
	}
	five := func(opts ...opt) Observation {
		return house5(append([]opt{peers("a", "b", "c", "d", "e", "f"), asks("f"), down("c", time.Hour)}, opts...)...)
	}
	return map[string]row{
		"nearly for --dead-after":           {waits(down("c", time.Minute-1)), proves + ")"},
		"for --dead-after":                  {waits(down("c", time.Minute)), replaced},
		"unhealthy for long, just silent":   {waits(down("c", time.Hour), quiet("c", 0)), proves + ")"},
		"b's agent is silent too":           {waits(down("c", time.Hour), silent("b")), uncertain},
		"b does not hear us":                {waits(down("c", time.Hour), deaf("b")), uncertain},
		"b's word is old":                   {waits(down("c", time.Hour), old("b", turnAge+1)), uncertain},
		"b's word is young enough":          {waits(down("c", time.Hour), old("b", turnAge)), replaced},
		"an old word of b's, that hears it": {waits(down("c", time.Hour), old("b", time.Hour), hearsOf("b", "c")), proves + "; c: cut off, it does not answer from here, and b hears its agent)"},
		"the newcomer hears it":             {waits(down("c", time.Hour), hearsOf("d", "c")), proves + "; c: cut off, it does not answer from here, and d hears its agent)"},
		"another cluster's agent hears it":  {waits(down("c", time.Hour), hearsOf("d", "c"), says("d", func(r *cluster.Report) { r.Cluster = "x" })), proves + ")"},
		"three of five listen":              {five(silent("d")), "keep: a newcomer replaces a dead voter (f for c): RemoveMember{c}"},
		"two of five listen":                {five(silent("d"), silent("e")), "keep: a voter is unhealthy, and nothing proves that it is lost (4 of 5 voters healthy; c: uncertain, its agent is silent, and too few others' answer to be sure that it is dead)"},
		"uncertain, and nobody waits":       {house3(down("c", time.Hour), silent("b")), proves + ")"},
		"was paused when it fell silent":    {waits(down("c", time.Minute-1), ailed("c", ailsPaused)), paused},
		"was paused, and who could tell?":   {waits(down("c", time.Minute-1), ailed("c", ailsPaused), silent("b")), paused},
		"was paused, and is long silent":    {waits(down("c", time.Minute), ailed("c", ailsPaused)), replaced},
		"was paused, and is cut off":        {waits(down("c", 0), ailed("c", ailsPaused), hearsOf("b", "c")), proves + "; c: cut off, it does not answer from here, and b hears its agent)"},
		"it is starting":                    {waits(unwell("c", func(r *cluster.Report) { r.Etcd.MemberID = 0 })), proves + "; c: starting, its etcd runs, and has not answered its own agent yet)"},
		"well, by its own word":             {waits(unwell("c", func(r *cluster.Report) { r.Etcd.Healthy = true })), proves + "; c: unreached, its etcd is well, as its own agent says, and does not answer from here)"},
		"hung, and it may be loading":       {waits(unwell("c", hungEtcd), quiet("c", 10*time.Minute-1)), proves + "; c: hung, its etcd runs, and does not answer its own agent)"},
		"hung for ten times as long":        {waits(unwell("c", hungEtcd), quiet("c", 10*time.Minute)), replaced},
		"its etcd is down":                  {waits(unwell("c", noEtcd), quiet("c", time.Minute)), replaced},
		"its etcd was down a moment ago":    {waits(unwell("c", noEtcd), quiet("c", time.Minute-1)), proves + ")"},
		"another member runs in its place":  {waits(unwell("c", func(r *cluster.Report) { r.Etcd.MemberID = 0x99 }), silent("b")), replaced},
	}
}

// listenRows are what two seconds add to a minute of silence.
func listenRows() map[string]row {
	c := func(opts ...opt) Observation {
		return house3(append([]opt{down("c", time.Minute)}, opts...)...)
	}
	own := func(f func(*cluster.Report)) Observation { return house3(unwell("c", f), quiet("c", time.Minute)) }
	return map[string]row{
		"well":                    {house3(quiet("c", time.Minute), ailed("c", ailsPaused)), "0s "},
		"silent":                  {c(), "1m2s "},
		"silent, was paused":      {c(ailed("c", ailsPaused)), "1m2s paused"},
		"b hears it":              {c(hearsOf("b", "c")), "0s cut off"},
		"nobody can tell":         {c(silent("b"), ailed("c", ailsSlow)), "1m0s slow"},
		"its etcd is down":        {own(noEtcd), "1m2s down"},
		"its etcd is hung":        {own(hungEtcd), "1m2s hung"},
		"its etcd follows nobody": {own(func(*cluster.Report) {}), "0s cut off"},
		"its etcd starts":         {own(func(r *cluster.Report) { r.Etcd.MemberID = 0 }), "0s starting"},
		"its etcd is paused":      {own(func(r *cluster.Report) { r.Care.Paused = true }), "0s paused"},
		"its disk is slow":        {own(func(r *cluster.Report) { r.Care.Slow = true }), "0s slow"},
		"a learner's is down":     {house3(func(o *Observation) { o.Members = cluster.Known(of(voters("a", "b"), learner("c"))) }, unwell("c", noEtcd), quiet("c", 0)), "2s down"},
		"nobody looks at it":      {house3(down("c", time.Minute), func(o *Observation) { o.Probes = nil }), "0s "},
	}
}
