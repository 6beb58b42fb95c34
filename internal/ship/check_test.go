package ship

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/chain"
)

// checks are the hashes that the newest chain carries, by segment.
func (w *world) checks() (all []chain.HashKV, segments int) {
	w.t.Helper()
	chains, err := chain.List(context.Background(), w.store, w.epoch)
	w.must(err)
	c := chains[len(chains)-1]
	r := chain.Reader{Objects: w.store, Codec: w.codec, Cluster: "test"}
	for _, s := range c.Segments {
		h, _, err := r.Header(context.Background(), c.Epoch, c.Number, s.Number)
		w.must(err)
		if h.Check == nil {
			continue
		}
		all = append(all, *h.Check)
		// Here each entry makes one revision.
		if h.Check.Revision > int64(h.Last) || h.Check.Hash != uint32(7*h.Check.Revision) {
			w.t.Errorf("segment %d, up to revision %d, carries %+v", h.Number, h.Last, h.Check)
		}
	}
	return all, len(c.Segments)
}

// TestChecks: now and then a segment carries a hash of the keys, of a revision
// that it or one before it holds; a great database is hashed only while nothing
// is written, and a greater one never.
func TestChecks(t *testing.T) {
	for name, row := range map[string]struct {
		inUse    int64
		every    time.Duration // between two writes
		min, max int           // checks in 20 minutes
	}{
		"small, busy":        {checkSmall, time.Second, 3, 5},
		"small, quiet":       {checkSmall, time.Minute, 3, 5},
		"great, busy":        {checkSmall + 1, time.Second, 0, 0},
		"great, quiet":       {checkGreat, time.Minute, 2, 5},
		"too great":          {checkGreat + 1, time.Minute, 0, 0},
		"nothing is written": {checkSmall, 20 * time.Minute, 0, 2},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, 3, func(w *world) {
				w.inUse = row.inUse
				w.full()
				w.pass(5 * time.Second)
				w.put(1, 1)
				for at := row.every; at <= 20*time.Minute; at += row.every {
					w.pass(row.every)
					w.put(1, 1)
				}
				w.pass(2 * time.Second)
				w.wantStored(1)
				all, segments := w.checks()
				if len(all) < row.min || len(all) > row.max || w.hashed > row.max+1 {
					t.Errorf("%d checks in %d segments, %d hashes: want %d to %d", len(all), segments, w.hashed, row.min, row.max)
				}
				for i, c := range all {
					if i > 0 && c.Revision <= all[i-1].Revision {
						t.Errorf("the same twice: %+v, %+v", all[i-1], c)
					}
				}
			})
		})
	}
}

// TestChecksFail: a member that does not say its hash, or not of which revision,
// ships all the same, and none of it late.
func TestChecksFail(t *testing.T) {
	for name, hash := range map[string]func(context.Context) (chain.HashKV, error){
		"it hangs": func(ctx context.Context) (chain.HashKV, error) {
			<-ctx.Done()
			return chain.HashKV{}, ctx.Err()
		},
		"no revision": func(context.Context) (chain.HashKV, error) { return chain.HashKV{Compact: -1, Hash: 7}, nil },
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, 3, func(w *world) {
				w.full()
				w.pass(5 * time.Second)
				w.put(1, 1)
				w.pass(time.Second)
				for _, n := range w.nodes {
					n.parts.Hash = hash
				}
				for range 30 {
					w.put(1, 1)
					w.pass(time.Minute)
					w.wantStored(1)
				}
				if said := w.said.String(); strings.Contains(said, "not being stored") {
					t.Error(said)
				}
			})
		})
	}
}
