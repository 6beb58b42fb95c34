package agent

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/quorate/quorate/internal/backup"
	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/plan"
)

// readBackup finds the newest backup: for the keeper by its manifest, once; for
// a node without a quorum by reading and hashing it, which one with data does
// only if the backup may be newer than its own log, and who only looks does not.
func (b *storeBook) readBackup(ctx context.Context, e cluster.Epoch, s *snapshot) error {
	if s.report.Keeper {
		return b.readCatalog(ctx, e)
	}
	b.setCompared(false)
	return b.seekBackup(ctx, e, s.observation)
}

// readCatalog lists the backups, and holds that against what was once stored.
func (b *storeBook) readCatalog(ctx context.Context, e cluster.Epoch) error {
	if !b.facts().Backup.Unknown() && b.hasCompared() {
		return nil
	}
	before := b.a.memory.farthest()
	all, problems, err := backup.List(ctx, b.a.vault())
	if err == nil {
		err = b.a.compareStore(ctx, before, all)
	}
	for _, p := range problems {
		b.a.log.Warn("a backup makes no sense", "key", p.Key, "error", p.Err)
	}
	if err == nil {
		b.setCatalog(e, all)
		b.setCompared(true)
	}
	return err
}

func (b *storeBook) seekBackup(ctx context.Context, e cluster.Epoch, o plan.Observation) error {
	if now := (search{e, chosen(b.facts().Verdict.Value())}); b.soughtFor != now {
		b.soughtFor, b.sought = now, time.Time{}
	}
	o.Ledger = b.facts() // newer than what the last round saw: a charter may just have come
	if b.a.readOnly || !plan.SeeksBackup(o) || time.Since(b.sought) < verifyGap && !b.sought.Before(o.UnhealthySince) && !o.Ledger.Unread {
		return nil
	}
	b.sought = time.Now()
	if o.Disk.State == cluster.DiskData { // what is known may be of another time
		b.updateOf(e, func(l *plan.Ledger) { l.Backup = cluster.Unknown[cluster.Backup]() })
	}
	best, outdone, err := b.outdone(ctx, o.Disk)
	found := outdone && best.Key != ""
	var problems []backup.Problem
	if err == nil && !outdone {
		best, found, problems, err = b.bestBackup(ctx, o.Disk)
	}
	for _, p := range problems {
		b.a.log.Warn("a backup is no good", "key", p.Key, "error", p.Err)
	}
	f := cluster.Unknown[cluster.Backup]()
	switch {
	case err == nil && found:
		f = cluster.Known(best)
	case err == nil:
		f = cluster.Absent[cluster.Backup]()
	default:
		b.sought = b.sought.Add(failedGap - verifyGap)
	}
	b.updateOf(e, func(l *plan.Ledger) { l.Backup, l.Unread, l.Outdone = f, false, outdone })
	return err
}

// hasCompared says that this node, as the keeper that it is, has held what the store
// lists against what was once in it. A backup that it found while it had no quorum
// says nothing of that.
func (b *storeBook) hasCompared() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.compared
}

func (b *storeBook) setCompared(yes bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.compared = yes
}

// search is one for a good backup, in an epoch.
type search struct {
	epoch cluster.Epoch
	choice
}

// choice is an operator's, of one backup; zero: the newest.
type choice struct {
	key   string
	noLog bool
}

func chosen(v cluster.Verdict) choice { return choice{v.Backup, v.NoLog} }

// bestBackup is the one that an operator has named, if it is good; else the newest
// that is good; with the log behind it, unless the operator wants it as it is.
func (b *storeBook) bestBackup(ctx context.Context, d cluster.Disk) (cluster.Backup, bool, []backup.Problem, error) {
	verify := b.a.verify
	if d.State == cluster.DiskEmpty {
		verify = b.a.unpack
	}
	if b.soughtFor.key == "" {
		best, found, problems, err := backup.BestBy(ctx, b.a.vault(), b.a.opt.Settings.Cluster, verify)
		if err == nil && found {
			best.Log, err = b.a.logBehind(ctx, best)
		}
		return best, found, problems, err
	}
	named, err := backup.Read(ctx, b.a.vault(), b.soughtFor.key)
	if err == nil {
		err = verify(ctx, named)
	}
	if err == nil && !b.soughtFor.noLog {
		named.Log, err = b.a.logBehind(ctx, named)
	}
	if errors.Is(err, backup.ErrDamaged) {
		return cluster.Backup{}, false, []backup.Problem{{Key: b.soughtFor.key, Err: err}}, nil
	}
	return named, err == nil, nil, err
}

// outdone says that no backup, and no log behind one, can hold what the log of this
// disk lacks, and which backup is the newest. Who looks for the one that an operator
// has named is not asked.
func (b *storeBook) outdone(ctx context.Context, d cluster.Disk) (newest cluster.Backup, yes bool, err error) {
	if d.State != cluster.DiskData || b.soughtFor.key != "" {
		return cluster.Backup{}, false, nil
	}
	all, _, err := backup.List(ctx, b.a.vault())
	if err != nil {
		return cluster.Backup{}, false, err
	}
	all = slices.DeleteFunc(all, func(x cluster.Backup) bool { return x.Cluster != b.a.opt.Settings.Cluster })
	if len(all) > 0 {
		newest = all[0]
	}
	if slices.ContainsFunc(all, func(x cluster.Backup) bool { return plan.MayOutrun(x, d) }) {
		return newest, false, nil
	}
	longer, err := b.a.logMayOutrun(ctx, d)
	return newest, !longer, err
}

// setCatalog notes the store's backups, newest first, as they were in that epoch.
func (b *storeBook) setCatalog(e cluster.Epoch, all []cluster.Backup) {
	b.a.setCatalog(all)
	f := cluster.Absent[cluster.Backup]()
	if len(all) > 0 {
		f = cluster.Known(all[0])
	}
	b.updateOf(e, func(l *plan.Ledger) { l.Backup, l.Unread, l.Outdone = f, true, false })
}
