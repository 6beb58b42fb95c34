package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/types"

	"github.com/quorate/quorate/internal/backup"
	"github.com/quorate/quorate/internal/chain"
	"github.com/quorate/quorate/internal/config"
	"github.com/quorate/quorate/internal/durable"
	"github.com/quorate/quorate/internal/replay"
)

// restoreCmd makes data directories out of the store, for an etcd that is run
// by hand. A cluster of agents restores itself: see recover.
type restoreCmd struct {
	config.Stored
	To             string  `placeholder:"DIR" help:"Where to make the data directory. It must be absent or empty. Of several members each gets DIR/NAME, unless --name says which."`
	At             *string `placeholder:"REVISION|TIME|index=N" help:"Restore no further than this: a revision, a time with its zone (2026-01-31T12:00:00Z), or an index of the raft log. Default: all that is stored."`
	Name           string  `placeholder:"NAME" help:"Make only this member's data directory."`
	InitialCluster string  `default:"default=http://localhost:2380" placeholder:"NAME=URL,…" help:"All members of the new cluster with their peer URLs, as etcd's flag of this name (default ${default})."`
	Token          *string `placeholder:"TEXT" help:"The new cluster's token. Default: made of what is restored, so that the members agree when each is made by a run of its own."`
	Bump           uint64  `default:"1000000000" placeholder:"N" help:"Raise the revision by this and mark everything before as compacted, so that no watcher of the old cluster misses anything in silence (default ${default}). 0 keeps the revision."`
	Etcd           string  `default:"built-in" placeholder:"ETCD" help:"The etcd, or the directory of versions as run's --etcd, that applies a log which another minor than the built-in one has written (default ${default})."`
	DryRun         bool    `help:"Only say what would be restored, how long it takes and what is lost; the log's bytes are checked, if they are not too many, the snapshot's are not."`
	Verify         bool    `help:"With --dry-run: read every byte of the snapshot and the log, as a restore does."`
	Output         string  `short:"o" enum:"table,json" default:"table" help:"table or json."`

	cut     replay.Cut
	members types.URLsMap
}

// problems is everything that is wrong with the input, each with its flag.
func (c *restoreCmd) problems(context.Context) (all []error) {
	all = c.Stored.Validate()
	say := func(key string, err error) {
		if err != nil {
			all = append(all, fmt.Errorf("%s: %w", key, err))
		}
	}
	if c.At != nil {
		var err error
		c.cut, err = replay.ParseCut(*c.At)
		say("at", err)
	}
	if c.Token != nil && *c.Token == "" {
		say("token", errors.New("empty: want a text, or no --token"))
	}
	say("etcd", etcdThere(c.Etcd))
	var err error
	c.members, err = membersOf(c.InitialCluster)
	say("initial-cluster", err)
	if _, listed := c.members[c.Name]; c.Name != "" && err == nil && !listed {
		say("name", fmt.Errorf("%q is not in initial-cluster: want one of its names", c.Name))
	}
	if c.Bump > 1<<40 {
		say("bump", fmt.Errorf("%d: want at most %d", c.Bump, uint64(1)<<40))
	}
	if c.Verify && !c.DryRun {
		say("verify", errors.New("want --dry-run with it: a restore itself reads every byte"))
	}
	switch {
	case c.To != "":
		if err := empty(c.To); err != nil {
			say("to", err)
		} else {
			say("to", makeable(c.To))
		}
	case !c.DryRun:
		say("to", errors.New("not given: want the data directory to make, or --dry-run"))
	}
	return all
}

func (c *restoreCmd) Run(ctx context.Context, to streams) error {
	if err := errors.Join(c.problems(ctx)...); err != nil {
		return usage{err}
	}
	st, err := openStored(ctx, c.Stored)
	if err != nil {
		return err
	}
	defer st.Close()
	src := replay.Source{Store: st.sealed, Log: st.log, Cluster: st.cluster, Etcds: etcdsOf(c.Etcd, "")}
	plans, err := replay.Survey(ctx, src, c.cut)
	if errors.Is(err, replay.ErrNothing) && c.At != nil {
		return usage{fmt.Errorf("at: %w", err)}
	}
	if err != nil {
		return err
	}
	if c.DryRun {
		return c.rehearse(ctx, st, src, plans, to.out)
	}
	plans, refused := c.there(ctx, plans, st.objectThere)
	if refused == nil {
		refused = c.refusal(ctx, src, plans[0])
	}
	warnOf(to.err, plans[0])
	if refused != nil {
		return refused
	}
	began := time.Now()
	r, err := c.first(ctx, src, plans, to.err)
	switch {
	case errors.Is(err, chain.ErrDamaged):
		return fmt.Errorf("%w\nnothing was made; --at index=N restores what is before the damage", err)
	case errors.Is(err, replay.ErrNothing) && c.At != nil:
		return fmt.Errorf("at: %w", err)
	case err != nil:
		return err
	}
	return c.printRestored(to.out, r, time.Since(began))
}

// unfinished is where a run works, within the target: a rename out of it is what
// makes a data directory exist.
const unfinished = ".quorate-restore"

func (c *restoreCmd) build(ctx context.Context, src replay.Source, p replay.Plan, say replay.Progress) (r replay.Result, err error) {
	_, statErr := os.Stat(c.To)
	work := filepath.Join(c.To, unfinished)
	if err := os.RemoveAll(work); err != nil {
		return r, err
	}
	if err := durable.MkdirAll(work, 0o700); err != nil {
		return r, err
	}
	defer func() {
		err = errors.Join(err, os.RemoveAll(work))
		if err != nil && errors.Is(statErr, fs.ErrNotExist) {
			os.Remove(c.To) // only if it is empty
		}
	}()
	targets := c.targets(work, c.tokenOf(p))
	if r, err = replay.Build(ctx, src, []replay.Plan{p}, say, targets...); err != nil {
		return r, err
	}
	for _, t := range targets {
		from, into := t.DataDir, filepath.Join(c.To, t.Name)
		if c.alone() {
			from, into = filepath.Join(from, "member"), filepath.Join(c.To, "member")
		}
		if err := durable.Rename(from, into); err != nil {
			return r, err
		}
	}
	return r, nil
}

// alone says that --to itself becomes a data directory.
func (c *restoreCmd) alone() bool { return c.Name != "" || len(c.members) == 1 }

func (c *restoreCmd) targets(work, token string) (all []backup.Target) {
	for _, name := range slices.Sorted(maps.Keys(c.members)) {
		if c.Name == "" || c.Name == name {
			urls := strings.Join(c.members[name].StringSlice(), ",")
			all = append(all, backup.Target{DataDir: filepath.Join(work, name), Name: name, PeerURL: urls, InitialCluster: c.InitialCluster,
				Token: token, Bump: c.Bump})
		}
	}
	return all
}

// tokenOf makes the token of what is restored: runs that restore the same make
// members of one cluster, and no others.
func (c *restoreCmd) tokenOf(p replay.Plan) string {
	if c.Token != nil {
		return *c.Token
	}
	sum := sha256.Sum256(fmt.Append(nil, p.Base.SHA256, p.Last.SHA256, p.Cut, c.Bump))
	return fmt.Sprintf("restored-%x", sum[:8])
}
