package agent

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/ledger"
	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/store"
)

// TestIdleStore counts what a settled agent asks of its store in an hour: at
// most 60 requests, and never a LIST, whether it keeps the house or follows,
// and though somebody once paused the cluster and rolled it.
func TestIdleStore(t *testing.T) {
	for name, row := range map[string]idle{
		"a follower":                               {},
		"the keeper, and nothing is stored":        {keeper: true},
		"the keeper":                               {keeper: true, stored: true},
		"the keeper, after many pauses and a roll": {keeper: true, stored: true, paused: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { idleHour(t, row) })
		})
	}
}

// idle is who looks, and what there is.
type idle struct{ keeper, stored, paused bool }

func idleHour(t *testing.T, row idle) {
	ctx, stop := context.WithCancel(context.Background())
	st, err := store.Open(ctx, "mem://idle-"+nonce(), "test")
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	l := ledger.Open(st, "test")
	if _, err := l.WriteCharter(ctx, cluster.Charter{Cluster: "test", Epoch: 1, Nonce: "n", By: "a"}); err != nil {
		t.Fatal(err)
	}
	if err := l.MarkReady(ctx, cluster.ReadyMark{Epoch: 1, By: "a"}); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if !row.paused {
			break
		}
		held, err := l.Acquire(ctx, "operator", "test", time.Now(), time.Now().Add(time.Minute))
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Release(ctx, held); err != nil {
			t.Fatal(err)
		}
	}
	if row.paused {
		if _, err := l.WriteRoll(ctx, cluster.Roll{Number: 1, ID: "r", Nonce: "n", State: cluster.RollDone}); err != nil {
			t.Fatal(err)
		}
	}
	a := newAgent(Options{Name: "a", Settings: plan.Settings{Cluster: "test", HasStore: true}}, Parts{Log: slog.New(slog.DiscardHandler), Store: st})
	a.published.Store(&snapshot{
		observation: plan.Observation{Ledger: plan.Ledger{Charter: cluster.Known(cluster.Charter{Cluster: "test", Epoch: 1})}, Etcd: cluster.Known(cluster.EtcdState{Healthy: true, Leader: 1, MemberID: 1}), Disk: cluster.Disk{State: cluster.DiskData}},
		report:      cluster.Report{Keeper: row.keeper},
	})
	if row.stored {
		stored(t, a, 9)
	}
	done := make(chan struct{})
	go func() { a.book.watch(ctx); close(done) }()
	time.Sleep(10 * time.Minute) // it settles
	before := st.Requests()
	if before["read"] == 0 || !a.book.facts().Ready.Known() {
		t.Errorf("it has not settled: %v", before)
	}
	time.Sleep(time.Hour)
	after, made := st.Requests(), map[string]int64{}
	var sum int64
	for op, n := range after {
		made[op] = n - before[op]
		sum += made[op]
	}
	t.Logf("requests in an hour: %v", made)
	if sum > 60 || made["list"] > 0 {
		t.Errorf("%d requests an hour, %v: want at most 60, and no list", sum, made)
	}
	if sum == 0 {
		t.Error("it never looks")
	}
	stop()
	<-done
}
