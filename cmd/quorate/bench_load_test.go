package main

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// setting is a number from the environment.
func setting(b *testing.B, key string, otherwise int) int {
	b.Helper()
	n, err := strconv.Atoi(cmp.Or(os.Getenv(key), strconv.Itoa(otherwise)))
	must(b, err)
	return n
}

// row adds one to the table that `make bench` prints: tabs between name, ours,
// theirs, ratio and what is wanted. With theirs 0 there is nothing to compare.
func row(b *testing.B, name, format string, ours, theirs, ratio float64, want string) {
	b.Helper()
	other := "-"
	if theirs > 0 {
		other = fmt.Sprintf(format, theirs)
	}
	line := fmt.Sprintf("%s\t%s\t%s\t%.2f\t%s", name, fmt.Sprintf(format, ours), other, ratio, want)
	b.Log(strings.ReplaceAll(line, "\t", " | "))
	table := os.Getenv("QUORATE_BENCH_TABLE")
	if table == "" {
		return
	}
	f, err := os.OpenFile(table, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	must(b, err)
	_, err = fmt.Fprintln(f, line)
	must(b, err)
	must(b, f.Close())
}

// value is 1 KiB, half of which compresses.
func value(r *rand.ChaCha8) string {
	random := make([]byte, 512)
	r.Read(random)
	return string(random) + strings.Repeat("quorate ", 64)
}

// fill puts so many MiB of values, 64 in a transaction.
func fill(b *testing.B, c *clientv3.Client, mib int) {
	b.Helper()
	const workers, each = 8, 64
	var all sync.WaitGroup
	for w := range workers {
		all.Go(func() {
			r := rand.NewChaCha8([32]byte{byte(w)})
			for i := range mib << 10 / workers / each {
				var ops []clientv3.Op
				for j := range each {
					ops = append(ops, clientv3.OpPut(fmt.Sprintf("fill/%02d/%08d", w, i*each+j), value(r)))
				}
				if _, err := c.Txn(b.Context()).Then(ops...).Commit(); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	if b.Failed() {
		b.FailNow()
	}
}

// writer puts values over 32 workers, each as fast as it can, until ctx ends.
func writer(ctx context.Context, c *clientv3.Client) (took []time.Duration) {
	var all sync.WaitGroup
	var mu sync.Mutex
	for w := range 32 {
		all.Go(func() {
			r := rand.NewChaCha8([32]byte{byte(w)})
			var mine []time.Duration
			for i := 0; ctx.Err() == nil; i++ {
				began := time.Now()
				if _, err := c.Put(ctx, fmt.Sprintf("load/%02d/%08d", w, i), value(r)); err == nil {
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

// openLoop puts so many values a second until ctx ends, however long each takes,
// and times each from when it was due. What is under way at the end is waited
// for and not counted.
func openLoop(ctx context.Context, c *clientv3.Client, rate int) (took []time.Duration) {
	var all sync.WaitGroup
	var mu sync.Mutex
	r := rand.NewChaCha8([32]byte{1})
	began := time.Now()
	for i := 0; ctx.Err() == nil; i++ {
		due := began.Add(time.Duration(i) * time.Second / time.Duration(rate))
		select {
		case <-time.After(time.Until(due)):
		case <-ctx.Done():
		}
		text := value(r)
		all.Go(func() {
			if _, err := c.Put(ctx, fmt.Sprintf("open/%08d", i), text); err == nil {
				mu.Lock()
				took = append(took, time.Since(due))
				mu.Unlock()
			}
		})
	}
	all.Wait()
	return took
}

func medianOf(all []float64) float64 {
	s := slices.Clone(all)
	slices.Sort(s)
	return s[len(s)/2]
}

// childTicks is the processors' time of the processes that we have waited for;
// there are a hundred a second.
func childTicks() int64 {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_CHILDREN, &u)
	return (u.Utime.Nano() + u.Stime.Nano()) / 1e7
}
