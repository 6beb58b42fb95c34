package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/control"
	"github.com/quorate/quorate/internal/plan"
)

// listed are the backups whose manifests an agent can read, the newest first. It is
// for a person to read, and whether they are whole is not known.
func (c *recoverCmd) listed(ctx context.Context) ([]cluster.Backup, error) {
	return onAgent(ctx, c.Target, func(ctx context.Context, a *control.Client) ([]cluster.Backup, error) { return a.Backups(ctx) })
}

// unlisted refuses a --backup that the store does not hold. While nobody can say, it
// is the agent's to judge.
func (c *recoverCmd) unlisted(listed []cluster.Backup, err error) error {
	switch {
	case c.Backup == "", err != nil && !errors.Is(err, control.ErrRefused):
		return nil
	case err != nil:
		return fmt.Errorf("backup: %w", err)
	case !slices.ContainsFunc(listed, func(b cluster.Backup) bool { return b.Key == c.Backup }):
		return fmt.Errorf("%w: backup: %s is none that can be read: `quorate backup list` names them", control.ErrRefused, c.Backup)
	}
	return nil
}

// showNamed says what is restored of the backup that --backup names, and what is
// lost by it.
func (c *recoverCmd) showNamed(out io.Writer, epoch cluster.Epoch, now time.Time, listed []cluster.Backup) {
	i := slices.IndexFunc(listed, func(b cluster.Backup) bool { return b.Key == c.Backup })
	what := c.Backup
	if i >= 0 {
		what += fmt.Sprintf(", of %s ago (revision %d)", now.Sub(listed[i].At).Round(time.Second), listed[i].Revision)
	}
	if !c.NoLog {
		fmt.Fprintf(out, "Epoch %d ends. No disk that answers holds its data: %s is restored, and the log behind it to its end. What is not stored is gone.\n", epoch, what)
		return
	}
	fmt.Fprintf(out, "Epoch %d ends. No disk that answers holds its data: %s is restored as it is. What was written after it is gone, though the log behind it is stored.\n", epoch, what)
	if i > 0 {
		fmt.Fprintf(out, "The newest backup goes farther: %s (revision %d).\n", listed[0].Key, listed[0].Revision)
	}
}

// showPassed says what of the disks that answer an empty cluster leaves behind.
func (c *recoverCmd) showPassed(out io.Writer, passed []plan.Passed) {
	for _, p := range passed {
		word := "to pass it over say --give-up " + p.Name
		if p.GivenUp {
			word = "you give it up"
		}
		fmt.Fprintf(out, "%s answers, and its disk holds %s: %s.\n", p.Name, held(p.Disk), word)
	}
	for _, name := range c.GiveUp {
		if !slices.ContainsFunc(passed, func(p plan.Passed) bool { return p.Name == name }) {
			fmt.Fprintf(out, "%s is given up, and no data is known to be on its disk.\n", name)
		}
	}
}

// showListed says what an empty cluster loses of the store.
func showListed(out io.Writer, listed []cluster.Backup) {
	if len(listed) > 0 {
		b := listed[0]
		fmt.Fprintf(out, "The store lists %d backups, the newest %s (epoch %d, revision %d): what they hold is lost if none can be restored.\n",
			len(listed), b.Key, b.Epoch, b.Revision)
	}
}

// held is what there is on a disk.
func held(d cluster.Disk) string {
	var parts []string
	if d.State == cluster.DiskData {
		parts = append(parts, fmt.Sprintf("data of epoch %d (term %d index %d)", d.Epoch(), d.Term, d.Index))
	}
	if len(d.Aside) > 0 {
		parts = append(parts, "data set aside ("+strings.Join(d.Aside, ", ")+")")
	}
	return strings.Join(parts, " and ")
}
