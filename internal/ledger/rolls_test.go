package ledger_test

import (
	"errors"
	"fmt"
	"strings"
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
		for what, r := range map[string]cluster.Roll{
			"a number": {ID: "r", Nonce: "n", State: cluster.RollOpen},
			"an id":    {Number: 1, Nonce: "n", State: cluster.RollOpen},
			"a nonce":  {Number: 1, ID: "r", State: cluster.RollOpen},
			"a state":  {Number: 1, ID: "r", Nonce: "n"},
		} {
			if _, err = l.WriteRoll(t.Context(), r); err == nil {
				t.Errorf("an entry without %s was written", what)
			}
		}
	})
}

// TestRollDamaged: an entry that is not whole, or another one than its key says,
// is neither followed nor taken for none, nor written over.
func TestRollDamaged(t *testing.T) {
	const key = "ledger/rolls/0000000001.json"
	stores(t, func(t *testing.T, s *store.Store) {
		for _, text := range []string{
			`{"id":"r","nonce":"n","state":"open"}`,
			`{"number":2,"id":"r","nonce":"n","state":"open"}`,
			`{"number":1,"nonce":"n","state":"open"}`,
			`{"number":1,"id":"r","state":"open"}`,
			`{"number":1,"id":"r","nonce":"n"}`,
		} {
			must(t, s.Put(t.Context(), key, []byte(text)))
			l := ledger.Open(s, name)
			if r, err := l.Roll(t.Context(), 0); err == nil || errors.Is(err, ledger.ErrNone) || !strings.Contains(err.Error(), key) {
				t.Errorf("%s reads as %+v, %v", text, r, err)
			}
			if r, err := l.WriteRoll(t.Context(), roll(1, "you")); err == nil {
				t.Errorf("%s stands, and the writer is told %+v", text, r)
			}
			if got, err := s.Read(t.Context(), key); err != nil || string(got) != text {
				t.Errorf("%s was written over: %s, %v", text, got, err)
			}
		}
	})
}
