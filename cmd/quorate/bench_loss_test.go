package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/clustertest/apt"
	"github.com/quorate/quorate/internal/clustertest/etcdbin"
)

// losses is how often everything is lost.
const losses = 3

// benchLoss loses every machine and disk, and compares the time from the start of
// empty machines to three healthy voters with a restore of the same backup by the
// command line and one election, which is what three members with empty data
// directories need to begin. Here one machine's processors and disk do the work
// of three, so three restores run at a time; the ratio to a single one is of
// that kind of machine, and counts where the machines are three. The third ratio
// is to the same with etcd's own tools: zstd -d, etcdutl snapshot restore and an
// etcd on what it has made, three at a time, until all three are healthy.
func (r *rig) benchLoss(b *testing.B, hosts ...*host) {
	leader := r.leader("a", "b", "c")
	taken := r.backup(leader)
	saved := compressedSnapshot(b, leader)
	var elections, alone, together, byHand, whole []time.Duration
	var spent work
	for range losses {
		elections = append(elections, formRaw(b))
		wipeAll(hosts...)
		alone = append(alone, r.restores(b, 1))
		before := childTicks()
		together = append(together, r.restores(b, len(hosts)))
		spent.restores += float64(childTicks()-before) / 100
		byHand = append(byHand, restoreByHand(b, saved))
		began := time.Now()
		startAll(hosts...)
		r.voters(10*time.Minute, "a", "b", "c")
		whole = append(whole, time.Since(began))
		for _, h := range hosts {
			spent.agents += float64(cpuTicks(b, h.agent.Process.Pid)) / 100
			spent.etcds += float64(cpuTicks(b, h.etcdPID())) / 100
		}
	}
	took, one, three, hand := median(whole), median(alone)+median(elections), median(together)+median(elections), median(byHand)
	ratio := took.Seconds() / three.Seconds()
	b.ReportMetric(ratio, "ratio-loss")
	b.Logf("total loss of %d MB: three voters after %v; one restore %v, three at a time %v, one election %v; by hand %v", taken.Size>>20, whole, alone, together, elections, byHand)
	b.Logf("processor time of a loss: the agents %.1f s, three restores by the command line %.1f s; the etcds' own, to read their data, %.1f s",
		spent.agents/losses, spent.restores/losses, spent.etcds/losses)
	row(b, "total loss -> three voters, against three restores at a time (one machine) + one election", "%.1f s", took.Seconds(), three.Seconds(), ratio, "<= 1.3")
	row(b, "the same, against three restores by etcdutl + three etcds on them", "%.1f s", took.Seconds(), hand.Seconds(), took.Seconds()/hand.Seconds(), "<= 1.3")
	row(b, "the same, against one restore + one election", "%.1f s", took.Seconds(), one.Seconds(), took.Seconds()/one.Seconds(), "<= 1.3 on three machines")
}

// compressedSnapshot is what an operator without quorate keeps: etcdctl snapshot
// save, then zstd.
func compressedSnapshot(b *testing.B, from *host) string {
	file := filepath.Join(b.TempDir(), "snap.db")
	run(b, exec.Command(etcdbin.Etcdctl(b, etcdbin.V37), "--endpoints="+from.url(2379), "--command-timeout=10m", "snapshot", "save", file))
	run(b, exec.Command(apt.Need(b, "/usr/bin/zstd", "zstd"), "-q", "--rm", file))
	return file + ".zst"
}

// restoreByHand times what the operator does on three machines at once, until
// three etcds are healthy.
func restoreByHand(b *testing.B, saved string) time.Duration {
	etcdutl, zstd, dir := etcdbin.Etcdutl(b, etcdbin.V37), apt.Need(b, "/usr/bin/zstd", "zstd"), b.TempDir()
	hosts, initial := rawHosts()
	began := time.Now()
	var all sync.WaitGroup
	for i, h := range hosts {
		all.Go(func() {
			file := filepath.Join(dir, strconv.Itoa(i)+".db")
			for _, cmd := range []*exec.Cmd{
				exec.Command(zstd, "-q", "-d", saved, "-o", file),
				exec.Command(etcdutl, "snapshot", "restore", file, "--data-dir", filepath.Join(dir, strconv.Itoa(i)), "--name", "m"+strconv.Itoa(i),
					"--initial-cluster", initial, "--initial-advertise-peer-urls", "http://"+h+":2380", "--bump-revision", "1000000000", "--mark-compacted"),
			} {
				if out, err := cmd.CombinedOutput(); err != nil {
					b.Errorf("%v: %v: %s", cmd.Args, err, out)
				}
			}
		})
	}
	all.Wait()
	formOn(b, dir)
	took := time.Since(began)
	must(b, os.RemoveAll(dir))
	return took
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
		r, x, y, z := largeCluster(b, mib)
		r.benchLoss(b, x, y, z)
		r.end()
		r.nodes = nil
	}
}
