package replay

import (
	"bytes"
	"context"
	"crypto/sha256"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/quorate/quorate/internal/backup"
	"github.com/quorate/quorate/internal/chain"
	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/store"
)

// archive is a store with the load's snapshot and its log.
type archive struct {
	src      Source
	st       *store.Store
	base     cluster.Backup
	segments []chain.Header
	lies     uint64 // the segment whose hash is not the live cluster's; 0: none
}

// snapshotFile is the backup.Source of a database.
type snapshotFile struct {
	db    string
	state cluster.EtcdState
}

func (s snapshotFile) Status(context.Context) (cluster.EtcdState, error) { return s.state, nil }

func (s snapshotFile) KeyCount(context.Context, int64) (int64, error) { return 1, nil }

func (s snapshotFile) Snapshot(context.Context) (io.ReadCloser, error) { return withHash(s.db) }

// withHash is a database as etcd streams it.
func withHash(db string) (io.ReadCloser, error) {
	data, err := os.ReadFile(db)
	sum := sha256.Sum256(data)
	return io.NopCloser(bytes.NewReader(append(data, sum[:]...))), err
}

// newArchive stores the load: the snapshot is said to be a little older than it
// is, as a backup's manifest does, and the log begins before it.
func newArchive(t testing.TB, l *load, lies ...uint64) *archive {
	t.Helper()
	st, err := store.Open(t.Context(), "file://"+t.TempDir(), "c")
	if err != nil {
		t.Fatal(err)
	}
	codec, err := chain.NewCodec(nil)
	if err != nil {
		t.Fatal(err)
	}
	a := openCopy(t, l.db)
	state := cluster.EtcdState{Version: l.etcd, Term: 2, Applied: a.Index() - 3, Revision: a.Revision() - 5}
	closeIt(t, a)
	base, err := backup.Take(t.Context(), snapshotFile{l.db, state}, st, backup.Meta{Cluster: "c", Epoch: 1, By: "a", Now: start})
	if err != nil {
		t.Fatal(err)
	}
	arc := &archive{st: st, base: base, lies: append(lies, 0)[0], src: Source{Store: st, Cluster: "c", Log: chain.Reader{Objects: st, Codec: codec, Cluster: "c"}}}
	arc.ship(t, l)
	return arc
}

// ship writes the log in segments of 500 entries, whose revisions are what an
// applier finds, less a few.
func (arc *archive) ship(t testing.TB, l *load) {
	t.Helper()
	revisions := openCopy(t, l.db)
	defer closeIt(t, revisions)
	end := cluster.LogEnd{Epoch: 1, Chain: 1, Index: arc.base.Index, Term: arc.base.Term, Revision: arc.base.Revision, SHA256: strings.Repeat("0", 64)}
	rest := l.entries[slices.IndexFunc(l.entries, func(e *raftpb.Entry) bool { return e.GetIndex()+50 > arc.base.Index }):]
	for len(rest) > 0 {
		n := min(500, len(rest))
		s := chain.Segment{Entries: rest[:n], Header: chain.Header{Cluster: "c", Epoch: 1, Chain: 1, Number: end.Number + 1, Previous: end.SHA256,
			Etcd: l.etcd, By: "a", From: start.Add(time.Duration(end.Number) * time.Second), To: start.Add(time.Duration(end.Number+1) * time.Second)}}
		if s.Number == 1 {
			s.Base = arc.base.Key
		}
		s.FirstRevision = end.Revision
		for _, e := range s.Entries {
			if err := revisions.Apply(e); err != nil {
				t.Fatal(err)
			}
		}
		s.LastRevision = max(end.Revision, revisions.Revision()-7)
		rest = rest[n:]
		if s.Number < 4 || s.Number%16 == 0 { // to hash for each would be slow
			hash, compacted, err := revisions.Hash(revisions.Revision())
			if err != nil {
				t.Fatal(err)
			}
			s.Check = &chain.HashKV{Revision: revisions.Revision(), Compact: compacted, Hash: hash}
		}
		if s.Number == arc.lies {
			s.Check.Hash++
		}
		if len(rest) == 0 && l.end.revision > 0 {
			s.Check = &chain.HashKV{Revision: l.end.revision, Compact: l.end.compacted, Hash: l.end.hash}
		}
		object, next, err := arc.src.Log.Codec.Encode(s)
		if err == nil {
			err = arc.st.Create(t.Context(), s.Key(), object)
		}
		if err != nil {
			t.Fatal(err)
		}
		end = next
		h, _, err := arc.src.Log.Codec.DecodeHeader(object)
		if err != nil {
			t.Fatal(err)
		}
		arc.segments = append(arc.segments, h)
	}
}
