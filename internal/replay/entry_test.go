package replay

import (
	"errors"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/membershippb"
	"go.etcd.io/etcd/server/v3/storage/backend"
	"go.etcd.io/etcd/server/v3/storage/schema"
	"go.etcd.io/raft/v3/raftpb"
	"go.uber.org/zap"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// emptyDB is a member's database at index 10.
func emptyDB(t testing.TB) string {
	t.Helper()
	name := t.TempDir() + "/db"
	be := backend.NewDefaultBackend(zap.NewNop(), name)
	schema.NewMembershipBackend(zap.NewNop(), be).MustCreateBackendBuckets()
	schema.CreateMetaBucket(be.BatchTx())
	tx := be.BatchTx()
	tx.LockOutsideApply()
	schema.UnsafeUpdateConsistentIndexForce(tx, 10, 1)
	tx.Unlock()
	be.Close()
	return name
}

func put(t *testing.T) []byte {
	return marshal(t, &pb.InternalRaftRequest{Header: &pb.RequestHeader{ID: 1}, Put: &pb.PutRequest{Key: []byte("k"), Value: []byte("v")}})
}

func marshal(t *testing.T, m proto.Message) []byte {
	t.Helper()
	data, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestEntries(t *testing.T) {
	conf := entryAt(11, []byte("not even protobuf"))
	conf.Type = raftpb.EntryConfChange.Enum()
	v2 := protowire.AppendBytes(protowire.AppendTag(protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), 7), v2Request, protowire.BytesType), []byte("PUT"))
	newer := protowire.AppendBytes(protowire.AppendTag(put(t), 4711, protowire.BytesType), []byte("x"))
	unknown := marshal(t, &pb.InternalRaftRequest{Header: &pb.RequestHeader{ID: 1}})
	for name, tt := range map[string]struct {
		e        *raftpb.Entry
		revision int64 // it was 1
		err      error
	}{
		"a put":                         {e: entryAt(11, put(t)), revision: 2},
		"applied already":               {e: entryAt(10, put(t)), revision: 1},
		"one is missing":                {e: entryAt(12, put(t)), revision: 1, err: ErrGap},
		"an election":                   {e: entryAt(11, nil), revision: 1},
		"a member comes":                {e: conf, revision: 1},
		"a member tells its name (3.5)": {e: entryAt(11, v2), revision: 1},
		"a member tells its name": {revision: 1, e: entryAt(11, marshal(t, &pb.InternalRaftRequest{Header: &pb.RequestHeader{ID: 1},
			ClusterMemberAttrSet: &membershippb.ClusterMemberAttrSetRequest{Member_ID: 99, MemberAttributes: &membershippb.Attributes{Name: "x"}}}))},
		"the cluster's version": {revision: 1, e: entryAt(11, marshal(t, &pb.InternalRaftRequest{Header: &pb.RequestHeader{ID: 1},
			ClusterVersionSet: &membershippb.ClusterVersionSetRequest{Ver: "3.8.0"}}))},
		"of a newer etcd": {e: entryAt(11, newer), revision: 1, err: errNewer},
		"of nothing":      {e: entryAt(11, unknown), revision: 1, err: errAny},
		"no request":      {e: entryAt(11, []byte{0xff, 0xff, 0xff}), revision: 1, err: errAny},
	} {
		t.Run(name, func(t *testing.T) {
			a, err := Open(emptyDB(t))
			if err != nil {
				t.Fatal(err)
			}
			defer closeIt(t, a)
			err = a.Apply(tt.e)
			if (err != nil) != (tt.err != nil) || tt.err != nil && tt.err != errAny && !errors.Is(err, tt.err) {
				t.Errorf("error %v, want %v", err, tt.err)
			}
			if a.Revision() != tt.revision || err == nil && a.Index() != max(10, tt.e.GetIndex()) {
				t.Errorf("index %d, revision %d, want %d", a.Index(), a.Revision(), tt.revision)
			}
		})
	}
}

// errAny stands for an error that nobody branches on.
var errAny = errors.New("any")

// What was applied is in the file: the next one goes on from there.
func TestClosedAndOpened(t *testing.T) {
	db := emptyDB(t)
	for i := range uint64(3) {
		a, err := Open(db)
		if err != nil {
			t.Fatal(err)
		}
		if a.Index() != 10+i || a.Revision() != int64(1+i) {
			t.Errorf("opened at index %d, revision %d", a.Index(), a.Revision())
		}
		if err := a.Apply(entryAt(11+i, put(t))); err != nil {
			t.Fatal(err)
		}
		closeIt(t, a)
	}
}

func TestOpenRefuses(t *testing.T) {
	if _, err := Open(t.TempDir() + "/none"); err == nil {
		t.Error("opened what is not there")
	}
	name := t.TempDir() + "/db"
	copyFile(t, name, "entry_test.go")
	if _, err := Open(name); err == nil {
		t.Error("opened what is no database")
	}
}

func TestParseCut(t *testing.T) {
	for in, want := range map[string]string{
		"12": "revision 12", "index=7": "index 7", "2026-01-31T12:00:00Z": "2026-01-31T12:00:00Z", "2026-01-31T12:00:00.5+02:00": "2026-01-31T10:00:00.5Z",
		"2026-01-31 12:00:00Z": "2026-01-31T12:00:00Z", "0": "", "-3": "", "index=": "", "index=0": "", "yesterday": "", "2026-01-31T12:00:00": "", "": "",
	} {
		cut, err := ParseCut(in)
		if (err == nil) != (want != "") || err == nil && cut.String() != want {
			t.Errorf("%q is %v, %v; want %q", in, cut, err, want)
		}
	}
}

func TestReplays(t *testing.T) {
	for v, want := range map[string]bool{"3.7.0": true, "3.7.99": true, "3.7.0-rc.1": true, "3.6.14": false, "3.8.0": false, "4.7.3": false, "": false, "x": false} {
		if Replays(v) != want {
			t.Errorf("%q: %v", v, !want)
		}
	}
}
