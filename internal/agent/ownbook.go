package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"sync"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/durable"
	"github.com/quorate/quorate/internal/plan"
)

// Files of a node without a store.
const (
	charterFile = "charter.json"
	grantFile   = "grant.json"
	readyFile   = "ready.json"
	membersFile = "members.json"
	lockFile    = "lock.json"
	rollsFile   = "rolls.json"
	verdictFile = "verdict.json"
	journalFile = "journal.jsonl"
)

// ownBook keeps in this node's own files what a store would keep for all. A
// charter comes into it by consent, or from an agent that lives by it.
type ownBook struct {
	dir string
	a   *Agent

	mu  sync.Mutex
	own plan.Ledger
}

func newOwnBook(dir string, a *Agent) *ownBook {
	b := &ownBook{dir: dir, a: a}
	b.own = plan.Ledger{
		Charter: load[cluster.Charter](b, charterFile), Grant: load[cluster.Charter](b, grantFile),
		Ready: load[cluster.ReadyMark](b, readyFile), Checkpoint: load[cluster.Checkpoint](b, membersFile),
		Lock: load[cluster.Lock](b, lockFile), Roll: load[cluster.Roll](b, rollsFile), Verdict: load[cluster.Verdict](b, verdictFile),
		Backup: cluster.Absent[cluster.Backup](),
	}
	return b
}

func load[T any](b *ownBook, name string) cluster.Fact[T] {
	raw, err := os.ReadFile(b.a.path(name))
	var v T
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return cluster.Absent[T]()
	case err != nil || json.Unmarshal(raw, &v) != nil:
		return cluster.Unknown[T]()
	}
	return cluster.Known(v)
}

func (b *ownBook) save(name string, v any) error {
	raw, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return durable.WriteFile(b.a.path(name), raw, 0o600)
}

func (b *ownBook) watch(ctx context.Context) { <-ctx.Done() }

// facts derive our started mark: a node that has granted the charter in force,
// on this disk, has not voted yet unless its disk says so; one that has not
// granted it must have lost the disk that did.
func (b *ownBook) facts() plan.Ledger {
	b.mu.Lock()
	defer b.mu.Unlock()
	l := b.own
	l.Mark = cluster.Absent[cluster.StartedMark]()
	if c := l.Charter; c.Known() && (!l.Grant.Known() || l.Grant.Value().Nonce != c.Value().Nonce) && c.Value().Seed.Survivor != b.a.opt.Name {
		l.Mark = cluster.Known(cluster.StartedMark{Epoch: c.Value().Epoch, Name: b.a.opt.Name, DiskID: "not this disk"})
	}
	if l.Ready.Known() && l.Ready.Value().Epoch != l.Charter.Value().Epoch {
		l.Ready = cluster.Absent[cluster.ReadyMark]()
	}
	if l.Verdict.Known() && l.Verdict.Value().Epoch != l.Charter.Value().Epoch {
		l.Verdict = cluster.Absent[cluster.Verdict]()
	}
	if l.Checkpoint.Known() && l.Checkpoint.Value().Epoch != l.Charter.Value().Epoch {
		l.Checkpoint = cluster.Absent[cluster.Checkpoint]()
	}
	return l
}

// hear takes over what is newer. An agent lives by its charter: it is in force.
func (b *ownBook) hear(r cluster.Report) {
	b.mu.Lock()
	defer b.mu.Unlock()
	l := &b.own
	if r.Charter != nil && r.Charter.Cluster == b.a.opt.Settings.Cluster && r.Charter.Epoch > l.Charter.Value().Epoch {
		b.keep(charterFile, *r.Charter, func() { l.Charter = cluster.Known(*r.Charter) })
	}
	b.hearLock(r.Lock)
	if r.Roll != nil && newerRoll(*r.Roll, l.Roll.Value()) {
		b.keep(rollsFile, *r.Roll, func() { l.Roll = cluster.Known(*r.Roll) })
	}
	if r.Verdict != nil && r.Verdict.At.After(l.Verdict.Value().At) {
		b.keep(verdictFile, *r.Verdict, func() { l.Verdict = cluster.Known(*r.Verdict) })
	}
	c := l.Charter.Value()
	if r.Keeper && r.Charter != nil && r.Charter.Epoch == c.Epoch && c.Epoch > 0 {
		if r.Ready && l.Ready.Value().Epoch != c.Epoch {
			m := cluster.ReadyMark{Epoch: c.Epoch, By: r.Name, At: r.At}
			b.keep(readyFile, m, func() { l.Ready = cluster.Known(m) })
		}
		if old := l.Checkpoint.Value(); old.Epoch != c.Epoch || !equalMembers(old.Members, r.Members) {
			m := cluster.Checkpoint{Epoch: c.Epoch, Members: r.Members, By: r.Name, At: r.At}
			b.keep(membersFile, m, func() { l.Checkpoint = cluster.Known(m) })
		}
	}
}

