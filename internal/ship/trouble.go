package ship

import (
	"time"

	"github.com/quorate/quorate/internal/cluster"
)

const (
	retryMin = 500 * time.Millisecond
	retryMax = 10 * time.Second
	// unableAfter is how long the store may fail before another one is to ship,
	// and unableFor for how long we leave it to the other.
	unableAfter = 3 * time.Second
	unableFor   = time.Minute
)

// trouble is what keeps us from shipping.
type trouble struct {
	unable    string
	hole      bool      // our log lacks what comes next
	until     time.Time // unable ends then, unless there is a hole
	failing   time.Time // since when the store fails; zero: it does not
	pause     time.Duration
	notBefore time.Time
	wantsFull bool
}

// fail notes that the store has failed: the next try waits, each time longer.
func (s *Shipper) fail(doing string, err error) {
	now := time.Now()
	if s.failing.IsZero() {
		s.failing = now
		s.log.Warn("the raft log is not being stored", "doing", doing, "error", err)
	}
	s.pauseAfter(doing, err)
	if now.Sub(s.failing) >= unableAfter {
		s.cannot(doing, err)
	}
}

func (s *Shipper) pauseAfter(doing string, err error) {
	s.pause = min(max(2*s.pause, retryMin), retryMax)
	s.notBefore = time.Now().Add(s.pause)
	s.log.Debug("shipping the raft log is tried again", "doing", doing, "error", err, "in", s.pause)
}

// cannot tells the others that one of them is to ship.
func (s *Shipper) cannot(doing string, err error) {
	if s.unable == "" {
		s.log.Warn("this member cannot ship the raft log", "doing", doing, "error", err)
	}
	s.unable, s.until = doing+": "+err.Error(), time.Now().Add(unableFor)
}

// well ends the trouble with the store.
func (s *Shipper) well() {
	if !s.failing.IsZero() {
		s.log.Info("the raft log is being stored again", "after", time.Since(s.failing).Round(time.Millisecond))
	}
	s.failing, s.pause, s.notBefore, s.unable = time.Time{}, 0, time.Time{}, ""
}

const (
	// fullAfterSegments and fullAfterBytes are what a restore may have to replay
	// before a full snapshot is taken out of turn.
	fullAfterSegments = 10_000
	fullAfterBytes    = 512 << 20
)

// growth is what has been stored since the newest full snapshot, as far as we
// have seen it.
type growth struct {
	key    string // of the snapshot
	number uint64 // of the segment that was the last then
	bytes  int64
}

// full notes which snapshot is the newest.
func (g *growth) full(key string, end cluster.LogEnd) {
	if g.key != key {
		*g = growth{key: key, number: end.Number}
	}
}

func (g *growth) tooMuch(end cluster.LogEnd) bool {
	return end.Number > g.number+fullAfterSegments || g.bytes > fullAfterBytes
}
