package backup

import (
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
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/quorate/quorate/internal/cluster"
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

// fill puts so many MiB of 1 KiB values, half of which compresses.
func fill(b *testing.B, c *clientv3.Client, mib int) {
	b.Helper()
	var all sync.WaitGroup
	for w := range 32 {
		all.Go(func() {
			r := rand.NewChaCha8([32]byte{byte(w)})
			value := make([]byte, 512)
			for i := range mib * 32 {
				r.Read(value)
				if _, err := c.Put(b.Context(), fmt.Sprintf("%02d/%08d", w, i), string(value)+strings.Repeat("quorate ", 64)); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
}

// BenchmarkBackup compares a backup of a real etcd into a directory store, plain
// and sealed, with etcdctl snapshot save to a file, in turn. peak_rss_mb is the
// whole process's, while it takes backups. QUORATE_BENCH_MIB is how much data
// there is, 1024 by default.
func BenchmarkBackup(b *testing.B) {
	mib, err := strconv.Atoi(cmp.Or(os.Getenv("QUORATE_BENCH_MIB"), "1024"))
	if err != nil {
		b.Fatal(err)
	}
	etcdctl := buildTool(b, "etcdctl")
	n := newNode(b, "old", "127.0.0.84")
	n.start(b, "--initial-cluster="+initialCluster(n), "--quota-backend-bytes=8589934592")
	c := n.connect(b)
	awaitServing(b, c)
	fill(b, c, mib)
	st, err := store.Open(b.Context(), "file://"+b.TempDir(), "c")
	if err != nil {
		b.Fatal(err)
	}
	sealed := Sealed(st, seal.New(keysIn(b)))
	for b.Loop() {
		var theirs, plain, secret []time.Duration
		var taken cluster.Backup
		peak := 0.0
		for range restorePairs {
			theirs = append(theirs, timed(func() {
				file := filepath.Join(b.TempDir(), "snap.db")
				command(b, etcdctl, "--endpoints="+n.client, "--command-timeout=10m", "snapshot", "save", file)
				discard(b, file)
			}))
			restartPeak()
			plain = append(plain, timed(func() { taken = takeAndDiscard(b, st, c) }))
			secret = append(secret, timed(func() { takeAndDiscard(b, sealed, c) }))
			peak = max(peak, peakMiB())
		}
		ratio := median(theirs).Seconds() / median(plain).Seconds()
		b.ReportMetric(ratio, "speed-ratio")
		b.ReportMetric(median(theirs).Seconds()/median(secret).Seconds(), "speed-ratio-sealed")
		b.ReportMetric(float64(taken.Size>>20)/median(plain).Seconds(), "MB/s-quorate")
		b.ReportMetric(float64(taken.Size>>20)/median(theirs).Seconds(), "MB/s-etcdctl")
		b.ReportMetric(peak, "peak_rss_mb")
		b.Logf("%d MB stored as %d MB: etcdctl %v, quorate %v, sealed %v", taken.Size>>20, taken.StoredSize>>20, theirs, plain, secret)
	}
}

func takeAndDiscard(b *testing.B, st Store, c *clientv3.Client) cluster.Backup {
	taken, err := Take(b.Context(), liveSource{c}, st, metaAt(1, testNow))
	if err == nil {
		err = Prune(b.Context(), st, []cluster.Backup{taken})
	}
	if err != nil {
		b.Fatal(err)
	}
	return taken
}

// restartPeak begins a new peak of the process's resident memory.
func restartPeak() {
	debug.FreeOSMemory()
	_ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) // elsewhere than on Linux there is none
}

func peakMiB() float64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		var kb float64
		if _, err := fmt.Sscanf(line, "VmHWM: %f", &kb); err == nil {
			return kb / 1024
		}
	}
	return 0
}
