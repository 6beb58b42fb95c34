package replay

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/version"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// benchPuts and benchWorkers are the load that is put through a client, and then
// replayed out of a store.
const (
	benchPuts    = 100_000
	benchWorkers = 64
)

// BenchmarkReplay compares putting 1 KiB values through a client with a restore
// of the same: the snapshot from before and the log, out of a directory store,
// to a data directory that is synced.
func BenchmarkReplay(b *testing.B) {
	l := &load{etcd: version.Version, db: filepath.Join(b.TempDir(), "base")}
	n := newNode(b, "9", filepath.Join(b.TempDir(), "source"))
	c := n.start(b)
	for i := range 100 { // what the snapshot holds
		if _, err := c.Put(b.Context(), "before", fmt.Sprint(i)); err != nil {
			b.Fatal(err)
		}
	}
	save(b, c, l.db)
	began := time.Now()
	putAll(b, c)
	client := time.Since(began)
	h, err := c.HashKV(b.Context(), n.client, 0)
	if err != nil {
		b.Fatal(err)
	}
	l.end = sample{h.HashRevision, h.CompactRevision, h.Hash}
	n.end(9)
	l.entries = readLog(b, n.dir)
	arc := newArchive(b, l)
	for b.Loop() {
		var all []time.Duration
		for range 5 {
			all = append(all, replayOnce(b, arc, l))
		}
		took := slices.Sorted(slices.Values(all))[len(all)/2]
		b.ReportMetric(benchPuts/client.Seconds(), "client-writes/s")
		b.ReportMetric(benchPuts/took.Seconds(), "replayed-writes/s")
		b.ReportMetric(client.Seconds()/took.Seconds(), "times-faster")
		b.Logf("%d writes of 1 KiB: by a client with %d workers %s, by the replay %v, the hash of all keys checked: %.1f times as fast by the median",
			benchPuts, benchWorkers, client.Round(time.Millisecond), all, client.Seconds()/took.Seconds())
	}
}

func replayOnce(b *testing.B, arc *archive, l *load) time.Duration {
	b.Helper()
	into := newNode(b, "9", filepath.Join(b.TempDir(), "m")).target(testBump)
	began := time.Now()
	plans, err := Survey(b.Context(), arc.src, Cut{})
	if err != nil {
		b.Fatal(err)
	}
	r, err := Build(b.Context(), arc.src, plans, nil, into)
	took := time.Since(began)
	if err != nil || r.Checked != l.end.revision {
		b.Fatalf("built %+v, want revision %d hashed: %v", r, l.end.revision, err)
	}
	if err := os.RemoveAll(into.DataDir); err != nil {
		b.Fatal(err)
	}
	return took
}

func putAll(b *testing.B, c *clientv3.Client) {
	b.Helper()
	value := strings.Repeat("quorate ", 128)
	var all sync.WaitGroup
	for w := range benchWorkers {
		all.Go(func() {
			for i := w; i < benchPuts; i += benchWorkers {
				if _, err := c.Put(b.Context(), fmt.Sprintf("key/%08d", i), value); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
}
