package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/quorate/quorate/internal/backup"
	"github.com/quorate/quorate/internal/chain"
	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/config"
	"github.com/quorate/quorate/internal/store"
)

// backupVerify reads backups whole.
type backupVerify struct {
	config.Stored
	Keys    []string `arg:"" optional:"" name:"key" help:"Which ones, as backup list names them (default: the newest that is ours)."`
	All     bool     `help:"Every one, and every chain of the log."`
	Deep    bool     `help:"Restore each into --scratch too, have an etcd serve it, and tell the hash of its keys (etcdctl endpoint hashkv)."`
	Scratch string   `placeholder:"DIR" help:"For --deep: the directory to work in, below quorate-proof, which is deleted before and after. Default: the system's temporary directory."`
	Etcd    string   `default:"built-in" placeholder:"ETCD" help:"For --deep: the etcd to serve it, or the directory of versions as run's --etcd, of which one of its minor does (default ${default})."`
	Compact int64    `hidden:"" help:"For --deep: hash what is left after a compaction at this revision."`
	Output  string   `short:"o" enum:"table,json" default:"table" help:"table or json."`
}

// verdict is of one backup or one chain.
type verdict struct {
	Key      string        `json:"key"`
	Good     bool          `json:"good"`
	Problem  string        `json:"problem,omitempty"`
	Epoch    cluster.Epoch `json:"epoch,omitempty"`
	Index    uint64        `json:"index,omitempty"`    // of a chain: the last entry's
	Revision int64         `json:"revision,omitempty"` // how far it goes at least; exactly, where there is a proof
	Size     int64         `json:"size,omitempty"`     // bytes read
	Signed   bool          `json:"signed"`
	Sealed   bool          `json:"encrypted"`
	Proof    *backup.Proof `json:"proof,omitempty"`
	NoRoom   bool          `json:"no_room,omitempty"`
}

// problems is everything that is wrong with the input.
func (c *backupVerify) problems() (all []error) {
	if c.All && len(c.Keys) > 0 {
		all = append(all, errors.New("all: given, and so are keys: want one of both"))
	} else {
		for _, key := range c.Keys {
			if !backup.IsKey(key) {
				all = append(all, fmt.Errorf("key: %q is not a backup's: want backups/….json, as backup list names them", key))
			}
		}
	}
	if !c.Deep {
		return all
	}
	switch info, err := os.Stat(cmp.Or(c.Scratch, os.TempDir())); {
	case err != nil:
		all = append(all, fmt.Errorf("scratch: %w: want a directory that exists", err))
	case !info.IsDir():
		all = append(all, fmt.Errorf("scratch: %s is not a directory", c.Scratch))
	}
	return all
}

func (c *backupVerify) Run(ctx context.Context, to streams) error {
	if all := c.problems(); len(all) > 0 {
		return usage{errors.Join(append(all, c.Stored.Validate()...)...)}
	}
	st, err := openStored(ctx, c.Stored)
	if err != nil {
		return err
	}
	defer st.Close()
	all, err := c.verify(ctx, st, to.err)
	if c.Output == "json" {
		err = errors.Join(err, writeJSON(to.out, all))
	} else {
		printVerdicts(to.out, all)
	}
	if err == nil && (len(all) == 0 || slices.ContainsFunc(all, func(v verdict) bool { return !v.Good })) {
		return exitWith(1)
	}
	return err
}

// verify reads what is wanted. A store or a key that fails ends it: that says
// nothing of the backups.
func (c *backupVerify) verify(ctx context.Context, st *storedBackups, to io.Writer) (all []verdict, err error) {
	wanted, problems, err := c.wanted(ctx, st)
	if err != nil {
		return nil, err
	}
	for _, p := range problems {
		all = append(all, verdict{Key: p.Key, Problem: p.Err.Error()})
	}
	if len(wanted)+len(problems) == 0 {
		fmt.Fprintf(to, "%s holds no backups of cluster %s\n", st.Store, st.cluster)
	}
	for _, b := range wanted {
		v := verdict{Key: b.Key, Good: true, Epoch: b.Epoch, Revision: b.Revision, Size: b.StoredSize, Signed: b.Signer != "", Sealed: b.Encryption != ""}
		err := c.check(ctx, st, b, &v)
		switch {
		case isDamage(err), errors.Is(err, backup.ErrNoRoom):
			v.Good, v.Problem, v.NoRoom = false, err.Error(), errors.Is(err, backup.ErrNoRoom)
		case err != nil:
			return all, err
		}
		all = append(all, v)
	}
	logs, err := c.verifyLog(ctx, st, wanted)
	return append(all, logs...), err
}

