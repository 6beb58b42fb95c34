package backup

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/server/v3/lease"
	"go.etcd.io/etcd/server/v3/storage/backend"
	"go.etcd.io/etcd/server/v3/storage/mvcc"
	"go.etcd.io/etcd/server/v3/storage/schema"
	"go.uber.org/zap"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/clustertest/etcdbin"
	"github.com/quorate/quorate/internal/store"
)

const restorePairs = 5

// BenchmarkRestore compares, at 1 GB (QUORATE_BENCH_MIB) of 1 KB values half of
// which compress, our
// restore from a directory store with what people type: zstd -d, then etcdutl
// snapshot restore. Each side runs in turn, with the source in the page cache.
func BenchmarkRestore(b *testing.B) {
	zstd, etcdutl := findZstd(b), etcdbin.Etcdutl(b, etcdbin.V37)
	src := storedDatabase(b, benchMiB(b)<<10)
	st, err := store.Open(b.Context(), "file://"+b.TempDir(), "c")
	if err != nil {
		b.Fatal(err)
	}
	taken, err := Take(b.Context(), src, st, metaAt(1, testNow))
	if err != nil {
		b.Fatal(err)
	}
	packed := filepath.Join(b.TempDir(), "snap.db.zst")
	command(b, zstd, "-q", "-1", string(src), "-o", packed)
	for b.Loop() {
		var ours, theirs []time.Duration
		for range restorePairs {
			theirs = append(theirs, timed(func() { restoreByHand(b, zstd, etcdutl, packed) }))
			ours = append(ours, timed(func() { restoreHere(b, st, taken) }))
		}
		ratio := median(ours).Seconds() / median(theirs).Seconds()
		b.ReportMetric(ratio, "ratio")
		b.ReportMetric(median(ours).Seconds(), "s-quorate")
		b.ReportMetric(median(theirs).Seconds(), "s-etcdutl")
		row(b, "restore, against zstd -d + etcdutl snapshot restore", median(ours), median(theirs), "<= 0.7")
		b.Logf("restoring %d MB: zstd -d and etcdutl %v, quorate %v; ratio of medians %.2f", taken.Size>>20, theirs, ours, ratio)
	}
}

// row adds one to the table that `make bench` prints, as cmd/quorate's does.
func row(b *testing.B, name string, ours, theirs time.Duration, want string) {
	table := os.Getenv("QUORATE_BENCH_TABLE")
	if table == "" {
		return
	}
	f, err := os.OpenFile(table, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	fmt.Fprintf(f, "%s\t%.2f s\t%.2f s\t%.2f\t%s\n", name, ours.Seconds(), theirs.Seconds(), ours.Seconds()/theirs.Seconds(), want)
}

func restoreHere(b *testing.B, st Store, taken cluster.Backup) {
	dir := b.TempDir()
	n := &node{name: "a", peer: "http://127.0.0.85:1", dir: filepath.Join(dir, "a.etcd")}
	into := n.target([]*node{n})
	into.Bump = 0 // nor has etcdutl
	if err := Restore(b.Context(), st, taken, into); err != nil {
		b.Fatal(err)
	}
	discard(b, dir)
}

func restoreByHand(b *testing.B, zstd, etcdutl, packed string) {
	dir := b.TempDir()
	db := filepath.Join(dir, "snap.db")
	command(b, zstd, "-q", "-d", packed, "-o", db)
	command(b, etcdutl, "snapshot", "restore", db, "--name", "a", "--data-dir", filepath.Join(dir, "a.etcd"),
		"--initial-cluster", "a=http://127.0.0.85:1", "--initial-advertise-peer-urls", "http://127.0.0.85:1")
	discard(b, dir)
}

// discard makes the next run's disk as idle as this one's was; its time is
// small beside what it removes.
func discard(b *testing.B, dir string) {
	if err := os.RemoveAll(dir); err != nil {
		b.Error(err)
	}
}

func timed(do func()) time.Duration {
	began := time.Now()
	do()
	return time.Since(began)
}

func median(all []time.Duration) time.Duration {
	s := slices.Sorted(slices.Values(all))
	return s[len(s)/2]
}

func command(b *testing.B, argv ...string) {
	b.Helper()
	if out, err := exec.CommandContext(b.Context(), argv[0], argv[1:]...).CombinedOutput(); err != nil {
		b.Fatalf("%v: %v\n%s", argv, err, out)
	}
}

func findZstd(b *testing.B) string {
	name, err := exec.LookPath("zstd")
	if err != nil {
		b.Fatalf("the comparison needs zstd: apt-get install zstd: %v", err)
	}
	return name
}

// savedSnapshot is the Source of a file that ends with its hash, as
// etcdctl snapshot save leaves it.
type savedSnapshot string

func (savedSnapshot) Status(context.Context) (cluster.EtcdState, error) {
	return cluster.EtcdState{Revision: 1, Applied: 1, Term: 1, Version: "3.7.3"}, nil
}

func (savedSnapshot) KeyCount(context.Context, int64) (int64, error) { return 0, nil }

func (s savedSnapshot) Snapshot(context.Context) (io.ReadCloser, error) { return os.Open(string(s)) }

// storedDatabase has etcd's own store put so many 1 KiB values, half of which
// compresses, and saves a snapshot of it.
func storedDatabase(b *testing.B, puts int) savedSnapshot {
	dir := b.TempDir()
	lg := zap.NewNop()
	be := backend.NewDefaultBackend(lg, filepath.Join(dir, "db"))
	kv := mvcc.New(lg, be, &lease.FakeLessor{}, mvcc.StoreConfig{})
	schema.NewMembershipBackend(lg, be).MustCreateBackendBuckets()
	schema.CreateMetaBucket(be.BatchTx())
	random, half := rand.NewChaCha8([32]byte{1}), make([]byte, 512)
	for i := range puts {
		random.Read(half)
		kv.Put(fmt.Appendf(nil, "key/%09d", i), append(half[:512:512], strings.Repeat("quorate ", 64)...), lease.NoLease)
	}
	kv.Commit()
	name := filepath.Join(dir, "snap.db")
	if err := saveSnapshot(be, name); err != nil {
		b.Fatal(err)
	}
	kv.Close()
	be.Close()
	if err := os.Remove(filepath.Join(dir, "db")); err != nil {
		b.Fatal(err)
	}
	return savedSnapshot(name)
}

func saveSnapshot(be backend.Backend, name string) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer f.Close()
	s := be.Snapshot()
	defer s.Close()
	h := sha256.New()
	if _, err := s.WriteTo(io.MultiWriter(f, h)); err != nil {
		return err
	}
	if _, err := f.Write(h.Sum(nil)); err != nil {
		return err
	}
	return f.Sync()
}
