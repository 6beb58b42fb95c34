package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/quorate/quorate/internal/ledger"
	"github.com/quorate/quorate/internal/store"
)

const name = "prod"

var opened atomic.Int64

// kinds runs the test over each kind of store; open gives an empty one.
func kinds(t *testing.T, test func(t *testing.T, open func() *store.Store)) {
	for kind, url := range map[string]func(*testing.T) string{
		"mem":  func(*testing.T) string { return fmt.Sprintf("mem://ledger-%d", opened.Add(1)) },
		"file": func(t *testing.T) string { return "file://" + t.TempDir() },
	} {
		t.Run(kind, func(t *testing.T) {
			test(t, func() *store.Store {
				s, err := store.Open(t.Context(), url(t), name)
				must(t, err)
				t.Cleanup(func() { s.Close() })
				return s
			})
		})
	}
}

// stores is kinds for a test that needs one store.
func stores(t *testing.T, test func(t *testing.T, s *store.Store)) {
	kinds(t, func(t *testing.T, open func() *store.Store) { test(t, open()) })
}

// fault is what happens to one request.
type fault int

const (
	refused fault = iota + 1 // not done, and reported failed
	unheard                  // done, and reported failed
	late                     // reported failed, and done when it suits nobody
	faultsEnd
)

func (f fault) String() string { return [...]string{"", "refused", "unheard", "late"}[f] }

var errFault = errors.New("injected fault")

// faulty is a store whose nth request has a fault.
type faulty struct {
	ledger.Store
	mu       sync.Mutex
	requests int
	at       int // number of the faulty request, from 1; 0 for none
	fault    fault
	pending  []func() // late writes
}

// apply runs the request as the fault has it.
func (f *faulty) apply(write bool, do func() error) error {
	f.mu.Lock()
	f.requests++
	hit := f.requests == f.at
	f.mu.Unlock()
	switch {
	case !hit:
		return do()
	case f.fault == refused || (f.fault == late && !write):
		return errFault
	case f.fault == late:
		f.pending = append(f.pending, func() { _ = do() })
		return errFault
	}
	_ = do()
	return errFault
}

// arrive lets the late writes happen.
func (f *faulty) arrive() {
	for _, do := range f.pending {
		do()
	}
	f.pending = nil
}

func (f *faulty) Create(ctx context.Context, key string, data []byte) error {
	return f.apply(true, func() error { return f.Store.Create(ctx, key, data) })
}

func (f *faulty) Put(ctx context.Context, key string, data []byte) error {
	return f.apply(false, func() error { return f.Store.Put(ctx, key, data) }) // late puts: see DESIGN.md
}

func (f *faulty) Delete(ctx context.Context, key string) error {
	return f.apply(true, func() error { return f.Store.Delete(ctx, key) })
}

func (f *faulty) Read(ctx context.Context, key string) (data []byte, err error) {
	err = f.apply(false, func() error {
		data, err = f.Store.Read(ctx, key)
		return err
	})
	if err != nil {
		return nil, err
	}
	return data, nil
}

// careless ignores the condition, as "S3-compatible" stores have.
type careless struct{ ledger.Store }

func (c careless) Create(ctx context.Context, key string, data []byte) error {
	return c.Put(ctx, key, data)
}

// liar overwrites, and then says that it did not.
type liar struct{ ledger.Store }

func (l liar) Create(ctx context.Context, key string, data []byte) error {
	if err := l.Store.Create(ctx, key, data); !errors.Is(err, store.ErrExists) {
		return err
	}
	_ = l.Put(ctx, key, data)
	return store.ErrExists
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantErr(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
}
