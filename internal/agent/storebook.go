package agent

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/ledger"
	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/store"
)

// How often the store is read: seldom while all is well (news comes from the
// other agents at once), often while this node is on its way.
const (
	calmPace   = 240 * time.Second
	lockEvery  = 300 * time.Second
	rollEvery  = 600 * time.Second
	listSoon   = time.Minute // after the keeper has begun, or has written its list
	listEvery  = 40 * time.Minute
	hurryPace  = 300 * time.Millisecond
	patientFor = time.Minute // of hurry, then
	slowPace   = 2 * time.Second
	verifyGap  = time.Minute     // between two searches for a good backup
	failedGap  = 5 * time.Second // after a search that the store has failed
)

// storeBook reads and writes the ledger in the store. What it read last is in
// cached; a failed read makes unknown whatever could have changed since.
type storeBook struct {
	a      *Agent
	ledger *ledger.Ledger
	kick   chan struct{}

	mu        sync.Mutex
	cached    plan.Ledger
	probed    bool
	lockAt    time.Time
	rollAt    time.Time
	listDue   time.Time // when the keeper reads its list again; zero: it is none
	sought    time.Time // when a good backup was last searched for
	soughtFor search
	failing   failing
	compared  bool // by the keeper that this node is

	looking looking
}

func newStoreBook(s *store.Store, a *Agent) *storeBook {
	return &storeBook{a: a, ledger: ledger.Open(s, a.opt.Settings.Cluster), kick: make(chan struct{}, 1), cached: plan.Ledger{Asking: true}}
}

func (b *storeBook) facts() plan.Ledger {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.cached
}

func (b *storeBook) update(change func(*plan.Ledger)) {
	b.mu.Lock()
	change(&b.cached)
	b.mu.Unlock()
	b.a.poke()
}

// updateOf changes what is known of an epoch, unless another one is in force by
// now: whoever asked the store before the charter changed may hear of the last
// epoch after it, and what is true of that one's members is not of this one's.
func (b *storeBook) updateOf(e cluster.Epoch, change func(*plan.Ledger)) {
	b.update(func(l *plan.Ledger) {
		if l.Charter.Value().Epoch == e {
			change(l)
		}
	})
}

// hear: a report is a hint to look in the store, and a lock is news by itself.
func (b *storeBook) hear(r cluster.Report) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if l := r.Lock; l != nil && l.Number > b.cached.Lock.Value().Number {
		b.cached.Lock = cluster.Known(*l)
	}
	if r := r.Roll; r != nil && r.Number > b.cached.Roll.Value().Number {
		b.cached.Roll = cluster.Known(*r)
	}
	newer := r.Charter != nil && r.Charter.Epoch > b.cached.Charter.Value().Epoch
	verdict := r.Verdict != nil && !b.cached.Verdict.Known()
	if !b.listDue.IsZero() && b.newWord(r) { // it is read in the store: a word of mouth must not end what is written there
		verdict, b.listDue = true, time.Now().Add(-time.Second)
	}
	if newer || verdict || r.Ready && b.cached.Ready.Absent() {
		select {
		case b.kick <- struct{}{}:
		default:
		}
	}
}

// newWord says that the report knows an operator's word that came after ours.
func (b *storeBook) newWord(r cluster.Report) bool {
	return r.Verdict != nil && r.Verdict.Epoch == b.cached.Charter.Value().Epoch && r.Verdict.At.After(b.cached.Verdict.Value().At)
}

func (b *storeBook) watch(ctx context.Context) {
	began := time.Now()
	for ctx.Err() == nil {
		b.pass(ctx)
		if b.facts().Asking {
			b.update(func(l *plan.Ledger) { l.Asking = false })
		}
		pace := calmPace
		if !b.calm() {
			pace = slowPace
			if time.Since(began) < patientFor {
				pace = hurryPace
			}
		} else {
			began = time.Now()
		}
		timer := time.NewTimer(pace)
		for waiting := true; waiting; {
			select {
			case <-ctx.Done():
				waiting = false
			case <-timer.C:
				waiting = false
			case <-b.kick:
				waiting = false
			case <-time.After(time.Second):
				if waiting = pace != calmPace || b.calm(); waiting && pace == calmPace { // trouble ends the calm
					b.look(ctx)
				}
			}
		}
		timer.Stop()
	}
}

