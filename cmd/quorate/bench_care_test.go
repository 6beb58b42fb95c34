package main

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// BenchmarkDefragment has three databases of a gigabyte, of which six tenths are
// deleted, defragmented in turns, under 200 puts and as many reads a second:
// what clients feel of it, and how long it takes. They begin when the deleted keys
// have been forgotten: what the deletion itself costs is etcd's.
func BenchmarkDefragment(b *testing.B) {
	for b.Loop() {
		r := newRig(b, "--compaction-keep", "30s", "--", "--quota-backend-bytes=4294967296", "--snapshot-count=1000")
		r.trio()
		for _, h := range r.nodes {
			h.start()
		}
		r.voters(time.Minute, "a", "b", "c")
		c := r.client("a", "b", "c")
		const keys = 1000
		value := strings.Repeat("x", 1<<20)
		for i := range keys {
			r.put(c, fmt.Sprintf("big%04d", i), value)
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		_, err := c.Delete(ctx, "big0400", clientv3.WithRange("big9999"))
		cancel()
		must(b, err)
		r.eventually(3*time.Minute, "what is deleted is forgotten", func() error {
			r.put(c, "again", "v") // time passes in revisions too
			for _, h := range r.nodes {
				if rep, err := h.report(); err != nil || rep.Etcd.DBInUse > 600<<20 {
					return fmt.Errorf("%s: %d MB in use, %w", h.name, rep.Etcd.DBInUse>>20, err)
				}
			}
			return nil
		})
		f := startTraffic(b, 200, 200, nil, r.clientURLs()...)
		began := time.Now()
		r.eventually(10*time.Minute, "every database is small", func() error {
			for _, h := range r.nodes {
				rep, err := h.report()
				switch {
				case err != nil:
					return err
				case !rep.Ready || rep.Etcd.DBSize > 600<<20:
					return fmt.Errorf("%s: %d MB, %s", h.name, rep.Etcd.DBSize>>20, rep.Reason)
				}
			}
			return nil
		})
		took := time.Since(began)
		f.end()
		p99 := percentile(f.puts, 0.99)
		b.ReportMetric(float64(f.failures()), "failed")
		b.ReportMetric(float64(p99.Milliseconds()), "ms-p99")
		b.ReportMetric(took.Seconds(), "s-all-three")
		b.Logf("three databases of 1 GB, 0.4 in use, in turns: %s; %d puts, %d failed, p99 %s, longest gap %s; linearizable: %s; watches: %d complaints\n%v",
			round(took), len(f.puts), f.failures(), round(p99), round(f.longestGap()), f.linearizable(), len(f.broken), f.failed)
		for _, line := range strings.Split(r.logs(), "\n") {
			if strings.Contains(line, "msg=defragmented") {
				b.Log(line)
			}
		}
		r.end()
		clear(r.nodes)
	}
}
