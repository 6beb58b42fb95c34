package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/quorate/quorate/internal/backup"
	"github.com/quorate/quorate/internal/chain"
	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/etcd"
	"github.com/quorate/quorate/internal/replay"
	"github.com/quorate/quorate/internal/seal"
)

// proofDir is the name of a proof's own directory, which is deleted.
const proofDir = "quorate-proof"

// check reads one backup, and for --deep restores it.
func (c *backupVerify) check(ctx context.Context, st *storedBackups, b cluster.Backup, v *verdict) error {
	if !c.Deep {
		return backup.Verify(ctx, st.sealed, b)
	}
	argv, err := c.server(ctx, b)
	if err != nil {
		return err
	}
	t := backup.Trial{Backup: b, Etcd: argv, Scratch: filepath.Join(cmp.Or(c.Scratch, os.TempDir()), proofDir), Compact: c.Compact}
	if len(c.Keys) == 0 && !c.All {
		t.Build = st.withLog(b, etcdsOf(c.Etcd, c.Scratch))
	}
	p, err := backup.Prove(ctx, st.sealed, t)
	if err == nil {
		v.Proof, v.Revision = &p, p.Revision
	}
	return err
}

// server is the etcd that serves what is restored: of its own minor, else the newest.
func (c *backupVerify) server(ctx context.Context, b cluster.Backup) ([]string, error) {
	offers, err := etcd.OpenOffers(ctx, c.Etcd, cmp.Or(c.Scratch, os.TempDir()), nil)
	if err != nil {
		return nil, usage{err}
	}
	wrote, _ := etcd.ParseVersion(b.Etcd) // zero is of no minor
	if same, found := offers.OfMinor(wrote); found {
		return same.Command(), nil
	}
	return offers.Newest().Command(), nil
}

// etcdsOf gives the etcds of a spec, as run's --etcd, once one is asked for; one
// that is fetched goes below dir.
func etcdsOf(spec, dir string) replay.Etcds {
	return func(version string) ([]string, error) {
		ctx, cancel := context.WithTimeout(context.Background(), etcdsLimit)
		defer cancel()
		wrote, err := etcd.ParseVersion(version)
		if err != nil {
			return nil, err
		}
		offers, err := etcd.OpenOffers(ctx, spec, cmp.Or(dir, os.TempDir()), nil)
		if err != nil {
			return nil, err
		}
		c, found := offers.OfMinor(wrote)
		if !found {
			return nil, fmt.Errorf("%w: etcd %s, and --etcd offers %v", replay.ErrOtherMinor, wrote, offers.Versions())
		}
		return c.Command(), nil
	}
}

// etcdsLimit bounds the finding of an etcd, which may be fetched.
const etcdsLimit = 15 * time.Minute

// withLog builds from a backup and all of the log behind it. A log that does not
// reach its end is damage here, though a restore could do with less.
func (s *storedBackups) withLog(b cluster.Backup, etcds replay.Etcds) func(context.Context, backup.Target) error {
	return func(ctx context.Context, into backup.Target) error {
		src := replay.Source{Store: s.sealed, Log: s.log, Cluster: s.cluster, Etcds: etcds}
		plans, err := replay.Survey(ctx, src, replay.Cut{})
		if err != nil {
			return err
		}
		for _, p := range plans {
			switch {
			case p.Base.Key != b.Key:
			case p.Damage() != "":
				return fmt.Errorf("%w: %s", chain.ErrDamaged, p.Damage())
			default:
				_, err := replay.Build(ctx, src, []replay.Plan{p}, nil, into)
				return err
			}
		}
		return backup.Restore(ctx, s.sealed, b, into)
	}
}

// isDamage says that what is stored is to blame, and no store, key or disk.
func isDamage(err error) bool {
	for _, blame := range []error{backup.ErrDamaged, chain.ErrDamaged, chain.ErrGap, replay.ErrGap, replay.ErrDiverged, replay.ErrUnreplayable, seal.ErrUnsigned, seal.ErrForged} {
		if errors.Is(err, blame) {
			return true
		}
	}
	return false
}
