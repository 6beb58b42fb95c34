package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/config"
	"github.com/quorate/quorate/internal/control"
	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/publish"
)

// seeing is an agent that explains what it has heard, the keeper or not.
func seeing(t *testing.T, keeper bool, reports ...cluster.Report) *httptest.Server {
	t.Helper()
	o := plan.Observation{Settings: plan.Settings{Cluster: "dev"}, Reports: reports}
	if keeper {
		o.Etcd = cluster.Known(cluster.EtcdState{Running: true, Healthy: true, MemberID: 1, Leader: 1})
		o.Members = cluster.Known([]cluster.Member{{ID: 1, Name: "k"}})
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(control.Explanation{Observation: o})
	}))
	t.Cleanup(s.Close)
	return s
}

func keeperAt(s *httptest.Server, term uint64) cluster.Report {
	return cluster.Report{Name: "k", Keeper: true, Agent: s.URL, Etcd: cluster.EtcdState{Healthy: true, Term: term}}
}

// TestKeeperSees: only the keeper's own observation will do; whoever else is asked,
// and why there is none, is told.
func TestKeeperSees(t *testing.T) {
	keeper, other := seeing(t, true), seeing(t, false)
	mute := httptest.NewServer(http.HandlerFunc(frozen))
	t.Cleanup(mute.Close)
	for name, row := range map[string]struct {
		asked *httptest.Server
		want  string // why not yet
	}{
		"the keeper":                {keeper, ""},
		"one that knows it":         {seeing(t, false, keeperAt(keeper, 2)), ""},
		"one that knows an old one": {seeing(t, false, keeperAt(other, 2), keeperAt(keeper, 3), keeperAt(other, 1)), ""},
		"one that knows none":       {other, "no agent is known to be the keeper"},
		"the keeper is silent":      {seeing(t, false, keeperAt(mute, 2)), "the keeper, k, does not answer"},
		"it is none any more":       {seeing(t, false, keeperAt(other, 2)), "k is not the keeper any more"},
	} {
		o, err := keeperSees(t.Context(), config.Target{Agent: row.asked.URL, Timeout: 2 * time.Second, AgentPort: 2378})
		var not notYet
		switch {
		case row.want == "" && (err != nil || !o.IsKeeper()):
			t.Errorf("%s: %v, keeper %v", name, err, o.IsKeeper())
		case row.want != "" && (!errors.As(err, &not) || !strings.Contains(not.why, row.want)):
			t.Errorf("%s: got %v, want %q", name, err, row.want)
		}
	}
}

// TestSoon: what may change by itself is waited for, and named when it has not; any
// other failure is told at once.
func TestSoon(t *testing.T) {
	for name, row := range map[string]struct {
		errs []error // of the first looks; the last one stays
		took time.Duration
		want string
	}{
		"at once":      {[]error{nil}, 0, ""},
		"in the third": {[]error{notYet{"no keeper"}, notYet{"no keeper"}, nil}, 500 * time.Millisecond, ""},
		"never":        {[]error{notYet{"no keeper"}}, keeperWithin, "the zone is to be left as it is: no keeper (waited 10s for it to change)"},
		"one of many":  {[]error{errors.Join(errors.New("refused"), notYet{"no keeper"}), errors.New("bad")}, 250 * time.Millisecond, "bad"},
		"no agent":     {[]error{errors.New("refused")}, 0, "refused"},
	} {
		synctest.Test(t, func(t *testing.T) {
			began, looks := time.Now(), 0
			_, err := soon(t.Context(), keeperWithin, func(context.Context) (int, error) {
				err := row.errs[min(looks, len(row.errs)-1)]
				looks++
				return looks, err
			})
			got := ""
			if err != nil {
				got = err.Error()
			}
			if took := time.Since(began); got != row.want || took != row.took {
				t.Errorf("%s: %q after %s, want %q after %s", name, got, took, row.want, row.took)
			}
		})
	}
}

// badZone can be read, or not, and never be changed.
type badZone struct{ unread error }

func (z badZone) List(context.Context, string) ([]publish.Set, error) { return nil, z.unread }
func (badZone) Apply(context.Context, []publish.Change) error {
	return errors.New("the zone is locked")
}

// TestBringFails: a sync that fails says nothing but why.
func TestBringFails(t *testing.T) {
	w := publish.Wish{Owner: publish.Owner{Cluster: "dev", Epoch: 1}, Records: []cluster.Record{{Name: "a.example.org", Type: "A", Data: "10.0.0.1", TTL: time.Minute}}}
	for _, zone := range []badZone{{}, {errors.New("no such zone")}} {
		var out strings.Builder
		if err := bring(t.Context(), &out, publish.New(zone, "example.org"), w); err == nil || out.Len() > 0 {
			t.Errorf("%+v: %v, and it prints %q", zone, err, out.String())
		}
	}
}