// calm says that our etcd follows a leader in an epoch that is ready.
func (b *storeBook) calm() bool {
	f := b.facts()
	s := b.a.published.Load()
	steady := f.Charter.Known() && f.Ready.Known() && s.observation.Etcd.Value().Healthy
	if k := s.report.Keeper; k {
		steady = steady && !f.Checkpoint.Unknown() && !f.Backup.Unknown() && b.hasCompared()
	}
	return steady
}

// pass reads what this node needs to know now.
func (b *storeBook) pass(ctx context.Context) {
	if !b.probe(ctx) {
		return
	}
	s := b.a.published.Load()
	healthy := s.observation.Etcd.Value().Healthy
	e, err := b.readCharter(ctx)
	if err != nil {
		if !healthy { // what could have changed since is unknown
			b.update(func(l *plan.Ledger) {
				l.Checkpoint, l.Verdict = cluster.Unknown[cluster.Checkpoint](), cluster.Unknown[cluster.Verdict]()
			})
		}
		b.fail(err)
		return
	}
	var errs []error
	if e > 0 {
		errs = append(errs, b.readMarks(ctx, e, s))
		switch {
		case !healthy || s.report.Keeper && b.facts().Checkpoint.Unknown():
			errs = append(errs, b.readCheckpoint(ctx, e), b.readVerdict(ctx, e))
		case b.listIsDue(s.report.Keeper):
			errs = append(errs, b.readCheckpoint(ctx, e), b.readVerdict(ctx, e))
		}
		errs = append(errs, b.readBackup(ctx, e, s))
	}
	b.a.discardUnneeded(s.observation)
	errs = append(errs, b.readLock(ctx), b.readRoll(ctx))
	b.fail(errors.Join(errs...))
}

// probe makes sure, once, that the store honours create-if-absent.
func (b *storeBook) probe(ctx context.Context) bool {
	if b.probed || b.a.readOnly {
		return true
	}
	err := b.ledger.Probe(ctx)
	switch {
	case errors.Is(err, ledger.ErrUnconditional):
		b.update(func(l *plan.Ledger) { l.Unfit = err.Error() })
	case err == nil:
		b.probed = true
		b.update(func(l *plan.Ledger) { l.Unfit = "" })
	}
	b.fail(err)
	return b.probed
}

func (b *storeBook) readCharter(ctx context.Context) (cluster.Epoch, error) {
	have := b.facts().Charter
	if have.Known() && b.calm() && b.looking.witness.Key != "" { // look sees to it that the store has not gone back
		return b.readLaterCharter(ctx, have.Value().Epoch)
	}
	c, err := b.ledger.Charter(ctx, have.Value().Epoch)
	switch {
	case err == nil:
		if have.Unknown() || have.Absent() || c.Epoch > have.Value().Epoch {
			b.setCharter(c)
		}
		return c.Epoch, nil
	case errors.Is(err, ledger.ErrNone) && !have.Known():
		b.updateOf(0, func(l *plan.Ledger) { l.Charter = cluster.Absent[cluster.Charter]() })
		return 0, nil
	case errors.Is(err, ledger.ErrNone):
		return 0, fmt.Errorf("reading the ledger: charter %d was there and is missing", have.Value().Epoch)
	}
	if have.Absent() {
		b.updateOf(0, func(l *plan.Ledger) { l.Charter = cluster.Unknown[cluster.Charter]() })
	}
	return 0, err
}

// readLaterCharter costs one request where there is none.
func (b *storeBook) readLaterCharter(ctx context.Context, than cluster.Epoch) (cluster.Epoch, error) {
	c, err := b.ledger.Charter(ctx, than+1)
	switch {
	case errors.Is(err, ledger.ErrNone):
		return than, nil
	case err == nil:
		b.setCharter(c)
		return c.Epoch, nil
	}
	return 0, err
}

