package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/control"
)

// saying is an agent that says this, of each question by its number from 1.
func saying(of func(nth int32) control.Status) http.HandlerFunc {
	var asked atomic.Int32
	return func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(of(asked.Add(1))) }
}

// frozen takes questions and never answers.
func frozen(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

// TestStatusOfFrozenAgent: it is not waited for as long as a request may take, and
// the others' word is not as old as the wait.
func TestStatusOfFrozenAgent(t *testing.T) {
	began := time.Now()
	living := saying(func(nth int32) control.Status {
		return control.Status{Cluster: "dev", State: control.Degraded, Reason: fmt.Sprint("answer ", nth, " after ", time.Since(began) >= straggle)}
	})
	c := statusCmd{Target: peersOf(t, frozen, living, frozen)}
	s, err := c.ask(t.Context())
	if took := time.Since(began); err != nil || took > 20*time.Second {
		t.Fatalf("%v after %s", err, took)
	}
	if want := "answer 2 after true"; s.Reason != want {
		t.Errorf("got %q, want %q", s.Reason, want)
	}
}

// TestStatusAskedOnce: where all answer at once, nobody is asked twice.
func TestStatusAskedOnce(t *testing.T) {
	var asked atomic.Int32
	living := saying(func(int32) control.Status {
		asked.Add(1)
		return control.Status{Cluster: "dev", State: control.Healthy}
	})
	c := statusCmd{Target: peersOf(t, living, living)}
	began := time.Now()
	if _, err := c.ask(t.Context()); err != nil || asked.Load() != 2 && time.Since(began) <= outdated {
		t.Errorf("%d questions, %v", asked.Load(), err)
	}
}

// TestStatusOfYoungAgent: its no quorum is asked for again, until it has had the
// time to hear of one; that of an old one is believed at once.
func TestStatusOfYoungAgent(t *testing.T) {
	for name, row := range map[string]struct {
		young, watch bool
		state        control.State
	}{
		"one that has just started":    {true, false, control.Healthy},
		"one that has not":             {false, false, control.NoQuorum},
		"who watches sees it each way": {true, true, control.NoQuorum},
	} {
		agent := saying(func(nth int32) control.Status {
			if nth > 2 {
				return control.Status{Cluster: "dev", State: control.Healthy}
			}
			return control.Status{Cluster: "dev", State: control.NoQuorum, Starting: row.young}
		})
		c := statusCmd{Target: peersOf(t, agent), Watch: row.watch}
		if s, err := c.ask(t.Context()); err != nil || s.State != row.state {
			t.Errorf("%s: %s, %v; want %s", name, s.State, err, row.state)
		}
	}
}

// TestTellsMore: a proof of a quorum is stronger than not to know of one, and than
// a word that nothing proves.
func TestTellsMore(t *testing.T) {
	node := control.Node{MemberID: 1}
	alone := control.Status{Cluster: "dev", State: control.NoQuorum, Nodes: []control.Node{node, node, node}}
	seen := control.Status{Cluster: "dev", State: control.Degraded, Proven: true, Nodes: []control.Node{node, node}}
	well := control.Status{Cluster: "dev", State: control.Healthy, Proven: true, Nodes: []control.Node{node, node}}
	old := control.Status{Cluster: "dev", State: control.Healthy, Nodes: []control.Node{node, node, node}}
	other := control.Status{Cluster: "dev", State: control.Degraded, Proven: true, Nodes: []control.Node{{MemberID: 2}}}
	for name, row := range map[string]struct{ more, less control.Status }{
		"a quorum is proven": {seen, alone}, "health": {well, seen}, "what is proven": {seen, old}, "what is said": {old, alone},
		"the quorum of another cluster": {alone, other}, "more nodes": {alone, control.Status{State: control.NoQuorum}},
	} {
		if !tellsMore(row.more, row.less) || tellsMore(row.less, row.more) {
			t.Errorf("%s does not decide", name)
		}
	}
}
