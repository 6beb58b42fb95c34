package ship

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/quorate/quorate/internal/raftlog"
)

// stuckAfter is how long the log may lack what the member has applied.
const stuckAfter = 10 * time.Second

// read takes in what has been committed since, as long as there is room.
func (s *Shipper) read(ctx context.Context) {
	if s.hole || !s.begun() || s.batch.room() == 0 || s.reader == nil && s.at.Before(s.notBefore) || !s.open() {
		return
	}
	some, err := s.reader.Read(ctx, raftlog.Applied{Index: s.etcd.Applied, Term: s.etcd.Term}, s.batch.room())
	switch {
	case err != nil && ctx.Err() != nil:
	case err != nil:
		s.unreadable(err)
	case len(some) > 0 || s.etcd.Applied < s.reader.Next():
		s.moved, s.gaps = s.at, 0
		s.batch.add(some, s.seen)
	case s.at.Sub(s.moved) > stuckAfter:
		s.unreadable(fmt.Errorf("it lacks entry %d, which the member has applied", s.reader.Next()))
	}
}

// open opens the log behind the end. What is being sent is read once more then,
// and let go when it has arrived.
func (s *Shipper) open() bool {
	if s.reader != nil {
		return true
	}
	r, err := raftlog.Open(s.parts.WALDir, s.end.Index+1)
	if err != nil {
		s.unreadable(err)
		return false
	}
	s.reader, s.moved = r, s.at
	return true
}

// unreadable lets another one ship: our own log does not serve. One gap may be
// another log in the place of the old one; two are a hole.
func (s *Shipper) unreadable(err error) {
	s.drop()
	if errors.Is(err, raftlog.ErrGap) {
		s.gaps++
	}
	s.hole = s.gaps > 1
	s.pauseAfter("reading the log", err)
	if s.gaps != 1 {
		s.cannot("reading the log", err)
	}
}

// drop forgets what has been read.
func (s *Shipper) drop() {
	if s.reader != nil {
		s.reader.Close()
		s.reader = nil
	}
	s.batch = batch{}
}

// seen is when this member was first seen to have applied an index.
func (s *Shipper) seen(index uint64) time.Time { return s.marks.seen(index, s.at) }
