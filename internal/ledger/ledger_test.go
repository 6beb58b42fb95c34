package ledger_test

import (
	"context"
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

func TestManyWritersOneCharter(t *testing.T) {
	stores(t, func(t *testing.T, s *store.Store) {
		for n := 2; n <= 20; n++ {
			epoch := cluster.Epoch(n - 1)
			winners := make([]cluster.Charter, n)
			var wg sync.WaitGroup
			for w := range n {
				wg.Go(func() {
					c := charter(epoch, fmt.Sprintf("writer-%d-%d", n, w))
					var err error
					if winners[w], err = ledger.Open(s, name).WriteCharter(t.Context(), c); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			stands, err := ledger.Open(s, name).Charter(t.Context(), epoch)
			must(t, err)
			won := 0
			for w, c := range winners {
				if c.Nonce != stands.Nonce || c.Token != stands.Token || !c.At.Equal(stands.At) {
					t.Errorf("of %d writers, %d was told %+v; there stands %+v", n, w, c, stands)
				}
				if c.Nonce == fmt.Sprintf("writer-%d-%d", n, w) {
					won++
				}
			}
			if won != 1 {
				t.Errorf("%d of %d writers won", won, n)
			}
		}
	})
}

func TestChartersHaveNoGaps(t *testing.T) {
	stores(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		l := ledger.Open(s, name)
		_, err := l.Charter(ctx, 0)
		wantErr(t, "an empty ledger", err, ledger.ErrNone)
		if _, err := l.WriteCharter(ctx, charter(2, "gap")); err == nil {
			t.Error("charter 2 was written without charter 1")
		}
		for epoch := cluster.Epoch(1); epoch <= 3; epoch++ {
			_, err := l.WriteCharter(ctx, charter(epoch, fmt.Sprintf("n%d", epoch)))
			must(t, err)
			for from := cluster.Epoch(0); from <= epoch; from++ {
				c, err := l.Charter(ctx, from)
				if err != nil || c.Epoch != epoch {
					t.Errorf("newest from %d is %d, %v; want %d", from, c.Epoch, err, epoch)
				}
			}
			_, err = l.Charter(ctx, epoch+1)
			wantErr(t, "after the newest", err, ledger.ErrNone)
		}
	})
}

func TestBadEntriesAreRefused(t *testing.T) {
	stores(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		l := ledger.Open(s, name)
		noNonce, noEpoch, elsewhere := charter(1, ""), charter(0, "n"), charter(1, "n")
		elsewhere.Cluster = "test"
		for _, c := range []cluster.Charter{noNonce, noEpoch, elsewhere} {
			if _, err := l.WriteCharter(ctx, c); err == nil {
				t.Errorf("written: %+v", c)
			}
		}
		_, noDisk := l.MarkStarted(ctx, cluster.StartedMark{Epoch: 1, Name: "m1"})
		_, noTime := l.Acquire(ctx, "me", "", noon, noon)
		for what, err := range map[string]error{
			"a started mark without a disk": noDisk, "a lock without time": noTime,
			"a ready mark without an epoch":  l.MarkReady(ctx, cluster.ReadyMark{}),
			"a checkpoint without an epoch":  l.WriteCheckpoint(ctx, cluster.Checkpoint{}),
			"a verdict without an epoch":     l.WriteVerdict(ctx, cluster.Verdict{}),
			"a journal entry without a time": l.Journal(ctx, ledger.Entry{Nonce: "n"}),
			"releasing no lock":              l.Release(ctx, cluster.Lock{}),
		} {
			if err == nil {
				t.Errorf("written: %s", what)
			}
		}
		if all, err := s.List(ctx, ""); err != nil || len(all) != 0 {
			t.Errorf("the ledger is not empty: %v, %v", all, err)
		}
	})
}

func TestProbe(t *testing.T) {
	stores(t, func(t *testing.T, s *store.Store) {
		must(t, ledger.Open(s, name).Probe(t.Context()))
		for what, bad := range map[string]ledger.Store{"careless": careless{s}, "liar": liar{s}} {
			err := ledger.Open(bad, name).Probe(t.Context())
			wantErr(t, what, err, ledger.ErrUnconditional)
			if !strings.Contains(fmt.Sprint(err), "store "+s.String()) {
				t.Errorf("%s: the store is not named: %v", what, err)
			}
		}
		if all, err := s.List(t.Context(), ""); err != nil || len(all) != 0 {
			t.Errorf("probing left %v, %v", all, err)
		}
	})
}

// A disk that started before stays on record: a second disk under the same
// name learns of it and is told which.
func TestStartedMarkIsTheFirstDisks(t *testing.T) {
	stores(t, func(t *testing.T, s *store.Store) {
		l := ledger.Open(s, name)
		for _, who := range []string{"m1", "M1", "m/1", "..", "mé", "m__0x41__", "m1.json", "m=2f1"} {
			for _, disk := range []string{"first-" + who, "second", "third"} {
				m, err := l.MarkStarted(t.Context(), cluster.StartedMark{Epoch: 1, Name: who, DiskID: disk, At: noon})
				if err != nil || m.DiskID != "first-"+who || m.Name != who {
					t.Errorf("%q with disk %s: %+v, %v", who, disk, m, err)
				}
			}
		}
		_, err := l.Started(t.Context(), 2, "m1")
		wantErr(t, "in the next epoch", err, ledger.ErrNone)
	})
}

func TestMarksAndCheckpoints(t *testing.T) {
	stores(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		l := ledger.Open(s, name)
		for _, by := range []string{"m1", "m2"} {
			must(t, l.MarkReady(ctx, cluster.ReadyMark{Epoch: 1, By: by, At: noon}))
			must(t, l.WriteCheckpoint(ctx, cluster.Checkpoint{Epoch: 1, By: by, At: noon}))
			must(t, l.WriteVerdict(ctx, cluster.Verdict{Epoch: 1, By: by, At: noon}))
		}
		ready, err := l.Ready(ctx, 1)
		must(t, err)
		checkpoint, err := l.Checkpoint(ctx, 1)
		must(t, err)
		verdict, err := l.Verdict(ctx, 1)
		must(t, err)
		if got := ready.By + checkpoint.By + verdict.By; got != "m1m2m2" {
			t.Errorf("ready, checkpoint and verdict are by %s, want the first, the last, the last", got)
		}
	})
}

func TestJournalSortsAndNeverMerges(t *testing.T) {
	stores(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		l := ledger.Open(s, name)
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				e := ledger.Entry{Epoch: 1, At: noon.Add(time.Duration(i/2) * time.Millisecond), Nonce: fmt.Sprintf("n%02d", i), What: fmt.Sprint(i)}
				for range 2 { // a second time is a retry
					if err := l.Journal(ctx, e); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		all, err := s.List(ctx, "ledger/0000000001/journal/")
		must(t, err)
		if len(all) != 20 {
			t.Fatalf("%d entries, want 20", len(all))
		}
		for i, o := range all {
			text, err := s.Read(ctx, o.Key)
			must(t, err)
			if !strings.Contains(string(text), fmt.Sprintf(`"what": "%d"`, i)) || !strings.HasSuffix(string(text), "}\n") {
				t.Errorf("entry %d, %s: %s", i, o.Key, text)
			}
		}
	})
}

// counting counts the reads.
type counting struct {
	ledger.Store
	reads int
}

func (c *counting) Read(ctx context.Context, key string) ([]byte, error) {
	c.reads++
	return c.Store.Read(ctx, key)
}

func TestTheNewestLockIsFoundInFewReads(t *testing.T) {
	stores(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		writer := ledger.Open(s, name)
		for n := uint64(1); n <= 300; n++ {
			_, err := writer.Acquire(ctx, "me", "renew", noon, noon.Add(time.Hour))
			must(t, err)
			if n > 40 && n != 300 {
				continue
			}
			for _, from := range []uint64{0, 1, n/2 + 1, n} {
				c := &counting{Store: s}
				lock, err := ledger.Open(c, name).Lock(ctx, from)
				if err != nil || lock.Number != n {
					t.Errorf("from %d: number %d, %v; want %d", from, lock.Number, err, n)
				}
				if c.reads > 20 {
					t.Errorf("from %d to %d took %d reads", from, n, c.reads)
				}
			}
		}
		if _, err := writer.Lock(ctx, 301); !errors.Is(err, ledger.ErrNone) {
			t.Errorf("after the newest: %v", err)
		}
	})
}

