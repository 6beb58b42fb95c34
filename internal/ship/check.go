package ship

import (
	"context"
	"errors"
	"time"

	"github.com/quorate/quorate/internal/chain"
	"github.com/quorate/quorate/internal/cluster"
)

// Hashing reads a member's whole database and holds its writes up meanwhile: so
// it is done seldom, and of a great one only while nothing is written.
const (
	checkEvery = 5 * time.Minute
	checkSmall = 32 << 20  // bytes in use: hashed at any time, in some tenths of a second
	checkGreat = 256 << 20 // hashed while the member is quiet; what is greater is compared by proofs alone
	checkQuiet = 2 * time.Second
	checkLimit = 20 * time.Second
)

// check is what the member beside has said of its keys, until a segment takes it.
type check struct {
	chain.HashKV
	epoch cluster.Epoch
	// index is one that the member had applied when the hash was made, or later:
	// the segment that reaches it holds the revision, and every compaction before
	// the hash. 0: not known yet.
	index uint64
}

// checking is when hashes are asked for, and what came of it.
type checking struct {
	checked time.Time // when the last one was asked for
	of      int64     // its revision: nothing is hashed twice
	grown   grown
	asking  bool
	answers chan *check
	pending *check
}

// grown is when the member's applied index was last seen to grow.
type grown struct {
	index uint64
	at    time.Time
}

// checks asks for a hash when it is time, and takes in the answer. Called by the
// one who ships, after a poll.
func (s *Shipper) checks(ctx context.Context) {
	select {
	case s.pending = <-s.answers:
		s.asking = false
	default:
		if s.pending != nil && s.pending.index == 0 { // of a poll that began after the hash had come
			s.pending.index = s.etcd.Applied
		}
	}
	if s.etcd.Applied > s.grown.index {
		s.grown = grown{s.etcd.Applied, s.at}
	}
	if s.parts.Hash == nil || s.asking || !s.begun() || !s.checkDue() {
		return
	}
	s.asking, s.checked, s.of = true, s.at, s.etcd.Revision
	epoch := s.epoch
	s.hashing.Go(func() {
		ctx, cancel := context.WithTimeout(ctx, checkLimit)
		defer cancel()
		h, err := s.parts.Hash(ctx)
		if err == nil && h.Revision < 1 { // as etcd 3.5 does, which is held against hashes by proofs alone
			err = errors.New("this etcd does not say of which revision")
		}
		if err != nil {
			s.log.Debug("the keys are not hashed", "error", err)
			s.answers <- nil
			return
		}
		s.answers <- &check{HashKV: h, epoch: epoch}
	})
}

// checkDue says that the keys are to be hashed now.
func (s *Shipper) checkDue() bool {
	switch {
	case s.etcd.MemberID == 0 || s.etcd.Revision <= s.of || s.at.Sub(s.checked) < checkEvery && !s.checked.IsZero():
		return false
	case s.etcd.DBInUse <= checkSmall:
		return true
	}
	return s.etcd.DBInUse <= checkGreat && s.at.Sub(s.grown.at) >= checkQuiet
}

// checkFor is the hash that a segment whose last entry is of that index is to
// carry; nil for none.
func (s *Shipper) checkFor(last uint64) *chain.HashKV {
	c := s.pending
	if c == nil || c.index == 0 || c.index > last {
		return nil
	}
	s.pending = nil
	if c.epoch != s.epoch {
		return nil
	}
	return &c.HashKV
}
