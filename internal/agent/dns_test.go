package agent

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/publish"
)

// zoneOf is a zone that says how often it was looked at, and fails while told so.
type zoneOf struct {
	t    *testing.T
	busy sync.Mutex // held by the one Reconcile

	mu     sync.Mutex
	wishes []publish.Wish
	fail   bool
}

func (z *zoneOf) Reconcile(ctx context.Context, w publish.Wish) (publish.Result, error) {
	if !z.busy.TryLock() {
		z.t.Error("reconciled twice at a time")
	}
	defer z.busy.Unlock()
	sleep(ctx, 100*time.Millisecond)
	z.mu.Lock()
	defer z.mu.Unlock()
	z.wishes = append(z.wishes, w)
	if z.fail {
		return publish.Result{}, errors.New("the provider answers 503")
	}
	return publish.Result{}, nil
}

func (z *zoneOf) seen() []publish.Wish {
	z.mu.Lock()
	defer z.mu.Unlock()
	return z.wishes
}

func (z *zoneOf) failing(yes bool) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.fail = yes
}

// keeperOf is what the keeper a of these members sees; leaving ones have said so.
func keeperOf(leaving ...string) plan.Observation {
	c := cluster.Charter{Cluster: "test", Epoch: 1, Nonce: "n"}
	o := plan.Observation{Now: time.Now(), Settings: plan.Settings{Cluster: "test", Size: 3},
		Disk:   cluster.Disk{State: cluster.DiskData, Stamp: &cluster.Stamp{Cluster: "test", Epoch: 1, Charter: c}},
		Etcd:   cluster.Known(cluster.EtcdState{Healthy: true, MemberID: 1, Leader: 1, ClusterID: 7}),
		Ledger: plan.Ledger{Charter: cluster.Known(c), Ready: cluster.Known(cluster.ReadyMark{Epoch: 1}), Lock: cluster.Absent[cluster.Lock]()},
		Probes: map[cluster.MemberID]plan.Probe{}}
	var members []cluster.Member
	for i, name := range []string{"a", "b", "c"} {
		id := cluster.MemberID(i + 1)
		url := "http://10.0.0." + id.String() + ":2380"
		members = append(members, cluster.Member{ID: id, Name: name, PeerURLs: []string{url}})
		o.Probes[id] = plan.Probe{Healthy: true, State: cluster.EtcdState{MemberID: id}}
		for _, l := range leaving {
			if l == name {
				o.Reports = append(o.Reports, cluster.Report{Cluster: "test", Name: name, PeerURL: url, Leaving: true, Disk: cluster.Disk{MemberID: id}})
			}
		}
	}
	o.Members = cluster.Known(members)
	return o
}

func publishingAgent(t *testing.T, z Names) *Agent {
	return newAgent(Options{DataDir: t.TempDir(), Naming: plan.Naming{Style: plan.StyleEtcd, Zone: "example.org", TTL: time.Minute}},
		Parts{Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Names: z})
}

// watched runs watchNames for as long as the test says, on a fake clock.
func watched(t *testing.T, f func(a *Agent, z *zoneOf)) {
	synctest.Test(t, func(t *testing.T) {
		z := &zoneOf{t: t}
		a := publishingAgent(t, z)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { a.watchNames(ctx); close(done) }()
		f(a, z)
		cancel()
		<-done
	})
}

func TestNamesArePublishedAtOnceAndKept(t *testing.T) {
	watched(t, func(a *Agent, z *zoneOf) {
		time.Sleep(time.Hour)
		if len(z.seen()) != 0 {
			t.Errorf("looked at the zone %d times with nothing to say", len(z.seen()))
		}
		a.offerNames(keeperOf())
		time.Sleep(200 * time.Millisecond)
		if len(z.seen()) != 1 || len(z.seen()[0].Records) == 0 || z.seen()[0].Owner != (publish.Owner{Cluster: "test", Epoch: 1, ID: 7}) {
			t.Fatalf("not at once: %+v", z.seen())
		}
		for range 600 { // ten minutes of rounds in which nothing changes
			a.offerNames(keeperOf())
			time.Sleep(time.Second)
		}
		if n := len(z.seen()); n < 15 || n > 25 {
			t.Errorf("in ten quiet minutes the zone was compared %d times", n)
		}
	})
}

