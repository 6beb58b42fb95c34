package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/control"
	"github.com/quorate/quorate/internal/etcd"
	"github.com/quorate/quorate/internal/plan"
)

// rollBook keeps the newest entry of the rolls; nothing else of it is used.
type rollBook struct {
	book
	newest cluster.Fact[cluster.Roll]
}

func (b *rollBook) facts() plan.Ledger { return plan.Ledger{Roll: b.newest} }
func (b *rollBook) writeRoll(_ context.Context, r cluster.Roll) error {
	b.newest = cluster.Known(r)
	return nil
}

// lone is the agent of a cluster of one, whose etcd is well.
func lone(t *testing.T, foreign bool) *Agent {
	t.Helper()
	offers, err := etcd.OpenOffers(t.Context(), etcd.BuiltInSpec, t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	a := newAgent(Options{Name: "a", DataDir: t.TempDir(), Settings: plan.Settings{Cluster: "test"}}, Parts{Log: slog.New(slog.DiscardHandler), Offers: offers})
	a.book = &rollBook{newest: cluster.Absent[cluster.Roll]()}
	o := plan.Observation{Now: time.Now(), Settings: plan.Settings{Cluster: "test"}, Process: plan.Process{Running: true, Foreign: foreign},
		Members: cluster.Known([]cluster.Member{{ID: 1, Name: "a"}}),
		Etcd:    cluster.Known(cluster.EtcdState{Healthy: true, MemberID: 1, Leader: 1, Term: 2})}
	a.publish(o, plan.Decision{Verb: "keep"})
	return a
}

// TestForeignEtcdIsTold: that our etcd was not started by quorate is in our report
// and in our status, and no roll is ordered that would have to stop it.
func TestForeignEtcdIsTold(t *testing.T) {
	for _, foreign := range []bool{false, true} {
		a := lone(t, foreign)
		if got := a.Report().Etcd; got.Foreign != foreign || !got.Running {
			t.Errorf("foreign %t: the report says %+v", foreign, got)
		}
		if got := a.Status().Nodes; len(got) != 1 || got[0].Foreign != foreign {
			t.Errorf("foreign %t: the status says %+v", foreign, got)
		}
		_, err := a.Roll(t.Context(), control.RollRequest{Kind: cluster.RollRestart})
		if told := errors.Is(err, control.ErrRefused) && strings.Contains(err.Error(), "a's etcd was not started by quorate"); told != foreign || !told && err != nil {
			t.Errorf("foreign %t: a roll is answered with %v", foreign, err)
		}
	}
}

// TestRollNumber: a roll is ordered, refused a second one beside it, and cancelled
// under one number; the next has another.
func TestRollNumber(t *testing.T) {
	a := lone(t, false)
	restart, cancel := control.RollRequest{Kind: cluster.RollRestart}, control.RollRequest{Cancel: true}
	for want := uint64(1); want < 9; want += 3 {
		ordered, err := a.Roll(t.Context(), restart)
		if err != nil || ordered.Roll.FirstNumber() != want {
			t.Fatalf("ordered as %+v, %v; want roll %d", ordered.Roll, err, want)
		}
		hop := ordered.Roll.Next(cluster.RollOpen, nonce())
		a.book = &rollBook{newest: cluster.Known(hop)}
		if _, err := a.Roll(t.Context(), restart); !errors.Is(err, control.ErrRefused) || !strings.Contains(err.Error(), fmt.Sprintf("roll %d (restart) is under way", want)) {
			t.Errorf("a second one beside roll %d: %v", want, err)
		}
		over, err := a.Roll(t.Context(), cancel)
		if err != nil || over.Roll.FirstNumber() != want || over.Roll.Number != want+2 || over.Roll.State != cluster.RollCancelled {
			t.Errorf("roll %d is cancelled as %+v, %v", want, over.Roll, err)
		}
	}
}
