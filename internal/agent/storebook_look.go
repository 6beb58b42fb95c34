package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/quorate/quorate/internal/backup"
	"github.com/quorate/quorate/internal/chain"
	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/store"
)

// looking is of the watch alone: what the keeper looks for in the store, and when it
// last did.
type looking struct {
	witness plan.Witness
	at      time.Time
}

// look asks the store, while this node is the keeper and the store is read seldom,
// for what was the newest in it at the last look. What is the newest now says less:
// what was stored a moment ago is in an old copy too, behind a gap. An old copy that
// is younger than the last look is not noticed here, but by the next proof.
func (b *storeBook) look(ctx context.Context) {
	s := b.a.published.Load()
	if !s.report.Keeper || b.a.memory.lacking() != "" { // what is missing is being made up for
		b.looking = looking{}
		return
	}
	newest := b.a.newestWitness(s)
	w := b.looking.witness
	if !plan.LooksForWitness(w, newest, time.Since(b.looking.at)) {
		return
	}
	if w.Key == "" {
		w = newest
	}
	gone, err := b.hasGone(ctx, w.Key)
	if gone {
		err = b.miss(ctx, w)
	}
	b.looking.at = time.Now()
	if err == nil { // else the same one is looked for again
		b.looking.witness = newest
	}
	b.fail(err)
}

func (b *storeBook) hasGone(ctx context.Context, key string) (bool, error) {
	_, err := b.a.parts.Store.Read(ctx, key)
	if errors.Is(err, store.ErrNotFound) {
		return true, nil
	}
	return false, err
}

// miss is for a witness that has gone: unless the store holds as much without it,
// that is told, and made up for.
func (b *storeBook) miss(ctx context.Context, w plan.Witness) error {
	before := b.a.memory.farthest()
	all, _, err := backup.List(ctx, b.a.vault())
	if err != nil {
		return err
	}
	var full cluster.Stored
	if len(all) > 0 {
		full = all[0].Stored()
	}
	if gone, err := b.hasGone(ctx, w.Key); err != nil || !gone {
		return err
	}
	b.setCatalog(all) // retention goes by what is there
	if w.Outlived(full) {
		b.a.log.Warn("what was stored has gone, and a full snapshot holds it all", "key", w.Key)
		return nil
	}
	b.a.lack(fmt.Sprintf("the store lacks %s, which was in it: the newest full snapshot reaches epoch %d, index %d, and the log once reached epoch %d, index %d: is it an old copy?",
		w.Key, full.Epoch, full.Index, before.Epoch, before.Index), before)
	return nil
}

// newestWitness is the farthest that this node has heard of in the store, of the epoch in force.
func (a *Agent) newestWitness(s *snapshot) (w plan.Witness) {
	epoch := s.observation.Ledger.Charter.Value().Epoch
	if b := a.newestBackup(s.observation); b != nil && b.Epoch == epoch {
		w = plan.Witness{Key: b.Key, Stored: cluster.Stored{Epoch: b.Epoch, Index: b.Index, Term: b.Term}}
	}
	for _, r := range slices.Concat(s.observation.Reports, []cluster.Report{s.report}) {
		if r.Log == nil || r.Log.End.Number == 0 || r.Log.End.Epoch != epoch {
			continue
		}
		e := plan.Witness{Key: chain.Key(r.Log.End.Epoch, r.Log.End.Chain, r.Log.End.Number), Stored: r.Log.End.Stored()}
		if !e.Outlived(w.Stored) {
			w = e
		}
	}
	return w
}
