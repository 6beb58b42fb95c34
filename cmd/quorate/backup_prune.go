package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/quorate/quorate/internal/backup"
	"github.com/quorate/quorate/internal/chain"
	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/config"
	"github.com/quorate/quorate/internal/plan"
)

// backupPrune lets old backups go.
type backupPrune struct {
	config.Stored
	KeepLast    int  `default:"10" placeholder:"N" help:"Keep the newest N, and the log since the oldest of them (default ${default})."`
	KeepHourly  int  `default:"24" placeholder:"N" help:"Keep the newest of each of the last N hours that have one (default ${default})."`
	KeepDaily   int  `default:"7" placeholder:"N" help:"Likewise of days, in UTC (default ${default})."`
	KeepWeekly  int  `default:"4" placeholder:"N" help:"Likewise of weeks from Monday on (default ${default})."`
	KeepMonthly int  `default:"0" placeholder:"N" help:"Likewise of months (default ${default})."`
	DryRun      bool `help:"Say what would go, delete nothing."`
	Yes         bool `short:"y" help:"Do not ask."`
}

func (c *backupPrune) policy() plan.Retention {
	return plan.Retention{Last: c.KeepLast, Hourly: c.KeepHourly, Daily: c.KeepDaily, Weekly: c.KeepWeekly, Monthly: c.KeepMonthly}
}

// problems is everything that is wrong with the flags.
func (c *backupPrune) problems(context.Context) []error {
	var all []error
	if c.KeepLast < 1 {
		all = append(all, fmt.Errorf("keep-last: %d: want 1 or more", c.KeepLast))
	}
	for _, class := range []struct {
		key string
		n   int
	}{{"keep-hourly", c.KeepHourly}, {"keep-daily", c.KeepDaily}, {"keep-weekly", c.KeepWeekly}, {"keep-monthly", c.KeepMonthly}} {
		if class.n < 0 {
			all = append(all, fmt.Errorf("%s: %d: want 0 or more", class.key, class.n))
		}
	}
	return append(all, c.Stored.Validate()...)
}

// pruning is what is to go.
type pruning struct {
	backups []cluster.Backup
	whole   []chain.Chain // whole chains
	begins  []chain.Chain // chains of which the beginning may go
	log     plan.LogRetention
}

func (c *backupPrune) Run(ctx context.Context, to streams) error {
	if err := errors.Join(c.problems(ctx)...); err != nil {
		return usage{err}
	}
	st, err := openStored(ctx, c.Stored)
	if err != nil {
		return err
	}
	defer st.Close()
	p, err := c.decide(ctx, st, to)
	if err != nil {
		return err
	}
	for _, b := range p.backups {
		fmt.Fprintf(to.out, "%s  epoch %d, revision %d, of %s\n", b.Key, b.Epoch, b.Revision, b.At.UTC().Format(time.RFC3339))
	}
	for _, l := range p.whole {
		fmt.Fprintf(to.out, "the log of epoch %d, chain %d: all of it, %s\n", l.Epoch, l.Number, size(l.Size()))
	}
	for _, l := range p.begins {
		fmt.Fprintf(to.out, "the log of epoch %d, chain %d: what comes before index %d\n", l.Epoch, l.Number, p.log.From[l.Epoch]+1)
	}
	switch {
	case len(p.backups)+len(p.whole)+len(p.begins) == 0:
		fmt.Fprintln(to.out, "nothing is to go")
		return nil
	case c.DryRun:
		return nil
	case !c.Yes && !agreed(ctx, to.out, "Delete these for good?"):
		return usage{errors.New("not confirmed: nothing was done (--yes answers for you)")}
	}
	return p.do(ctx, st)
}

// decide reads the best backup whole before anything else may go: it stays, and
// newer ones that are no good do not count.
func (c *backupPrune) decide(ctx context.Context, st *storedBackups, to streams) (pruning, error) {
	best, found, problems, err := backup.Best(ctx, st.sealed, st.cluster)
	bad := map[string]bool{}
	for _, p := range problems {
		fmt.Fprintf(to.err, "not counted: %s\n", p)
		bad[p.Key] = true
	}
	switch {
	case err != nil:
		return pruning{}, err
	case !found:
		return pruning{}, errors.New("no backup is good: nothing is let go")
	}
	all, _, err := backup.List(ctx, st.sealed)
	if err != nil {
		return pruning{}, err
	}
	var good []cluster.Backup
	for _, b := range all {
		if !bad[b.Key] {
			good = append(good, b)
		}
	}
	p := pruning{backups: plan.Retain(good, c.policy(), time.Now(), best.Key)}
	p.log = plan.RetainLog(except(good, p.backups), c.policy(), best.Key)
	chains, err := chain.List(ctx, st.Store, 0)
	for _, l := range chains {
		_, cut := p.log.From[l.Epoch]
		switch {
		case l.Epoch < p.log.Drop:
			p.whole = append(p.whole, l)
		case cut && len(l.Segments) > 1:
			p.begins = append(p.begins, l)
		}
	}
	return p, err
}

// do deletes, the backups first: a log without its snapshot is only rubbish.
func (p pruning) do(ctx context.Context, st *storedBackups) error {
	err := backup.Prune(ctx, st.sealed, p.backups)
	for _, l := range p.whole {
		_, failed := chain.Drop(ctx, st.Store, l)
		err = errors.Join(err, failed)
	}
	for _, l := range p.begins {
		_, failed := st.log.Prune(ctx, st.Store, l, p.log.From[l.Epoch])
		err = errors.Join(err, failed)
	}
	return err
}

func except(all, gone []cluster.Backup) (left []cluster.Backup) {
	keys := map[string]bool{}
	for _, b := range gone {
		keys[b.Key] = true
	}
	for _, b := range all {
		if !keys[b.Key] {
			left = append(left, b)
		}
	}
	return left
}
