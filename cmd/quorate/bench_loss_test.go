package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// losses is how often everything is lost.
const losses = 3

// benchLoss loses every machine and disk, and compares the time from the start of
// empty machines to three healthy voters with a restore of the same backup by the
// command line and one election, which is what three members with empty data
// directories need to begin. Here one machine's processors and disk do the work
// of three, so three restores run at a time; the ratio to a single one is of
// that kind of machine, and counts where the machines are three.
func (r *rig) benchLoss(b *testing.B, hosts ...*host) {
	taken := r.backup(r.leader("a", "b", "c"))
	var elections, alone, together, whole []time.Duration
	for range losses {
		elections = append(elections, formRaw(b))
		wipeAll(hosts...)
		alone = append(alone, r.restores(b, 1))
		together = append(together, r.restores(b, len(hosts)))
		began := time.Now()
		startAll(hosts...)
		r.voters(10*time.Minute, "a", "b", "c")
		whole = append(whole, time.Since(began))
	}
	took, one, three := median(whole), median(alone)+median(elections), median(together)+median(elections)
	ratio := took.Seconds() / three.Seconds()
	b.ReportMetric(ratio, "ratio-loss")
	b.Logf("total loss of %d MB: three voters after %v; one restore %v, three at a time %v, one election %v", taken.Size>>20, whole, alone, together, elections)
	row(b, "total loss -> three voters, against three restores at a time (one machine) + one election", "%.1f s", took.Seconds(), three.Seconds(), ratio, "<= 1.3")
	row(b, "the same, against one restore + one election", "%.1f s", took.Seconds(), one.Seconds(), took.Seconds()/one.Seconds(), "<= 1.3 on three machines")
}

// restores times so many restores at a time by the command line.
func (r *rig) restores(b *testing.B, n int) time.Duration {
	dir := b.TempDir()
	began := time.Now()
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			if err := r.patiently(b.Context(), "restore", "--cluster", "test", "--store", r.store, "--to", filepath.Join(dir, strconv.Itoa(i))); err != nil {
				b.Error(err)
			}
		})
	}
	all.Wait()
	took := time.Since(began)
	must(b, os.RemoveAll(dir))
	return took
}

// BenchmarkLoss is BenchmarkRecovery's last part alone.
func BenchmarkLoss(b *testing.B) {
	mib := setting(b, "QUORATE_BENCH_MIB", 1024)
	for b.Loop() {
		r := newRig(b, "--log-level=debug", "--", "--quota-backend-bytes=8589934592")
		x, y, z := r.trio()
		startAll(x, y, z)
		r.voters(time.Minute, "a", "b", "c")
		fill(b, r.client("a", "b", "c"), mib)
		r.benchLoss(b, x, y, z)
		fmt.Fprintln(os.Stderr, story(x, y, z))
		for _, h := range []*host{x, y, z} {
			raw, _ := os.ReadFile(filepath.Join(h.dataDir(), "etcd.log"))
			fmt.Fprintf(os.Stderr, "ETCD %s\n%s\n", h.name, raw)
		}
		r.end()
		r.nodes = nil
	}
}

// story is what the agents have said since the last loss, in the order of time.
func story(hosts ...*host) string {
	var lines []string
	for _, h := range hosts {
		log := h.log()
		for line := range strings.Lines(log[max(0, strings.LastIndex(log, "the agent starts")):]) {
			at, rest, _ := strings.Cut(strings.TrimPrefix(line, "time="), " ")
			lines = append(lines, fmt.Sprintf("%s %s %s", at, h.name, rest))
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "")
}
