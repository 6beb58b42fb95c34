package replay

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/coreos/go-semver/semver"
	"go.etcd.io/etcd/api/v3/version"

	"github.com/quorate/quorate/internal/backup"
	"github.com/quorate/quorate/internal/chain"
)

// ErrDiverged says that the replay does not hash as the live cluster did: a bug,
// of etcd or of ours, or an etcd of another version. Nothing is kept.
var ErrDiverged = errors.New("the replay is not what the live cluster was")

// ErrOtherMinor says that the log was written by an etcd of another minor, which
// may apply entries otherwise.
var ErrOtherMinor = errors.New("the log is of another etcd")

// Replays says whether a log written by that version can be replayed here.
func Replays(etcd string) bool {
	theirs, err := semver.NewVersion(etcd)
	ours := semver.New(version.Version)
	return err == nil && theirs.Major == ours.Major && theirs.Minor == ours.Minor
}

// errPassed says that a snapshot is behind the cut after all.
var errPassed = errors.New("the snapshot is behind the cut")

// growth is how much a database may grow for each stored byte of the log, which
// is compressed there: a guess for a first refusal.
const growth = 6

// garbage is Go's GC percent while a log is applied: an agent's own is low, for
// its etcd's sake, and no etcd runs then.
const garbage = 200

// Result is what was built.
type Result struct {
	Plan     Plan   `json:"plan"`
	Index    uint64 `json:"raft_index"`
	Revision int64  `json:"revision"` // before it is bumped
	Entries  int    `json:"entries"`  // of the log that were applied
	Checked  int64  `json:"checked"`  // the revision at which it hashed as the live cluster did; 0: none was recorded
}

// Progress hears how far a restore is: bytes of the snapshot, then segments.
type Progress func(what string, done, total int64)

// Build makes the targets' data directories, all from the same cut, by the first
// plan that leads there; see backup.RestoreAll for what is left on an error, and
// Survey for why there are several. What was tried in vain is told as well.
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
	}
	err := backup.RestoreAll(ctx, src.Store, p.Base, amend, into...)
	return r, err
}

// amend brings the snapshot's database to the cut.
func (p Plan) amend(ctx context.Context, src Source, db string, say Progress, r *Result) (err error) {
	defer debug.SetGCPercent(debug.SetGCPercent(garbage))
	a, err := Open(db)
	if err != nil {
		return err
	}
	err = p.replay(ctx, src, a, say, r)
	r.Index, r.Revision = a.Index(), a.Revision()
	return errors.Join(err, a.Close())
}

func (p Plan) replay(ctx context.Context, src Source, a *Applier, say Progress, r *Result) error {
	if p.Cut.passed(a) {
		return fmt.Errorf("%w: %s is at index %d and revision %d, after %s", errPassed, p.Base.Key, a.Index(), a.Revision(), p.Cut)
	}
	began, done := a.Index(), int64(0)
	if p.Segments > 0 {
		for s, err := range src.Log.Walk(ctx, p.From, p.Last.Number) {
			if err != nil {
				return fmt.Errorf("reading the log behind index %d: %w", a.Index(), err)
			}
			whole, err := p.applySegment(a, s)
			if err != nil {
				return err
			}
			if whole && s.Check != nil {
				if err := r.compare(a, s.Check); err != nil {
					return fmt.Errorf("segment %d: %w", s.Number, err)
				}
			}
			if done++; say != nil {
				say("log", done, int64(p.Segments))
			}
			if p.Cut.reached(a) {
				break
			}
		}
	}
	r.Entries = int(a.Index() - began)
	return p.arrived(a)
}

// applySegment applies a segment up to the cut; whole says that it did so to the
// segment's end.
func (p Plan) applySegment(a *Applier, s chain.Segment) (whole bool, err error) {
	if !Replays(s.Etcd) {
		return false, fmt.Errorf("segment %d: %w: etcd %s, and here is %s", s.Number, ErrOtherMinor, s.Etcd, version.Version)
	}
	for _, e := range s.Entries {
		if p.Cut.reached(a) {
			return false, nil
		}
		if err := a.Apply(e); err != nil {
			return false, fmt.Errorf("segment %d: %w", s.Number, err)
		}
	}
	return true, nil
}

// compare holds the state at a segment's end against the hash in it, which the
// live cluster told. One that was compacted further by then cannot be compared.
func (r *Result) compare(a *Applier, check *chain.HashKV) error {
	if check.Revision > a.Revision() {
		return nil
	}
	hash, compacted, err := a.Hash(check.Revision)
	switch {
	case err != nil || compacted != check.Compact:
		return nil
	case hash != check.Hash:
		return fmt.Errorf("%w: HashKV at revision %d is %d, and was %d", ErrDiverged, check.Revision, hash, check.Hash)
	}
	r.Checked = check.Revision
	return nil
}

// arrived holds what was reached against the plan.
func (p Plan) arrived(a *Applier) error {
	switch {
	case p.Cut.Revision > a.Revision():
		return fmt.Errorf("the log ends at revision %d, before %s: %w", a.Revision(), p.Cut, ErrNothing)
	case p.Cut.Index > a.Index(), p.Cut == (Cut{}) && p.Last.Index > a.Index():
		return fmt.Errorf("the log ends at index %d: %w", a.Index(), ErrGap)
	}
	return nil
}
