package agent

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/quorate/quorate/internal/backup"
	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/control"
	"github.com/quorate/quorate/internal/durable"
	"github.com/quorate/quorate/internal/plan"
)

var dialer = net.Dialer{Timeout: 500 * time.Millisecond}

func hostPort(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return raw
	}
	return u.Host
}

// Metrics serves Prometheus.
func (a *Agent) Metrics() http.Handler {
	return promhttp.HandlerFor(a.metrics.registry, promhttp.HandlerOpts{})
}

// Pause takes the maintenance lock: housekeeping rests until it expires.
func (a *Agent) Pause(ctx context.Context, q control.PauseRequest) (control.PauseAnswer, error) {
	if err := control.CheckPause(q.For, q.Reason); err != nil {
		return control.PauseAnswer{}, fmt.Errorf("%w: %w", control.ErrRefused, err)
	}
	if q.Holder == "" {
		q.Holder = "operator"
	}
	before, now := a.newestLock(ctx), time.Now()
	l, err := a.book.lock(ctx, q.Holder, q.Reason, cluster.Lock{Expires: now.Add(q.For)})
	a.gossipNow()
	a.poke()
	answer := control.PauseAnswer{Lock: l}
	if err == nil && before.Held(now) && before.Number+1 == l.Number {
		answer.Replaces = &before
	}
	return answer, err
}

// newestLock is what the store says, or what this node knows.
func (a *Agent) newestLock(ctx context.Context) cluster.Lock {
	known := a.ledgerFacts().Lock.Value()
	if s, ok := a.book.(*storeBook); ok {
		if l, err := s.ledger.Lock(ctx, known.Number); err == nil {
			return l
		}
	}
	return known
}

// Resume releases the maintenance lock.
func (a *Agent) Resume(ctx context.Context) (cluster.Lock, error) {
	l, err := a.book.unlock(ctx)
	a.gossipNow()
	a.poke()
	return l, err
}

// Recover records an operator's word. It is refused while a quorum answers:
// then nothing is lost that the keeper cannot replace.
func (a *Agent) Recover(ctx context.Context, q control.RecoverRequest) (cluster.Verdict, error) {
	c := a.published.Load().observation.Ledger.Charter
	switch {
	case !c.Known():
		return cluster.Verdict{}, fmt.Errorf("%w: no charter is known: there is nothing to recover", control.ErrRefused)
	case control.CheckReason(q.Reason) != nil:
		return cluster.Verdict{}, fmt.Errorf("%w: %w", control.ErrRefused, control.CheckReason(q.Reason))
	case q.NoLog && q.Backup == "":
		return cluster.Verdict{}, fmt.Errorf("%w: no-log: say which backup (--backup) is to be restored without the log behind it", control.ErrRefused)
	case len(q.GiveUp) > 0 && !q.Empty:
		return cluster.Verdict{}, fmt.Errorf("%w: give-up: it goes with --empty alone", control.ErrRefused)
	case len(q.Lost) == 0 && !q.Empty && q.Backup == "":
		return cluster.Verdict{}, fmt.Errorf("%w: say which members are lost (--lost), which backup to restore (--backup), or --empty", control.ErrRefused)
	}
	if err := a.mayRestore(ctx, q.Backup); err != nil {
		return cluster.Verdict{}, err
	}
	s, err := a.noQuorum(ctx)
	if err != nil {
		return cluster.Verdict{}, err
	}
	reports := append([]cluster.Report{s.report}, s.observation.Reports...)
	if err := misnamed(s.observation, reports, q); err != nil {
		return cluster.Verdict{}, err
	}
	word := cluster.Verdict{Epoch: c.Value().Epoch, Lost: q.Lost, Empty: q.Empty, GiveUp: q.GiveUp, Backup: q.Backup, NoLog: q.NoLog, Reason: q.Reason}
	if err := mayPassOver(s.observation, word); err != nil {
		return cluster.Verdict{}, err
	}
	by := q.By
	if by == "" {
		by = "operator"
	}
	word.By, word.At = by, after(s.observation.Ledger.Verdict.Value().At)
	err = a.book.writeVerdict(ctx, word)
	a.gossipNow()
	a.poke()
	return word, err
}

// Misnamed refuses an operator's word whose names are wrong, as the agent with these
// facts would.
func Misnamed(o plan.Observation, q control.RecoverRequest) error {
	if !o.Ledger.Charter.Known() {
		return fmt.Errorf("%w: no charter is known: there is nothing to recover", control.ErrRefused)
	}
	own := cluster.Report{Name: o.Self.Name, PeerURL: o.Self.PeerURL, Disk: o.Disk}
	return misnamed(o, append([]cluster.Report{own}, o.Reports...), q)
}

