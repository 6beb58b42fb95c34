package replay

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/coreos/go-semver/semver"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/version"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/quorate/quorate/internal/backup"
	"github.com/quorate/quorate/internal/chain"
)

// ErrOtherMinor says that the log was written by an etcd of another minor, which
// may apply entries otherwise, and that there is none of that minor here.
var ErrOtherMinor = errors.New("the log is of another etcd")

// Etcds gives the command of an etcd of the same minor as a version, before etcd's
// own flags: the entries that it has written are applied by that. Its error tells
// what there is, and may be ErrOtherMinor.
type Etcds func(version string) (argv []string, err error)

// Replays says whether a log written by that version can be replayed by the etcd
// in here.
func Replays(etcd string) bool { return SameMinor(etcd, version.Version) }

// SameMinor says that two versions apply entries alike.
func SameMinor(a, b string) bool {
	v, err := semver.NewVersion(a)
	w, err2 := semver.NewVersion(b)
	return err == nil && err2 == nil && v.Major == w.Major && v.Minor == w.Minor
}

// replayer is the etcd for a log; nil is the one in here.
func (s Source) replayer(etcd string) ([]string, error) {
	if Replays(etcd) {
		return nil, nil
	}
	if s.Etcds == nil {
		return nil, fmt.Errorf("%w: etcd %s, and here is %s", ErrOtherMinor, etcd, version.Version)
	}
	return s.Etcds(etcd)
}

// roundSize is how many bytes of entries another etcd gets at a time: all of them
// are in its memory, and in ours.
const roundSize = 64 << 20

// elder are entries that wait for an etcd of another minor.
type elder struct {
	argv    []string
	etcd    string // a version
	what    string // segments
	entries []*raftpb.Entry
	size    int
}

// elder takes a segment in for the etcd of its minor.
func (b *bench) elder(s chain.Segment) error {
	if err := b.rest(); err != nil {
		return err
	}
	if b.from == 0 {
		if err := b.elderBegins(); err != nil {
			return err
		}
	}
	if b.other != nil && !SameMinor(b.other.etcd, s.Etcd) {
		if err := b.elderRest(); err != nil {
			return err
		}
	}
	if b.other == nil {
		argv, err := b.src.replayer(s.Etcd)
		if err != nil {
			return fmt.Errorf("segment %d: %w", s.Number, err)
		}
		b.other = &elder{argv: argv, etcd: s.Etcd}
	}
	b.other.what = fmt.Sprintf("chain %d, up to segment %d, by etcd %s", s.Chain, s.Number, s.Etcd)
	if err := b.take(s); err != nil {
		return err
	}
	if b.other.size >= b.round {
		return b.elderRest()
	}
	return nil
}

// take queues what is not applied and not behind the cut.
func (b *bench) take(s chain.Segment) error {
	for _, e := range s.Entries {
		switch {
		case b.plan.Cut.Index > 0 && e.GetIndex() > b.plan.Cut.Index:
			b.at.Reached = true
			return nil
		case e.GetIndex() <= b.at.Index:
			continue
		case e.GetIndex() != b.at.Index+1:
			return fmt.Errorf("applying entry %d after %d: %w", e.GetIndex(), b.at.Index, ErrGap)
		}
		b.other.entries = append(b.other.entries, harmless(e))
		b.other.size += len(e.GetData())
		b.at.Index = e.GetIndex()
	}
	if s.Check != nil {
		b.check = s.Check
	}
	return nil
}

// elderBegins finds out where the snapshot is, and for a cut at a revision the
// entry that makes it: another etcd can only be told how far to go by an index.
func (b *bench) elderBegins() (err error) {
	if b.at.Index, err = backup.IndexOf(b.db); err != nil {
		return err
	}
	b.from = b.at.Index
	if b.plan.Cut.Index > 0 && b.from > b.plan.Cut.Index {
		return b.passed()
	}
	if b.plan.Cut.Revision == 0 {
		return nil
	}
	index, err := b.find()
	if err != nil {
		return fmt.Errorf("looking for the entry of %s: %w", b.plan.Cut, err)
	}
	b.plan.Cut, b.wants = Cut{Index: index}, b.plan.Cut.Revision
	return nil
}

// find applies the log with the etcd in here to a copy, for no more than to find
// out which entry makes the revision. That it is so is seen at the end.
func (b *bench) find() (index uint64, err error) {
	name := b.db + ".trial"
	defer os.Remove(name)
	if err := copyDB(name, b.db); err != nil {
		return 0, err
	}
	w, err := startWorker(b.ctx, name, b.plan.Cut)
	if err != nil {
		return 0, err
	}
	defer w.stop()
	if b.plan.Cut.passed(w.at) {
		b.at = w.at
		return 0, b.passed()
	}
	for s, err := range b.src.Log.Walk(b.ctx, b.plan.From, b.plan.Last.Number) {
		if err != nil {
			return 0, err
		}
		s.Check = nil
		if err := w.apply(s); err != nil || w.at.Reached {
			return w.at.Index, err
		}
	}
	if err := w.settle(0); err != nil {
		return 0, err
	}
	return w.at.Index, b.plan.arrived(w.at)
}

func copyDB(dst, src string) error {
	in, err := os.Open(src)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(dst, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// elderRest has what waits applied.
func (b *bench) elderRest() error {
	o := b.other
	b.other = nil
	if o == nil || len(o.entries) == 0 {
		return nil
	}
	err := backup.Reapply(b.ctx, o.argv, b.db, o.entries)
	if err != nil && b.ctx.Err() == nil {
		return fmt.Errorf("%w after index %d: %s: %w", ErrUnreplayable, o.entries[0].GetIndex()-1, o.what, err)
	}
	return err
}

// noEffect is a request that etcd passes over: the index counts, no more. An empty
// entry would be an election.
var noEffect, _ = proto.Marshal(&pb.InternalRaftRequest{Header: &pb.RequestHeader{ID: 1}, Range: &pb.RangeRequest{CountOnly: true}})

// harmless is the entry, or one without effect in place of what must not be
// applied: see decode. One that is not understood here may be by the other etcd.
func harmless(e *raftpb.Entry) *raftpb.Entry {
	if r, err := decode(e); r != nil || err != nil {
		return e
	}
	return &raftpb.Entry{Term: e.Term, Index: e.Index, Type: raftpb.EntryNormal.Enum(), Data: noEffect}
}