// Verdicts given at once all stand, each under its own number.
func TestNoVerdictIsLost(t *testing.T) {
	stores(t, func(t *testing.T, s *store.Store) {
		var wg sync.WaitGroup
		for i := range 5 {
			wg.Go(func() {
				v := cluster.Verdict{Epoch: 1, By: fmt.Sprint("operator ", i), At: noon}
				if err := ledger.Open(s, name).WriteVerdict(t.Context(), v); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if all, err := s.List(t.Context(), "ledger/0000000001/verdict/"); err != nil || len(all) != 5 {
			t.Errorf("%d verdicts of 5, %v", len(all), err)
		}
	})
}

// A keeper that has slept through an election does not replace a later one's list.
func TestCheckpointIsFenced(t *testing.T) {
	stores(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		l := ledger.Open(s, name)
		write := func(term uint64, by string) error {
			return l.WriteCheckpoint(ctx, cluster.Checkpoint{Epoch: 1, Term: term, By: by, At: noon})
		}
		must(t, write(5, "a"))
		must(t, write(5, "a"))
		must(t, write(7, "b"))
		wantErr(t, "a keeper of term 5", write(5, "a"), ledger.ErrFenced)
		unread := ledger.Open(&faulty{Store: s, at: 1, fault: refused}, name)
		err := unread.WriteCheckpoint(ctx, cluster.Checkpoint{Epoch: 1, Term: 5, By: "a", At: noon})
		wantErr(t, "a keeper that cannot read the list", err, errFault)
		there, err := l.Checkpoint(ctx, 1)
		must(t, err)
		if there.By != "b" || there.Term != 7 {
			t.Errorf("there is %+v, want b's", there)
		}
		must(t, l.WriteCheckpoint(ctx, cluster.Checkpoint{Epoch: 2, Term: 2, By: "c", At: noon})) // another epoch counts anew
		must(t, s.Put(ctx, "ledger/0000000001/checkpoint.json", []byte("{")))
		must(t, write(5, "a")) // damage fences nobody
	})
}

// TestVerdictLapses: a word is taken back once, and only while it is the newest:
// one that has been given since stands.
func TestVerdictLapses(t *testing.T) {
	stores(t, func(t *testing.T, s *store.Store) {
		ctx, l := t.Context(), ledger.Open(s, name)
		say := func(by string, at time.Time) cluster.Verdict {
			v := cluster.Verdict{Epoch: 1, Lost: []string{"b"}, By: by, At: at}
			must(t, l.WriteVerdict(ctx, v))
			return v
		}
		first := say("op", noon)
		second := say("op", noon.Add(time.Hour))
		back := cluster.Verdict{Epoch: 1, By: "keeper", At: noon.Add(2 * time.Hour)}
		wantErr(t, "a word that is not the newest", l.LapseVerdict(ctx, first, back), ledger.ErrOutdated)
		other := second
		other.By = "another"
		wantErr(t, "a word of somebody else", l.LapseVerdict(ctx, other, back), ledger.ErrOutdated)
		if v, err := l.Verdict(ctx, 1); err != nil || !v.Stands() {
			t.Errorf("%+v, %v: want the second word", v, err)
		}
		must(t, l.LapseVerdict(ctx, second, back))
		if v, err := l.Verdict(ctx, 1); err != nil || v.Stands() || v.By != "keeper" {
			t.Errorf("%+v, %v: want it taken back", v, err)
		}
		wantErr(t, "once more", l.LapseVerdict(ctx, second, back), ledger.ErrOutdated)
		say("op", noon.Add(3*time.Hour))
		if v, err := l.Verdict(ctx, 1); err != nil || !v.Stands() {
			t.Errorf("%+v, %v: want the third word", v, err)
		}
		wantErr(t, "of an epoch without a word", l.LapseVerdict(ctx, cluster.Verdict{Epoch: 2}, back), ledger.ErrNone)
	})
}
