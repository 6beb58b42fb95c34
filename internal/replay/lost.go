package replay

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/quorate/quorate/internal/backup"
	"github.com/quorate/quorate/internal/chain"
	"github.com/quorate/quorate/internal/cluster"
)

// What a store has lost it does not list. What is left beside tells of it: a
// snapshot's data without its manifest, and a log that no snapshot leads to.

// snapshots are those of the cluster, newest first, and what is there of others
// that cannot be used.
func snapshots(ctx context.Context, src Source) (all []cluster.Backup, problems []backup.Problem, err error) {
	all, problems, err = backup.List(ctx, src.Store)
	if err != nil {
		return nil, nil, err
	}
	orphans, err := backup.Orphans(ctx, src.Store)
	if err != nil {
		return nil, nil, err
	}
	for _, key := range orphans {
		problems = append(problems, backup.Problem{Key: key, Err: errNoManifest})
	}
	all = slices.DeleteFunc(all, func(b cluster.Backup) bool {
		if b.Cluster != src.Cluster {
			problems = append(problems, backup.Problem{Key: b.Key, Err: fmt.Errorf("it is of cluster %q", b.Cluster)})
		}
		return b.Cluster != src.Cluster
	})
	return all, problems, nil
}

var errNoManifest = errors.New("its data is there, and its manifest is not: that was deleted, or the backup broke off before its end")

func told(problems []backup.Problem) (s string) {
	for _, p := range problems {
		s += "; " + p.String()
	}
	return s
}

// stem is how a manifest's key tells what it holds, even when it is unreadable.
var stem = regexp.MustCompile(`^backups/(\d+)/(\d{8}T\d{6}Z)-(\d+)-`)

// passed are the problems that may stand for newer backups than the plan's, not
// behind its cut.
func passed(problems []backup.Problem, p Plan) (all []Passed) {
	for _, problem := range problems {
		m := stem.FindStringSubmatch(problem.Key)
		if m == nil {
			continue
		}
		epoch, _ := strconv.ParseUint(m[1], 10, 64)
		at, _ := time.Parse("20060102T150405Z", m[2])
		b := cluster.Backup{Epoch: cluster.Epoch(epoch), At: at}
		b.Revision, _ = strconv.ParseInt(m[3], 10, 64)
		older := b.Epoch < p.Base.Epoch || b.Epoch == p.Base.Epoch && b.Revision <= p.Base.Revision
		if older || beyond(b, p.Cut) {
			continue
		}
		reached := b.Epoch == p.Base.Epoch && b.Revision <= p.Last.Revision
		all = append(all, Passed{Key: problem.Key, Why: problem.Err.Error(), Lost: !reached && !p.Cut.exact()})
	}
	return all
}

// stray tells of a log before the cut that no listed snapshot leads to: a chain
// begins on a snapshot, and retention keeps what leads to the newest. Empty is none.
// Older chains than one that a snapshot leads to are not looked at.
func stray(ctx context.Context, log chain.Reader, chains []chain.Chain, listed []cluster.Backup, cut Cut) (string, error) {
	for _, c := range slices.Backward(chains) {
		h, err := log.Begin(ctx, c)
		switch {
		case errors.Is(err, chain.ErrNone): // pruned since it was listed
			continue
		case err != nil && !isBad(err):
			return "", err
		}
		switch {
		case led(c.Epoch, h.First, listed): // a bad one is survey's to judge
			return "", nil
		case !cut.Time.IsZero() && h.From.After(cut.Time):
			continue
		}
		return fmt.Sprintf("segments %d to %d of chain %d of epoch %d begin %s, and no snapshot that is listed leads there: its manifest is gone, or the log before",
			c.First(), c.Last(), c.Number, c.Epoch, begins(h, err)), nil
	}
	return "", nil
}

// led says that a log which begins at an index goes on from some snapshot, or ends
// before it.
func led(epoch cluster.Epoch, first uint64, listed []cluster.Backup) bool {
	return slices.ContainsFunc(listed, func(b cluster.Backup) bool { return b.Epoch == epoch && b.Index+1 >= first })
}

func begins(h chain.Header, bad error) string {
	if bad != nil {
		return fmt.Sprintf("with a bad one (%v)", bad)
	}
	return fmt.Sprintf("at index %d", h.First)
}
