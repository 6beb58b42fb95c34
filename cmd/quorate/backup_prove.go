package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

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
	argv := []string{c.Etcd}
	if c.Etcd == "built-in" {
		bin, err := etcd.BuiltIn()
		if err != nil {
			return err
		}
		argv = append([]string{bin.Path}, bin.Prefix...)
	}
	t := backup.Trial{Backup: b, Etcd: argv, Scratch: filepath.Join(cmp.Or(c.Scratch, os.TempDir()), proofDir), Compact: c.Compact}
	if len(c.Keys) == 0 && !c.All {
		t.Build = st.withLog(b)
	}
	p, err := backup.Prove(ctx, st.sealed, t)
	if err == nil {
		v.Proof, v.Revision = &p, p.Revision
	}
	return err
}

// withLog builds from a backup and all of the log behind it. A log that does not
// reach its end is damage here, though a restore could do with less.
func (s *storedBackups) withLog(b cluster.Backup) func(context.Context, backup.Target) error {
	return func(ctx context.Context, into backup.Target) error {
		src := replay.Source{Store: s.sealed, Log: s.log, Cluster: s.cluster}
		plans, err := replay.Survey(ctx, src, replay.Cut{})
		if err != nil {
			return err
		}
		for _, p := range plans {
			switch {
			case p.Base.Key != b.Key:
			case p.Broken != "":
				return fmt.Errorf("%w: %s", chain.ErrDamaged, p.Broken)
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
	for _, blame := range []error{backup.ErrDamaged, chain.ErrDamaged, chain.ErrGap, replay.ErrGap, replay.ErrDiverged, seal.ErrUnsigned, seal.ErrForged} {
		if errors.Is(err, blame) {
			return true
		}
	}
	return false
}
