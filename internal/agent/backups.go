package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/quorate/quorate/internal/backup"
	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/control"
	"github.com/quorate/quorate/internal/plan"
)

// backupLimit bounds one backup; within it the store's own limits on a stalled
// stream count. backupTries is how often one is asked for that is lost with the
// agent that has it taken: it is safe to repeat.
const (
	backupLimit = 6 * time.Hour
	backupTries = 3
)

// Taker takes a backup of the member at that endpoint, in a process of its own
// that takes only what is to spare; its contract is backup.Take's.
type Taker func(ctx context.Context, endpoint string, meta backup.Meta) (cluster.Backup, error)

// backupState is guarded by Agent.mu, but for turn and look.
type backupState struct {
	tried   time.Time
	asked   bool             // one of the schedule's is under way
	turn    chan struct{}    // of room one: who takes a backup here holds it
	look    time.Duration    // lookEvery, but in tests; never changed
	catalog []cluster.Backup // the keeper's: what the store holds, newest first
	newest  *cluster.Backup
}

// vault is the store as backups go through it, sealed.
func (a *Agent) vault() backup.Store { return backup.Sealed(a.parts.Store, a.parts.Seal) }

func (a *Agent) setCatalog(all []cluster.Backup) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.backups.catalog = all
	if len(all) > 0 {
		a.backups.newest = &all[0]
	}
}

// newestBackup is the newest good one that this node has heard of.
func (a *Agent) newestBackup(o plan.Observation) *cluster.Backup {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, r := range o.Reports {
		if b := r.Backup; b != nil && (a.backups.newest == nil || b.At.After(a.backups.newest.At)) {
			a.backups.newest = b
		}
	}
	return a.backups.newest
}

// startBackup has node by take a snapshot, in the background: a slow store
// delays no decision.
func (a *Agent) startBackup(ctx context.Context, by string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.backups.tried = time.Now()
	if a.backups.asked {
		return
	}
	a.backups.asked = true
	a.work.Go(func() {
		if _, err := a.backupBy(ctx, by); err != nil {
			a.log.Warn("backup failed", "by", by, "error", err)
		}
		a.mu.Lock()
		defer a.mu.Unlock()
		a.backups.asked = false
	})
}

// backupBy has one node take a backup, notes it, and then lets old ones go.
func (a *Agent) backupBy(ctx context.Context, by string) (cluster.Backup, error) {
	ctx, cancel := context.WithTimeout(ctx, backupLimit)
	defer cancel()
	b, err := a.backupAt(ctx, by)
	a.metrics.backup(err)
	if err != nil {
		return b, err
	}
	a.noteBackup(b)
	a.prune(ctx)
	return b, nil
}

// backupAt asks that node. Where it has died since it reported, dies or falls
// silent over it, or cannot just now, another takes it, at last the keeper itself.
func (a *Agent) backupAt(ctx context.Context, by string) (cluster.Backup, error) {
	for range backupTries - 1 {
		reports := a.published.Load().observation.Reports
		i := slices.IndexFunc(reports, func(r cluster.Report) bool { return r.Name == by && by != a.opt.Name })
		if i < 0 {
			break
		}
		b, err := a.backupFrom(ctx, reports[i], control.BackupRequest{Here: true}, func() bool { return false })
		if !undone(err) && !lost(err) && !errors.Is(err, control.ErrRefused) || ctx.Err() != nil {
			return b, err
		}
		a.log.Warn("no backup from there: it is taken elsewhere", "by", by, "error", err)
		next := plan.BackupBy(a.published.Load().observation)
		if next == by {
			break
		}
		by = next
	}
	return a.backupHere(ctx)
}

