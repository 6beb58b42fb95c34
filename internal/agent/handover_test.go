package agent

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/control"
	"github.com/quorate/quorate/internal/gate"
	"github.com/quorate/quorate/internal/plan"
)

// led is what a gate knows of raft: member 1 leads, and nothing changes.
type led struct{}

func (led) Lead() uint64                         { return 1 }
func (led) LeaderChangedNotify() <-chan struct{} { return nil }

// beside is an agent without etcd, on a directory with a gate or without.
func beside(t *testing.T, gated bool) *Agent {
	t.Helper()
	dir := t.TempDir()
	if gated {
		if err := new(gate.Gate).Serve(strings.TrimPrefix(gate.Env(dir), gate.SocketVar+"="), led{}); err != nil {
			t.Fatal(err)
		}
	}
	return newAgent(Options{DataDir: dir}, Parts{Log: slog.New(slog.DiscardHandler), HTTP: http.DefaultClient})
}

// serving is the URL of an agent's API.
func serving(t *testing.T, a *Agent) string {
	s := httptest.NewServer(control.Handler(a))
	t.Cleanup(s.Close)
	return s.URL
}

// TestHoldVoters: all hold only if each voter's gate is shut; one that has none,
// and one that cannot be asked, are counted, and do not stop the hand-over.
func TestHoldVoters(t *testing.T) {
	voters := []cluster.Member{{ID: 1, Name: "a"}, {ID: 2, Name: "b"}, {ID: 3, Name: "c"}, {ID: 4, Name: "d", Learner: true}}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := "http://" + ln.Addr().String()
	ln.Close()
	gated := func(t *testing.T) string { return serving(t, beside(t, true)) }
	for name, test := range map[string]struct {
		members cluster.Fact[[]cluster.Member]
		own     bool
		b, c    func(*testing.T) string
		want    bool
	}{
		"each has a gate":           {cluster.Known(voters), true, gated, gated, true},
		"our etcd is a stock one":   {cluster.Known(voters), false, gated, gated, false},
		"another's is":              {cluster.Known(voters), true, gated, func(t *testing.T) string { return serving(t, beside(t, false)) }, false},
		"an agent does not answer":  {cluster.Known(voters), true, gated, func(*testing.T) string { return nobody }, false},
		"an agent was not heard of": {cluster.Known(voters), true, gated, nil, false},
		"the voters are not known":  {cluster.Fact[[]cluster.Member]{}, true, gated, gated, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := plan.Observation{Members: test.members, Etcd: cluster.Known(cluster.EtcdState{MemberID: 1, Leader: 1})}
			for id, at := range map[cluster.MemberID]func(*testing.T) string{2: test.b, 3: test.c} {
				if at != nil {
					o.Reports = append(o.Reports, cluster.Report{Agent: at(t), Etcd: cluster.EtcdState{MemberID: id}})
				}
			}
			all, release := beside(t, test.own).holdVoters(t.Context(), o)
			release()
			if all != test.want {
				t.Errorf("all hold: %t", all)
			}
		})
	}
}

// TestHoldIsRefused: an agent says so when its etcd cannot hold.
func TestHoldIsRefused(t *testing.T) {
	a := beside(t, false)
	if err := a.Hold(context.Background(), control.HoldRequest{Leader: 1}); !errors.Is(err, control.ErrRefused) {
		t.Errorf("a stock etcd: %v", err)
	}
	if _, err := os.Stat(filepath.Join(a.opt.DataDir, "gate.sock")); err == nil {
		t.Error("asking has made a socket")
	}
	err := control.NewClient(serving(t, beside(t, true)), http.DefaultClient).Hold(t.Context(), control.HoldRequest{Leader: 2})
	if err == nil || errors.Is(err, control.ErrRefused) {
		t.Errorf("another leads: %v", err)
	}
}
