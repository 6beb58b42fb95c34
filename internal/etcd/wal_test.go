package etcd

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.etcd.io/etcd/server/v3/storage/wal/walpb"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

// newLog writes a log with etcd's own writer: entries of those indexes, in
// that order, the term going up when the index goes back.
func newLog(t *testing.T, dir string, indexes ...uint64) *wal.WAL {
	t.Helper()
	meta, err := proto.Marshal(&etcdserverpb.Metadata{NodeID: ptr(7), ClusterID: ptr(9)})
	must(t, err)
	w, err := wal.Create(nil, dir, meta)
	must(t, err)
	t.Cleanup(func() { _ = w.Close() })
	term, before := uint64(1), uint64(0)
	for _, i := range indexes {
		if i <= before {
			term++
		}
		before = i
		save(t, w, term, i, bytes.Repeat([]byte("v"), 2000))
	}
	return w
}

func save(t *testing.T, w *wal.WAL, term, index uint64, data []byte) {
	t.Helper()
	must(t, w.Save(
		&raftpb.HardState{Term: &term, Vote: ptr(7), Commit: ptr(1)},
		[]*raftpb.Entry{{Term: &term, Index: &index, Data: data}},
	))
}

func ptr(n uint64) *uint64 { return &n }

func wantEnd(t *testing.T, dir string, want entryID, torn bool) {
	t.Helper()
	r := walReader{dir: dir}
	end, err := r.read()
	if err != nil || end.last() != want || end.torn != torn || end.memberID != 7 || end.clusterID != 9 {
		t.Errorf("the log ends at %+v, torn %v, member %d of %d, %v; want %+v, torn %v", end.last(), end.torn, end.memberID, end.clusterID, err, want, torn)
	}
}

// A later entry of a lower index overwrites the tail.
func TestTheLastEntryIsTheLastInTheFile(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "wal")
	newLog(t, dir, 1, 2, 3, 4, 5, 3)
	wantEnd(t, dir, entryID{2, 3}, false)
}

// A snapshot that came from the leader ends the log, once the hard state says
// that it is committed.
func TestASnapshotAboveTheLastEntry(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "wal")
	w := newLog(t, dir, 1, 2)
	must(t, w.SaveSnapshot(&walpb.Snapshot{Index: ptr(50), Term: ptr(4), ConfState: &raftpb.ConfState{}}))
	wantEnd(t, dir, entryID{1, 2}, false)
	must(t, w.Save(&raftpb.HardState{Term: ptr(4), Vote: ptr(0), Commit: ptr(50)}, nil))
	must(t, w.Close())
	wantEnd(t, dir, entryID{4, 50}, false)
}

func TestManySegments(t *testing.T) {
	size := wal.SegmentSizeBytes
	wal.SegmentSizeBytes = 32 << 10
	t.Cleanup(func() { wal.SegmentSizeBytes = size })
	dir := filepath.Join(t.TempDir(), "wal")
	w := newLog(t, dir)
	reader := walReader{dir: dir}
	for i := range uint64(100) {
		save(t, w, 1, i+1, bytes.Repeat([]byte("v"), 2000))
		end, err := reader.read()
		if err != nil || end.last() != (entryID{1, i + 1}) {
			t.Fatalf("after entry %d: %+v, %v", i+1, end.last(), err)
		}
	}
	names, err := segments(dir)
	if err != nil || len(names) < 5 {
		t.Fatalf("segments: %v, %v", names, err)
	}
	wantEnd(t, dir, entryID{1, 100}, false)

	// Old segments are purged, with the reader there and for a new one.
	must(t, os.Remove(filepath.Join(dir, names[0])))
	must(t, os.Remove(filepath.Join(dir, names[1])))
	save(t, w, 1, 101, nil)
	if end, err := reader.read(); err != nil || end.last() != (entryID{1, 101}) {
		t.Errorf("after a purge: %+v, %v", end.last(), err)
	}
	wantEnd(t, dir, entryID{1, 101}, false)

	// Damage before the last segment is not a torn tail.
	damage(t, filepath.Join(dir, names[3]), 10_000)
	fresh := walReader{dir: dir}
	if end, err := fresh.read(); err == nil {
		t.Errorf("a damaged segment reads as %+v", end.last())
	}
}

func TestATornTail(t *testing.T) {
	cases := map[string]struct {
		spoil func(t *testing.T, path string, last, end int64)
		torn  bool
		err   string
	}{
		"cut in the last record":      {func(t *testing.T, p string, last, _ int64) { must(t, os.Truncate(p, last+100)) }, true, ""},
		"cut in its length":           {func(t *testing.T, p string, last, _ int64) { must(t, os.Truncate(p, last+3)) }, true, ""},
		"half of it never written":    {func(t *testing.T, p string, last, end int64) { zero(t, p, last+700, end) }, true, ""},
		"its bytes wrong":             {func(t *testing.T, p string, last, _ int64) { damage(t, p, last+100) }, true, ""},
		"a record before it is wrong": {func(t *testing.T, p string, last, _ int64) { damage(t, p, last-500) }, false, "crc mismatch"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "wal")
			w := newLog(t, dir, 1, 2, 3)
			reader := walReader{dir: dir}
			_, err := reader.read()
			must(t, err)
			last := reader.at.offset
			// One frame: entry 4 alone, so that the spoilt record is an entry.
			must(t, w.Save(&raftpb.HardState{}, []*raftpb.Entry{{Term: ptr(1), Index: ptr(4), Data: bytes.Repeat([]byte("v"), 2000)}}))
			must(t, w.Close())
			end, err := reader.read()
			if err != nil || end.last().Index != 4 {
				t.Fatalf("before the damage: %+v, %v", end, err)
			}
			c.spoil(t, filepath.Join(dir, "0000000000000000-0000000000000000.wal"), last, reader.at.offset)
			if c.err == "" {
				wantEnd(t, dir, entryID{1, 3}, c.torn)
				return
			}
			fresh := walReader{dir: dir}
			if end, err := fresh.read(); err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("reads as %+v, %v; want %q", end.last(), err, c.err)
			}
		})
	}
}

func damage(t *testing.T, path string, at int64) {
	t.Helper()
	overwrite(t, path, at, []byte("damage"))
}

func zero(t *testing.T, path string, from, to int64) {
	t.Helper()
	overwrite(t, path, from, make([]byte, to-from))
}

func overwrite(t *testing.T, path string, at int64, b []byte) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	must(t, err)
	defer f.Close()
	_, err = f.WriteAt(b, at)
	must(t, err)
}
