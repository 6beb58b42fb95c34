package backup

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/clustertest/etcdbin"
	"github.com/quorate/quorate/internal/seal"
	"github.com/quorate/quorate/internal/store"
)

// bigSource streams a database of any size out of nothing.
type bigSource struct{ *fakeSource }

func (s bigSource) Snapshot(context.Context) (io.ReadCloser, error) {
	return io.NopCloser(&bigStream{left: int(s.state.DBSize), h: sha256.New(), r: rand.NewChaCha8([32]byte{1})}), nil
}

type bigStream struct {
	left int
	h    hash.Hash
	r    *rand.ChaCha8
	sum  []byte
	done bool
}

func (b *bigStream) Read(p []byte) (int, error) {
	switch {
	case b.left > 0:
		n := min(len(p), b.left)
		b.r.Read(p[:n/2]) // half of it does not compress
		clear(p[n/2 : n])
		b.h.Write(p[:n])
		b.left -= n
		return n, nil
	case !b.done:
		b.done, b.sum = true, b.h.Sum(nil)
	}
	n := copy(p, b.sum)
	b.sum = b.sum[n:]
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

// Memory does not grow with the database, on the way in or out.
func TestMemoryIsBounded(t *testing.T) {
	st, src := newStore(t), bigSource{newFakeSource(1, 4096)}
	src.state.DBSize = 128 << 20
	const limit = 32 << 20
	most := &highWater{}
	b := mustTake(t, watchedStore{st, most}, src, metaAt(1, testNow))
	if b.Size != 128<<20 || most.bytes > limit {
		t.Errorf("taking %d bytes held %d", b.Size, most.bytes)
	}
	out := &highWater{}
	if err := unpack(t.Context(), st, b, out); err != nil || out.bytes > limit {
		t.Errorf("reading %d bytes held %d: %v", b.Size, out.bytes, err)
	}
	t.Logf("heap: taking %d KiB, reading %d KiB", most.bytes>>10, out.bytes>>10)
}

// highWater samples the live heap now and then, counting from its first sample.
type highWater struct{ calls, first, bytes uint64 }

func (h *highWater) sample() {
	if h.calls++; h.calls%64 != 1 {
		return
	}
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	if h.first == 0 {
		h.first = m.HeapAlloc
	}
	if m.HeapAlloc > h.first {
		h.bytes = max(h.bytes, m.HeapAlloc-h.first)
	}
}

func (h *highWater) Write(p []byte) (int, error) { h.sample(); return len(p), nil }

type watchedStore struct {
	*faulty
	most *highWater
}

func (w watchedStore) Upload(ctx context.Context, key string, r io.Reader) (int64, error) {
	w.most.sample()
	return w.faulty.Upload(ctx, key, io.TeeReader(r, w.most))
}

// BenchmarkBackup compares a backup of a real etcd into a directory store, plain
// and sealed, with etcdctl snapshot save to a file, in turn: without agents, which
// BenchmarkRecovery has. The processors' time is told of both sides, etcd's own
// apart. QUORATE_BENCH_MIB is how much data there is, 1024 by default.
func BenchmarkBackup(b *testing.B) {
	etcdctl := etcdbin.Etcdctl(b, etcdbin.V37)
	n := seeded(b, benchMiB(b))
	c := n.connect(b)
	awaitServing(b, c)
	st, err := store.Open(b.Context(), "file://"+b.TempDir(), "c")
	if err != nil {
		b.Fatal(err)
	}
	sealed := Sealed(st, seal.New(keysIn(b)))
	src := Beside(liveSource{c}, filepath.Join(n.dir, "member", "snap", "db"))
	for b.Loop() {
		var theirs, plain, secret []usage
		var taken cluster.Backup
		for range restorePairs {
			theirs = append(theirs, n.used(func() {
				file := filepath.Join(b.TempDir(), "snap.db")
				command(b, etcdctl, "--endpoints="+n.client, "--command-timeout=10m", "snapshot", "save", file)
				discard(b, file)
			}))
			plain = append(plain, n.used(func() { taken = takeAndDiscard(b, st, src) }))
			secret = append(secret, n.used(func() { takeAndDiscard(b, sealed, src) }))
		}
		etcdctl, ours := middle(theirs), middle(plain)
		b.ReportMetric(etcdctl.took.Seconds()/ours.took.Seconds(), "speed-ratio")
		b.ReportMetric(etcdctl.took.Seconds()/middle(secret).took.Seconds(), "speed-ratio-sealed")
		b.ReportMetric(float64(taken.Size>>20)/ours.took.Seconds(), "MB/s-quorate")
		b.ReportMetric(float64(taken.Size>>20)/etcdctl.took.Seconds(), "MB/s-etcdctl")
		b.Logf("%d MB stored as %d MB\netcdctl %v\nquorate %v\nsealed  %v", taken.Size>>20, taken.StoredSize>>20, theirs, plain, secret)
	}
}

// benchMiB is how much data there is in a benchmark, as 1 KiB values.
func benchMiB(b *testing.B) int {
	mib, err := strconv.Atoi(cmp.Or(os.Getenv("QUORATE_BENCH_MIB"), "1024"))
	if err != nil {
		b.Fatal(err)
	}
	return mib
}

// seeded is a running etcd with so many MiB of 1 KiB values.
func seeded(b *testing.B, mib int) *node {
	st, err := store.Open(b.Context(), "file://"+b.TempDir(), "c")
	if err != nil {
		b.Fatal(err)
	}
	taken, err := Take(b.Context(), storedDatabase(b, mib<<10), st, metaAt(1, testNow))
	if err != nil {
		b.Fatal(err)
	}
	n := newNode(b, "old", "127.0.0.84")
	into := n.target([]*node{n})
	if err := Restore(b.Context(), st, taken, into); err != nil {
		b.Fatal(err)
	}
	n.start(b, "--quota-backend-bytes=8589934592")
	return n
}

// usage is what one backup took: time, and the processors' of whoever takes it
// and of etcd.
type usage struct{ took, taker, etcd time.Duration }

func (u usage) String() string {
	round := func(d time.Duration) time.Duration { return d.Round(10 * time.Millisecond) }
	return fmt.Sprintf("%v(cpu %v, etcd's %v)", round(u.took), round(u.taker), round(u.etcd))
}

func middle(all []usage) usage {
	s := slices.SortedFunc(slices.Values(all), func(a, b usage) int { return cmp.Compare(a.took, b.took) })
	return s[len(s)/2]
}

func (n *node) used(do func()) usage {
	etcd, taker := ticks(n.cmd.Process.Pid), spent()
	took := timed(do)
	return usage{took, spent() - taker, ticks(n.cmd.Process.Pid) - etcd}
}

// spent is the processors' time of this process and the children it has waited for.
func spent() (sum time.Duration) {
	for _, who := range []int{unix.RUSAGE_SELF, unix.RUSAGE_CHILDREN} {
		var u unix.Rusage
		_ = unix.Getrusage(who, &u)
		sum += time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	return sum
}

// ticks is a process's time; there are a hundred a second.
func ticks(pid int) time.Duration {
	raw, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	f := strings.Fields(string(raw[bytes.LastIndexByte(raw, ')')+1:]))
	user, _ := strconv.Atoi(f[11])
	system, _ := strconv.Atoi(f[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}

func takeAndDiscard(b *testing.B, st Store, src Source) cluster.Backup {
	taken, err := Take(b.Context(), src, st, metaAt(1, testNow))
	if err == nil {
		err = Prune(b.Context(), st, []cluster.Backup{taken})
	}
	if err != nil {
		b.Fatal(err)
	}
	return taken
}
