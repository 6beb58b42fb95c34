package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

// traffic is an open-loop load of puts at a rate, a tenth as many linearizable
// reads, and watches, by the official client with its default settings and all
// endpoints: a request is sent when it is due, whatever becomes of the others, as
// long as fewer than most are under way: a machine that is too slow for the rate
// gets less.
type traffic struct {
	t      testing.TB
	began  time.Time
	stop   context.CancelFunc
	work   sync.WaitGroup
	client *clientv3.Client
	next   atomic.Int64 // the last value put

	skipped atomic.Int64 // not sent, for too many others were under way

	mu      sync.Mutex
	done    []porcupine.Operation
	puts    []sent // acknowledged
	reads   []sent
	failed  map[string]int // requests by what they met
	broken  []string       // of the watches
	seen    [watches]atomic.Int64
	version [watches]map[string]int64
}

// sent is one request that succeeded, in time since the traffic began.
type sent struct{ at, took time.Duration }

// op is what porcupine checks: a register a key.
type op struct {
	key   string
	value int64 // put; 0: a read
}

const (
	trafficKeys = 997 // of the puts, in turn
	watches     = 3   // each by a client of its own

	// readsAtOnce bounds the reads of one key beside one put of it: porcupine tries
	// their subsets.
	readsAtOnce = 16
)

func key(n int64) string { return fmt.Sprintf("traffic/%04d", n%trafficKeys) }

// startTraffic starts it on these endpoints, and returns when all of it flows.
func startTraffic(t testing.TB, rate, most int, secure *tls.Config, endpoints ...string) *traffic {
	ctx, cancel := context.WithCancel(context.Background())
	f := &traffic{t: t, began: time.Now(), stop: cancel, failed: map[string]int{}}
	t.Cleanup(func() { cancel(); f.work.Wait() })
	connect := func() *clientv3.Client {
		c, err := clientv3.New(clientv3.Config{Endpoints: endpoints, TLS: secure, Logger: zap.NewNop()})
		must(t, err)
		t.Cleanup(func() { c.Close() })
		return c
	}
	c := connect()
	f.client = c
	if _, err := c.Delete(ctx, "traffic/", clientv3.WithPrefix()); err != nil {
		t.Fatal(err)
	}
	for i := range watches {
		f.version[i] = map[string]int64{}
		events := connect().Watch(ctx, "traffic/", clientv3.WithPrefix(), clientv3.WithCreatedNotify())
		if r := <-events; !r.Created {
			t.Fatalf("watch %d: %v", i, r.Err())
		}
		f.work.Go(func() { f.watch(ctx, i, events) })
	}
	f.began = time.Now()
	f.work.Go(func() { f.every(ctx, time.Second/time.Duration(rate), most, func() { f.put(c) }) })
	f.work.Go(func() { f.every(ctx, 10*time.Second/time.Duration(rate), min(most, readsAtOnce), func() { f.read(c) }) })
	for f.count() < rate/2 {
		time.Sleep(10 * time.Millisecond) // between two looks at the condition
	}
	return f
}

// every calls do when it is due, and makes up for what it was late by itself.
func (f *traffic) every(ctx context.Context, period time.Duration, most int, do func()) {
	room := make(chan struct{}, most)
	var calls sync.WaitGroup
	defer calls.Wait()
	tick := time.NewTicker(max(period, time.Millisecond))
	defer tick.Stop()
	for began, n := time.Now(), time.Duration(0); ctx.Err() == nil; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for ; n*period < time.Since(began); n++ {
			select {
			case room <- struct{}{}:
				calls.Go(func() { do(); <-room })
			default:
				f.skipped.Add(1)
			}
		}
	}
}

// The requests of the load outlive it: what is under way when it ends counts.
func (f *traffic) put(c *clientv3.Client) {
	n := f.next.Add(1)
	at := time.Since(f.began)
	_, err := c.Put(context.Background(), key(n), fmt.Sprint(n))
	f.note(&f.puts, op{key(n), n}, n, at, time.Since(f.began), err)
}

func (f *traffic) read(c *clientv3.Client) {
	k := key(f.next.Load())
	at := time.Since(f.began)
	got, err := c.Get(context.Background(), k)
	var value int64
	if err == nil && len(got.Kvs) == 1 {
		_, err = fmt.Sscan(string(got.Kvs[0].Value), &value)
	}
	f.note(&f.reads, op{key: k}, value, at, time.Since(f.began), err)
}

