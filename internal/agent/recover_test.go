package agent

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/control"
	"github.com/quorate/quorate/internal/etcd"
	"github.com/quorate/quorate/internal/plan"
)

// verdictBook takes a verdict; nothing else of it is used.
type verdictBook struct{ book }

func (verdictBook) writeVerdict(context.Context, cluster.Verdict) error { return nil }

// TestWhoMayBeGivenUp: whomever a recovery waits for, an operator can give up:
// an entry that has never said its name, by its peer URL, and a member that only
// the newest survivor's own data lists. One that answers with data stays.
func TestWhoMayBeGivenUp(t *testing.T) {
	at := func(host string) string { return "http://" + host + ":2380" }
	member := func(id cluster.MemberID, name, host string) cluster.Member {
		return cluster.Member{ID: id, Name: name, PeerURLs: []string{at(host)}}
	}
	a, b, c := member(1, "a", "10.0.0.1"), member(2, "b", "10.0.0.2"), member(3, "c", "10.0.0.3")
	nameless, late := member(4, "", "10.0.0.4"), member(5, "e", "10.0.0.5")
	charter := cluster.Charter{Cluster: "test", Epoch: 1, Nonce: "n"}
	data := func(m cluster.Member, local ...cluster.Member) cluster.Report {
		return cluster.Report{Cluster: "test", Name: "of " + m.Label(), PeerURL: m.PeerURLs[0], Local: local,
			Disk: cluster.Disk{State: cluster.DiskData, MemberID: m.ID, Term: 2, Index: 9, Stamp: &cluster.Stamp{Cluster: "test", Epoch: 1, Charter: charter}}}
	}
	o := plan.Observation{Settings: plan.Settings{Cluster: "test"}, Reports: []cluster.Report{data(a, a, b, c, nameless, late)}}
	o.Ledger.Charter = cluster.Known(charter)
	o.Ledger.Checkpoint = cluster.Known(cluster.Checkpoint{Epoch: 1, Members: []cluster.Member{a, b, c, nameless}})
	for _, row := range []struct {
		story string
		lost  []string
		also  *cluster.Report
		want  string // empty: taken
	}{
		{"by name", []string{"b", "c"}, nil, ""},
		{"by peer URL, without a name", []string{"b", at("10.0.0.4")}, nil, ""},
		{"that only the survivor's own data lists", []string{"e"}, nil, ""},
		{"by peer URL, with a name", []string{at("10.0.0.2")}, nil, "no such member"},
		{"nobody", []string{"b", "x"}, nil, "no such member: x"},
		{"for a reason of two lines", []string{"two lines"}, nil, "reason: want one line"},
		{"passed over, and nobody is called so", []string{"give up"}, nil, "give-up: no such node: zz"},
		{"without a name, and it answers with data", []string{at("10.0.0.4")}, new(data(nameless)), "answers, and holds data"},
	} {
		t.Run(row.story, func(t *testing.T) {
			g := &Agent{log: slog.New(slog.DiscardHandler), book: verdictBook{}, wake: make(chan struct{}, 1)}
			s := &snapshot{observation: o}
			if row.also != nil {
				s.observation.Reports = append([]cluster.Report{*row.also}, o.Reports...)
			}
			g.published.Store(s)
			q := control.RecoverRequest{Lost: row.lost}
			if row.lost[0] == "give up" {
				q = control.RecoverRequest{Empty: true, GiveUp: []string{"of a", "zz"}}
			}
			if row.lost[0] == "two lines" {
				q = control.RecoverRequest{Lost: []string{"b"}, Reason: "two\nlines"}
			}
			_, err := g.Recover(t.Context(), q)
			switch {
			case row.want == "" && err != nil:
				t.Error(err)
			case row.want != "" && (!errors.Is(err, control.ErrRefused) || !strings.Contains(err.Error(), row.want)):
				t.Errorf("%v, want %q", err, row.want)
			}
		})
	}
}

// TestRollReason: a reason that is not one line orders no roll.
func TestRollReason(t *testing.T) {
	g := &Agent{log: slog.New(slog.DiscardHandler), book: slowBook{}}
	g.published.Store(&snapshot{report: cluster.Report{Keeper: true}})
	if _, err := g.Roll(t.Context(), control.RollRequest{Reason: "two\nlines"}); !errors.Is(err, control.ErrRefused) || !strings.Contains(err.Error(), "reason: ") {
		t.Error(err)
	}
}

// TestAnothersEtcd: an etcd on another cluster's data is kept by nobody, and its
// node is not ready.
func TestAnothersEtcd(t *testing.T) {
	for stamp, ours := range map[string]bool{"test": true, "x": false} {
		o := plan.Observation{Settings: plan.Settings{Cluster: "test"}, Process: plan.Process{Running: true}}
		o.Disk = cluster.Disk{State: cluster.DiskData, Stamp: &cluster.Stamp{Cluster: stamp, Epoch: 1}}
		o.Etcd = cluster.Known(cluster.EtcdState{Healthy: true, Leader: 1, MemberID: 1})
		o.Members = cluster.Known([]cluster.Member{{ID: 1, Name: "a"}})
		o.Ledger.Ready = cluster.Known(cluster.ReadyMark{Epoch: 1})
		offers, err := etcd.OpenOffers(t.Context(), etcd.BuiltInSpec, t.TempDir(), nil)
		if err != nil {
			t.Fatal(err)
		}
		a := newAgent(Options{Name: "a", DataDir: t.TempDir(), Settings: o.Settings}, Parts{Log: slog.New(slog.DiscardHandler), Offers: offers})
		ready, why := readiness(o)
		if r := a.report(o, plan.Decision{}, "", ready); ready != ours || r.Keeper != ours {
			t.Errorf("data of %s: ready %v (%s), keeper %v", stamp, ready, why, r.Keeper)
		}
	}
}
