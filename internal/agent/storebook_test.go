package agent

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/ledger"
	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/store"
)

// lateStore has read one object for a while before it says so, the first time.
type lateStore struct {
	ledger.Store
	key           string
	asked, answer chan struct{}
	was           atomic.Bool
}

func (s *lateStore) Read(ctx context.Context, key string) ([]byte, error) {
	raw, err := s.Store.Read(ctx, key)
	if key == s.key && !s.was.Swap(true) {
		s.asked <- struct{}{}
		<-s.answer
	}
	return raw, err
}

// overtaken has the store's answer about one object come only after this node has
// written the next charter.
func overtaken(t *testing.T, st *store.Store, key string, next cluster.Epoch) plan.Ledger {
	t.Helper()
	ctx := t.Context()
	a := newAgent(Options{Name: "a", Settings: plan.Settings{Cluster: "test", HasStore: true}}, Parts{Log: slog.New(slog.DiscardHandler), Store: st})
	a.published.Store(&snapshot{observation: plan.Observation{Disk: cluster.Disk{State: cluster.DiskEmpty}}})
	late := &lateStore{Store: st, key: key, asked: make(chan struct{}), answer: make(chan struct{})}
	b := newStoreBook(st, a)
	b.ledger, b.probed = ledger.Open(late, "test"), true
	passed := make(chan struct{})
	go func() { b.pass(ctx); close(passed) }()
	select {
	case <-late.asked:
	case <-time.After(10 * time.Second):
		t.Fatalf("nobody has asked for %s", key)
	}
	if err := b.writeCharter(ctx, plan.Ledger{}, cluster.Charter{Cluster: "test", Epoch: next, Nonce: nonce(), By: "a"}); err != nil {
		t.Error(err)
	}
	close(late.answer)
	<-passed
	f := b.facts()
	if got := f.Charter.Value().Epoch; got != next {
		t.Errorf("charter %d, want %d", got, next)
	}
	return f
}

// TestOvertaken: what the store says late of the epoch before counts for nothing in
// the one that is in force by then. Taken for its own, a list of members that are
// all lost would have the epoch that has just been founded recovered from.
func TestOvertaken(t *testing.T) {
	open := func(t *testing.T) *store.Store {
		st, err := store.Open(t.Context(), "mem://overtaken-"+nonce(), "test")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { st.Close() })
		return st
	}
	t.Run("charter.json", func(t *testing.T) {
		overtaken(t, open(t), "ledger/0000000001/charter.json", 1)
	})
	for _, object := range []string{"started/a.json", "ready.json", "checkpoint.json", "verdict/0000000001.json"} {
		t.Run(object, func(t *testing.T) {
			st, ctx := open(t), t.Context()
			l := ledger.Open(st, "test")
			_, first := l.WriteCharter(ctx, cluster.Charter{Cluster: "test", Epoch: 1, Nonce: nonce(), By: "b"})
			_, mark := l.MarkStarted(ctx, cluster.StartedMark{Epoch: 1, Name: "a", DiskID: "lost"})
			if err := errors.Join(first, mark,
				l.MarkReady(ctx, cluster.ReadyMark{Epoch: 1, By: "b"}),
				l.WriteCheckpoint(ctx, cluster.Checkpoint{Epoch: 1, Term: 1, Members: []cluster.Member{{ID: 1, Name: "b"}}}),
				l.WriteVerdict(ctx, cluster.Verdict{Epoch: 1, Lost: []string{"b"}})); err != nil {
				t.Fatal(err)
			}
			f := overtaken(t, st, "ledger/0000000001/"+object, 2)
			if f.Mark.Known() || f.Ready.Known() || f.Checkpoint.Known() || f.Verdict.Known() {
				t.Errorf("of epoch 2 is known, after the store told of epoch 1: %+v", f)
			}
		})
	}
}

