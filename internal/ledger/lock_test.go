package ledger_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/ledger"
	"github.com/quorate/quorate/internal/store"
)

// A holder is paused, its lock runs out, another takes it: the first, when it
// wakes, can do nothing with what it holds.
func TestPausedHolderIsFenced(t *testing.T) {
	stores(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		a, b := ledger.Open(s, name), ledger.Open(s, name)
		first, err := a.Acquire(ctx, "a", "upgrade to v3.7", noon, noon.Add(time.Minute))
		must(t, err)

		_, err = b.Acquire(ctx, "b", "defragment", noon.Add(59*time.Second), noon.Add(time.Hour))
		wantErr(t, "while it is held", err, ledger.ErrHeld)
		for _, want := range []string{"by a", "2026-01-02T12:01:00Z", "upgrade to v3.7"} {
			if !strings.Contains(fmt.Sprint(err), want) {
				t.Errorf("%v does not say %q", err, want)
			}
		}
		second, err := b.Acquire(ctx, "b", "defragment", noon.Add(time.Minute), noon.Add(time.Hour))
		must(t, err)
		if second.Number <= first.Number {
			t.Errorf("number %d after %d", second.Number, first.Number)
		}

		_, err = a.Acquire(ctx, "a", "upgrade", noon.Add(2*time.Minute), noon.Add(time.Hour))
		wantErr(t, "renewing after it ran out", err, ledger.ErrHeld)
		wantErr(t, "releasing after it ran out", a.Release(ctx, first), ledger.ErrHeld)
		forged := first
		forged.Number = second.Number
		wantErr(t, "releasing with the number alone", a.Release(ctx, forged), ledger.ErrHeld)

		stands, err := a.Lock(ctx, first.Number)
		if err != nil || stands != second {
			t.Errorf("%+v, %v; want %+v", stands, err, second)
		}
	})
}

func TestRenewAndRelease(t *testing.T) {
	stores(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		l := ledger.Open(s, name)
		_, err := l.Lock(ctx, 0)
		wantErr(t, "no lock", err, ledger.ErrNone)
		old, err := l.Acquire(ctx, "a", "r", noon, noon.Add(time.Minute))
		must(t, err)
		renewed, err := l.Acquire(ctx, "a", "r", noon, noon.Add(2*time.Minute))
		must(t, err)
		if renewed.Number != old.Number+1 || !renewed.Expires.After(old.Expires) {
			t.Errorf("renewed %+v to %+v", old, renewed)
		}
		wantErr(t, "releasing what was renewed", l.Release(ctx, old), ledger.ErrStale)
		must(t, l.Release(ctx, renewed))
		must(t, l.Release(ctx, renewed)) // again, after a lost reply
		stands, err := l.Lock(ctx, 0)
		if err != nil || stands.Held(noon) || stands.Number != renewed.Number+1 {
			t.Errorf("after the release: %+v, %v", stands, err)
		}
		next, err := ledger.Open(s, name).Acquire(ctx, "b", "r", noon, noon.Add(time.Minute))
		must(t, err)
		wantErr(t, "releasing another's", l.Release(ctx, renewed), ledger.ErrHeld)
		must(t, l.Release(ctx, next))
		wantErr(t, "releasing long after", l.Release(ctx, renewed), ledger.ErrStale)
	})
}

func TestManyAcquireOneHolds(t *testing.T) {
	stores(t, func(t *testing.T, s *store.Store) {
		const n = 10
		for round := range 5 {
			var mu sync.Mutex
			var won []cluster.Lock
			var wg sync.WaitGroup
			for i := range n {
				wg.Go(func() {
					lock, err := ledger.Open(s, name).Acquire(t.Context(), fmt.Sprintf("m%d", i), "r", noon, noon.Add(time.Minute))
					mu.Lock()
					defer mu.Unlock()
					switch {
					case err == nil:
						won = append(won, lock)
					case !errors.Is(err, ledger.ErrHeld):
						t.Error(err)
					}
				})
			}
			wg.Wait()
			if len(won) != 1 {
				t.Fatalf("round %d: %d hold it: %+v", round, len(won), won)
			}
			must(t, ledger.Open(s, name).Release(t.Context(), won[0]))
		}
	})
}
