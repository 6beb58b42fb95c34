package raftlog

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.etcd.io/raft/v3/raftpb"
	"go.uber.org/zap"
	"google.golang.org/protobuf/proto"
)

// TestPurge: what etcd purges before it is read stays readable where it is
// held open, and is a hole where it is not; so is another log in its place.
func TestPurge(t *testing.T) {
	wal.SegmentSizeBytes = 4 << 10
	dir := filepath.Join(t.TempDir(), "wal")
	fill := func() {
		t.Helper()
		w, err := wal.Create(zap.NewNop(), dir, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		for i := uint64(1); i <= 3000; i++ {
			if err := w.Save(&raftpb.HardState{Term: proto.Uint64(1), Commit: &i}, []*raftpb.Entry{entry(1, i)}); err != nil {
				t.Fatal(err)
			}
		}
	}
	fill()
	all, err := list(dir)
	if err != nil || len(all) < maxHeld+4 {
		t.Fatalf("%d segments, %v", len(all), err)
	}
	open := func(next uint64) *Reader {
		t.Helper()
		r, err := Open(dir, next)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(r.Close)
		return r
	}
	held, far, late := open(1), open(1), open(1)
	read := func(r *Reader) (n int, err error) {
		for {
			some, err := r.Read(t.Context(), Applied{}, 1000)
			if n += len(some); err != nil || len(some) == 0 {
				return n, err
			}
		}
	}
	for _, r := range []*Reader{held, far} {
		if _, err := r.Read(t.Context(), Applied{}, 1); err != nil {
			t.Fatal(err)
		}
	}
	for _, n := range all[:maxHeld] {
		if err := os.Remove(filepath.Join(dir, n.file)); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := read(held); err != nil || n != 3000-1 {
		t.Errorf("what is held open: %d entries, %v", n, err)
	}
	if _, err := read(late); !errors.Is(err, ErrGap) {
		t.Errorf("what is not: %v", err)
	}
	if _, err := Open(dir, 1); !errors.Is(err, ErrGap) {
		t.Errorf("opened anew: %v", err)
	}
	if err := os.Remove(filepath.Join(dir, all[maxHeld].file)); err != nil {
		t.Fatal(err)
	}
	if n, err := read(far); !errors.Is(err, ErrGap) {
		t.Errorf("more was purged than is held: %d, %v", n, err)
	}
	again := open(3000)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := read(again); err == nil {
		t.Error("the log has gone, and nobody says so")
	}
	fill()
	if _, err := read(again); !errors.Is(err, ErrGap) {
		t.Errorf("another log in its place: %v", err)
	}
}

func TestChanges(t *testing.T) {
	for name, row := range map[string]struct {
		request *etcdserverpb.InternalRaftRequest
		want    bool
	}{
		"a put":            {&etcdserverpb.InternalRaftRequest{ID: 7, Put: &etcdserverpb.PutRequest{Key: []byte("k")}}, true},
		"a revoked lease":  {&etcdserverpb.InternalRaftRequest{Header: &etcdserverpb.RequestHeader{ID: 7}, LeaseRevoke: &etcdserverpb.LeaseRevokeRequest{ID: 1}}, true},
		"a compaction":     {&etcdserverpb.InternalRaftRequest{Compaction: &etcdserverpb.CompactionRequest{Revision: 1}}, true},
		"a user":           {&etcdserverpb.InternalRaftRequest{AuthUserAdd: &etcdserverpb.AuthUserAddRequest{Name: "u"}}, true},
		"an alarm":         {&etcdserverpb.InternalRaftRequest{Alarm: &etcdserverpb.AlarmRequest{MemberID: 1}}, true},
		"a log-in":         {&etcdserverpb.InternalRaftRequest{Header: &etcdserverpb.RequestHeader{ID: 7}, Authenticate: &etcdserverpb.InternalAuthenticateRequest{Name: "u"}}, false},
		"a list of users":  {&etcdserverpb.InternalRaftRequest{AuthUserList: &etcdserverpb.AuthUserListRequest{}}, false},
		"a look at a user": {&etcdserverpb.InternalRaftRequest{AuthUserGet: &etcdserverpb.AuthUserGetRequest{Name: "u"}}, false},
		"a range":          {&etcdserverpb.InternalRaftRequest{Range: &etcdserverpb.RangeRequest{Key: []byte("k")}}, false},
		"nothing":          {&etcdserverpb.InternalRaftRequest{}, false},
	} {
		raw, err := proto.Marshal(row.request)
		if err != nil {
			t.Fatal(err)
		}
		e := &raftpb.Entry{Data: raw}
		if got := Changes(e); got != row.want {
			t.Errorf("%s: %v", name, got)
		}
		if e.Type = raftpb.EntryConfChange.Enum(); Changes(e) {
			t.Errorf("%s, as a change of the membership", name)
		}
	}
	if !Changes(&raftpb.Entry{Data: []byte{0xff}}) {
		t.Error("what it does not understand is harmless")
	}
}

// TestRecordInTheMaking: a file that comes to be byte by byte, in zeros laid out
// before, is read without an error and in the end whole.
func TestRecordInTheMaking(t *testing.T) {
	wal.SegmentSizeBytes = 64 << 10
	made := filepath.Join(t.TempDir(), "wal")
	w, err := wal.Create(zap.NewNop(), made, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := uint64(1); i <= 100; i++ {
		e := entry(1, i)
		e.Data = append(e.Data, make([]byte, i*7)...) // zeros, as a record that is torn has them
		if err := w.Save(&raftpb.HardState{Term: proto.Uint64(1), Commit: &i}, []*raftpb.Entry{e}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	names, err := list(made)
	if err != nil || len(names) != 1 {
		t.Fatalf("%v, %v", names, err)
	}
	whole, err := os.ReadFile(filepath.Join(made, names[0].file))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	f, err := os.Create(filepath.Join(dir, names[0].file))
	if err == nil {
		err = f.Truncate(int64(len(whole)))
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := Open(dir, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	n := uint64(0)
	for at := 0; at < len(whole); at += 13 {
		if _, err := f.WriteAt(whole[at:min(at+13, len(whole))], int64(at)); err != nil {
			t.Fatal(err)
		}
		some, err := r.Read(t.Context(), Applied{}, 1<<20)
		if err != nil {
			t.Fatalf("with %d bytes written: %v", at+13, err)
		}
		for _, e := range some {
			if n++; e.GetIndex() != n {
				t.Fatalf("entry %d is of index %d", n, e.GetIndex())
			}
		}
	}
	if n != 100 {
		t.Errorf("%d of 100 entries", n)
	}
}