// TestDecidedOnAnOldList: a next epoch is not begun if the store tells of other
// members, or of another verdict, than it was decided on.
func TestDecidedOnAnOldList(t *testing.T) {
	ctx := t.Context()
	st, err := store.Open(ctx, "mem://old-list-"+nonce(), "test")
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	l := ledger.Open(st, "test")
	first, err := l.WriteCharter(ctx, cluster.Charter{Cluster: "test", Epoch: 1, Nonce: nonce(), By: "b"})
	if err != nil {
		t.Fatal(err)
	}
	list := cluster.Checkpoint{Epoch: 1, Term: 1, Members: []cluster.Member{{ID: 1, Name: "b"}}}
	if err := l.WriteCheckpoint(ctx, list); err != nil {
		t.Fatal(err)
	}
	a := newAgent(Options{Name: "a", Settings: plan.Settings{Cluster: "test", HasStore: true}}, Parts{Log: slog.New(slog.DiscardHandler), Store: st})
	b := newStoreBook(st, a)
	b.probed = true
	a.published.Store(&snapshot{observation: plan.Observation{Disk: cluster.Disk{State: cluster.DiskData}}})
	b.pass(ctx)
	begins := func(what string, want error) {
		t.Helper()
		next := cluster.Charter{Cluster: "test", Epoch: first.Epoch + 1, Nonce: nonce(), By: "a"}
		if err := b.writeCharter(ctx, b.facts(), next); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", what, err, want)
		}
		if _, err := l.Charter(ctx, next.Epoch); (err == nil) != (want == nil) {
			t.Errorf("%s: is there a charter %d? %v", what, next.Epoch, err)
		}
	}
	list.Members = append(list.Members, cluster.Member{ID: 2, Name: "c"})
	if err := l.WriteCheckpoint(ctx, list); err != nil {
		t.Fatal(err)
	}
	begins("another member", errStale)
	if got := b.facts().Checkpoint.Value().Members; len(got) != 2 {
		t.Errorf("the list is still %v", got)
	}
	if err := l.WriteVerdict(ctx, cluster.Verdict{Epoch: 1, Lost: []string{"b"}}); err != nil {
		t.Fatal(err)
	}
	begins("a verdict", errStale)
	begins("what the store tells", nil)
}

// TestNothingOfTheLastEpoch: no step is taken that was decided before the charter
// in force came.
func TestNothingOfTheLastEpoch(t *testing.T) {
	for now, stale := range map[cluster.Epoch]bool{1: false, 2: true} {
		a := &Agent{log: slog.New(slog.DiscardHandler), book: slowBook{epoch: now}, metrics: newMetrics(nil)}
		o := plan.Observation{Now: time.Now(), Ledger: plan.Ledger{Charter: cluster.Known(cluster.Charter{Epoch: 1})}}
		err := a.act(t.Context(), o, plan.Decision{Steps: []plan.Step{plan.WriteReadyMark{Epoch: 1}}})
		if errors.Is(err, errStale) != stale {
			t.Errorf("charter %d in force: %v", now, err)
		}
	}
}

// TestNoteBackup: a backup that has just been taken counts in its own epoch, never
// for an older one, and nobody has read it.
func TestNoteBackup(t *testing.T) {
	for _, test := range []struct {
		known, taken cluster.Backup
		want         uint64
		unread       bool
	}{
		{cluster.Backup{Epoch: 2, Index: 5}, cluster.Backup{Epoch: 2, Index: 7}, 7, true},
		{cluster.Backup{Epoch: 2, Index: 5}, cluster.Backup{Epoch: 2, Index: 4}, 5, false},
		{cluster.Backup{Epoch: 1, Index: 9}, cluster.Backup{Epoch: 2, Index: 7}, 7, true},
		{cluster.Backup{Epoch: 1, Index: 5}, cluster.Backup{Epoch: 1, Index: 7}, 5, false},
	} {
		a := newAgent(Options{Name: "a", DataDir: t.TempDir(), Settings: plan.Settings{Cluster: "test", HasStore: true}}, Parts{Log: slog.New(slog.DiscardHandler)})
		b := newStoreBook(nil, a)
		a.book = b
		b.cached = plan.Ledger{Charter: cluster.Known(cluster.Charter{Epoch: 2}), Backup: cluster.Known(test.known)}
		a.noteBackup(test.taken)
		if f := b.facts(); f.Backup.Value().Index != test.want || f.Unread != test.unread {
			t.Errorf("%+v after %+v: %+v", test.taken, test.known, f)
		}
	}
}

// TestLaterCharter: an older charter, or the one in force once more, changes nothing
// of what is known.
func TestLaterCharter(t *testing.T) {
	list := cluster.Known(cluster.Checkpoint{Epoch: 2, Members: []cluster.Member{{ID: 1, Name: "b"}}})
	for epoch, stays := range map[cluster.Epoch]bool{1: true, 2: true, 3: false} {
		a := newAgent(Options{Name: "a", Settings: plan.Settings{Cluster: "test", HasStore: true}}, Parts{Log: slog.New(slog.DiscardHandler)})
		b := newStoreBook(nil, a)
		b.cached = plan.Ledger{Charter: cluster.Known(cluster.Charter{Epoch: 2}), Checkpoint: list}
		b.setCharter(cluster.Charter{Epoch: epoch})
		f := b.facts()
		if got := f.Charter.Value().Epoch; got != max(epoch, 2) || f.Checkpoint.Known() != stays {
			t.Errorf("charter %d after 2: %d is in force, and the list is %+v", epoch, got, f.Checkpoint)
		}
	}
}

