package agent

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/quorate/quorate/internal/backup"
	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/plan"
)

const (
	// copyLook is how often the keeper asks itself, not the stores, whether there
	// is something new to copy.
	copyLook = time.Second
	// copyGap parts two comparisons of the stores: each lists both.
	copyGap = 30 * time.Second
	// copyRetry parts a failed one from the next.
	copyRetry = 5 * time.Second
	// copyLimit bounds one of them.
	copyLimit = 6 * time.Hour
)

// lagging is how far the copy is behind, for the metric.
type lagging struct {
	mu    sync.Mutex
	known string    // what is to be copied, as far as is known
	since time.Time // since when something is; zero: nothing

	pruned logPruned // of watchCopy alone
}

// note says that the first store holds what mark stands for.
func (l *lagging) note(mark string, now time.Time) (behind bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if mark != l.known && l.since.IsZero() {
		l.since = now
	}
	l.known = mark
	return !l.since.IsZero()
}

// caught says that the copy has all that was there when that mark was noted.
// What has come since is behind from then on.
func (l *lagging) caught(mark string, began time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.since = time.Time{}
	if l.known != mark {
		l.since = began
	}
}

// seconds is the lag: 0 when the copy has all.
func (l *lagging) seconds() float64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.since.IsZero() {
		return 0
	}
	return time.Since(l.since).Seconds()
}

// watchCopy brings the second store up to the first, while this node is the
// keeper. It delays nothing else; with nothing new it asks the stores nothing.
func (a *Agent) watchCopy(ctx context.Context) {
	if a.parts.Copy == nil || a.parts.Store == nil {
		return
	}
	said := ""
	for sleep(ctx, copyLook); ctx.Err() == nil; sleep(ctx, copyLook) {
		s := a.published.Load()
		if !s.report.Keeper {
			a.copying.leave()
			continue
		}
		mark, began := a.storedMark(s), time.Now()
		if !a.copying.note(mark, began) {
			continue
		}
		err := a.copyOnce(ctx)
		if err == nil {
			a.copying.caught(mark, began)
			said = ""
			sleep(ctx, copyGap)
			continue
		}
		if ctx.Err() == nil && err.Error() != said {
			said = err.Error()
			a.log.Warn("copying backups to the second store", "copy", a.parts.Copy.String(), "error", err)
		}
		sleep(ctx, copyRetry)
	}
}

// leave forgets: another keeper copies.
func (l *lagging) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.known, l.since = "", time.Time{}
}

// storedMark changes whenever something new is in the store.
func (a *Agent) storedMark(s *snapshot) string {
	mark := "keeper" // a new keeper compares once
	if b := a.newestBackup(s.observation); b != nil {
		mark += " " + b.Key
	}
	return mark + a.loggedMark(s)
}

// copyOnce compares and copies, and then lets go in the copy what retention no
// longer wants there, by the copy's own listing.
func (a *Agent) copyOnce(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, copyLimit)
	defer cancel()
	n, err := backup.Copy(ctx, a.parts.Store, a.parts.Copy)
	if n > 0 {
		a.log.Info("backups copied", "copy", a.parts.Copy.String(), "objects", n)
	}
	if err != nil {
		return err
	}
	sealed := backup.Sealed(a.parts.Copy, a.parts.Seal)
	have, _ := a.catalog()
	all, _, err := backup.List(ctx, sealed, have...)
	if err != nil {
		return err
	}
	if a.published.Load().report.Care.Torn != "" {
		return nil // whichever is let go may be the right one
	}
	gone := a.extinct(all)
	if err := backup.Prune(ctx, sealed, gone); err != nil {
		return err
	}
	return a.pruneLog(ctx, a.parts.Copy, &a.copying.pruned, less(all, gone))
}

// extinct are those that retention lets go and that the first store has let go
// too, so that they are not copied again.
func (a *Agent) extinct(all []cluster.Backup) []cluster.Backup {
	have, retention := a.catalog()
	return slices.DeleteFunc(plan.Retain(all, retention, time.Now()), func(b cluster.Backup) bool {
		return slices.ContainsFunc(have, func(h cluster.Backup) bool { return h.Key == b.Key })
	})
}

// catalog is what the first store holds, and which of it is to stay.
func (a *Agent) catalog() ([]cluster.Backup, plan.Retention) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.backups.catalog), a.retention
}

// loggedMark changes whenever a segment of the log is new in the store.
func (a *Agent) loggedMark(s *snapshot) string {
	var end cluster.LogEnd
	for _, r := range slices.Concat(s.observation.Reports, []cluster.Report{s.report}) {
		if r.Log != nil && end.Before(r.Log.End) {
			end = r.Log.End
		}
	}
	return fmt.Sprint(" ", end.Epoch, end.Chain, end.Number)
}
