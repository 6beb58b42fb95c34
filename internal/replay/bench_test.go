package replay

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/version"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

// benchPuts and benchWorkers are the load that is put through a client, and then
// replayed out of a store.
const (
	benchPuts    = 100_000
	benchWorkers = 64
	rounds       = 3
	orderedPuts  = 2000
)

// BenchmarkReplay compares putting 1 KiB values through a client with a restore
// of the same: the snapshot from before and the log, out of a directory store,
// to a data directory that is synced. What counts is the client that keeps the
// events' order: where they overtake each other, revisions and transactions that
// compare come out otherwise. 64 workers, which keep none, are told beside it.
func BenchmarkReplay(b *testing.B) {
	l := &load{etcd: version.Version, db: filepath.Join(b.TempDir(), "base")}
	n := newNode(b, "9", filepath.Join(b.TempDir(), "source"))
	c := n.start(b)
	ordered := putInOrder(b, c) // what the snapshot holds
	save(b, c, l.db)
	began := time.Now()
	busy := cpu(b, n.cmd.Process.Pid)
	putAll(b, c)
	client, clientBusy := time.Since(began), cpu(b, n.cmd.Process.Pid)-busy
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
		busy := cpu(b, 0)
		for range rounds {
			all = append(all, replayOnce(b, arc, l))
		}
		busy = (cpu(b, 0) - busy) / rounds
		took := slices.Sorted(slices.Values(all))[len(all)/2]
		b.ReportMetric(benchPuts/client.Seconds(), "client-writes/s")
		b.ReportMetric(benchPuts/took.Seconds(), "replayed-writes/s")
		b.ReportMetric(client.Seconds()/took.Seconds(), "times-faster-than-64-without-order")
		b.ReportMetric(benchPuts/took.Seconds()/ordered, "times-faster-in-order")
		b.ReportMetric(clientBusy.Seconds()/busy.Seconds(), "times-less-cpu")
		b.Logf("time of processors: a client and its etcd %s, a replay %s", clientBusy.Round(time.Millisecond), busy.Round(time.Millisecond))
		b.Logf("%d writes of 1 KiB, by the replay %v, the hash of all keys checked: by the median %.1f times as fast as a client that keeps their order, %.1f times as %d workers that do not (%s)",
			benchPuts, all, benchPuts/took.Seconds()/ordered, client.Seconds()/took.Seconds(), benchWorkers, client.Round(time.Millisecond))
	}
}

// cpu is the processors' time that this process and its children that have ended
// have taken, and that of one that runs.
func cpu(b *testing.B, running int) time.Duration {
	b.Helper()
	var all time.Duration
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var u syscall.Rusage
		if err := syscall.Getrusage(who, &u); err != nil {
			b.Fatal(err)
		}
		all += time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	if running == 0 {
		return all
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", running))
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	var user, system time.Duration
	fields := strings.Fields(rest)
	fmt.Sscan(fields[11], &user)
	fmt.Sscan(fields[12], &system)
	return all + (user+system)*10*time.Millisecond // Linux's ticks
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

// putInOrder is how many writes a second a client makes that keeps the events'
// order, as it must to make the same revisions: each waits for the one before.
func putInOrder(b *testing.B, c *clientv3.Client) float64 {
	b.Helper()
	value := strings.Repeat("quorate ", 128)
	began := time.Now()
	for i := range orderedPuts {
		if _, err := c.Put(b.Context(), fmt.Sprintf("before/%08d", i), value); err != nil {
			b.Fatal(err)
		}
	}
	return orderedPuts / time.Since(began).Seconds()
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

// BenchmarkBuild is the replay of as much without a client, for a profile of this
// side of it.
func BenchmarkBuild(b *testing.B) {
	l := &load{etcd: version.Version, db: emptyDB(b)}
	value := []byte(strings.Repeat("quorate ", 128))
	var before []*raftpb.Entry
	for i := range benchPuts {
		data, err := proto.Marshal(&pb.InternalRaftRequest{Header: &pb.RequestHeader{ID: uint64(i + 1)},
			Put: &pb.PutRequest{Key: fmt.Appendf(nil, "key/%08d", i), Value: value}})
		if err != nil {
			b.Fatal(err)
		}
		l.entries = append(l.entries, entryAt(uint64(11+i), data))
	}
	before = l.entries[:20]
	a, err := Open(l.db)
	for _, e := range before {
		if err == nil {
			err = a.Apply(e)
		}
	}
	if err != nil {
		b.Fatal(err)
	}
	closeIt(b, a)
	arc := newArchive(b, l)
	for b.Loop() {
		busy := cpu(b, 0)
		into := newNode(b, "9", filepath.Join(b.TempDir(), "m")).target(testBump)
		plans, err := Survey(b.Context(), arc.src, Cut{})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := Build(b.Context(), arc.src, plans, nil, into); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric((cpu(b, 0) - busy).Seconds(), "cpu-s")
	}
}
