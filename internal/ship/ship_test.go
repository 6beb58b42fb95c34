package ship

import (
	"context"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"

	"github.com/quorate/quorate/internal/chain"
)

// TestOneShips: a follower ships, within the second; the others ask the store
// for nothing, and nobody does when nothing is written.
func TestOneShips(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		w.put(10, 10)
		w.full()
		w.pass(5 * time.Second)
		for range 20 {
			w.put(3, 100)
			w.pass(500 * time.Millisecond)
		}
		w.pass(500 * time.Millisecond)
		w.wantStored(1)
		if from, _, _ := w.stored(); from != 11 {
			t.Errorf("it begins at %d, want 11, behind the snapshot", from)
		}
		if got := w.shippers(); got != "b" {
			t.Errorf("%q ships, want b", got)
		}
		before, lists := w.requests()
		w.pass(time.Hour)
		if n, _ := w.requests(); n != before {
			t.Errorf("%d requests in an idle hour", n-before)
		}
		w.put(1, 10)
		w.pass(time.Second)
		w.wantStored(1)
		if n, _ := w.requests(); n != before+1 {
			t.Errorf("%d requests for one write, want 1", n-before)
		}
		if _, n := w.requests(); n != lists || n > 3 {
			t.Errorf("%d lists, %d before", n, lists)
		}
	})
}

// TestHarmlessWaits: what changes nothing is not shipped for its own sake.
func TestHarmlessWaits(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		w.full()
		w.pass(5 * time.Second)
		w.put(1, 1)
		w.pass(time.Second)
		before, _ := w.requests()
		for range 60 {
			w.commit(request(t, &etcdserverpb.InternalRaftRequest{ID: 1, AuthUserList: &etcdserverpb.AuthUserListRequest{}}))
			w.pass(10 * time.Second)
			for _, m := range w.nodes {
				if age := m.Unshipped(time.Now()); age > 0 {
					t.Fatalf("%s says %s", m.name, age)
				}
			}
		}
		if n, _ := w.requests(); n != before {
			t.Errorf("%d requests in ten minutes", n-before)
		}
		w.put(1, 1)
		w.pass(time.Second)
		w.wantStored(1)
	})
}

// TestTakeOver: whatever ends the one who ships, another goes on, in the same
// chain and without a LIST.
func TestTakeOver(t *testing.T) {
	for name, row := range map[string]struct {
		do     func(w *world, b *member)
		within time.Duration
		by     string
	}{
		"its agent ends":  {func(_ *world, b *member) { b.end() }, time.Second, "c"},
		"its etcd ends":   {func(_ *world, b *member) { b.down = true }, time.Second, "c"},
		"it leads":        {func(w *world, _ *member) { w.leader = 1 }, time.Second, "a"},
		"its store fails": {func(_ *world, b *member) { b.sick = errStore }, 5 * time.Second, "c"},
		// It comes back once the end has passed the hole.
		"its log has a hole":    {func(w *world, b *member) { w.put(3, 1); b.create(w.last) }, 5 * time.Second, "b"},
		"its log is unreadable": {func(_ *world, b *member) { _ = os.RemoveAll(b.walDir()) }, 5 * time.Second, "c"},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, 3, func(w *world) {
				w.full()
				w.pass(5 * time.Second)
				w.put(5, 100)
				w.pass(time.Second)
				w.wantStored(1)
				_, lists := w.requests()
				row.do(w, w.nodes[1])
				w.put(5, 100)
				w.pass(row.within + time.Second)
				if _, to, chains := w.stored(); to != w.last || chains != 1 {
					t.Errorf("stored up to %d of %d in %d chains", to, w.last, chains)
				}
				w.put(5, 100)
				w.pass(time.Second)
				w.wantStored(1)
				if got := w.shippers(); got != row.by {
					t.Errorf("%q ships, want %s", got, row.by)
				}
				if _, n := w.requests(); n != lists {
					t.Errorf("%d lists", n-lists)
				}
			})
		})
	}
}

