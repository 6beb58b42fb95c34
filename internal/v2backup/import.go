package v2backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"golang.org/x/sync/errgroup"
)

const (
	// workers write at the same time.
	workers = 32
	// callLimit bounds one call to etcd.
	callLimit = 20 * time.Second
)

// Result counts what became of the nodes.
type Result struct {
	Created int `json:"created"`
	Leased  int `json:"leased"` // of those created: with a lease
	Same    int `json:"same"`   // was there, with this value: nothing done
	Kept    int `json:"kept"`   // was there with another value, which stays
	Expired int `json:"expired"`
	Dirs    int `json:"dirs"`
}

// Import creates the keys that are not there. Nothing is ever written over, so
// that after an error, or a crash, it can simply be run again. Now is the clock
// that expirations are held against. A dry run writes and reads nothing.
func Import(ctx context.Context, r io.Reader, etcd *clientv3.Client, now func() time.Time, dry bool) (Result, error) {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(workers)
	i := &importer{etcd: etcd, now: now, leases: map[time.Time]*lease{}}
	began := now()
	err := Read(r, began, func(n Node) error {
		switch {
		case n.Dir:
			i.count(func(r *Result) { r.Dirs++ })
		case !n.Expires.IsZero() && !n.Expires.After(began):
			i.count(func(r *Result) { r.Expired++ })
		case dry:
			i.count(func(r *Result) { r.Created++; r.Leased += one(!n.Expires.IsZero()) })
		default:
			group.Go(func() error { return i.create(ctx, n) })
		}
		return ctx.Err()
	})
	if failed := group.Wait(); failed != nil {
		err = failed
	}
	return i.result, err
}

type importer struct {
	etcd *clientv3.Client
	now  func() time.Time

	mu     sync.Mutex
	result Result
	leases map[time.Time]*lease // one for all that ends at that second
}

func (i *importer) count(add func(*Result)) {
	i.mu.Lock()
	defer i.mu.Unlock()
	add(&i.result)
}

func one(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

// create makes one key, unless it is there. A lease is only asked for once it
// is known that the key is not: a second run grants none.
func (i *importer) create(ctx context.Context, n Node) error {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	var options []clientv3.OpOption
	if !n.Expires.IsZero() {
		there, err := i.etcd.Get(ctx, n.Key)
		if err != nil {
			return fmt.Errorf("key %q: looking for it: %w", short(n.Key), err)
		}
		if len(there.Kvs) > 0 {
			i.met(n, string(there.Kvs[0].Value))
			return nil
		}
		id, err := i.lease(n.Expires).grant(ctx, i.etcd, i.now())
		if errors.Is(err, errExpired) {
			i.count(func(r *Result) { r.Expired++ })
			return nil
		}
		if err != nil {
			return fmt.Errorf("key %q: granting a lease: %w", short(n.Key), err)
		}
		options = append(options, clientv3.WithLease(id))
	}
	done, err := i.etcd.Txn(ctx).If(clientv3.Compare(clientv3.CreateRevision(n.Key), "=", 0)).
		Then(clientv3.OpPut(n.Key, n.Value, options...)).Else(clientv3.OpGet(n.Key)).Commit()
	switch {
	case err != nil:
		return fmt.Errorf("key %q: creating it: %w", short(n.Key), err)
	case done.Succeeded:
		i.count(func(r *Result) { r.Created++; r.Leased += len(options) })
	default:
		i.met(n, string(done.Responses[0].GetResponseRange().Kvs[0].Value))
	}
	return nil
}

// met counts a key that was there.
func (i *importer) met(n Node, value string) {
	i.count(func(r *Result) {
		r.Same += one(value == n.Value)
		r.Kept += one(value != n.Value)
	})
}

var errExpired = errors.New("expired")

// lease is granted at its first use.
type lease struct {
	ends time.Time
	mu   sync.Mutex
	id   clientv3.LeaseID
}

func (i *importer) lease(ends time.Time) *lease {
	i.mu.Lock()
	defer i.mu.Unlock()
	l, ok := i.leases[ends]
	if !ok {
		l = &lease{ends: ends}
		i.leases[ends] = l
	}
	return l
}

// grant asks for the time that is left, rounded up to a second.
func (l *lease) grant(ctx context.Context, etcd *clientv3.Client, now time.Time) (clientv3.LeaseID, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	left := min(l.ends.Sub(now), maxTTL)
	switch {
	case left <= 0:
		return 0, errExpired
	case l.id != 0:
		return l.id, nil
	}
	granted, err := etcd.Grant(ctx, int64(math.Ceil(left.Seconds())))
	if err != nil {
		return 0, err
	}
	l.id = granted.ID
	return l.id, nil
}
