package agent

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/plan"
)

// What fails again and again is said once, and again when it changes.
func TestAFailureIsSaidOnce(t *testing.T) {
	var log bytes.Buffer
	a := &Agent{log: slog.New(slog.NewTextHandler(&log, nil)), metrics: newMetrics(nil), book: slowBook{}}
	add := plan.Decision{Verb: "keep", Reason: "a newcomer joins", Detail: "d", Steps: []plan.Step{plan.AddLearner{Name: "d"}}}
	other := add
	other.Detail, other.Steps = "e", []plan.Step{plan.AddLearner{Name: "e"}}
	fails := func(d plan.Decision) {
		t.Helper()
		err := a.act(context.Background(), plan.Observation{Now: time.Now()}, d) // it has no etcd
		if err == nil {
			t.Fatal("a step without an etcd has succeeded")
		}
		a.sayFailure(d, err)
	}
	says := func(what string, decisions, warnings int) {
		t.Helper()
		if got := strings.Count(log.String(), "level=INFO"); got != decisions {
			t.Errorf("%s: decided %d times, want %d:\n%s", what, got, decisions, &log)
		}
		if got := strings.Count(log.String(), "step failed"); got != warnings {
			t.Errorf("%s: warned %d times, want %d:\n%s", what, got, warnings, &log)
		}
	}
	fails(add)
	says("once", 1, 1)
	fails(add)
	fails(add)
	says("again, alike", 1, 1)
	a.sayFailure(add, errors.New("AddLearner{d}: another"))
	says("another error", 1, 2)
	fails(other)
	says("another newcomer", 2, 3)
}
