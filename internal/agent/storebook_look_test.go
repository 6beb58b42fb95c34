package agent

import (
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate/internal/chain"
	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/ledger"
	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/store"
)

// keeping is a settled keeper over a store in memory; it ends with the test.
func keeping(t *testing.T) (*Agent, *store.Store) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	st, err := store.Open(ctx, "mem://look-"+nonce(), "test")
	if err != nil {
		t.Fatal(err)
	}
	l := ledger.Open(st, "test")
	if _, err := l.WriteCharter(ctx, cluster.Charter{Cluster: "test", Epoch: 1, Nonce: "n", By: "a"}); err != nil {
		t.Fatal(err)
	}
	if err := l.MarkReady(ctx, cluster.ReadyMark{Epoch: 1, By: "a"}); err != nil {
		t.Fatal(err)
	}
	a := newAgent(Options{Name: "a", Settings: plan.Settings{Cluster: "test", HasStore: true}}, Parts{Log: slog.New(slog.DiscardHandler), Store: st})
	keeps(a, cluster.LogEnd{})
	stored(t, a, 5)
	done := make(chan struct{})
	go func() { a.book.watch(ctx); close(done) }()
	t.Cleanup(func() { stop(); <-done; st.Close() })
	return a, st
}

// keeps publishes that the agent is the keeper of epoch 1, and how far the log goes.
func keeps(a *Agent, end cluster.LogEnd) {
	s := &snapshot{report: cluster.Report{Keeper: true, Log: &cluster.LogReport{End: end}}}
	s.observation = plan.Observation{Etcd: cluster.Known(cluster.EtcdState{Healthy: true, Leader: 1, MemberID: 1}), Disk: cluster.Disk{State: cluster.DiskData},
		Ledger: plan.Ledger{Charter: cluster.Known(cluster.Charter{Cluster: "test", Epoch: 1})}}
	a.memory.hear(end.Stored())
	a.published.Store(s)
}

// segment is one of that number, which ends at ten times that index, in the store.
func segment(t *testing.T, st *store.Store, number uint64) cluster.LogEnd {
	t.Helper()
	e := cluster.LogEnd{Epoch: 1, Chain: 1, Number: number, Index: 10 * number, Term: 1, SHA256: "5ha"}
	if err := st.Create(context.Background(), chain.Key(1, 1, number), []byte("x")); err != nil {
		t.Fatal(err)
	}
	return e
}

// stored has a full snapshot of that index in the store, and the agent know of it.
func stored(t *testing.T, a *Agent, index uint64) cluster.Backup {
	t.Helper()
	const object = "backups/0000000001/20260101T000000Z-1-0123456789abcdef.db.zst"
	b := cluster.Backup{Cluster: "test", Epoch: 1, Index: index, Revision: 1, Term: 1, At: time.Now(), Object: object,
		Key: strings.TrimSuffix(object, ".db.zst") + ".json", Size: 1, StoredSize: 1, SHA256: "5ha", StoredSHA: "5ha"}
	raw, err := json.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.parts.Store.Put(context.Background(), b.Key, raw); err != nil {
		t.Fatal(err)
	}
	a.noteBackup(b)
	return b
}