// TestOwnList: what our etcd told of the members does not outlive the data that it
// ran on.
func TestOwnList(t *testing.T) {
	told := []cluster.Member{{ID: 1, Name: "b"}}
	for name, row := range map[string]struct {
		disk  cluster.Disk
		stays bool
	}{
		"the same member":          {cluster.Disk{State: cluster.DiskData, MemberID: 1}, true},
		"another member":           {cluster.Disk{State: cluster.DiskData, MemberID: 2}, false},
		"the data is gone":         {cluster.Disk{State: cluster.DiskEmpty}, false},
		"a disk that says nothing": {cluster.Disk{MemberID: 1}, false},
	} {
		a := &Agent{localOf: 1, local: told}
		if got := a.ownList(row.disk); (len(got) > 0) != row.stays {
			t.Errorf("%s: %v", name, got)
		}
		a.local = told
		if got := a.ownList(row.disk); (len(got) > 0) != (row.disk.State == cluster.DiskData) {
			t.Errorf("%s, and its etcd has told again: %v", name, got)
		}
	}
}

// TestLateList: a list that an earlier keeper's late write has brought back is
// found by the keeper, without any change of the members.
func TestLateList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, st, l := settledKeeper(t)
		ctx := t.Context()
		list := func(term uint64, names ...string) cluster.Checkpoint {
			c := cluster.Checkpoint{Epoch: 1, Term: term}
			for i, n := range names {
				c.Members = append(c.Members, cluster.Member{ID: cluster.MemberID(i + 1), Name: n})
			}
			return c
		}
		const object = "ledger/0000000001/checkpoint.json"
		if err := l.WriteCheckpoint(ctx, list(1, "a", "b")); err != nil {
			t.Fatal(err)
		}
		old, err := st.Read(ctx, object)
		if err != nil {
			t.Fatal(err)
		}
		if err := b.writeCheckpoint(ctx, list(2, "a", "c")); err != nil {
			t.Fatal(err)
		}
		if err := st.Put(ctx, object, old); err != nil { // it had looked before, and was held up
			t.Fatal(err)
		}
		time.Sleep(2*calmPace + listSoon)
		if got := b.facts().Checkpoint.Value().Members; len(got) != 2 || got[1].Name != "b" {
			t.Errorf("to the keeper the list is still %v, and the store holds another", got)
		}
	})
}

// settledKeeper reads its store until the test ends, and will not look at its list
// again for a while.
func settledKeeper(t *testing.T) (*storeBook, *store.Store, *ledger.Ledger) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	st, err := store.Open(ctx, "mem://settled-"+nonce(), "test")
	if err != nil {
		t.Fatal(err)
	}
	l := ledger.Open(st, "test")
	if _, err := l.WriteCharter(ctx, cluster.Charter{Cluster: "test", Epoch: 1, Nonce: nonce(), By: "b"}); err != nil {
		t.Fatal(err)
	}
	if err := l.MarkReady(ctx, cluster.ReadyMark{Epoch: 1, By: "b"}); err != nil {
		t.Fatal(err)
	}
	a := newAgent(Options{Name: "a", Settings: plan.Settings{Cluster: "test", HasStore: true}}, Parts{Log: slog.New(slog.DiscardHandler), Store: st})
	b := newStoreBook(st, a)
	a.book = b
	a.published.Store(&snapshot{
		observation: plan.Observation{Disk: cluster.Disk{State: cluster.DiskData}, Etcd: cluster.Known(cluster.EtcdState{Healthy: true, Leader: 1, MemberID: 1})},
		report:      cluster.Report{Keeper: true},
	})
	done := make(chan struct{})
	go func() { b.watch(ctx); close(done) }()
	t.Cleanup(func() {
		stop()
		<-done
		st.Close()
	})
	time.Sleep(30 * time.Minute)                               // long settled
	for due := time.Duration(0); due <= 2*calmPace+listSoon; { // what is due anyway is far away
		time.Sleep(calmPace)
		b.mu.Lock()
		due = time.Until(b.listDue)
		b.mu.Unlock()
	}
	return b, st, l
}
