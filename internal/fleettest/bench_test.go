package fleettest

import (
	"testing"
	"time"
)

// refreshes is how often all machines are replaced.
const refreshes = 3

// BenchmarkInstanceRefresh replaces every machine of a running cluster of
// three by an instance refresh that launches before it terminates, and
// measures the longest time in which a client that writes all the while saw no
// write acknowledged.
func BenchmarkInstanceRefresh(b *testing.B) {
	for b.Loop() {
		f := oneRegion(b)
		f.write()
		var worst gap
		var took []time.Duration
		for range refreshes {
			began := time.Now()
			if g := f.refresh(); g.long > worst.long {
				worst = g
			}
			took = append(took, time.Since(began).Round(100*time.Millisecond))
		}
		f.written()
		b.ReportMetric(float64(worst.long.Milliseconds()), "ms-longest-gap")
		b.Logf("%d refreshes of 3 machines in %v: longest time without an acknowledged write %s (last error in it: %v)",
			refreshes, took, worst.long.Round(time.Millisecond), worst.why)
	}
}
