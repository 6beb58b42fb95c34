package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/background"
	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/clustertest/etcdbin"
)

// BenchmarkRecovery is the table of backups and recovery, on one cluster of
// three filled once: a backup against etcdctl snapshot save, writes beside a
// backup and beside a proof, and the loss of everything. QUORATE_BENCH_MIB is
// how much data there is, 1024 by default.
func BenchmarkRecovery(b *testing.B) {
	mib := setting(b, "QUORATE_BENCH_MIB", 1024)
	for b.Loop() {
		r, x, y, z := largeCluster(b, mib)
		r.benchBackup(b)
		r.benchWritesBeside(b, "a backup", func(ctx context.Context) error {
			return r.patiently(ctx, "backup", "create", r.leader("a", "b", "c").agentFlag())
		})
		r.benchWritesBeside(b, "a proof", func(ctx context.Context) error {
			cmd := r.command(ctx, "backup", "verify", "--deep", "--store", r.store, "--cluster", "test", "--scratch", b.TempDir())
			return background.Run(cmd) // as the agent does
		})
		r.benchLoss(b, x, y, z)
		r.end()
		r.nodes = nil
	}
}

// largeCluster is three voters that hold so many MiB of values.
func largeCluster(b *testing.B, mib int) (r *rig, x, y, z *host) {
	b.Helper()
	r = newRig(b, "--log-level=debug", "--", "--quota-backend-bytes=8589934592")
	x, y, z = r.trio()
	startAll(x, y, z)
	r.voters(time.Minute, "a", "b", "c")
	fill(b, r.client("a", "b", "c"), mib)
	return r, x, y, z
}

// BenchmarkBackupMemory takes one large backup, of 4 GB by default:
// QUORATE_BENCH_MEMORY_MIB.
func BenchmarkBackupMemory(b *testing.B) {
	mib := setting(b, "QUORATE_BENCH_MEMORY_MIB", 4096)
	for b.Loop() {
		r := newRig(b, "--log-level=debug", "--size=1", "--", "--quota-backend-bytes=8589934592")
		x := r.machine("a", 11)
		r.list("a")
		x.start()
		r.voters(time.Minute, "a")
		fill(b, r.client("a"), mib)
		must(b, r.patiently(b.Context(), "backup", "create", x.agentFlag()))
		held := x.heldByBackups(b)
		b.ReportMetric(held, "MB-resident")
		row(b, fmt.Sprintf("memory of a backup of %d MiB of values", mib), "%.0f MB", held, 0, held/64, "64 MB: <= 1")
		r.end()
		r.nodes = nil
	}
}

// benchBackup compares, in turn, quorate backup create with etcdctl snapshot save
// of the same member.
func (r *rig) benchBackup(b *testing.B) {
	etcdctl := etcdbin.Etcdctl(b, etcdbin.V37)
	leader := r.leader("a", "b", "c")
	from := r.nodes[r.backup(leader).By]   // the first is not counted
	var took, ctlCPU, etcdCPU [2][]float64 // of etcdctl, of quorate
	var taken cluster.Backup
	for range pairs {
		for side, do := range []func(){
			func() {
				file := filepath.Join(b.TempDir(), "snap.db")
				run(b, exec.Command(etcdctl, "--endpoints="+from.url(2379), "--command-timeout=10m", "snapshot", "save", file))
				must(b, os.Remove(file))
			},
			func() { taken = r.backup(leader) },
		} {
			etcd, others, began := cpuTicks(b, from.etcdPID()), childTicks(), time.Now()
			do()
			took[side] = append(took[side], time.Since(began).Seconds())
			etcdCPU[side] = append(etcdCPU[side], float64(cpuTicks(b, from.etcdPID())-etcd)/100)
			ctlCPU[side] = append(ctlCPU[side], float64(childTicks()-others)/100)
		}
	}
	if taken.By != from.name {
		b.Errorf("the last backup is of %s, not %s", taken.By, from.name)
	}
	mb := float64(taken.Size >> 20)
	t, o, held := mb/medianOf(took[0]), mb/medianOf(took[1]), from.heldByBackups(b)
	b.ReportMetric(o/t, "ratio-backup")
	b.ReportMetric(held, "MB-resident")
	b.Logf("backups of %.0f MB, stored as %d MB; seconds\netcdctl %.2f, etcd's processor time meanwhile %.2f, etcdctl's %.2f\nquorate %.2f, etcd's %.2f",
		mb, taken.StoredSize>>20, took[0], etcdCPU[0], ctlCPU[0], took[1], etcdCPU[1])
	row(b, "backup, against etcdctl snapshot save", "%.0f MB/s", o, t, o/t, ">= 1")
	row(b, "memory of that backup", "%.0f MB", held, 0, held/64, "64 MB: <= 1")
}

