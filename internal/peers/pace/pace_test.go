package pace

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate/internal/cluster"
)

// TestHolds: one look a time for a whole view; a small or failed one is no news
// to hold.
func TestHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		looks, size, fails := 0, 2, false
		s := New(10*time.Second, func(context.Context) (cluster.View, error) {
			looks++
			if fails {
				return cluster.View{}, errors.New("broken")
			}
			return cluster.View{Size: size, Peers: []cluster.Peer{{Name: "a"}}}, nil
		})
		ask := func(wait time.Duration, wantLooks int, wantErr bool) {
			t.Helper()
			time.Sleep(wait)
			v, err := s.View(t.Context())
			if looks != wantLooks || (err != nil) != wantErr || (err == nil) != (len(v.Peers) == 1) {
				t.Errorf("%d looks, want %d; %v, %v", looks, wantLooks, v, err)
			}
			for i := range v.Peers {
				v.Peers[i].Name = "changed"
			}
		}
		ask(0, 1, false)
		ask(0, 2, false) // smaller than its size: not held
		size = 1
		ask(0, 3, false)
		ask(9*time.Second, 3, false)
		if v, _ := s.View(t.Context()); v.Peers[0].Name != "a" {
			t.Error("a caller changed what is held")
		}
		fails = true
		ask(2*time.Second, 4, true)
		ask(0, 5, true)
		fails = false
		ask(0, 6, false)
	})
}

// TestSlowLook: a caller without patience does not wait for another's look.
func TestSlowLook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(time.Second, func(ctx context.Context) (cluster.View, error) {
			time.Sleep(time.Minute)
			return cluster.View{}, nil
		})
		go s.View(t.Context())
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := s.View(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
		time.Sleep(time.Minute)
	})
}
