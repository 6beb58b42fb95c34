package replay

import (
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

// TestExact: for a hundred moments of a source under load, the snapshot and the
// log up to that revision hash as the source did.
func TestExact(t *testing.T) {
	l := underLoad(t, 3*time.Second)
	t.Logf("%d entries, %d samples, revision %d, %d leases", len(l.entries), len(l.samples), l.end.revision, len(l.leases))
	base := openCopy(t, l.db)
	first := base.Revision()
	closeIt(t, base)
	later := slices.DeleteFunc(slices.Clone(l.samples), func(s sample) bool { return s.revision <= first })
	rand.Shuffle(len(later), func(i, j int) { later[i], later[j] = later[j], later[i] })
	if len(later) < 100 || first < 100 {
		t.Fatalf("%d samples after revision %d", len(later), first)
	}
	for _, s := range later[:100] {
		a := openCopy(t, l.db)
		l.applyTo(t, a, s.revision)
		if a.Revision() != s.revision {
			t.Fatalf("revision %d is passed over: %d", s.revision, a.Revision())
		}
		checkHash(t, a, s)
		closeIt(t, a)
	}
}

// applyTo applies the log up to a revision.
func (l *load) applyTo(t testing.TB, a *Applier, revision int64) {
	t.Helper()
	for _, e := range l.entries {
		if a.Revision() >= revision {
			return
		}
		if err := a.Apply(e); err != nil {
			t.Fatal(err)
		}
	}
}

// checkHash compares a state with what the source said of it. The source may
// have been compacted further by then, which its hash shows.
func checkHash(t *testing.T, a *Applier, s sample) {
	t.Helper()
	_, compacted, err := a.Hash(s.revision)
	if err != nil {
		t.Fatal(err)
	}
	if compacted < s.compacted {
		request := &pb.InternalRaftRequest{Header: &pb.RequestHeader{ID: 1}, Compaction: &pb.CompactionRequest{Revision: s.compacted}}
		data, err := proto.Marshal(request)
		if err != nil {
			t.Fatal(err)
		}
		if err := a.Apply(entryAt(a.Index()+1, data)); err != nil {
			t.Fatal(err)
		}
	}
	hash, compacted, err := a.Hash(s.revision)
	if err != nil || hash != s.hash || compacted != s.compacted {
		t.Errorf("at revision %d, compacted to %d: hash %d, want %d compacted to %d: %v", s.revision, compacted, hash, s.hash, s.compacted, err)
	}
}

func entryAt(index uint64, data []byte) *raftpb.Entry {
	term := uint64(9)
	return &raftpb.Entry{Term: &term, Index: &index, Type: raftpb.EntryNormal.Enum(), Data: data}
}

func openCopy(t testing.TB, db string) *Applier {
	t.Helper()
	name := filepath.Join(t.TempDir(), "db")
	copyFile(t, name, db)
	a, err := Open(name)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func closeIt(t testing.TB, a *Applier) {
	t.Helper()
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
}