// TestStoreFails: the age grows and is right, nothing is held in memory but two
// batches, and all is stored when the store is back.
func TestStoreFails(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		w.full()
		w.pass(5 * time.Second)
		w.store.refuse = errStore
		began := time.Now()
		for range 300 {
			w.put(100, 1000)
			w.pass(100 * time.Millisecond)
		}
		for _, m := range w.nodes {
			want := time.Since(began)
			if got := m.Unshipped(time.Now()); got > want || got < want-time.Second {
				t.Errorf("%s says %s after %s", m.name, got, want)
			}
			if m.batch.bytes > maxBatch+2*2000 || m.sent != nil && len(m.sent.object) > maxBatch {
				t.Errorf("%s holds %d bytes", m.name, m.batch.bytes)
			}
			if m.Report().Unable == "" && m.Report().Shipping {
				t.Errorf("%s does not say that it cannot ship", m.name)
			}
			if r := m.Report(); r.Shipping && (r.Failing.Before(began) || time.Since(r.Failing) < unableAfter) {
				t.Errorf("%s says that the store fails since %s, and that began at %s", m.name, r.Failing, began)
			}
		}
		w.store.refuse = nil
		w.pass(retryMax + 20*time.Second)
		w.wantStored(1)
		for _, m := range w.nodes {
			if r := m.Report(); r.Shipping && !r.Failing.IsZero() {
				t.Errorf("%s says that the store fails, since %s", m.name, r.Failing)
			}
		}
	})
}

// TestSlowStore: batches grow, and the log keeps up.
func TestSlowStore(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		w.full()
		w.pass(5 * time.Second)
		w.store.slow = 2 * time.Second
		for range 100 {
			w.put(100, 1000)
			w.pass(250 * time.Millisecond)
		}
		w.pass(20 * time.Second)
		w.wantStored(1)
		all, err := chain.List(context.Background(), w.store, 1)
		if err != nil || len(all[0].Segments) > 30 {
			t.Errorf("%d segments of 10 MB in 25 s at 2 s each, %v", len(all[0].Segments), err)
		}
	})
}

// TestLies: a write that was done and reported failed is found, not repeated.
func TestLies(t *testing.T) {
	inWorld(t, 1, func(w *world) {
		w.full()
		w.pass(5 * time.Second)
		w.store.lie = errStore
		for range 10 {
			w.put(2, 10)
			w.pass(2 * time.Second)
		}
		w.pass(20 * time.Second)
		w.wantStored(1)
	})
}

// TestNewChain: when nobody's log goes on, or what is stored is damaged, a new
// chain begins, on a full snapshot that is asked for.
func TestNewChain(t *testing.T) {
	hole := func(w *world) {
		w.put(5, 10)
		for _, m := range w.nodes {
			m.create(w.last)
		}
		w.put(5, 10)
	}
	for name, do := range map[string]func(w *world){
		"every log has a hole": hole,
		"somebody says so":     func(w *world) { w.nodes[1].Restart("a proof failed") },
		"a segment is missing, found at a start": func(w *world) {
			w.put(1, 1)
			w.pass(time.Second)
			w.must(w.store.Delete(context.Background(), chain.Key(1, 1, 2)))
			for _, m := range w.nodes {
				m.end()
			}
			for _, m := range w.nodes {
				m.start()
			}
		},
		"the last segment has gone": func(w *world) {
			w.must(w.store.Delete(context.Background(), chain.Key(1, 1, 3)))
			w.nodes[1].end()
		},
		"another wrote what does not fit": func(w *world) {
			w.must(w.store.Create(context.Background(), chain.Key(1, 1, 4), []byte("rubbish")))
			w.put(1, 1)
		},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, 3, func(w *world) {
				w.full()
				w.pass(5 * time.Second)
				for range 3 {
					w.put(5, 100)
					w.pass(time.Second)
				}
				w.wantStored(1)
				do(w)
				wanted := false
				for range 60 {
					w.put(1, 1)
					w.pass(time.Second)
					for _, m := range w.nodes {
						if m.stop != nil && m.Report().WantsFull {
							wanted = true
							w.full()
						}
					}
				}
				w.pass(2 * time.Second)
				w.wantStored(2)
				if strings.HasPrefix(name, "every") || strings.HasPrefix(name, "somebody") {
					if !wanted {
						t.Error("no full snapshot was asked for")
					}
				}
			})
		})
	}
}