func misnamed(o plan.Observation, reports []cluster.Report, q control.RecoverRequest) error {
	epoch := o.Ledger.Charter.Value().Epoch
	for _, r := range reports {
		for _, lost := range q.Lost {
			if (r.Name == lost || r.PeerURL == lost) && r.Disk.State == cluster.DiskData && r.Disk.Epoch() == epoch {
				return fmt.Errorf("%w: %s answers, and holds data of epoch %d", control.ErrRefused, lost, epoch)
			}
		}
	}
	known := append(plan.LastMembers(o), bestMembers(&snapshot{observation: o}, reports)...)
	if unknown := unknownNames(q.Lost, known); len(unknown) > 0 {
		return fmt.Errorf("%w: lost: no such member: %s", control.ErrRefused, strings.Join(unknown, ", "))
	}
	for _, r := range reports {
		known = append(known, cluster.Member{Name: r.Name})
	}
	if unknown := unknownNames(q.GiveUp, known); len(unknown) > 0 {
		return fmt.Errorf("%w: give-up: no such node: %s", control.ErrRefused, strings.Join(unknown, ", "))
	}
	return nil
}

// mayPassOver refuses an empty cluster beside a disk that answers with data which
// the word does not name, and which does not seed by itself.
func mayPassOver(o plan.Observation, word cluster.Verdict) error {
	if !word.Empty {
		return nil
	}
	s := plan.AtStake(o, word)
	if _, survives := s.Newest(); survives {
		return nil
	}
	var names []string
	for _, p := range s.Passed {
		if !p.GivenUp {
			names = append(names, p.Name)
		}
	}
	if len(names) > 0 {
		return fmt.Errorf("%w: empty: the disks of %s answer and hold data that an empty cluster passes over: name them with --give-up too, or look at that data first", control.ErrRefused, strings.Join(names, ", "))
	}
	return nil
}

// mayRestore says that the backup is there and ours; whether it is whole, each
// founder finds out before it counts.
func (a *Agent) mayRestore(ctx context.Context, key string) error {
	if key == "" {
		return nil
	}
	if a.parts.Store == nil {
		return fmt.Errorf("%w: backup: without a store there are no backups", control.ErrRefused)
	}
	switch b, err := backup.Read(ctx, a.vault(), key); {
	case err != nil:
		return fmt.Errorf("%w: backup: %w", control.ErrRefused, err)
	case b.Cluster != a.opt.Settings.Cluster:
		return fmt.Errorf("%w: backup: %s is of cluster %s", control.ErrRefused, key, b.Cluster)
	}
	return nil
}

// unknownNames are those that no member goes by: one that has never said its
// name goes by its peer URL.
func unknownNames(names []string, members []cluster.Member) []string {
	return slices.DeleteFunc(slices.Clone(names), func(n string) bool {
		return slices.ContainsFunc(members, func(m cluster.Member) bool { return m.Label() == n })
	})
}

// Leave makes this node ask to be removed for good, or with Undo to come back.
// The wish outlives the agent.
func (a *Agent) Leave(_ context.Context, q control.LeaveRequest) error {
	s := a.published.Load()
	if !q.Undo && len(cluster.Voters(s.report.Members)) == 1 && !s.observation.Etcd.Value().Learner {
		return fmt.Errorf("%w: this is the last voter: leaving would end the cluster", control.ErrRefused)
	}
	if err := a.setLeaving(!q.Undo); err != nil {
		return fmt.Errorf("recording the wish to leave: %w", err)
	}
	a.gossipNow()
	a.poke()
	return nil
}

// setLeaving makes the wish durable before it counts. The lock is held over both:
// of two wishes at once the same one must be in the file and in memory.
func (a *Agent) setLeaving(leaving bool) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.noteLeaving(leaving); err != nil {
		return err
	}
	a.leaving = leaving
	return nil
}

func (a *Agent) noteLeaving(leaving bool) error {
	if leaving {
		return durable.WriteFile(a.path(leavingFile), []byte("`quorate leave` was said\n"), 0o600)
	}
	if err := os.Remove(a.path(leavingFile)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return durable.SyncDir(a.opt.DataDir)
}

// Reconfigure takes over settings that may change while the agent runs.
func (a *Agent) Reconfigure(s plan.Settings, r plan.Retention) {
	a.mu.Lock()
	a.settings, a.retention = s, r
	a.mu.Unlock()
	a.poke()
}
