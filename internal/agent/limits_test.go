package agent

import (
	"context"
	"log/slog"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/etcd"
)

// blackHole answers nothing until the caller gives up.
type blackHole struct{}

func (blackHole) RoundTrip(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// TestSilentAgentIsAskedAgain: an exchange that nobody answers ends by itself,
// or a machine that comes back would never be heard.
func TestSilentAgentIsAskedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &Agent{log: slog.New(slog.DiscardHandler), metrics: newMetrics(nil), parts: Parts{HTTP: &http.Client{Transport: blackHole{}},
			AtPeer: func(ctx context.Context, _ string) (etcd.PeerPort, error) { return etcd.PeerPort{}, ctx.Err() }}}
		a.published.Store(&snapshot{})
		c := &contact{asking: true}
		began := time.Now()
		a.exchange(t.Context(), "http://10.0.0.9:2378", "http://10.0.0.9:2380", c)
		if took := time.Since(began); c.asking || took > 3*time.Second {
			t.Errorf("asking: %v, after %s: want it ended within 3s", c.asking, took)
		}
	})
}

// lateSource answers once, and then not within any call's limit.
type lateSource struct{ calls int }

func (s *lateSource) View(ctx context.Context) (cluster.View, error) {
	if s.calls++; s.calls == 1 {
		return cluster.View{Peers: []cluster.Peer{{Name: "a", Host: "a", State: cluster.Running}}}, nil
	}
	<-ctx.Done()
	return cluster.View{}, ctx.Err()
}

// TestLateSourceIsUnknown: what a source said before it fell silent is not
// believed for as long as its call may last.
func TestLateSourceIsUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		a := &Agent{log: slog.New(slog.DiscardHandler), parts: Parts{Source: &lateSource{}}, wake: make(chan struct{}, 1)}
		ended := make(chan struct{})
		go func() { a.watchSource(ctx); close(ended) }()
		known := func() bool {
			synctest.Wait()
			a.mu.Lock()
			defer a.mu.Unlock()
			return a.view.Known()
		}
		if !known() {
			t.Error("the first answer is not known")
		}
		time.Sleep(7 * time.Second) // of the bubble's clock: into the second call
		if known() {
			t.Error("a source that has been silent for 6s is still believed")
		}
		stop()
		<-ended
	})
}
