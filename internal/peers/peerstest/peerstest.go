// Package peerstest holds what every peers source keeps to, as tests.
package peerstest

import (
	"context"
	"reflect"
	"slices"
	"sync"
	"testing"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/peers/entry"
)

// Source is the contract under test; peers.Source has its words.
type Source interface {
	View(ctx context.Context) (cluster.View, error)
}

// Leaf is a source and what it must say.
type Leaf struct {
	Source Source
	Want   cluster.View
	// Break makes the source unreadable, and Mend readable again; both nil
	// when nothing can go wrong with it.
	Break, Mend func()
}

// Run tests a leaf.
func Run(t *testing.T, leaf Leaf) {
	view := func(t *testing.T) cluster.View {
		t.Helper()
		v, err := leaf.Source.View(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	t.Run("says what it should, each time", func(t *testing.T) {
		for range 2 {
			if got := view(t); !reflect.DeepEqual(got, leaf.Want) {
				t.Errorf("got  %+v\nwant %+v", got, leaf.Want)
			}
		}
	})
	t.Run("is sorted, whole and without twins", func(t *testing.T) {
		v := view(t)
		sorted := slices.Clone(v.Peers)
		cluster.SortPeers(sorted)
		if !slices.EqualFunc(sorted, v.Peers, func(a, b cluster.Peer) bool { return a.Name == b.Name }) {
			t.Errorf("not sorted: %+v", v.Peers)
		}
		if err := entry.Unique(v.Peers); err != nil {
			t.Error(err)
		}
		for _, p := range v.Peers {
			if err := entry.Check(p); err != nil || p.ID == "" {
				t.Errorf("%+v: %v", p, err)
			}
		}
	})
	t.Run("is the caller's own", func(t *testing.T) {
		v := view(t)
		for i := range v.Peers {
			v.Peers[i] = cluster.Peer{}
		}
		if got := view(t); !reflect.DeepEqual(got, leaf.Want) {
			t.Errorf("changed by a caller: %+v", got)
		}
	})
	t.Run("is unknown when there is no time", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		unknown(ctx, t, leaf.Source)
	})
	t.Run("is safe for concurrent use", func(t *testing.T) {
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				if v, err := leaf.Source.View(t.Context()); err != nil || !reflect.DeepEqual(v, leaf.Want) {
					t.Errorf("%+v, %v", v, err)
				}
			})
		}
		wg.Wait()
	})
	if leaf.Break == nil {
		return
	}
	t.Run("is unknown when broken, and recovers", func(t *testing.T) {
		leaf.Break()
		unknown(t.Context(), t, leaf.Source)
		leaf.Mend()
		if got := view(t); !reflect.DeepEqual(got, leaf.Want) {
			t.Errorf("mended: %+v", got)
		}
	})
}

// unknown wants an error, and nothing that could be taken for "nobody".
func unknown(ctx context.Context, t *testing.T, s Source) {
	t.Helper()
	if v, err := s.View(ctx); err == nil || !reflect.DeepEqual(v, cluster.View{}) {
		t.Errorf("got %+v, %v; want an error alone", v, err)
	}
}