func TestNamesRestWhenNotKeeper(t *testing.T) {
	watched(t, func(a *Agent, z *zoneOf) {
		a.offerNames(keeperOf("c"))
		time.Sleep(2 * time.Second)
		n := len(z.seen())
		a.offerNames(plan.Observation{Now: time.Now()})
		time.Sleep(time.Hour)
		if len(z.seen()) != n {
			t.Errorf("looked at the zone %d times without leading", len(z.seen())-n)
		}
		if w := a.publishing().Withdrawals; len(w) > 0 {
			t.Errorf("still withdraws %v", w)
		}
	})
}

func TestWithdrawalIsConfirmedByTheZoneAlone(t *testing.T) {
	watched(t, func(a *Agent, z *zoneOf) {
		z.failing(true)
		asked := time.Now()
		for range 20 {
			a.offerNames(keeperOf("c"))
			time.Sleep(time.Second)
		}
		w := a.publishing().Withdrawals[3]
		if !w.Asked.Equal(asked) || !w.Confirmed.IsZero() {
			t.Errorf("while the provider fails: asked %s after, confirmed %s", w.Asked.Sub(asked), w.Confirmed)
		}
		if n := len(z.seen()); n < 3 || n > 7 {
			t.Errorf("a provider that fails was asked %d times in 20 s", n)
		}
		z.failing(false)
		for range 10 {
			a.offerNames(keeperOf("c"))
			time.Sleep(time.Second)
		}
		confirmed := a.publishing().Withdrawals[3].Confirmed
		if confirmed.IsZero() || !a.publishing().Withdrawals[3].Asked.Equal(asked) {
			t.Errorf("never confirmed: %+v", a.publishing())
		}
		time.Sleep(5 * time.Minute)
		if got := a.publishing().Withdrawals[3].Confirmed; !got.Equal(confirmed) {
			t.Errorf("confirmed again, %s later", got.Sub(confirmed))
		}
		a.offerNames(keeperOf())
		if w := a.publishing().Withdrawals; len(w) != 0 {
			t.Errorf("c stays, and is still withdrawn: %v", w)
		}
	})
}

// TestWhoGoesAnewIsConfirmedSoon: the zone lacks c already when c is found to go,
// as when a new keeper has seen it well only since. Waiting for the next regular
// look would hold the removal up.
func TestWhoGoesAnewIsConfirmedSoon(t *testing.T) {
	watched(t, func(a *Agent, z *zoneOf) {
		unwell := keeperOf("c")
		unwell.Probes[3] = plan.Probe{UnhealthySince: unwell.Now.Add(-time.Hour)}
		a.offerNames(unwell)
		time.Sleep(2 * time.Second)
		n := len(z.seen())
		if w := a.publishing().Withdrawals; n == 0 || len(w) > 0 {
			t.Fatalf("%d looks, withdrawn %v", n, w)
		}
		for range 3 {
			a.offerNames(keeperOf("c"))
			time.Sleep(time.Second)
		}
		if w := a.publishing().Withdrawals[3]; w.Confirmed.IsZero() || len(z.seen()) != n+1 {
			t.Errorf("%+v after %d more looks", w, len(z.seen())-n)
		}
	})
}

func TestNothingIsPublishedWithoutAZone(t *testing.T) {
	a := publishingAgent(t, nil)
	a.offerNames(keeperOf("c"))
	a.watchNames(t.Context())
	if p := a.publishing(); p.TTL != 0 || len(p.Withdrawals) > 0 {
		t.Errorf("%+v", p)
	}
}