// newerRoll decides between two entries alike at every node: two keepers, one of
// them of yesterday, may have written the same number.
func newerRoll(r, than cluster.Roll) bool {
	return r.Number > than.Number || r.Number == than.Number && r.Nonce > than.Nonce
}

func equalMembers(a, b []cluster.Member) bool {
	return slices.EqualFunc(a, b, func(x, y cluster.Member) bool {
		return x.ID == y.ID && x.Name == y.Name && x.Learner == y.Learner && slices.Equal(x.PeerURLs, y.PeerURLs)
	})
}

// keep makes hearsay durable before it counts.
func (b *ownBook) keep(name string, v any, then func()) {
	if b.a.readOnly {
		then()
		return
	}
	if err := b.save(name, v); err != nil {
		b.a.log.Warn("keeping what another agent told", "file", name, "error", err)
		return
	}
	then()
	b.a.poke()
}

// put saves v and then makes it a fact.
func put[T any](b *ownBook, name string, v T, at func(*plan.Ledger) *cluster.Fact[T]) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return putLocked(b, name, v, at)
}

// putLocked is put by whoever holds b.mu.
func putLocked[T any](b *ownBook, name string, v T, at func(*plan.Ledger) *cluster.Fact[T]) error {
	if err := b.save(name, v); err != nil {
		return err
	}
	*at(&b.own) = cluster.Known(v)
	return nil
}

func (b *ownBook) writeCharter(_ context.Context, _ plan.Ledger, c cluster.Charter) error {
	b.mu.Lock()
	have := b.own.Charter
	b.mu.Unlock()
	if have.Known() && have.Value().Epoch >= c.Epoch {
		return nil
	}
	err := put(b, charterFile, c, func(l *plan.Ledger) *cluster.Fact[cluster.Charter] { return &l.Charter })
	b.a.gossipNow()
	return err
}

func (b *ownBook) grant(c cluster.Charter) error {
	return put(b, grantFile, c, func(l *plan.Ledger) *cluster.Fact[cluster.Charter] { return &l.Grant })
}

func (b *ownBook) markStarted(_ context.Context, m cluster.StartedMark) error {
	if f := b.facts().Mark; f.Known() && f.Value().DiskID != m.DiskID {
		return fmt.Errorf("another disk has started as %s in epoch %d", m.Name, m.Epoch)
	}
	return nil
}

func (b *ownBook) markReady(_ context.Context, m cluster.ReadyMark) error {
	return put(b, readyFile, m, func(l *plan.Ledger) *cluster.Fact[cluster.ReadyMark] { return &l.Ready })
}

func (b *ownBook) writeCheckpoint(_ context.Context, c cluster.Checkpoint) error {
	return put(b, membersFile, c, func(l *plan.Ledger) *cluster.Fact[cluster.Checkpoint] { return &l.Checkpoint })
}

func (b *ownBook) journal(_ context.Context, e journalEntry) error {
	raw, err := json.Marshal(e)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(b.a.path(journalFile), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Write(append(raw, '\n')); err != nil {
		return err
	}
	return f.Sync()
}

func (b *ownBook) writeVerdict(_ context.Context, v cluster.Verdict) error {
	return put(b, verdictFile, v, func(l *plan.Ledger) *cluster.Fact[cluster.Verdict] { return &l.Verdict })
}

func (b *ownBook) lapseVerdict(ctx context.Context, old, lapsed cluster.Verdict) error {
	if !b.facts().Verdict.Value().At.Equal(old.At) {
		return errAnotherWord
	}
	return b.writeVerdict(ctx, lapsed)
}

func (b *ownBook) writeRoll(_ context.Context, r cluster.Roll) error {
	if have := b.facts().Roll; have.Unknown() || !newerRoll(r, have.Value()) {
		return nil
	}
	err := put(b, rollsFile, r, func(l *plan.Ledger) *cluster.Fact[cluster.Roll] { return &l.Roll })
	b.a.gossipNow()
	return err
}
