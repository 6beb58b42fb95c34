package raftlog

import (
	"fmt"

	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.etcd.io/etcd/server/v3/storage/wal/walpb"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

// tail is the log from the entry on that is wanted next, as the records read
// so far have it.
type tail struct {
	next    uint64          // index of entries[0], whether it is there or not
	entries []*raftpb.Entry // contiguous
	final   int             // so many of them are committed
	bytes   int             // the Size of the final ones
}

// last is the index of the last entry; next-1 when there is none.
func (t *tail) last() uint64 { return t.next + uint64(len(t.entries)) - 1 }

func (t *tail) finalBytes() int { return t.bytes }

func (t *tail) record(rec *walpb.Record) error {
	switch rec.GetType() {
	case wal.EntryType:
		e := new(raftpb.Entry)
		if err := proto.Unmarshal(rec.Data, e); err != nil {
			return fmt.Errorf("%w: decoding an entry: %w", ErrDamaged, err)
		}
		return t.append(e)
	case wal.StateType:
		var s raftpb.HardState
		if err := proto.Unmarshal(rec.Data, &s); err != nil {
			return fmt.Errorf("%w: decoding a hard state: %w", ErrDamaged, err)
		}
		t.finish(min(s.GetCommit(), t.last()))
	case wal.SnapshotType:
		var s walpb.Snapshot
		if err := proto.Unmarshal(rec.Data, &s); err != nil {
			return fmt.Errorf("%w: decoding a snapshot's record: %w", ErrDamaged, err)
		}
		return t.snapshot(s.GetIndex(), s.GetTerm())
	}
	return nil
}

// append adds an entry, over those of its index and above.
func (t *tail) append(e *raftpb.Entry) error {
	index := e.GetIndex()
	keep := 0
	if index > t.next {
		keep = int(min(index-t.next, uint64(len(t.entries))))
	}
	switch {
	case keep < t.final:
		return fmt.Errorf("%w: entry %d is written over, and was committed", ErrDamaged, index)
	case index > t.next && index > t.next+uint64(keep):
		return fmt.Errorf("%w: want entry %d, have %d", ErrGap, t.last()+1, index)
	}
	t.entries = t.entries[:keep]
	if index >= t.next {
		t.entries = append(t.entries, e)
	}
	return nil
}

// snapshot notes a snapshot of the member's: its own, of entries that it has
// applied, or one that it got, in place of what it lacks.
func (t *tail) snapshot(index, term uint64) error {
	switch {
	case index < t.next:
		return nil
	case index > t.last() || t.entries[index-t.next].GetTerm() != term:
		return fmt.Errorf("%w: the member got a snapshot of index %d, want entry %d", ErrGap, index, t.next+uint64(t.final))
	}
	t.finish(index)
	return nil
}

// confirm makes final what is known to be applied, if the log has the very
// entry that was.
func (t *tail) confirm(a Applied) {
	if a.Index >= t.next && a.Index <= t.last() && t.entries[a.Index-t.next].GetTerm() == a.Term {
		t.finish(a.Index)
	}
}

// finish makes all final up to an index, which the tail holds or which is
// before it.
func (t *tail) finish(index uint64) {
	for t.next+uint64(t.final) <= index {
		t.bytes += Size(t.entries[t.final])
		t.final++
	}
}

// Size is about what an entry takes in memory, in bytes.
func Size(e *raftpb.Entry) int { return len(e.GetData()) + overhead }

const overhead = 128

// take removes final entries of max bytes, at least one if there is one.
func (t *tail) take(max int) []*raftpb.Entry {
	n, size := 0, 0
	for n < t.final && (n == 0 || size < max) {
		size += Size(t.entries[n])
		n++
	}
	taken := t.entries[:n:n]
	t.entries = append([]*raftpb.Entry(nil), t.entries[n:]...)
	t.next, t.final, t.bytes = t.next+uint64(n), t.final-n, t.bytes-size
	return taken
}
