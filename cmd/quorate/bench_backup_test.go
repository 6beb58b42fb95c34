package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// dataMiB is how much the benchmarks of backups and recovery put into etcd, as
// 1 KiB values of which half compresses.
func dataMiB(b *testing.B) int {
	n, err := strconv.Atoi(os.Getenv("QUORATE_BENCH_MIB"))
	if err != nil {
		n = 1024
	}
	b.Logf("%d MiB of 1 KiB values", n)
	return n
}

// roomy is a rig whose etcds take some GiB.
func roomy(b *testing.B) *rig {
	return newRig(b, "--", "--quota-backend-bytes=8589934592")
}

// writer puts 1 KiB values over many workers until ctx ends or n are there, and
// keeps how long each took.
func writer(ctx context.Context, c *clientv3.Client, prefix string, n int) (took []time.Duration) {
	var all sync.WaitGroup
	var mu sync.Mutex
	for w := range 32 {
		all.Go(func() {
			r := rand.NewChaCha8([32]byte{byte(w)})
			random := make([]byte, 512)
			var mine []time.Duration
			for i := 0; i < n/32 && ctx.Err() == nil; i++ {
				r.Read(random)
				began := time.Now()
				if _, err := c.Put(ctx, fmt.Sprintf("%s/%02d/%08d", prefix, w, i), string(random)+strings.Repeat("quorate ", 64)); err == nil {
					mine = append(mine, time.Since(began))
				}
			}
			mu.Lock()
			took = append(took, mine...)
			mu.Unlock()
		})
	}
	all.Wait()
	return took
}

func fill(b *testing.B, c *clientv3.Client, mib int) {
	b.Helper()
	if n := len(writer(b.Context(), c, "fill", mib<<10)); n < mib<<10*99/100 {
		b.Fatalf("%d of %d puts done", n, mib<<10)
	}
}

// BenchmarkWritesBesideBackup compares windows of a busy client with and without
// a backup that is being taken.
func BenchmarkWritesBesideBackup(b *testing.B) {
	const window = 8 * time.Second
	for b.Loop() {
		r := roomy(b)
		x, y, z := r.trio()
		startAll(x, y, z)
		r.voters(time.Minute, "a", "b", "c")
		fill(b, r.client("a", "b", "c"), dataMiB(b))
		leader := r.leader("a", "b", "c")
		c := r.client(leader.name)
		var quiet, busy [2][]float64 // puts a second, and the 99th percentile in ms
		for range pairs {
			one := func(into *[2][]float64) {
				ctx, cancel := context.WithTimeout(b.Context(), window)
				defer cancel()
				took := writer(ctx, c, "load", 1<<30)
				slices.Sort(took)
				into[0] = append(into[0], float64(len(took))/window.Seconds())
				into[1] = append(into[1], float64(took[len(took)*99/100])/1e6)
			}
			one(&quiet)
			ended, taken := make(chan struct{}), make(chan int)
			go func() {
				n := 0
				for ; ; n++ {
					select {
					case <-ended:
						taken <- n
						return
					default:
						r.does("backup", "create", leader.agentFlag())
					}
				}
			}()
			one(&busy)
			close(ended)
			b.Logf("backups begun within the window: %d", <-taken)
		}
		rate := medianOf(busy[0]) / medianOf(quiet[0])
		p99 := medianOf(busy[1]) / medianOf(quiet[1])
		b.ReportMetric(rate, "ratio-throughput")
		b.ReportMetric(p99, "ratio-p99")
		b.Logf("writes beside a backup: %.0f/s against %.0f/s, ratio %.3f; p99 %.1f ms against %.1f ms, ratio %.2f\n%.0f\n%.0f\n%.1f\n%.1f",
			medianOf(busy[0]), medianOf(quiet[0]), rate, medianOf(busy[1]), medianOf(quiet[1]), p99, busy[0], quiet[0], busy[1], quiet[1])
		r.end()
		r.nodes = nil
	}
}

func medianOf(all []float64) float64 {
	s := slices.Clone(all)
	slices.Sort(s)
	return s[len(s)/2]
}