// TestRestart: whoever finds the chain damaged says so, and whoever ships
// begins the new one on a snapshot of after that, not on the newest there is.
func TestRestart(t *testing.T) {
	for i := range 3 {
		inWorld(t, 3, func(w *world) {
			w.full()
			w.pass(5 * time.Second)
			w.put(5, 100)
			w.pass(time.Second)
			w.put(5, 100)
			w.pass(time.Second)
			w.wantStored(1)
			damaged := w.last
			w.nodes[i].Restart("a proof has failed")
			w.pass(5 * time.Second)
			w.put(1, 1)
			w.pass(5 * time.Second)
			if _, _, chains := w.stored(); chains != 1 {
				t.Errorf("said by %s: a chain has begun on a snapshot of before", w.nodes[i].name)
			}
			wanted := false
			for _, m := range w.nodes {
				wanted = wanted || m.Report().WantsFull
				if m.Unshipped(time.Now()) == 0 {
					t.Errorf("%s calls it stored", m.name)
				}
			}
			if !wanted {
				t.Error("nobody wants a full snapshot")
			}
			w.full()
			w.put(1, 1)
			w.pass(15 * time.Second)
			w.wantStored(2)
			if from, _, _ := w.stored(); from <= damaged {
				t.Errorf("it begins at %d, and what was damaged ended at %d", from, damaged)
			}
		})
	}
}

// TestRestartBehindAHole: a chain that is given up, because an old copy of the store
// lacks some of it, is given up once: nobody gives the next one up for its sake.
func TestRestartBehindAHole(t *testing.T) {
	for i := range 3 {
		inWorld(t, 3, func(w *world) {
			w.full()
			w.pass(5 * time.Second)
			for range 3 {
				w.put(1, 1)
				w.pass(time.Second)
			}
			w.must(w.store.Delete(context.Background(), chain.Key(1, 1, 2)))
			w.nodes[i].Restart("the store lacks what was stored in it")
			w.pass(5 * time.Second)
			w.full()
			w.put(1, 1)
			w.pass(15 * time.Second)
			for _, m := range w.nodes {
				if end := m.Report().End; end.Chain != 2 || end.Number == 0 {
					t.Errorf("said by %s, and %s is at segment %d of chain %d", w.nodes[i].name, m.name, end.Number, end.Chain)
				}
			}
		})
	}
}

// TestNewEpoch: another history has another log.
func TestNewEpoch(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		w.full()
		w.pass(5 * time.Second)
		w.put(50, 10)
		w.pass(time.Second)
		w.epoch, w.last, w.rev = 2, 0, 0
		for _, m := range w.nodes {
			m.create(0)
		}
		w.put(5, 10)
		w.pass(5 * time.Second)
		if _, _, chains := w.stored(); chains != 0 {
			t.Errorf("epoch 2 has %d chains without a snapshot", chains)
		}
		w.full()
		w.put(5, 10)
		w.pass(3 * time.Second)
		w.wantStored(1)
	})
}

// TestManyFaults: agents, members and the store fail in every way and come
// back; the chain has no hole and no entry twice, and in the end it has all.
func TestManyFaults(t *testing.T) {
	for seed := range uint64(6) {
		inWorld(t, 3, func(w *world) {
			r := rand.New(rand.NewPCG(seed, 1))
			w.full()
			for range 150 {
				m := w.nodes[r.IntN(3)]
				switch r.IntN(12) {
				case 0:
					before := w.store.refuse
					w.store.refuse = errStore // it is killed, not ended
					m.end()
					w.store.refuse = before
				case 1, 2:
					if m.stop == nil {
						m.start()
					}
				case 3:
					m.down = !m.down
				case 4:
					w.leader = r.IntN(3)
				case 5:
					w.store.refuse, w.store.lie = nil, nil
					if r.IntN(2) == 0 {
						w.store.lie = errStore
					} else if r.IntN(2) == 0 {
						w.store.refuse = errStore
					}
				case 6:
					w.store.slow = time.Duration(r.IntN(4)) * time.Second
				case 7:
					m.sick = nil
					if r.IntN(3) == 0 {
						m.sick = errStore
					}
				}
				w.put(r.IntN(20), r.IntN(3000))
				w.pass(time.Duration(r.IntN(2000)) * time.Millisecond)
			}
			w.store.refuse, w.store.lie, w.store.slow = nil, nil, 0
			for _, m := range w.nodes {
				if m.down, m.sick = false, nil; m.stop == nil {
					m.start()
				}
			}
			w.pass(3 * time.Minute)
			if w.wantStored(1); t.Failed() {
				t.Fatalf("with seed %d", seed)
			}
		})
	}
}
