package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/config"
	"github.com/quorate/quorate/internal/control"
)

// watchedAgent tells of a roll, and of the agents that there are.
type watchedAgent struct {
	control.Agent
	roll   cluster.Roll
	nodes  []control.Node
	leaves func() bool // it is gone for good, and answers nothing any more
	told   atomic.Int32
}

func (w *watchedAgent) Metrics() http.Handler    { return http.NotFoundHandler() }
func (w *watchedAgent) NewestRoll() cluster.Roll { return w.roll }
func (w *watchedAgent) Status() control.Status {
	w.told.Add(1)
	return control.Status{Cluster: "test", Nodes: w.nodes}
}

func (w *watchedAgent) serve(t *testing.T) string {
	h := control.Handler(w)
	s := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, q *http.Request) {
		if w.leaves != nil && w.leaves() {
			panic(http.ErrAbortHandler)
		}
		h.ServeHTTP(out, q)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

func watching(at string, patience time.Duration) (*rollWatch, *bytes.Buffer) {
	var out bytes.Buffer
	return &rollWatch{at: config.Target{Agent: at, Timeout: 5 * time.Second, AgentPort: 2378}, patience: patience, began: time.Now(), out: &out, said: map[string]string{}}, &out
}

// TestWatchElsewhere: who watches a roll through one agent that goes for good
// watches on through the others of the cluster.
func TestWatchElsewhere(t *testing.T) {
	t.Parallel()
	open := cluster.Roll{Number: 1, ID: "x", State: cluster.RollOpen}
	done := open.Next(cluster.RollDone, "y")
	dead := httptest.NewServer(nil)
	dead.Close()
	next := (&watchedAgent{roll: done}).serve(t)
	first := &watchedAgent{roll: open, nodes: []control.Node{{Name: "b", Agent: dead.URL}, {Name: "c", Agent: next}}}
	first.leaves = func() bool { return first.told.Load() > 0 }
	w, out := watching(first.serve(t), time.Minute)
	if err := w.run(t.Context(), open); err != nil || !strings.Contains(out.String(), "roll 1 done") || !strings.Contains(out.String(), "asking "+next+" now") {
		t.Errorf("%v:\n%s", err, out)
	}
}

// TestWatchEnds: when no agent answers any more, nor any that it has named, the
// watching ends, and says so.
func TestWatchEnds(t *testing.T) {
	t.Parallel()
	open := cluster.Roll{Number: 1, ID: "x", State: cluster.RollOpen}
	dead := httptest.NewServer(nil)
	dead.Close()
	first := &watchedAgent{roll: open, nodes: []control.Node{{Name: "b", Agent: dead.URL}}}
	first.leaves = func() bool { return first.told.Load() > 0 }
	w, out := watching(first.serve(t), time.Second)
	if err := w.run(t.Context(), open); err == nil || !strings.Contains(err.Error(), "roll 1 is not watched any more: no agent has answered for 1s; the roll goes on without") {
		t.Errorf("%v:\n%s", err, out)
	}
}

// TestRollPlanText: what there is to do, from where if that is known, and what is
// in the way.
func TestRollPlanText(t *testing.T) {
	v := func(text string) cluster.Version { v, _ := cluster.ParseVersion(text); return v }
	ill := []string{"a is unhealthy"}
	for story, row := range map[string]struct {
		p    control.RollAnswer
		want string
	}{
		"it is there":           {control.RollAnswer{Kind: cluster.RollUpgrade, From: v("3.7.3"), To: v("3.7.3")}, "nothing to do: every member runs etcd 3.7.3 already\n"},
		"there, and one ill":    {control.RollAnswer{Kind: cluster.RollUpgrade, From: v("3.7.3"), To: v("3.7.3"), Problems: ill}, "nothing to do: every member runs etcd 3.7.3 already\nbut a is unhealthy\n"},
		"not there, one ill":    {control.RollAnswer{Kind: cluster.RollUpgrade, From: v("3.6.14"), To: v("3.7.3"), Hops: []cluster.Version{v("3.7.3")}, Problems: ill}, "upgrade etcd from 3.6.14 to 3.7.3\nrefused: a is unhealthy\n"},
		"one does not say":      {control.RollAnswer{Kind: cluster.RollUpgrade, To: v("3.7.3"), Problems: ill}, "upgrade etcd to 3.7.3\nrefused: a is unhealthy\n"},
		"no common version":     {control.RollAnswer{Kind: cluster.RollUpgrade, Problems: ill}, "upgrade etcd\nrefused: a is unhealthy\n"},
		"two minors apart":      {control.RollAnswer{Kind: cluster.RollDowngrade, From: v("3.5.33"), To: v("3.5.33"), Problems: ill}, "downgrade etcd from 3.5.33 to 3.5.33\nrefused: a is unhealthy\n"},
		"a restart, one is ill": {control.RollAnswer{Kind: cluster.RollRestart, Problems: ill}, "restart every member's etcd, one after the other\nrefused: a is unhealthy\n"},
	} {
		var out bytes.Buffer
		if printRollPlan(&out, row.p); out.String() != row.want {
			t.Errorf("%s:\n%swant\n%s", story, out.String(), row.want)
		}
	}
}
