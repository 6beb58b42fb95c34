package ship

import (
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/quorate/quorate/internal/raftlog"
)

const (
	// flushAfter is how old the first entry of a batch that changes something
	// may get. With a poll before and an upload after, it is stored in a second.
	flushAfter = 240 * time.Millisecond
	flushBytes = 1 << 20
	// maxBatch bounds what is read while the store takes the batch before.
	maxBatch = 2 << 20
	// harmlessAfter is when entries that change nothing go all the same: so that
	// the log that a next shipper must still have does not grow for ever.
	harmlessAfter = 15 * time.Minute
)

// batch is what has been read and not been encoded.
type batch struct {
	entries  []*raftpb.Entry
	bytes    int
	changing uint64    // index of the first entry that changes something; 0: none
	since    time.Time // when that one was seen committed
	oldest   time.Time // when the first entry was
}

func (b *batch) add(entries []*raftpb.Entry, seen func(index uint64) time.Time) {
	for _, e := range entries {
		if len(b.entries) == 0 {
			b.oldest = seen(e.GetIndex())
		}
		b.entries = append(b.entries, e)
		b.bytes += raftlog.Size(e)
		if b.changing == 0 && raftlog.Changes(e) {
			b.changing, b.since = e.GetIndex(), seen(e.GetIndex())
		}
	}
}

// due says that the batch is to be written now.
func (b *batch) due(now time.Time) bool {
	switch {
	case len(b.entries) == 0:
		return false
	case b.bytes >= flushBytes:
		return true
	case b.changing > 0:
		return now.Sub(b.since) >= flushAfter
	}
	return now.Sub(b.oldest) >= harmlessAfter
}

// safe is up to where nothing of the batch changes anything; end is the index
// before the batch.
func (b *batch) safe(end uint64) uint64 {
	switch {
	case b.changing > 0:
		return b.changing - 1
	case len(b.entries) > 0:
		return b.entries[len(b.entries)-1].GetIndex()
	}
	return end
}

// room is how much more may be read.
func (b *batch) room() int { return max(maxBatch-b.bytes, 0) }
