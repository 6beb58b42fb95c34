package main

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/quorate/quorate/internal/cluster"
)

// stored is what a restore of everything would be made of.
func (r *rig) stored() (restorePlan, error) {
	out, errOut, code := r.quorate(append([]string{"restore", "--dry-run", "-o", "json"}, r.storeFlags(nil)...)...)
	if code != 0 {
		return restorePlan{}, fmt.Errorf("restore --dry-run: exit code %d, %s", code, errOut)
	}
	return parsed[restorePlan](r.t, out), nil
}

// awaitShipped waits until all that is committed now is in the store: in the log, or in
// the snapshot if there is none behind it. What the shipper says changes nothing (an
// election, a log-in) may be missing.
func (r *rig) awaitShipped(c *clientv3.Client) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	now, err := c.Status(ctx, c.Endpoints()[0])
	must(r.t, err)
	r.eventually(30*time.Second, "the log is in the store", func() error {
		p, err := r.stored()
		if end := max(p.Base.Index, p.Last.Index); err == nil && max(end, r.harmlessTo(end)) < now.RaftAppliedIndex {
			err = fmt.Errorf("up to index %d of %d", end, now.RaftAppliedIndex)
		}
		return err
	})
}

// harmlessTo is up to where nothing behind a log's end changes anything, by the
// agents' own word on a log that does not end later.
func (r *rig) harmlessTo(end uint64) (index uint64) {
	for _, h := range r.nodes {
		if x, err := h.report(); err == nil && x.Log != nil && x.Log.End.Index <= end {
			index = max(index, x.Log.Safe)
		}
	}
	return index
}

// acked are writes and when they were acknowledged.
type acked struct {
	mu sync.Mutex
	at map[string]time.Time
}

// write puts new keys, each once, until ctx ends.
func (w *acked) write(ctx context.Context, c *clientv3.Client, worker int) {
	for i := 0; ctx.Err() == nil; i++ {
		key := fmt.Sprintf("second/%02d/%06d", worker, i)
		limited, cancel := context.WithTimeout(ctx, 2*time.Second)
		_, err := c.Put(limited, key, key)
		cancel()
		if err == nil {
			w.mu.Lock()
			w.at[key] = time.Now()
			w.mu.Unlock()
		}
	}
}

// TestTotalLossOfASecond: under load all processes are killed and all disks are
// lost; what comes back is everything that was acknowledged up to a second before.
func TestTotalLossOfASecond(t *testing.T) {
	t.Parallel()
	r, a, b, c := formed(t)
	client := r.client("a", "b", "c")
	r.backup(a)
	r.put(client, "first", "1")
	r.awaitShipped(client)

	ctx, stop := context.WithCancel(t.Context())
	w, all := &acked{at: map[string]time.Time{}}, sync.WaitGroup{}
	for i := range 16 {
		all.Go(func() { w.write(ctx, client, i) })
	}
	r.eventually(time.Minute, "load", func() error {
		w.mu.Lock()
		defer w.mu.Unlock()
		if len(w.at) < 5000 {
			return fmt.Errorf("%d writes", len(w.at))
		}
		return nil
	})
	killed := time.Now()
	wipeAll(a, b, c)
	stop()
	all.Wait()
	startAll(a, b, c)
	took := r.voters(90*time.Second, "a", "b", "c")
	if charter := r.inEpoch(2, "a", "b", "c"); charter.Seed.Log.Index == 0 || len(charter.Founders) != 3 {
		t.Errorf("charter %+v", charter)
	}
	got, err := r.client("a", "b", "c").Get(t.Context(), "second/", clientv3.WithPrefix(), clientv3.WithKeysOnly())
	must(t, err)
	there := map[string]bool{}
	for _, kv := range got.Kvs {
		there[string(kv.Key)] = true
	}
	var lost, late int
	for key, at := range w.at {
		switch {
		case there[key]:
		case at.Before(killed.Add(-time.Second)):
			lost++
		default:
			late++
		}
	}
	if lost > 0 {
		t.Errorf("%d of %d writes that were acknowledged more than a second before are lost", lost, len(w.at))
	}
	t.Logf("%d writes, %d of the last second lost, restored after %s", len(w.at), late, took.Round(time.Millisecond))
}

// TestLogOutrunsSurvivor: the only disk that is left was down while more was
// written. The log in the store goes farther, so it wins over the survivor's.
func TestLogOutrunsSurvivor(t *testing.T) {
	t.Parallel()
	r, a, b, c := formed(t)
	client := r.client("a", "b")
	r.backup(a)
	r.put(client, "before", "1")
	c.crash()
	r.put(client, "after", "2")
	r.awaitShipped(client)
	wipeAll(a, b)
	startAll(a, b, c)
	r.voters(90*time.Second, "a", "b", "c")
	charter := r.inEpoch(2, "a", "b", "c")
	if charter.Seed.Kind != cluster.SeedBackup || charter.Seed.Over != "c" || charter.Seed.Log.Index == 0 || charter.Seed.Index != charter.Seed.Log.Index {
		t.Errorf("seed %+v", charter.Seed)
	}
	r.wantValue(r.client("a", "b", "c"), "before", "1")
	r.wantValue(r.client("a", "b", "c"), "after", "2")
}