// TestLook: an old copy of the store in its place is noticed while the keeper runs:
// within a minute while more is stored, else within two, and what comes behind the
// gap hides nothing. What retention lets go is no loss.
func TestLook(t *testing.T) {
	lose := func(t *testing.T, st *store.Store, numbers ...uint64) {
		for _, n := range numbers {
			if err := st.Delete(context.Background(), chain.Key(1, 1, n)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, row := range map[string]struct {
		then   func(t *testing.T, a *Agent, st *store.Store)
		within time.Duration // 0: it is never told
	}{
		"nothing happens":  {func(*testing.T, *Agent, *store.Store) {}, 0},
		"while it is idle": {func(t *testing.T, _ *Agent, st *store.Store) { lose(t, st, 2) }, 2*time.Minute + 2*time.Second},
		"while it goes on": {func(t *testing.T, a *Agent, st *store.Store) {
			lose(t, st, 2)
			keeps(a, segment(t, st, 3))
		}, time.Minute + 2*time.Second},
		"an old copy that has the newest, and it goes on": {func(t *testing.T, a *Agent, st *store.Store) {
			segment(t, st, 3) // it does not stay
			keeps(a, segment(t, st, 4))
			lose(t, st, 3)
			keeps(a, segment(t, st, 5))
		}, time.Minute + 2*time.Second},
		"it goes on for long": {func(t *testing.T, a *Agent, st *store.Store) {
			for n := range uint64(1200) {
				segment(t, st, 3+n)
			}
			keeps(a, segment(t, st, 1203))
		}, 0},
		"a new chain, and an old copy that has the snapshot before it": {func(t *testing.T, a *Agent, st *store.Store) {
			stored(t, a, 25)
			e := segment(t, st, 7)
			e.Chain = 2 // its first six are not there
			if err := st.Create(context.Background(), chain.Key(1, 2, 7), nil); err != nil {
				t.Fatal(err)
			}
			keeps(a, e)
		}, time.Minute + 2*time.Second},
		"an elder segment goes": {func(t *testing.T, _ *Agent, st *store.Store) { lose(t, st, 1) }, 0},
		"a snapshot holds it": {func(t *testing.T, a *Agent, st *store.Store) {
			lose(t, st, 2)
			stored(t, a, 20)
		}, 0},
		"a snapshot does not": {func(t *testing.T, a *Agent, st *store.Store) {
			lose(t, st, 2)
			stored(t, a, 19)
		}, 2*time.Minute + 2*time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, st := keeping(t)
				time.Sleep(time.Minute) // it settles
				segment(t, st, 1)
				keeps(a, segment(t, st, 2))
				time.Sleep(9 * time.Minute)
				row.then(t, a, st)
				began := time.Now()
				for a.memory.lacking() == "" && time.Since(began) < time.Hour {
					time.Sleep(time.Second)
				}
				switch took, why := time.Since(began), a.memory.lacking(); {
				case row.within == 0 && why != "":
					t.Errorf("after %s: %s", took, why)
				case row.within > 0 && (why == "" || took > row.within):
					t.Errorf("after %s: %q, want it within %s", took, why, row.within)
				case row.within > 0 && !strings.Contains(why, ".seg"):
					t.Errorf("it does not say what is missing: %s", why)
				}
				if row.within > 0 { // it is over with a snapshot that holds all
					if !a.fullWanted(nil) {
						t.Error("no full snapshot is wanted")
					}
					stored(t, a, 100)
					keeps(a, cluster.LogEnd{})
					time.Sleep(10 * time.Minute)
					if why := a.memory.lacking(); why != "" || a.fullWanted(nil) {
						t.Errorf("afterwards: %q", why)
					}
				}
			})
		})
	}
}

// TestCompared: whoever becomes the keeper holds the store against what it knew,
// though it knows a backup from before; until then no backup is known to decisions.
func TestCompared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _ := keeping(t)
		book := a.book.(*storeBook)
		time.Sleep(time.Minute)
		if !book.hasCompared() || a.memory.lacking() != "" {
			t.Fatalf("it has not settled: %q", a.memory.lacking())
		}
		follower := *a.published.Load()
		follower.report.Keeper = false
		a.published.Store(&follower)
		time.Sleep(10 * time.Minute)
		if book.hasCompared() || book.facts().Backup.Unknown() {
			t.Error("a follower has compared, or has forgotten its backup")
		}
		keeps(a, cluster.LogEnd{Epoch: 1, Chain: 1, Number: 2, Index: 20, Term: 1, SHA256: "5ha"}) // somebody had stored that
		time.Sleep(time.Minute)
		if !book.hasCompared() || !strings.Contains(a.memory.lacking(), "index 5, and once reached epoch 1, index 20") {
			t.Errorf("it has not told that the store lacks something: %q", a.memory.lacking())
		}
	})
}
