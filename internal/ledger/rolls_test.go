package ledger_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/ledger"
	"github.com/quorate/quorate/internal/store"
)

func roll(n uint64, nonce string) cluster.Roll {
	return cluster.Roll{Number: n, ID: "r", Nonce: nonce, Kind: cluster.RollUpgrade, State: cluster.RollOpen, By: nonce, At: noon,
		Hop: cluster.Version{Major: 3, Minor: 6, Patch: 14}, To: cluster.Version{Major: 3, Minor: 7, Patch: 3}}
}

// Many write the same entry, and all get to know the one that stands.
func TestManyWriteOneRoll(t *testing.T) {
	stores(t, func(t *testing.T, s *store.Store) {
		for n := uint64(1); n < 4; n++ {
			stand := make([]cluster.Roll, 8)
			var wg sync.WaitGroup
			for i := range stand {
				wg.Go(func() {
					var err error
					if stand[i], err = ledger.Open(s, name).WriteRoll(t.Context(), roll(n, fmt.Sprintf("m%d", i))); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			newest, err := ledger.Open(s, name).Roll(t.Context(), 0)
			must(t, err)
			for _, r := range append(stand, newest) {
				if r != stand[0] || r.Number != n {
					t.Errorf("entry %d is %+v to one, %+v to another", n, stand[0], r)
				}
			}
		}
	})
}

func TestRollsHaveNoGaps(t *testing.T) {
	stores(t, func(t *testing.T, s *store.Store) {
		l := ledger.Open(s, name)
		_, err := l.Roll(t.Context(), 0)
		wantErr(t, "no roll", err, ledger.ErrNone)
		_, err = l.WriteRoll(t.Context(), roll(2, "me"))
		wantErr(t, "an entry after none", err, ledger.ErrNone)
		_, err = l.WriteRoll(t.Context(), cluster.Roll{Number: 1, ID: "r", Nonce: "n"})
		if err == nil {
			t.Error("an entry without a state was written")
		}
	})
}
