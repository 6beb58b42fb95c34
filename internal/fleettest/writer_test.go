package fleettest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

// writer is a client that writes one numbered key after the other, as fast as
// they are acknowledged, and remembers which were. It talks to the machines
// that a load balancer would let it talk to.
type writer struct {
	cli *clientv3.Client

	mu      sync.Mutex
	acked   []time.Time // of key i; one that was not acknowledged is written again
	lastErr error
	worst   gap // since mark

	stop context.CancelFunc
	done chan struct{}
}

// gap is a time in which no write was acknowledged.
type gap struct {
	from time.Time
	long time.Duration
	why  error // the last that was said in it
}

// patience is how long a client waits for one write before it tries again.
const patience = time.Second

func newWriter(t testing.TB, endpoints []string) *writer {
	t.Helper()
	cli, err := clientv3.New(clientv3.Config{Endpoints: endpoints, DialTimeout: 2 * time.Second, Logger: zap.NewNop(),
		DialKeepAliveTime: 2 * time.Second, DialKeepAliveTimeout: time.Second})
	must(t, err)
	ctx, stop := context.WithCancel(context.Background())
	w := &writer{cli: cli, stop: stop, done: make(chan struct{}), worst: gap{from: time.Now()}}
	go w.run(ctx)
	t.Cleanup(func() { w.end(); cli.Close() })
	return w
}

func (w *writer) run(ctx context.Context) {
	defer close(w.done)
	for ctx.Err() == nil {
		w.mu.Lock()
		i := len(w.acked)
		w.mu.Unlock()
		try, cancel := context.WithTimeout(ctx, patience)
		_, err := w.cli.Put(try, key(i), value(i))
		cancel()
		w.note(err)
		if err != nil {
			select {
			case <-ctx.Done():
			case <-time.After(20 * time.Millisecond): // a refused connection fails at once
			}
		}
	}
}

func (w *writer) note(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	if err != nil {
		w.lastErr = err
		return
	}
	if n := len(w.acked); n > 0 {
		if long := now.Sub(w.acked[n-1]); long > w.worst.long {
			w.worst = gap{from: w.acked[n-1], long: long, why: w.lastErr}
		}
	}
	w.acked, w.lastErr = append(w.acked, now), nil
}

func key(i int) string   { return fmt.Sprintf("write/%07d", i) }
func value(i int) string { return fmt.Sprintf("value-%d", i) }

// follow has the client talk to these endpoints.
func (w *writer) follow(endpoints []string) {
	now := w.cli.Endpoints()
	slices.Sort(endpoints)
	slices.Sort(now)
	if len(endpoints) > 0 && !slices.Equal(now, endpoints) {
		w.cli.SetEndpoints(endpoints...)
	}
}

// mark begins a new reckoning of the longest gap.
func (w *writer) mark() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.worst = gap{}
}

// longest is the longest gap since mark, the one under way included.
func (w *writer) longest() gap {
	w.mu.Lock()
	defer w.mu.Unlock()
	if n := len(w.acked); n > 0 && time.Since(w.acked[n-1]) > w.worst.long {
		return gap{from: w.acked[n-1], long: time.Since(w.acked[n-1]), why: w.lastErr}
	}
	return w.worst
}

func (w *writer) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.acked)
}

// flows waits until more writes are acknowledged: the cluster serves.
func (w *writer) flows(t testing.TB) {
	t.Helper()
	before := w.count()
	eventually(t, 30*time.Second, "writes are acknowledged", func() error {
		w.mu.Lock()
		defer w.mu.Unlock()
		if len(w.acked) < before+3 {
			return fmt.Errorf("%d of 3: %v", len(w.acked)-before, w.lastErr)
		}
		return nil
	})
}

// end stops writing, and is the number of acknowledged writes.
func (w *writer) end() int {
	w.stop()
	<-w.done
	return w.count()
}

// verify reads every write that was acknowledged.
func (w *writer) verify(t testing.TB, n int) {
	t.Helper()
	found := map[string]string{}
	for from := key(0); ; {
		var resp *clientv3.GetResponse
		eventually(t, 30*time.Second, "reading the writes", func() (err error) {
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			defer cancel()
			resp, err = w.cli.Get(ctx, from, clientv3.WithRange(clientv3.GetPrefixRangeEnd("write/")), clientv3.WithLimit(5000))
			return err
		})
		for _, kv := range resp.Kvs {
			found[string(kv.Key)] = string(kv.Value)
		}
		if !resp.More {
			break
		}
		from = string(resp.Kvs[len(resp.Kvs)-1].Key) + "\x00"
	}
	lost := 0
	for i := range n {
		if found[key(i)] != value(i) {
			lost++
		}
	}
	if lost > 0 || n == 0 {
		t.Errorf("%d of %d acknowledged writes are lost", lost, n)
	}
}
