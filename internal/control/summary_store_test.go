package control

import (
	"testing"
	"time"

	"github.com/quorate/quorate/internal/cluster"
)

// TestStoreTrouble: that the store does not answer is told, and since when; that
// one of many cannot reach it is not.
func TestStoreTrouble(t *testing.T) {
	began := moment.Add(-45 * time.Second)
	ships := func(unable string, failing, stored time.Time) func(*cluster.Report) {
		return func(r *cluster.Report) {
			r.Log = &cluster.LogReport{Shipping: true, Unable: unable, Failing: failing, End: cluster.LogEnd{Epoch: 1, Chain: 1, Number: 3, At: stored}}
		}
	}
	looks := func(r *cluster.Report) { r.Care.Store, r.Care.StoreSince = "not a directory", began }
	fails, earlier := ships("writing: not a directory", began, began.Add(-time.Hour)), began.Add(-time.Minute)
	for name, row := range map[string]struct {
		changes []func(map[string]*cluster.Report)
		want    string
	}{
		"all is well":                        {changes(at("b", ships("", time.Time{}, began))), ""},
		"who ships":                          {changes(at("b", fails)), "the store has not answered since 2026-11-21T11:59:15Z: writing: not a directory, as b says"},
		"the keeper":                         {changes(at("a", looks)), "the store has not answered since 2026-11-21T11:59:15Z: not a directory, as a says"},
		"the keeper, and nobody else can":    {changes(at("a", looks), at("b", fails)), "the store has not answered since 2026-11-21T11:59:15Z: writing: not a directory, as b says"},
		"another stored something since":     {changes(at("b", ships("writing: x", earlier, began))), "the store has not answered since 2026-11-21T11:59:15Z: writing: x, as b says"},
		"another can ship":                   {changes(at("b", fails), at("c", ships("", time.Time{}, began))), ""},
		"who does not ship any more":         {changes(at("b", fails), at("b", func(r *cluster.Report) { r.Log.Shipping = false })), ""},
		"its log lacks an entry":             {changes(at("b", fails), at("b", func(r *cluster.Report) { r.Log.Hole = true })), ""},
		"its own log cannot be read":         {changes(at("b", ships("reading the log: x", time.Time{}, began))), "the raft log is not being stored: reading the log: x, as b says"},
		"who is not the keeper does not say": {changes(at("b", looks)), ""},
	} {
		reports, members := abc(row.changes...)
		s := Summarize("c", 3, reports, members, moment)
		state := Healthy
		if row.want != "" {
			state = Degraded
		}
		if s.Store != row.want || s.Reason != row.want || s.State != state {
			t.Errorf("%s: %s %q\n got %q\nwant %q", name, s.State, s.Reason, s.Store, row.want)
		}
	}
	reports, members := abc(dead("c"), at("b", fails)) // a lost voter is the worse news
	if s := Summarize("c", 3, reports, members, moment); s.Store == "" || s.Reason != "2 of 3 voters are healthy" {
		t.Errorf("%q, %q", s.Reason, s.Store)
	}
}