// backupHere streams our own etcd's snapshot to the store.
func (a *Agent) backupHere(ctx context.Context) (cluster.Backup, error) {
	if a.parts.Store == nil {
		return cluster.Backup{}, fmt.Errorf("%w: this node has no store: set --store", control.ErrRefused)
	}
	select { // behind the one that is being taken: that one may lack what was written since
	case a.backups.turn <- struct{}{}:
		defer func() { <-a.backups.turn }()
	case <-ctx.Done():
		return cluster.Backup{}, context.Cause(ctx)
	}
	o := a.published.Load().observation
	epoch := backupEpoch(o)
	switch {
	case !o.Etcd.Value().Healthy:
		return cluster.Backup{}, fmt.Errorf("%w: etcd is not healthy here", control.ErrRefused)
	case epoch == 0:
		return cluster.Backup{}, fmt.Errorf("%w: whether the data here is of this cluster's epoch is not known, or it is not", control.ErrRefused)
	}
	began := time.Now()
	b, err := a.takeHere(ctx, backup.Meta{Cluster: a.opt.Settings.Cluster, Epoch: epoch, By: a.opt.Name, Now: began})
	if err == nil {
		a.log.Info("backup taken", "key", b.Key, "revision", b.Revision, "bytes", b.Size, "stored_bytes", b.StoredSize, "took", time.Since(began))
	}
	return b, err
}

// backupEpoch is the charter's, unless the data on this disk is known to be of
// another epoch or cluster: 0, for what is stored of it would pass for what it is not.
func backupEpoch(o plan.Observation) cluster.Epoch {
	c := o.Ledger.Charter.Value()
	if o.OfAnother() || o.Disk.Stamp != nil && o.Disk.Stamp.Epoch != c.Epoch {
		return 0
	}
	return c.Epoch
}

func (a *Agent) takeHere(ctx context.Context, meta backup.Meta) (cluster.Backup, error) {
	if a.parts.Take != nil {
		return a.parts.Take(ctx, a.clientURL(), meta)
	}
	c := a.parts.Dial(a.clientURL())
	defer c.Close()
	return backup.Take(ctx, c, a.vault(), meta)
}

func (a *Agent) noteBackup(b cluster.Backup) {
	a.memory.hold(b.Stored())
	a.mu.Lock()
	a.backups.newest = &b
	known := slices.ContainsFunc(a.backups.catalog, func(c cluster.Backup) bool { return c.Key == b.Key })
	if !known {
		a.backups.catalog = append([]cluster.Backup{b}, a.backups.catalog...)
	}
	a.mu.Unlock()
	if s, ok := a.book.(*storeBook); ok {
		s.updateOf(b.Epoch, func(l *plan.Ledger) {
			if !l.Backup.Known() || l.Backup.Value().Index <= b.Index || l.Backup.Value().Epoch < b.Epoch {
				l.Backup, l.Unread, l.Outdone = cluster.Known(b), true, false
			}
		})
	}
}

// Backup takes one: here, or wherever the keeper decides. What fails because this
// agent is about to end is passed back: another does it.
func (a *Agent) Backup(ctx context.Context, q control.BackupRequest) (cluster.Backup, error) {
	b, err := a.backup(ctx, q)
	if err != nil && a.stops() {
		err = fmt.Errorf("%w: the agent of %s is stopping: %v", control.ErrMoved, a.opt.Name, err) // whatever err was besides
	}
	return b, err
}

func (a *Agent) backup(ctx context.Context, q control.BackupRequest) (cluster.Backup, error) {
	switch {
	case q.Here:
		return a.backupHere(ctx)
	case a.parts.Store == nil:
		return cluster.Backup{}, fmt.Errorf("%w: this cluster has no store: set --store", control.ErrRefused)
	}
	return atKeeper(ctx, a, errand[cluster.Backup]{
		passed: q.PassedOn, wait: keeperWait, tries: backupTries,
		here: func(s *snapshot) (cluster.Backup, error) { return a.backupBy(ctx, plan.BackupBy(s.observation)) },
		there: func(k cluster.Report) (cluster.Backup, error) {
			return a.backupFrom(ctx, k, control.BackupRequest{PassedOn: true}, func() bool { return a.replaced(k) })
		},
	})
}

// Backups lists what the store holds.
func (a *Agent) Backups(ctx context.Context) ([]cluster.Backup, error) {
	if a.parts.Store == nil {
		return nil, fmt.Errorf("%w: this cluster has no store: set --store", control.ErrRefused)
	}
	all, problems, err := backup.List(ctx, a.vault())
	var errs []error
	for _, p := range problems {
		errs = append(errs, fmt.Errorf("%s: %w", p.Key, p.Err))
	}
	if err == nil && len(all) == 0 {
		err = errors.Join(errs...)
	}
	return all, err
}
