package agent

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/quorate/quorate/internal/backup"
	"github.com/quorate/quorate/internal/chain"
	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/store"
)

// logPruneGap parts two looks for segments to let go: each lists the log.
const logPruneGap = time.Hour

// logPruned is when that was last done, and what was stored then.
type logPruned struct {
	mu   sync.Mutex
	at   time.Time
	mark string
}

// due says that it is to be done now, and notes that it is.
func (l *logPruned) due(mark string, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if mark == l.mark || now.Sub(l.at) < logPruneGap {
		return false
	}
	l.at, l.mark = now, mark
	return true
}

// prune lets go what retention no longer wants, out of the keeper's catalog: no
// LIST of backups. While housekeeping is paused, or its lock is unread, or the
// members' keys differ with no majority for any, nothing is deleted.
func (a *Agent) prune(ctx context.Context) {
	s := a.published.Load()
	if lock := s.observation.Ledger.Lock; !s.report.Keeper || s.report.Care.Torn != "" || lock.Unknown() || lock.Value().Held(time.Now()) {
		return
	}
	catalog, retention := a.catalog()
	remove := plan.Retain(catalog, retention, time.Now(), a.proven(s)...)
	if len(remove) > 0 {
		if err := backup.Prune(ctx, a.vault(), remove); err != nil {
			a.log.Warn("pruning backups", "error", err)
			return
		}
		a.log.Info("old backups let go", "count", len(remove))
		a.mu.Lock()
		a.backups.catalog = less(a.backups.catalog, remove)
		a.mu.Unlock()
	}
	if err := a.pruneLog(ctx, a.parts.Store, &a.logPruned, less(catalog, remove)); err != nil {
		a.log.Warn("pruning the log", "error", err)
	}
}

// proven are the backups that some node has restored and found good: they stay.
func (a *Agent) proven(s *snapshot) (keys []string) {
	for _, r := range s.observation.Reports {
		keys = append(keys, r.Proven)
	}
	return append(keys, a.proofs.provenKey())
}

// pruneLog lets go the log before the snapshots that keep theirs, now and then,
// and only if there is new log.
func (a *Agent) pruneLog(ctx context.Context, st *store.Store, last *logPruned, kept []cluster.Backup) error {
	s := a.published.Load()
	if !a.opt.Deltas || !last.due(a.loggedMark(s), time.Now()) {
		return nil
	}
	codec, err := chain.NewCodec(a.parts.Seal)
	if err != nil {
		return err
	}
	_, retention := a.catalog()
	log := plan.RetainLog(kept, retention, a.proven(s)...)
	chains, err := chain.List(ctx, st, 0)
	if err != nil {
		return err
	}
	r := chain.Reader{Objects: st, Codec: codec, Cluster: a.opt.Settings.Cluster}
	for _, c := range chains {
		from, known := log.From[c.Epoch]
		gone := 0
		switch {
		case c.Epoch < log.Drop:
			gone, err = chain.Drop(ctx, st, c)
		case known:
			gone, err = r.Prune(ctx, st, c, from)
		}
		if gone > 0 {
			a.log.Info("old log let go", "epoch", c.Epoch, "chain", c.Number, "segments", gone)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// less is all without those that are gone.
func less(all, gone []cluster.Backup) []cluster.Backup {
	return slices.DeleteFunc(slices.Clone(all), func(b cluster.Backup) bool {
		return slices.ContainsFunc(gone, func(g cluster.Backup) bool { return g.Key == b.Key })
	})
}
