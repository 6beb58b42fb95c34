package agent

import (
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/store"
)

// TestFailing: the keeper tells its store's trouble from the second failure on, with
// the moment of the first, and no more once the store has answered.
func TestFailing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st, err := store.Open(t.Context(), "mem://failing-"+nonce(), "test")
		if err != nil {
			t.Fatal(err)
		}
		defer st.Close()
		a := newAgent(Options{Name: "a", Settings: plan.Settings{Cluster: "test", HasStore: true}}, Parts{Log: slog.New(slog.DiscardHandler), Store: st})
		b := a.book.(*storeBook)
		o := plan.Observation{Settings: a.opt.Settings, Etcd: cluster.Known(cluster.EtcdState{Healthy: true, Leader: 1, MemberID: 1}), Members: cluster.Known([]cluster.Member{{ID: 1}})}
		told := func(want string, since time.Time) {
			t.Helper()
			if c := a.reportCare(o); c.Store != want || !c.StoreSince.Equal(since) {
				t.Errorf("got %q since %s, want %q since %s", c.Store, c.StoreSince, want, since)
			}
		}
		first := time.Now()
		b.fail(errors.New("not a directory"))
		told("", time.Time{})
		time.Sleep(lookAgain)
		b.fail(errors.New("gone"))
		told("gone", first)
		b.fail(nil)
		told("", time.Time{})
		b.fail(errors.New("gone"))
		told("", time.Time{})
		b.fail(errors.New("gone"))
		o.Members = cluster.Unknown[[]cluster.Member]() // it is no keeper
		told("", time.Time{})
	})
}

// TestFailingIsSeen: an idle keeper notices within minutes that the store does not
// answer: it looks again soon after its first failure.
func TestFailingIsSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, st := keeping(t)
		time.Sleep(time.Minute) // it settles
		segment(t, st, 1)
		keeps(a, segment(t, st, 2))
		time.Sleep(9 * time.Minute)
		b, began := a.book.(*storeBook), time.Now()
		if f := b.trouble(); f.times != 0 {
			t.Fatalf("all is well, and it says %+v", f)
		}
		if err := st.Close(); err != nil {
			t.Fatal(err)
		}
		for b.trouble().times == 0 && time.Since(began) < time.Hour {
			time.Sleep(time.Second)
		}
		f, limit := b.trouble(), 2*time.Minute+lookAgain+5*time.Second
		if took := time.Since(began); took > limit || time.Since(f.since) < lookAgain || f.why == "" {
			t.Errorf("after %s: %+v", took, f)
		}
	})
}
