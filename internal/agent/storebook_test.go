package agent

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
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
	if err := b.writeCharter(ctx, cluster.Charter{Cluster: "test", Epoch: next, Nonce: nonce(), By: "a"}); err != nil {
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
