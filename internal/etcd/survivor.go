package etcd

import (
	"errors"
	"fmt"
	"io"

	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.etcd.io/etcd/server/v3/storage/wal/walpb"
	"go.etcd.io/raft/v3/raftpb"
	"go.uber.org/zap"
)

// ForceCommit makes every entry in a stopped member's log committed. It is
// for a copy of the survivor that seeds the next epoch: started with
// --force-new-cluster, etcd throws away what lies above the commit index in
// the file, and that index lags, so acknowledged writes would be lost. An
// entry that never had a quorum comes to life too: a write that nobody was
// told about, which is no lie to anyone.
//
// A crash in it leaves the copy as it was or done; doing it twice is fine.
func ForceCommit(etcdDir string) error {
	if err := forceCommit(walDir(etcdDir)); err != nil {
		return fmt.Errorf("committing the whole log of %s: %w", etcdDir, err)
	}
	return nil
}

func forceCommit(dir string) error {
	from, err := lastSnapshot(dir)
	if err != nil {
		return err
	}
	w, state, entries, err := openLogForWriting(dir, from)
	if err != nil {
		return err
	}
	last := entryID{from.GetTerm(), from.GetIndex()}
	if n := len(entries); n > 0 {
		last = entryID{entries[n-1].GetTerm(), entries[n-1].GetIndex()}
	}
	if last.Index > state.GetCommit() {
		err = w.Save(committed(state, last), nil)
	}
	return errors.Join(err, w.Close()) // Close syncs
}

// committed is the hard state that has everything up to last committed. A
// vote belongs to its term only.
func committed(state *raftpb.HardState, last entryID) *raftpb.HardState {
	term, vote := state.GetTerm(), state.GetVote()
	if last.Term > term {
		term, vote = last.Term, 0
	}
	return &raftpb.HardState{Term: &term, Vote: &vote, Commit: &last.Index}
}

// lastSnapshot is where etcd itself would begin to read the log.
func lastSnapshot(dir string) (*walpb.Snapshot, error) {
	snaps, err := wal.ValidSnapshotEntries(zap.NewNop(), dir)
	if err != nil {
		return nil, err
	}
	if len(snaps) == 0 {
		return &walpb.Snapshot{}, nil
	}
	return snaps[len(snaps)-1], nil
}

// openLogForWriting opens a log as etcd does at its start: a torn last record,
// which was never acknowledged, is cut off once.
func openLogForWriting(dir string, from *walpb.Snapshot) (*wal.WAL, *raftpb.HardState, []*raftpb.Entry, error) {
	for repaired := false; ; repaired = true {
		w, err := wal.Open(zap.NewNop(), dir, from)
		if err != nil {
			return nil, nil, nil, err
		}
		_, state, entries, err := w.ReadAll()
		if err == nil {
			return w, state, entries, nil
		}
		err = errors.Join(err, w.Close())
		if repaired || !errors.Is(err, io.ErrUnexpectedEOF) || !wal.Repair(zap.NewNop(), dir) {
			return nil, nil, nil, err
		}
	}
}
