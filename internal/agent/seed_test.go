package agent

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/seal"
	"github.com/quorate/quorate/internal/store"
)

// TestRestoreEnds: a restore from a store that does not answer is broken off when
// the agent is to end, or when a newer charter comes, and nothing is said of the
// seed.
func TestRestoreEnds(t *testing.T) {
	asked, over := make(chan struct{}, 100), make(chan struct{})
	hangs := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		select {
		case <-over:
		case <-r.Context().Done():
		}
	}))
	defer hangs.Close()
	defer close(over)
	t.Setenv("AWS_ACCESS_KEY_ID", "x")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "x")
	t.Setenv("AWS_REGION", "us-east-1")
	st, err := store.Open(t.Context(), "s3://bucket?endpoint="+hangs.URL+"&use_path_style=true", "test")
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	why := map[string]string{"the agent ends": "this agent ends", "a newer charter": errStale.Error() + ": epoch 3 is in force by now"}
	for name, end := range map[string]func(stop chan struct{}, b *storeBook){
		"the agent ends":  func(stop chan struct{}, _ *storeBook) { close(stop) },
		"a newer charter": func(_ chan struct{}, b *storeBook) { b.setCharter(cluster.Charter{Epoch: 3}) },
	} {
		t.Run(name, func(t *testing.T) {
			a := newAgent(Options{Name: "a", DataDir: t.TempDir(), Settings: plan.Settings{Cluster: "test"}}, Parts{Log: slog.New(slog.DiscardHandler), Store: st, Seal: seal.New(seal.Keys{})})
			b := newStoreBook(st, a)
			a.book = b
			stop := make(chan struct{})
			a.stopping = stop
			b.setCharter(cluster.Charter{Epoch: 2})
			done := make(chan error, 1)
			go func() {
				done <- a.restoreSeed(t.Context(), cluster.Charter{Epoch: 2, Seed: cluster.Seed{Kind: cluster.SeedBackup, Backup: "backup/0000000001/x.json"}})
			}()
			select {
			case <-asked:
			case err := <-done:
				t.Fatalf("the store was not asked: %v", err)
			}
			end(stop, b)
			select {
			case err := <-done:
				if err == nil || err.Error() != why[name] || a.seedFails.of(2) != 0 {
					t.Errorf("%v, and the seed has failed %d times", err, a.seedFails.of(2))
				}
			case <-time.After(8 * time.Second): // the request would end after 10 s by itself
				t.Error("it goes on")
			}
		})
	}
}
