package main

import (
	"os"
	"path/filepath"
	"strconv"
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
	var spent work
	for range losses {
		elections = append(elections, formRaw(b))
		wipeAll(hosts...)
		alone = append(alone, r.restores(b, 1))
		before := childTicks()
		together = append(together, r.restores(b, len(hosts)))
		spent.restores += float64(childTicks()-before) / 100
		began := time.Now()
		startAll(hosts...)
		r.voters(10*time.Minute, "a", "b", "c")
		whole = append(whole, time.Since(began))
		for _, h := range hosts {
			spent.agents += float64(cpuTicks(b, h.agent.Process.Pid)) / 100
			spent.etcds += float64(cpuTicks(b, h.etcdPID())) / 100
		}
	}
	took, one, three := median(whole), median(alone)+median(elections), median(together)+median(elections)
	ratio := took.Seconds() / three.Seconds()
	b.ReportMetric(ratio, "ratio-loss")
	b.Logf("total loss of %d MB: three voters after %v; one restore %v, three at a time %v, one election %v", taken.Size>>20, whole, alone, together, elections)
	b.Logf("processor time of a loss: the agents %.1f s, three restores by the command line %.1f s; the etcds' own, to read their data, %.1f s",
		spent.agents/losses, spent.restores/losses, spent.etcds/losses)
	row(b, "total loss -> three voters, against three restores at a time (one machine) + one election", "%.1f s", took.Seconds(), three.Seconds(), ratio, "<= 1.3")
	row(b, "the same, against one restore + one election", "%.1f s", took.Seconds(), one.Seconds(), took.Seconds()/one.Seconds(), "<= 1.3 on three machines")
}

// work is processor time in seconds: unlike the times it does not depend on what
// else the machine does.
type work struct{ restores, agents, etcds float64 }

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
		r.end()
		r.nodes = nil
	}
}
