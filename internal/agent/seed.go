package agent

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"github.com/quorate/quorate/internal/backup"
	"github.com/quorate/quorate/internal/chain"
	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/replay"
	"github.com/quorate/quorate/internal/seal"
)

// archive is where our snapshots and our log are.
func (a *Agent) archive() (replay.Source, error) {
	codec, err := chain.NewCodec(a.parts.Seal)
	name := a.opt.Settings.Cluster
	return replay.Source{Store: a.vault(), Cluster: name, Log: chain.Reader{Objects: a.parts.Store, Codec: codec, Cluster: name}, Etcds: a.argv}, err
}

// logBehind is the end of the log that a charter may promise behind a snapshot.
func (a *Agent) logBehind(ctx context.Context, b cluster.Backup) (cluster.LogEnd, error) {
	src, err := a.archive()
	if err != nil {
		return cluster.LogEnd{}, err
	}
	end, why, err := replay.Behind(ctx, src, b)
	if why != "" {
		a.log.Warn("the log in the store cannot be restored to its end", "backup", b.Key, "index", max(end.Index, b.Index), "why", why)
	}
	return end, err
}

// logMayOutrun says that the log in the store may hold what the log of this disk
// lacks. One whose end is damaged may: only reading it tells.
func (a *Agent) logMayOutrun(ctx context.Context, d cluster.Disk) (bool, error) {
	src, err := a.archive()
	if err != nil {
		return false, err
	}
	end, err := src.Log.End(ctx, d.Epoch())
	if errors.Is(err, chain.ErrDamaged) || errors.Is(err, seal.ErrUnsigned) || errors.Is(err, seal.ErrForged) {
		return true, nil
	}
	return plan.MayOutrun(cluster.Backup{Epoch: end.Epoch, Log: end}, d), err
}

// blame are the faults of what is stored: a store or a disk that fails proves
// nothing about the seed.
var blame = []error{backup.ErrDamaged, chain.ErrDamaged, chain.ErrGap, replay.ErrGap, replay.ErrDiverged, replay.ErrOtherMinor, replay.ErrUnreplayable}

// restoreSeed builds the staged directory from what the charter names: a
// snapshot, and the log up to an end that is the same for every founder. Where
// the snapshot is unpacked already, because it was verified here, it is not read
// again.
func (a *Agent) restoreSeed(ctx context.Context, c cluster.Charter) error {
	ctx, cancel := a.whileWanted(ctx, c.Epoch)
	defer cancel()
	file := a.unpacked.take()
	defer func() { a.discard(file) }()
	err := a.stage(c, func(t backup.Target) (v cluster.Version, err error) {
		t.Unpacked = file
		b, err := backup.Seeded(ctx, a.vault(), c.Seed)
		if err != nil {
			return v, err
		}
		wrote, _ := cluster.ParseVersion(b.Etcd)
		v = plan.SeedAs(a.parts.Offers.Versions(), wrote)
		src, err := a.archive()
		if err != nil {
			return v, err
		}
		p, err := replay.Fixed(ctx, src, b, c.Seed.Log)
		if err != nil {
			return v, err
		}
		a.log.Info("restoring the seed", "backup", b.Key, "bytes", b.Size, "revision", b.Revision, "segments", p.Segments, "index", max(p.Last.Index, b.Index), "unpacked", file.Is(b))
		r, err := replay.Build(ctx, src, []replay.Plan{p}, a.restoring(), t)
		if r.Entries > 0 {
			a.log.Info("the log was applied", "entries", r.Entries, "index", r.Index, "revision", r.Revision, "checked_revision", r.Checked)
			debug.FreeOSMemory() // the etcd that comes next has use for it
		}
		return v, err
	})
	switch {
	case ctx.Err() != nil: // what was broken off says nothing about the seed
		return context.Cause(ctx)
	case slices.ContainsFunc(blame, func(fault error) bool { return errors.Is(err, fault) }):
		a.noteSeed(seedFailures{c.Epoch, a.seedFails.of(c.Epoch) + 1})
	case err == nil:
		a.noteSeed(seedFailures{c.Epoch, 0})
	}
	return err
}

// whileWanted ends once this agent is to end, or a newer charter is in force: what
// takes minutes is not waited for then.
func (a *Agent) whileWanted(ctx context.Context, e cluster.Epoch) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		look := time.NewTicker(time.Second)
		defer look.Stop()
		for ctx.Err() == nil {
			select {
			case <-ctx.Done():
			case <-a.stopping:
				cancel(errors.New("this agent ends"))
			case <-look.C:
				if now := a.book.facts().Charter.Value().Epoch; now > e {
					cancel(fmt.Errorf("%w: epoch %d is in force by now", errStale, now))
				}
			}
		}
	}()
	return ctx, func() { cancel(nil) }
}

// restoring logs how far a restore is, every few seconds.
func (a *Agent) restoring() replay.Progress {
	last := time.Now()
	return func(what string, done, total int64) {
		if time.Since(last) < 3*time.Second {
			return
		}
		last = time.Now()
		a.log.Info("restoring the seed", "part", what, "done", done, "total", total)
	}
}
