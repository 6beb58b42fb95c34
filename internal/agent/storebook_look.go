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

// lookAgain is how soon after a failure it is looked again.
const lookAgain = 10 * time.Second

// look asks the store, while this node is the keeper and the store is read seldom,
// for what was the newest in it at the last look, and for each segment since. What
// is the newest now says less: it may have been stored in an old copy, behind a gap.
func (b *storeBook) look(ctx context.Context) {
	s := b.a.published.Load()
	if !s.report.Keeper || b.a.memory.lacking() != "" { // what is missing is being made up for
		b.looking = looking{}
		return
	}
	newest := b.a.newestWitness(s)
	w := b.looking.witness
	again := newest.Key != "" && b.isFailing() && time.Since(b.looking.at) >= lookAgain
	if !again && !plan.LooksForWitness(w, newest, time.Since(b.looking.at)) {
		return
	}
	if w.Key == "" {
		w = newest
	}
	missing, err := b.missing(ctx, w, newest)
	if missing.Key != "" {
		err = b.miss(ctx, missing)
	}
	b.looking.at = time.Now()
	if err == nil { // else the same one is looked for again
		b.looking.witness = newest
	}
	b.fail(err)
}

// missing is w, or the first segment after it up to newest, if the store has lost
// it: a full snapshot that reaches as far makes up for it.
func (b *storeBook) missing(ctx context.Context, w, newest plan.Witness) (plan.Witness, error) {
	gone, err := b.hasGone(ctx, w.Key)
	switch {
	case err != nil:
		return plan.Witness{}, err
	case gone:
		return w, nil
	}
	from, to := w.Gap(newest)
	if last := segmentKey(w.Log); from <= to && w.Log.Number > 0 && w.Key != last {
		if gone, err := b.hasGone(ctx, last); err != nil || gone { // let go, and what follows it maybe too
			return plan.Witness{}, err
		}
	}
	there, listed := map[string]bool{}, ""
	for e := newest.Log; from <= to; from++ {
		e.Number = from
		key := segmentKey(e)
		if prefix := manyOf(key, to-from); prefix != listed {
			objects, err := b.a.parts.Store.List(ctx, prefix)
			if err != nil {
				return plan.Witness{}, err
			}
			for _, o := range objects {
				there[o.Key] = true
			}
			listed = prefix
		}
		if !there[key] {
			newest.Key = key
			return newest, nil
		}
	}
	return plan.Witness{}, nil
}

func segmentKey(e cluster.LogEnd) string { return chain.Key(e.Epoch, e.Chain, e.Number) }

// manyOf is a prefix that a segment's key shares with a hundred others, or with a
// thousand, which is a page of a listing.
func manyOf(key string, wanted uint64) string {
	digits := len("00.seg")
	if wanted > 500 {
		digits++
	}
	return key[:len(key)-digits]
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
	before, epoch := b.a.memory.farthest(), b.facts().Charter.Value().Epoch
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
	b.setCatalog(epoch, all) // retention goes by what is there
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
	for _, r := range slices.Concat(s.observation.Reports, []cluster.Report{s.report}) {
		if r.Log != nil && r.Log.End.Epoch == epoch && w.Log.Before(r.Log.End) {
			w.Log = r.Log.End
		}
	}
	if w.Log.Number > 0 {
		w.Key, w.Stored = segmentKey(w.Log), w.Log.Stored()
	}
	if b := a.newestBackup(s.observation); b != nil && b.Epoch == epoch {
		if full := (cluster.Stored{Epoch: b.Epoch, Index: b.Index, Term: b.Term}); w.Outlived(full) {
			w.Key, w.Stored = b.Key, full
		}
	}
	return w
}