func (f *traffic) note(into *[]sent, o op, result int64, at, end time.Duration, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err != nil {
		f.failed[fmt.Sprintf("put: %t: %v", o.value != 0, err)]++
		if o.value != 0 { // it may take effect at any time from then on
			f.done = append(f.done, porcupine.Operation{Input: o, Call: int64(at), Output: result, Return: int64(100 * time.Hour)})
		}
		return
	}
	*into = append(*into, sent{at, end - at})
	f.done = append(f.done, porcupine.Operation{Input: o, Call: int64(at), Output: result, Return: int64(end)})
}

func (f *traffic) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.puts)
}

// watch holds each event against the last one of its key: versions count puts.
func (f *traffic) watch(ctx context.Context, i int, events clientv3.WatchChan) {
	var revision int64
	for r := range events {
		if err := r.Err(); err != nil && ctx.Err() == nil {
			f.complain("watch %d: %v", i, err)
		}
		for _, e := range r.Events {
			k := string(e.Kv.Key)
			if e.Kv.ModRevision <= revision || e.Kv.Version != f.version[i][k]+1 {
				f.complain("watch %d: after revision %d and version %d of %s came revision %d, version %d",
					i, revision, f.version[i][k], k, e.Kv.ModRevision, e.Kv.Version)
			}
			revision, f.version[i][k] = e.Kv.ModRevision, e.Kv.Version
			f.seen[i].Store(revision)
		}
	}
	if ctx.Err() == nil {
		f.complain("watch %d has ended", i)
	}
}

func (f *traffic) complain(format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.broken) < 20 {
		f.broken = append(f.broken, fmt.Sprintf(format, args...))
	}
}

// end stops the load, waits for what is under way, and for the watches to have
// seen all of it.
func (f *traffic) end() {
	f.t.Helper()
	last, err := f.client.Put(context.Background(), "traffic/last", "")
	must(f.t, err)
	for i := range f.seen {
		for until := time.Now().Add(20 * time.Second); f.seen[i].Load() < last.Header.Revision; {
			if time.Now().After(until) {
				f.complain("watch %d has seen revision %d, not %d", i, f.seen[i].Load(), last.Header.Revision)
				break
			}
			time.Sleep(5 * time.Millisecond) // between two looks at the condition
		}
	}
	f.stop()
	f.work.Wait()
}

// failures is how many requests failed.
func (f *traffic) failures() (n int) {
	for _, k := range f.failed {
		n += k
	}
	return n
}

// longestGap is the longest time in which no put was acknowledged.
func (f *traffic) longestGap() (gap time.Duration) {
	var ends []time.Duration
	for _, p := range f.puts {
		ends = append(ends, p.at+p.took)
	}
	slices.Sort(ends)
	for i := 1; i < len(ends); i++ {
		gap = max(gap, ends[i]-ends[i-1])
	}
	return gap
}

// percentile of how long the requests took, waiting to be sent not counted.
func percentile(all []sent, p float64) time.Duration {
	var took []time.Duration
	for _, s := range all {
		took = append(took, s.took)
	}
	if len(took) == 0 {
		return 0
	}
	slices.Sort(took)
	return took[min(len(took)-1, int(p*float64(len(took))))]
}

// register is a key's history: a read gives the last put.
var register = porcupine.Model{
	Partition: func(all []porcupine.Operation) [][]porcupine.Operation {
		by := map[string][]porcupine.Operation{}
		for _, o := range all {
			k := o.Input.(op).key
			by[k] = append(by[k], o)
		}
		var parts [][]porcupine.Operation
		for _, part := range by {
			parts = append(parts, part)
		}
		return parts
	},
	Init: func() any { return int64(0) },
	Step: func(state, input, output any) (bool, any) {
		if in := input.(op); in.value != 0 {
			return true, in.value
		}
		return output == state, state
	},
}

// linearizable says whether one order of all requests explains every answer.
func (f *traffic) linearizable() porcupine.CheckResult {
	return porcupine.CheckOperationsTimeout(register, f.done, time.Minute)
}
