package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.etcd.io/bbolt"
	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/storage/schema"
	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.etcd.io/etcd/server/v3/storage/wal/walpb"
	"go.etcd.io/raft/v3/raftpb"
	"go.uber.org/zap"
	"google.golang.org/protobuf/proto"

	"github.com/quorate/quorate/internal/cluster"
)

// flood writes from many clients at once, and keeps a journal of what etcd has
// acknowledged.
type flood struct {
	stop  context.CancelFunc
	done  sync.WaitGroup
	count atomic.Int64
	mu    sync.Mutex
	acked []string
}

func (r *rig) flood(writers int, names ...string) *flood {
	ctx, cancel := context.WithCancel(context.Background())
	f := &flood{stop: cancel}
	r.t.Cleanup(f.end)
	var clients []*clientv3.Client
	for _, n := range names {
		clients = append(clients, r.client(n))
	}
	for w := range writers {
		c := clients[w%len(clients)]
		f.done.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				key := fmt.Sprintf("f%03d/%06d", w, i)
				if _, err := c.Put(ctx, key, ""); err != nil {
					return
				}
				f.count.Add(1)
				f.mu.Lock()
				f.acked = append(f.acked, key)
				f.mu.Unlock()
			}
		})
	}
	return f
}

func (f *flood) end() { f.stop(); f.done.Wait() }

// reaches waits until so many writes are acknowledged within one second. What it
// shows holds at any rate, so that a machine that is too slow or too busy for that
// one gets half a minute, and then goes on; in the long tests it fails.
func (f *flood) reaches(r *rig, rate int64) (best int64) {
	r.t.Helper()
	for until := time.Now().Add(30 * time.Second); time.Now().Before(until); {
		seen, since := f.count.Load(), time.Now()
		time.Sleep(time.Second) // the second in which they are counted
		n := int64(float64(f.count.Load()-seen) / time.Since(since).Seconds())
		if best = max(best, n); n >= rate {
			return n
		}
	}
	if long() {
		r.t.Fatalf("at most %d writes in a second, not %d", best, rate)
	}
	return best
}

// powerCut ends every agent and every etcd at once.
func (r *rig) powerCut(hosts ...*host) {
	r.t.Helper()
	var pids []int
	for _, h := range hosts {
		pids = append(pids, h.etcdPID())
	}
	for i, h := range hosts {
		h.signal(syscall.SIGKILL)
		if pids[i] > 1 {
			_ = syscall.Kill(pids[i], syscall.SIGKILL)
		}
	}
	for _, h := range hosts {
		h.crash()
	}
}

// TestMajorityLostUnderLoad: three machines lose power in the midst of some
// thousand writes a second, and two of the disks are gone. Of what had been
// acknowledged, all that the third disk holds is there again. Its database file
// alone lacks some of it: the write-ahead log has the rest. (Etcd commits to that
// file each 100 ms, or 10,000 writes: on a machine that stalls for so long, it would
// lack nothing. Here it does so by the writes alone.)
func TestMajorityLostUnderLoad(t *testing.T) { // not parallel: it wants the processors
	r := newRig(t, "--", "--backend-batch-interval=1m")
	a, b, c := r.trio()
	startAll(a, b, c)
	r.voters(30*time.Second, "a", "b", "c")
	f := r.flood(192, "a", "b", "c")
	rate := f.reaches(r, 3000)
	r.powerCut(a, b, c)
	f.end()
	wipeAll(b, c)

	inLog, inDatabase := a.logged(), a.stored()
	var owed []string
	copied := 0
	for _, key := range f.acked {
		if inLog[key] || inDatabase[key] {
			owed = append(owed, key)
		}
		if inDatabase[key] {
			copied++
		}
	}
	t.Logf("%d writes a second; %d acknowledged, the survivor holds %d, its database file alone %d: copying it would lose %d",
		rate, len(f.acked), len(owed), copied, len(owed)-copied)
	if len(owed) == copied {
		t.Error("the database file alone holds everything: this test proves nothing")
	}

	r.listStates("a", "b=terminated", "c=terminated")
	a.start()
	r.voters(60*time.Second, "a")
	if s := r.inEpoch(2, "a").Seed; s.Kind != cluster.SeedSurvivor || s.Survivor != "a" {
		t.Errorf("seed %+v", s)
	}
	r.wantKeys(r.client("a"), "f", owed)
}

// wantKeys wants every one of these keys.
func (r *rig) wantKeys(c *clientv3.Client, prefix string, keys []string) {
	r.t.Helper()
	there := map[string]bool{}
	r.eventually(30*time.Second, "reading what was written", func() error {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		got, err := c.Get(ctx, prefix, clientv3.WithPrefix(), clientv3.WithKeysOnly())
		if err != nil {
			return err
		}
		for _, kv := range got.Kvs {
			there[string(kv.Key)] = true
		}
		return nil
	})
	lost := 0
	for _, key := range keys {
		if !there[key] {
			lost++
		}
	}
	if lost > 0 || len(keys) == 0 {
		r.t.Errorf("%d of %d acknowledged writes that the survivor held are lost", lost, len(keys))
	}
}

// logged are the keys of all puts in the write-ahead log of a host whose etcd
// has ended.
func (h *host) logged() map[string]bool {
	h.r.t.Helper()
	dir := filepath.Join(h.dataDir(), "etcd", "member", "wal")
	snaps, err := wal.ValidSnapshotEntries(zap.NewNop(), dir)
	must(h.r.t, err)
	from := &walpb.Snapshot{}
	if len(snaps) > 0 {
		from = snaps[len(snaps)-1]
	}
	w, err := wal.OpenForRead(zap.NewNop(), dir, from)
	must(h.r.t, err)
	defer w.Close()
	_, _, entries, err := w.ReadAll()
	must(h.r.t, err)
	keys := map[string]bool{}
	for _, e := range entries {
		var q etcdserverpb.InternalRaftRequest
		if e.GetType() == raftpb.EntryNormal && proto.Unmarshal(e.GetData(), &q) == nil && q.GetPut() != nil {
			keys[string(q.GetPut().GetKey())] = true
		}
	}
	return keys
}

// stored are the keys in its database file alone.
func (h *host) stored() map[string]bool {
	h.r.t.Helper()
	db, err := bbolt.Open(filepath.Join(h.dataDir(), "etcd", "member", "snap", "db"), 0o600, &bbolt.Options{ReadOnly: true, Timeout: time.Second})
	must(h.r.t, err)
	defer db.Close()
	keys := map[string]bool{}
	must(h.r.t, db.View(func(tx *bbolt.Tx) error {
		return tx.Bucket(schema.Key.Name()).ForEach(func(_, v []byte) error {
			var kv mvccpb.KeyValue
			if err := proto.Unmarshal(v, &kv); err != nil {
				return err
			}
			if strings.HasPrefix(string(kv.GetKey()), "f") {
				keys[string(kv.GetKey())] = true
			}
			return nil
		})
	}))
	return keys
}