// heldByBackups is the most that a process of this node's backups has had
// resident, in MB, as its agent's log tells.
func (h *host) heldByBackups(b *testing.B) float64 {
	most := 0.0
	for line := range strings.Lines(h.log()) {
		if _, after, ok := strings.Cut(line, "resident_bytes="); ok {
			n, err := strconv.ParseFloat(strings.Fields(after)[0], 64)
			must(b, err)
			most = max(most, n/(1<<20))
		}
	}
	if most == 0 {
		b.Errorf("%s has not said what its backups held", h.name)
	}
	return most
}

const (
	// window is how long each side of a comparison of writes lasts.
	window  = 6 * time.Second
	windows = 5 // of each side
)

// benchWritesBeside compares, in turn, a busy client's writes through the leader
// with and without something that goes on. The one load is 32 workers, each of
// which writes as soon as it can: it leaves no processor idle. The other is an
// open loop: QUORATE_BENCH_RATE puts a second, 1,000 by default, each timed from
// when it was due.
func (r *rig) benchWritesBeside(b *testing.B, what string, begin func(context.Context) error) {
	leader := r.leader("a", "b", "c")
	c := r.client(leader.name)
	rate := setting(b, "QUORATE_BENCH_RATE", 1000)
	loads := map[string]func(context.Context) []time.Duration{
		"32 busy workers":                     func(ctx context.Context) []time.Duration { return writer(ctx, c) },
		fmt.Sprintf("%d puts a second", rate): func(ctx context.Context) []time.Duration { return openLoop(ctx, c, rate) },
	}
	for _, load := range slices.Sorted(maps.Keys(loads)) {
		var quiet, busy [2][]float64 // puts a second, and the 99th percentile in ms
		begun := 0
		one := func(into *[2][]float64) {
			ctx, cancel := context.WithTimeout(b.Context(), window)
			defer cancel()
			took := loads[load](ctx)
			slices.Sort(took)
			into[0] = append(into[0], float64(len(took))/window.Seconds())
			into[1] = append(into[1], float64(took[len(took)*99/100])/1e6)
		}
		for range windows {
			one(&quiet)
			ctx, end := context.WithCancel(b.Context())
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				for ; ctx.Err() == nil; begun++ {
					if err := begin(ctx); err != nil && ctx.Err() == nil {
						b.Error(err)
						return
					}
				}
			}()
			one(&busy)
			end()
			<-ended
		}
		b.Logf("beside %s, %s; %d begun\nputs a second %.0f, quiet %.0f\np99 in ms %.1f, quiet %.1f", what, load, begun, busy[0], quiet[0], busy[1], quiet[1])
		row(b, fmt.Sprintf("writes beside %s, %s", what, load), "%.0f/s", medianOf(busy[0]), medianOf(quiet[0]), medianOf(busy[0])/medianOf(quiet[0]), ">= 0.98")
		row(b, "the same, p99", "%.1f ms", medianOf(busy[1]), medianOf(quiet[1]), medianOf(busy[1])/medianOf(quiet[1]), "<= 1.2")
	}
}

// command is of quorate, ended gently with its context.
func (r *rig) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = time.Minute
	var errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = io.Discard, &errOut
	return cmd
}

// patiently runs a command of quorate that may take minutes, to its end.
func (r *rig) patiently(ctx context.Context, args ...string) error {
	if ctx.Err() != nil {
		return nil
	}
	cmd := r.command(context.WithoutCancel(ctx), args...)
	if err := cmd.Run(); err != nil {
		return errors.Join(err, errors.New(fmt.Sprint(cmd.Stderr)))
	}
	return nil
}

// run is for what others have made.
func run(b *testing.B, cmd *exec.Cmd) {
	b.Helper()
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("%v: %v\n%s", cmd.Args, err, out)
	}
}
