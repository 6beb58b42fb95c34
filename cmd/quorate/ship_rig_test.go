package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/quorate/quorate/internal/chain"
	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/store"
)

// journal is what clients were told: each acknowledged write and when.
type journal struct {
	mu    sync.Mutex
	acked map[string]time.Time
	stop  context.CancelFunc
	work  sync.WaitGroup
}

// traffic writes everything that etcd can be asked to write, through so many
// clients, until it is ended. The keys that tell are unique: "ack/…".
func (r *rig) traffic(clients int, names ...string) *journal {
	ctx, stop := context.WithCancel(context.Background())
	j := &journal{acked: map[string]time.Time{}, stop: stop}
	r.t.Cleanup(j.end)
	for i := range clients {
		c := r.client(names...)
		j.work.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				call, cancel := context.WithTimeout(ctx, 2*time.Second)
				key := fmt.Sprintf("ack/%d/%d", i, n)
				err := writeSomething(call, c, key, i, n)
				cancel()
				if err == nil {
					j.mu.Lock()
					j.acked[key] = time.Now()
					j.mu.Unlock()
				}
			}
		})
	}
	return j
}

func (j *journal) end() { j.stop(); j.work.Wait() }

func (j *journal) count() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.acked)
}

// writeSomething writes the key in one of many ways.
func writeSomething(ctx context.Context, c *clientv3.Client, key string, i, n int) (err error) {
	switch n % 20 {
	case 3:
		_, err = c.Txn(ctx).If(clientv3.Compare(clientv3.Version(key), "=", 0)).Then(clientv3.OpPut(key, "t"), clientv3.OpDelete(fmt.Sprintf("gone/%d", i))).Commit()
	case 7:
		var l *clientv3.LeaseGrantResponse
		if l, err = c.Grant(ctx, 3); err == nil {
			_, err = c.Put(ctx, key, "l", clientv3.WithLease(l.ID))
		}
	case 11:
		if _, err = c.Delete(ctx, fmt.Sprintf("ack/%d/%d", i, n-9)); err == nil {
			_, err = c.Put(ctx, key, "d")
		}
	case 13:
		var got *clientv3.PutResponse
		if got, err = c.Put(ctx, key, "c"); err == nil && n%400 == 13 {
			_, _ = c.Compact(ctx, got.Header.Revision-50)
			_, _ = c.UserAdd(ctx, fmt.Sprintf("u%d-%d", i, n), "secret")
			_, _ = c.RoleAdd(ctx, fmt.Sprintf("r%d-%d", i, n))
		}
	default:
		_, err = c.Put(ctx, key, fmt.Sprintf("%064d", n))
	}
	return err
}

// shipped is what the store holds of the raft log: every chain of the epoch
// walked from its beginning, each held against itself.
type shipped struct {
	chains  int
	entries map[uint64]*raftpb.Entry
	keys    map[string]bool // put in them
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

// note takes in the keys that an entry puts.
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
	for _, op := range q.Txn.GetSuccess() {
		if p := op.GetRequestPut(); p != nil {
			s.keys[string(p.Key)] = true
		}
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
