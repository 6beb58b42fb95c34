package main

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/quorate/quorate/internal/chain"
	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/store"
)

// shipped is what the store holds of the raft log: every chain of the epoch
// walked from its beginning, each held against itself.
type shipped struct {
	chains  int
	entries map[uint64]*raftpb.Entry
	keys    map[string]bool // put in them
	checks  int             // hashes that segments carry
	end     cluster.LogEnd
	bytes   int64
}

func (r *rig) shipped(epoch cluster.Epoch) shipped {
	r.t.Helper()
	st, err := store.Open(context.Background(), "file://"+filepath.Join(r.dir, "store"), "test")
	must(r.t, err)
	defer st.Close()
	codec, err := chain.NewCodec(nil)
	must(r.t, err)
	read := chain.Reader{Objects: st, Codec: codec, Cluster: "test"}
	chains, err := chain.List(context.Background(), st, epoch)
	must(r.t, err)
	out := shipped{chains: len(chains), entries: map[uint64]*raftpb.Entry{}, keys: map[string]bool{}}
	for _, c := range chains {
		h, _, err := read.Header(context.Background(), c.Epoch, c.Number, c.First())
		must(r.t, err)
		out.bytes += c.Size()
		for s, err := range read.Walk(context.Background(), h.Claimed(), c.Last()) {
			must(r.t, err)
			if s.Check != nil {
				out.checks++
			}
			for _, e := range s.Entries {
				if before := out.entries[e.GetIndex()]; before != nil && !proto.Equal(before, e) {
					r.t.Errorf("entry %d is stored twice, and not the same: %v, %v", e.GetIndex(), before, e)
				}
				out.entries[e.GetIndex()] = e
				out.note(r.t, e)
			}
			out.end = s.End("")
		}
	}
	return out
}

// note takes in the keys that an entry puts, and what it adds to users and roles.
func (s *shipped) note(t testing.TB, e *raftpb.Entry) {
	t.Helper()
	if e.GetType() != raftpb.EntryNormal || len(e.GetData()) == 0 {
		return
	}
	var q etcdserverpb.InternalRaftRequest
	must(t, proto.Unmarshal(e.GetData(), &q))
	if q.Put != nil {
		s.keys[string(q.Put.Key)] = true
	}
	for _, op := range slices.Concat(q.Txn.GetSuccess(), q.Txn.GetFailure()) {
		if p := op.GetRequestPut(); p != nil {
			s.keys[string(p.Key)] = true
		}
	}
	switch {
	case q.AuthUserAdd != nil:
		s.keys[userKey(q.AuthUserAdd.Name)] = true
	case q.AuthRoleAdd != nil:
		s.keys[roleKey(q.AuthRoleAdd.Name)] = true
	case q.AuthUserDelete != nil:
		s.keys[deletedKey(q.AuthUserDelete.Name)] = true
	case q.AuthUserGrantRole != nil:
		s.keys[grantKey(q.AuthUserGrantRole.User, q.AuthUserGrantRole.Role)] = true
	}
}

// lacking is how many acknowledged writes are not stored, and when the first of
// them was acknowledged.
func (s *shipped) lacking(j *journal) (n int, first time.Time) {
	for key, at := range j.acked {
		if s.keys[key] {
			continue
		}
		if n++; first.IsZero() || at.Before(first) {
			first = at
		}
	}
	return n, first
}

// ships waits until the log is being stored, as some agent says.
func (r *rig) ships(limit time.Duration, hosts ...*host) {
	r.t.Helper()
	r.eventually(limit, "the raft log is being stored", func() error {
		for _, h := range hosts {
			rep, err := h.report()
			if err == nil && rep.Log != nil && rep.Log.Shipping && rep.Log.End.SHA256 != "" {
				return nil
			}
		}
		return errors.New("by nobody")
	})
}

// unshipped is the metric, in seconds; false when the agent does not answer.
func (h *host) unshipped() (float64, bool) {
	v, err := strconv.ParseFloat(h.metric("quorate_backup_unshipped_seconds"), 64)
	return v, err == nil
}
