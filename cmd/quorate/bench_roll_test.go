package main

import (
	"fmt"
	"testing"
	"time"
)

// BenchmarkRoll compares what clients feel of a rolling restart of three: plain
// etcd and SIGTERM, with the lead moved away before, and quorate.
// QUORATE_BENCH_ROLLS is how often each rolls, 5 by default: a stock etcd that
// clients watch takes 7 s to stop, each member.
func BenchmarkRoll(b *testing.B) {
	for b.Loop() {
		for _, rate := range []int{200, 2000} {
			felt := map[string]rolled{}
			for _, way := range []struct {
				name string
				open func(testing.TB) fleet
			}{
				{"SIGTERM", func(t testing.TB) fleet { return newPlain(t, plainWay{}) }},
				{"MoveLeader", func(t testing.TB) fleet { return newPlain(t, plainWay{moves: true}) }},
				{"quorate", func(t testing.TB) fleet { return byHand{rolling(t)} }},
			} {
				b.Run(fmt.Sprintf("%s-%d", way.name, rate), func(b *testing.B) { felt[way.name] = benchRoll(b, way.open(b), rate) })
			}
			ours := felt["quorate"]
			for _, way := range []string{"SIGTERM", "MoveLeader"} {
				theirs := felt[way]
				if theirs.took == 0 || ours.took == 0 {
					continue // it was not asked for
				}
				name := fmt.Sprintf("rolls of three at %d puts/s, against %s: ", rate, way)
				row(b, name+"failed requests a roll", "%.1f", ours.failed, theirs.failed, ours.failed/max(theirs.failed, 1), "0")
				row(b, name+"p99 of a put", "%.0f ms", ours.p99, theirs.p99, ours.p99/theirs.p99, "< 100 ms")
				row(b, name+"a roll", "%.1f s", ours.took, theirs.took, ours.took/theirs.took, "<= 30 s")
			}
		}
	}
}

// fleet is three members that can be rolled.
type fleet interface {
	endpoints() []string
	roll() time.Duration
	close()
}

// rolled is what clients felt of rolls: failed requests a roll, the 99th percentile
// of an acknowledged put in milliseconds; and the seconds that a roll took.
type rolled struct{ failed, p99, took float64 }

func benchRoll(b *testing.B, fl fleet, rate int) rolled {
	f := startTraffic(b, rate, rate, nil, fl.endpoints()...)
	var took []time.Duration
	rolls := setting(b, "QUORATE_BENCH_ROLLS", 5)
	for range rolls {
		took = append(took, fl.roll())
	}
	f.end()
	fl.close()
	p99, gap := percentile(f.puts, 0.99), f.longestGap()
	b.ReportMetric(float64(f.failures()), "failed")
	b.ReportMetric(float64(p99.Milliseconds()), "ms-p99")
	b.ReportMetric(float64(gap.Milliseconds()), "ms-longest-gap")
	b.ReportMetric(median(took).Seconds(), "s-a-roll")
	b.Logf("%d rolls of three at %d puts/s: %d puts, %d failed, p99 %s, longest gap %s, a roll %s; linearizable: %s; watches: %d complaints %v\n%v",
		rolls, rate, len(f.puts), f.failures(), round(p99), round(gap), round(median(took)), f.linearizable(), len(f.broken), f.broken, f.failed)
	if fl, ours := fl.(byHand); ours && f.failures() > 0 {
		fl.t.Errorf("%d requests failed", f.failures())
	}
	return rolled{float64(f.failures()) / float64(rolls), float64(p99.Microseconds()) / 1000, median(took).Seconds()}
}

// byHand is quorate, without `quorate roll`.
type byHand struct{ *rig }

func (r byHand) endpoints() []string { return r.clientURLs() }
func (r byHand) roll() time.Duration { return r.rollByHand() }
func (r byHand) close()              { r.end(); clear(r.nodes) }