// setCharter puts a charter in force, unless it is or a later one is: what was
// known of the epoch before is void.
func (b *storeBook) setCharter(c cluster.Charter) {
	b.mu.Lock()
	newer := b.cached.Charter.Value().Epoch < c.Epoch
	if newer {
		l := b.cached
		b.cached = plan.Ledger{Charter: cluster.Known(c), Lock: l.Lock, Roll: l.Roll, Unfit: l.Unfit}
	}
	b.mu.Unlock()
	if newer {
		b.a.poke()
		b.a.gossipNow()
	}
}

func (b *storeBook) readMarks(ctx context.Context, e cluster.Epoch, s *snapshot) error {
	f := b.facts()
	var errs []error
	if !f.Mark.Known() && s.observation.Disk.State == cluster.DiskEmpty {
		m, err := read(b.ledger.Started(ctx, e, b.a.opt.Name))
		b.updateOf(e, func(l *plan.Ledger) { l.Mark = m })
		errs = append(errs, err)
	}
	if !f.Ready.Known() {
		r, err := read(b.ledger.Ready(ctx, e))
		b.updateOf(e, func(l *plan.Ledger) { l.Ready = r })
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func (b *storeBook) readCheckpoint(ctx context.Context, e cluster.Epoch) error {
	c, err := read(b.ledger.Checkpoint(ctx, e))
	b.updateOf(e, func(l *plan.Ledger) { l.Checkpoint = c })
	return err
}

// listIsDue says that the keeper reads the list that it has written once more: a
// write of the keeper before it may have come late, and stand in its place. And what
// an operator said while no keeper was heard, which has lapsed.
func (b *storeBook) listIsDue(keeper bool) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch now := time.Now(); {
	case !keeper:
		b.listDue = time.Time{}
	case b.listDue.IsZero():
		b.listDue = now.Add(listSoon)
	case now.After(b.listDue):
		b.listDue = now.Add(listEvery)
		return true
	}
	return false
}

func (b *storeBook) readVerdict(ctx context.Context, e cluster.Epoch) error {
	v, err := read(b.ledger.Verdict(ctx, e))
	b.updateOf(e, func(l *plan.Ledger) { l.Verdict = v })
	return err
}

func (b *storeBook) readLock(ctx context.Context) error {
	if !b.lockAt.IsZero() && time.Since(b.lockAt) < lockEvery {
		return nil
	}
	l, err := read(b.ledger.Lock(ctx, b.facts().Lock.Value().Number+1))
	if err == nil {
		b.lockAt = time.Now()
		b.noteLock(l)
	}
	return err
}

// readRoll reads the newest roll, more seldom than the lock: news comes from others.
func (b *storeBook) readRoll(ctx context.Context) error {
	if !b.rollAt.IsZero() && time.Since(b.rollAt) < rollEvery {
		return nil
	}
	r, err := read(b.ledger.Roll(ctx, b.facts().Roll.Value().Number+1))
	if err == nil {
		b.rollAt = time.Now()
		b.noteRoll(r)
	}
	return err
}

// noteRoll keeps the greater number.
func (b *storeBook) noteRoll(f cluster.Fact[cluster.Roll]) {
	b.update(func(l *plan.Ledger) {
		if !l.Roll.Known() || f.Known() && f.Value().Number > l.Roll.Value().Number {
			l.Roll = f
		}
	})
}

// noteLock keeps the greater number: a lock is never older than we knew.
func (b *storeBook) noteLock(f cluster.Fact[cluster.Lock]) {
	b.update(func(l *plan.Ledger) {
		if !l.Lock.Known() || f.Known() && f.Value().Number >= l.Lock.Value().Number {
			l.Lock = f
		}
	})
}

// read makes a fact of a ledger's answer.
func read[T any](v T, err error) (cluster.Fact[T], error) {
	switch {
	case err == nil:
		return cluster.Known(v), nil
	case errors.Is(err, ledger.ErrNone):
		return cluster.Absent[T](), nil
	}
	return cluster.Unknown[T](), err
}
