package agent

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/plan"
)

// TestLateness: reports that were held up on their way do not count, however the two
// clocks stand; those of a clock that was set, or of a way that has become slow,
// count again after a while.
func TestLateness(t *testing.T) {
	const tick = time.Second
	// took is how many seconds each report was on its way; one comes each second.
	for name, row := range map[string]struct {
		took []float64
		late []bool
	}{
		"as ever":           {[]float64{0, 0.1, 0, 2.5, 0}, []bool{false, false, false, false, false}},
		"held up once":      {[]float64{0, 0, 3.2, 0}, []bool{false, false, true, false}},
		"held up at times":  {[]float64{0, 9, 0, 9, 0, 9, 0, 9, 0}, []bool{false, true, false, true, false, true, false, true, false}},
		"a slow way":        {[]float64{0, 5, 5, 5, 5, 5, 5}, []bool{false, true, true, true, true, false, false}},
		"the first is late": {[]float64{9, 0, 0, 9}, []bool{false, false, false, true}},
	} {
		for _, ahead := range []time.Duration{0, time.Hour, -time.Hour} { // the sender's clock
			var l lateness
			now := time.Now()
			for i, took := range row.took {
				now = now.Add(tick)
				r := cluster.Report{At: now.Add(ahead - time.Duration(took*float64(time.Second)) - time.Minute).Round(0), Age: time.Minute}
				if got := l.late(r, now); got != row.late[i] {
					t.Errorf("%s, a clock ahead by %s: report %d is late: %v", name, ahead, i, got)
				}
			}
		}
	}
	var l lateness
	if now := time.Now(); l.late(cluster.Report{}, now) || l.known {
		t.Error("a report without a time is late, or says how fast others are")
	}
}

// TestLatenessDrifts: clocks that drift apart, ever so slowly, make nothing late.
func TestLatenessDrifts(t *testing.T) {
	var l lateness
	now := time.Now()
	for i := range 100_000 {
		now = now.Add(time.Second)
		if l.late(cluster.Report{At: now.Add(-time.Duration(i) * time.Millisecond / 2).Round(0)}, now) { // 500 ppm: what a clock is slewed by at most
			t.Fatalf("after %d s", i)
		}
	}
}

// TestHeldUp: an agent that was held up takes no notice of what was sent to it
// meanwhile, and does of what is sent now.
func TestHeldUp(t *testing.T) {
	a := newAgent(Options{Name: "a", Settings: plan.Settings{Cluster: "test"}}, Parts{Log: slog.New(slog.DiscardHandler)})
	send := func(at time.Time, leader cluster.MemberID) {
		a.Exchange(cluster.Report{Cluster: "test", Name: "b", PeerURL: "http://b:2380", At: at.Round(0), Etcd: cluster.EtcdState{Leader: leader}})
	}
	heard := func() (leaders []cluster.MemberID) {
		a.mu.Lock()
		defer a.mu.Unlock()
		reports, _ := a.freshReports(time.Now())
		for _, r := range reports {
			leaders = append(leaders, r.Etcd.Leader)
		}
		return leaders
	}
	now := time.Now()
	send(now, 1)
	send(now.Add(-10*time.Second), 2)
	if got := fmt.Sprint(heard()); got != fmt.Sprint([]cluster.MemberID{1}) {
		t.Errorf("it has heard %s: want what was sent now alone", got)
	}
	delete(a.guests, "http://b:2380") // as a round does that comes first
	send(now.Add(-10*time.Second), 2)
	if got := heard(); len(got) != 0 {
		t.Errorf("it has heard %v: want nothing", got)
	}
}

// TestProbesExpire: that a member answered before a round was held up does not make
// it healthy after it, nor dead.
func TestProbesExpire(t *testing.T) {
	now := time.Now()
	for age, healthy := range map[time.Duration]bool{0: true, reportFresh: true, reportFresh + time.Millisecond: false} {
		a := &Agent{probes: map[cluster.MemberID]*probe{1: {Probe: plan.Probe{Healthy: true}, answered: now.Add(-age)}}}
		got := a.probeResults(now)[1]
		if got.Healthy != healthy || got.UnhealthySince.IsZero() != healthy || !healthy && now.Sub(got.UnhealthySince) > 0 {
			t.Errorf("an answer of %s ago: %+v", age, got)
		}
		if !a.probes[1].Healthy {
			t.Error("it is not asked again as the one that it was")
		}
	}
}

// TestHeldUpAnswer: what an agent answered long ago does not count either.
func TestHeldUpAnswer(t *testing.T) {
	at := time.Now()
	peer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(cluster.Report{Cluster: "test", Name: "b", PeerURL: "http://b:2380", At: at.Round(0)})
	}))
	defer peer.Close()
	a := newAgent(Options{Name: "a", Settings: plan.Settings{Cluster: "test"}}, Parts{Log: slog.New(slog.DiscardHandler), HTTP: peer.Client()})
	c := &contact{}
	a.exchange(t.Context(), peer.URL, "http://b:2380", c)
	first := c.at
	if first.IsZero() {
		t.Fatal("the first answer did not count")
	}
	at = at.Add(-10 * time.Second)
	a.exchange(t.Context(), peer.URL, "http://b:2380", c)
	if !c.at.Equal(first) {
		t.Error("an answer of ten seconds before the first one counts")
	}
}

// TestNewestReport: of what an agent has answered and what it has sent, the later
// word counts, whichever came first.
func TestNewestReport(t *testing.T) {
	now := time.Now()
	report := func(at time.Duration) cluster.Report {
		return cluster.Report{PeerURL: "http://b:2380", At: now.Add(at).Round(0)}
	}
	for _, sent := range []time.Duration{-time.Second, time.Second} {
		a := newAgent(Options{Name: "a", Settings: plan.Settings{Cluster: "test"}}, Parts{Log: slog.New(slog.DiscardHandler)})
		a.heard["http://b:2378"] = &contact{report: report(0), at: now}
		a.guests["http://b:2380"] = heardReport{report(sent), now.Add(-sent / 2)}
		reports, _ := a.freshReports(now)
		if want := now.Add(max(0, sent)).Round(0); len(reports) != 1 || !reports[0].At.Equal(want) {
			t.Errorf("sent %s after the answer: %+v", sent, reports)
		}
	}
}

// TestManySenders: who names himself ever anew fills no memory.
func TestManySenders(t *testing.T) {
	a := newAgent(Options{Name: "a", Settings: plan.Settings{Cluster: "test"}}, Parts{Log: slog.New(slog.DiscardHandler)})
	for i := range 3 * maxSpeeds {
		a.isLate(cluster.Report{PeerURL: fmt.Sprint(i), At: time.Now()}, time.Now())
	}
	if n := len(a.speeds); n > maxSpeeds {
		t.Errorf("%d are remembered", n)
	}
}
