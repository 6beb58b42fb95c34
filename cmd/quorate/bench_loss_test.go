package main

import (
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"
)

// losses is how often everything is lost: each time costs a minute.
const losses = 3

// BenchmarkTotalLoss loses every machine and disk, and compares the time from
// the start of empty machines to three healthy voters with one restore of the
// same backup by the command line and one election, which is what three members
// with empty data directories need to begin.
func BenchmarkTotalLoss(b *testing.B) {
	for b.Loop() {
		var elections []time.Duration
		for range pairs {
			elections = append(elections, formRaw(b))
		}
		r := roomy(b)
		x, y, z := r.trio()
		startAll(x, y, z)
		r.voters(time.Minute, "a", "b", "c")
		fill(b, r.client("a", "b", "c"), dataMiB(b))
		r.backup(x)
		var restores, whole []time.Duration
		for i := range losses {
			wipeAll(x, y, z)
			began := time.Now()
			r.does("restore", "--cluster", "test", "--store", r.store, "--to", filepath.Join(b.TempDir(), strconv.Itoa(i)))
			restores = append(restores, time.Since(began))
			began = time.Now()
			startAll(x, y, z)
			r.voters(10*time.Minute, "a", "b", "c")
			whole = append(whole, time.Since(began))
		}
		floor := median(restores) + median(elections)
		ratio := median(whole).Seconds() / floor.Seconds()
		b.ReportMetric(median(whole).Seconds(), "s-to-three-voters")
		b.ReportMetric(ratio, "ratio")
		slices.Sort(elections)
		b.Logf("total loss: three voters after %s; one restore %s + one election %s; ratio %.2f\n%v\n%v\n%v",
			round(median(whole)), round(median(restores)), round(median(elections)), ratio, whole, restores, elections)
		r.end()
		r.nodes = nil
	}
}
