package replay

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/quorate/quorate/internal/backup"
	"github.com/quorate/quorate/internal/chain"
)

// ErrDiverged says that the replay does not hash as the live cluster did: a bug,
// of etcd or of ours, or an etcd of another version. Nothing is kept.
var ErrDiverged = errors.New("the replay is not what the live cluster was")

// errPassed says that a snapshot is behind the cut after all.
var errPassed = errors.New("the snapshot is behind the cut")

// growth is how much a database may grow for each stored byte of the log, which
// is compressed there: a guess for a first refusal.
const growth = 6

// Result is what was built.
type Result struct {
	Plan     Plan   `json:"plan"`
	Index    uint64 `json:"raft_index"`
	Revision int64  `json:"revision"` // before it is bumped
	Entries  int    `json:"entries"`  // of the log that were applied
	Checked  int64  `json:"checked"`  // the last revision at which it hashed as the live cluster did; 0: none could be compared
}

// Progress hears how far a restore is: bytes of the snapshot, then segments.
type Progress func(what string, done, total int64)

// Build makes the targets' data directories, all from the same cut, by the first
// plan that leads there; see backup.RestoreAll for what is left on an error, and
// Survey for why there are several. What was tried in vain is told as well. The
// log is applied by another process (Work): the program's main must be ready to
// be that, by Subcommand.
func Build(ctx context.Context, src Source, plans []Plan, say Progress, into ...backup.Target) (Result, error) {
	var failed []error
	for _, p := range plans {
		r, err := p.build(ctx, src, say, into)
		if err == nil {
			return r, nil
		}
		failed = append(failed, err)
		if !errors.Is(err, backup.ErrDamaged) && !errors.Is(err, errPassed) {
			break
		}
	}
	return Result{}, errors.Join(failed...)
}

func (p Plan) build(ctx context.Context, src Source, say Progress, into []backup.Target) (Result, error) {
	r := Result{Plan: p, Index: p.Base.Index, Revision: p.Base.Revision}
	if say != nil {
		into[0].Progress = func(done int64) { say("snapshot", done, p.Base.Size) }
	}
	var amend backup.Amendment
	if p.Segments > 0 || p.Cut.exact() {
		amend.Do = func(db string) error { return p.amend(ctx, src, db, say, &r) }
		amend.Room = growth*p.Bytes + 64<<20
		if !Replays(p.Etcd) {
			amend.Room += p.Base.Size + 2*roundSize // another etcd's log, and maybe a copy
		}
	}
	err := backup.RestoreAll(ctx, src.Store, p.Base, amend, into...)
	return r, err
}

// amend brings the snapshot's database to the cut.
func (p Plan) amend(ctx context.Context, src Source, db string, say Progress, r *Result) error {
	db, err := filepath.Abs(db)
	if err != nil {
		return err
	}
	b := &bench{ctx: ctx, src: src, plan: p, db: db, round: roundSize}
	defer b.clear()
	if err := b.walk(say); err != nil {
		return err
	}
	if err := b.end(); err != nil {
		return err
	}
	r.Index, r.Revision, r.Checked, r.Entries = b.at.Index, b.at.Revision, b.at.Checked, int(b.at.Index-b.from)
	return p.arrived(b.at)
}

// bench is where a database is worked on: by a worker of ours, or by an etcd of
// the minor that wrote the log.
type bench struct {
	ctx  context.Context
	src  Source
	plan Plan
	db   string

	round int           // bytes of entries that another etcd gets at a time
	own   *worker       // nil while none of ours has the database open
	other *elder        // nil unless entries wait for an etcd of another minor
	check *chain.HashKV // what such entries are to be held against in the end
	from  uint64        // where the database was; 0: not known yet
	wants int64         // the revision to arrive at, if the plan's cut is not that
	at    answer
}

func (b *bench) passed() error {
	return fmt.Errorf("%w: %s is at index %d and revision %d, after %s", errPassed, b.plan.Base.Key, b.at.Index, b.at.Revision, b.plan.Cut)
}

// walk has the segments applied up to the cut.
func (b *bench) walk(say Progress) error {
	if b.plan.Segments == 0 {
		return nil
	}
	done := int64(0)
	for s, err := range b.src.Log.Walk(b.ctx, b.plan.From, b.plan.Last.Number) {
		if err != nil {
			return fmt.Errorf("reading the log behind index %d: %w", b.at.Index, err)
		}
		if err := b.apply(s); err != nil {
			return err
		}
		if done++; say != nil {
			say("log", done, int64(b.plan.Segments))
		}
		if b.at.Reached {
			break
		}
	}
	return nil
}

// apply hands a segment to whoever is of its minor.
func (b *bench) apply(s chain.Segment) error {
	if !Replays(s.Etcd) {
		return b.elder(s)
	}
	if err := b.work(); err != nil {
		return err
	}
	err := b.own.apply(s)
	b.at = b.own.at
	return err
}

// work has a worker of ours open the database, unless one has.
func (b *bench) work() (err error) {
	if b.own != nil {
		return nil
	}
	if err := b.elderRest(); err != nil {
		return err
	}
	if b.own, err = startWorker(b.ctx, b.db, b.plan.Cut); err != nil {
		return err
	}
	b.at = b.own.at
	if b.from > 0 {
		return nil
	}
	if b.from = b.at.Index; b.plan.Cut.passed(b.at) {
		return b.passed()
	}
	return nil
}

// rest has our worker close the database.
func (b *bench) rest() error {
	if b.own == nil {
		return nil
	}
	err := b.own.close()
	b.at = b.own.at
	b.clear()
	return err
}

// end has all of it in the file, and knows where it ends.
func (b *bench) end() error {
	if err := b.work(); err != nil {
		return err
	}
	if b.check != nil {
		if err := b.own.apply(chain.Segment{Header: chain.Header{Check: b.check}}); err != nil {
			return err
		}
	}
	if err := b.rest(); err != nil {
		return err
	}
	if b.wants > 0 && b.at.Revision != b.wants {
		return fmt.Errorf("%w: index %d should make revision %d, and the etcd that wrote the log makes it %d", ErrDiverged, b.at.Index, b.wants, b.at.Revision)
	}
	return nil
}

// clear ends what still runs.
func (b *bench) clear() {
	if b.own != nil {
		b.own.stop()
		b.own = nil
	}
}

// arrived holds what was reached against the plan.
func (p Plan) arrived(at answer) error {
	switch {
	case p.Cut.Revision > at.Revision:
		return fmt.Errorf("the log ends at revision %d, before %s: %w", at.Revision, p.Cut, ErrNothing)
	case p.Cut.Index > at.Index, p.Cut == (Cut{}) && p.Last.Index > at.Index:
		return fmt.Errorf("the log ends at index %d: %w", at.Index, ErrGap)
	}
	return nil
}