// wanted are the manifests to hold the objects to. One of another cluster is a
// problem: nothing would restore it.
func (c *backupVerify) wanted(ctx context.Context, st *storedBackups) (all []cluster.Backup, problems []backup.Problem, err error) {
	if all, problems, err = c.listed(ctx, st); err != nil {
		return nil, nil, err
	}
	all = slices.DeleteFunc(all, func(b cluster.Backup) bool {
		if b.Cluster != st.cluster {
			problems = append(problems, backup.Problem{Key: b.Key, Err: fmt.Errorf("it is of cluster %q, and lies where those of %q belong", b.Cluster, st.cluster)})
		}
		return b.Cluster != st.cluster
	})
	if !c.All && len(c.Keys) == 0 && len(all) > 0 {
		all = all[:1]
	}
	return all, problems, nil
}

// listed are the manifests that are asked for, or all there are.
func (c *backupVerify) listed(ctx context.Context, st *storedBackups) (all []cluster.Backup, problems []backup.Problem, err error) {
	for _, key := range c.Keys {
		b, err := backup.Read(ctx, st.sealed, key)
		switch {
		case errors.Is(err, backup.ErrDamaged), errors.Is(err, backup.ErrUntrusted):
			problems = append(problems, backup.Problem{Key: key, Err: err})
		case errors.Is(err, store.ErrNotFound):
			return nil, nil, usage{fmt.Errorf("key: %s: there is no such backup", key)}
		case err != nil:
			return nil, nil, err
		default:
			all = append(all, b)
		}
	}
	if len(c.Keys) > 0 {
		return all, problems, nil
	}
	return backup.List(ctx, st.sealed)
}

// verifyLog walks the chains: all of them, or the newest of the newest backup's
// epoch, if it goes on behind that. What is restored has read its log already.
func (c *backupVerify) verifyLog(ctx context.Context, st *storedBackups, of []cluster.Backup) (all []verdict, err error) {
	if len(of) == 0 || len(c.Keys) > 0 || c.Deep && !c.All {
		return nil, nil
	}
	chains, err := chain.List(ctx, st.Store, 0)
	if err != nil {
		return nil, err
	}
	if !c.All {
		chains = slices.DeleteFunc(chains, func(l chain.Chain) bool { return l.Epoch != of[0].Epoch })
		chains = slices.DeleteFunc(chains[max(len(chains)-1, 0):], func(l chain.Chain) bool {
			h, _, err := st.log.Header(ctx, l.Epoch, l.Number, l.Last())
			return err == nil && h.Last <= of[0].Index
		})
	}
	for _, l := range chains {
		v := verdict{Key: fmt.Sprintf("%s%010d/%06d/", chain.Prefix, l.Epoch, l.Number), Epoch: l.Epoch}
		err := st.walk(ctx, l, &v)
		switch {
		case isDamage(err):
			v.Problem = err.Error()
		case err != nil:
			return all, err
		}
		v.Good = err == nil
		all = append(all, v)
	}
	return all, nil
}

// walk reads every segment of a chain, each held against the one before.
func (s *storedBackups) walk(ctx context.Context, l chain.Chain, v *verdict) error {
	first, _, err := s.log.Header(ctx, l.Epoch, l.Number, l.First())
	if err != nil {
		return err
	}
	v.Size = l.Size()
	for segment, err := range s.log.Walk(ctx, first.Claimed(), l.Last()) {
		if err != nil {
			return err
		}
		v.Index, v.Revision = segment.Last, segment.LastRevision
	}
	return nil
}

func printVerdicts(out io.Writer, all []verdict) {
	for _, v := range all {
		switch {
		case !v.Good:
			fmt.Fprintf(out, "BAD   %s: %s\n", v.Key, v.Problem)
		default:
			fmt.Fprintf(out, "good  %s: epoch %d, up to %s, %s%s\n", v.Key, v.Epoch, v.reach(), size(v.Size), sealing(v))
			if p := v.Proof; p != nil {
				fmt.Fprintf(out, "      restored in %s: its keys up to revision %d have the hash %d (compacted at %d)\n", p.Took.Round(time.Millisecond), p.Revision, p.Hash, p.Compact)
			}
		}
	}
}

// reach is how far it goes. What a manifest and a segment say of the revision is a
// lower bound; a chain's index is exact, and so is what was restored.
func (v verdict) reach() string {
	switch {
	case v.Proof != nil:
		return fmt.Sprintf("revision %d", v.Revision)
	case v.Index > 0:
		return fmt.Sprintf("index %d, revision %d or more", v.Index, v.Revision)
	}
	return fmt.Sprintf("revision %d or more", v.Revision)
}

func sealing(v verdict) string {
	switch {
	case v.Signed && v.Sealed:
		return ", encrypted and signed"
	case v.Signed:
		return ", signed"
	case v.Sealed:
		return ", encrypted"
	}
	return ""
}
