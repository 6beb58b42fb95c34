package ship

import (
	"sync"
	"time"
)

// maxMarks bounds how finely time is remembered: at ten polls a second, some
// minutes of a store that does not answer.
const maxMarks = 4096

// mark says when the member was first seen to have applied an index.
type mark struct {
	index    uint64
	at       time.Time
	revision int64 // a lower bound of the revision once index is applied
}

// marks are a member's progress that is not yet in the store. Safe for
// concurrent use: the metric is read at any time.
type marks struct {
	mu   sync.Mutex
	list []mark
	safe uint64 // up to here all is stored, or changes nothing
	last mark   // as the last poll had it
}

// note adds what a poll has seen. etcd reads the revision before the index, and
// an entry raises the revision before the index: so the revision of the poll
// before is the one that has surely been reached at this index.
func (m *marks) note(index uint64, revision int64, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	reached := m.last.revision
	m.last = mark{index, now, revision}
	if n := len(m.list); n > 0 && index <= m.list[n-1].index {
		m.list[n-1].revision = max(m.list[n-1].revision, reached)
		return
	}
	m.list = append(m.list, mark{index, now, reached})
	if len(m.list) > maxMarks {
		m.thin()
	}
}

// thin forgets every second time: an index then counts as seen when the one
// before it was, so that what is unshipped looks older, never younger.
func (m *marks) thin() {
	kept := m.list[:0]
	for i := 0; i < len(m.list); i += 2 {
		one := m.list[i]
		if i+1 < len(m.list) {
			one.index, one.revision = m.list[i+1].index, m.list[i+1].revision
		}
		kept = append(kept, one)
	}
	m.list = kept
}

// settle says that everything up to index is safe. The last mark stays: the
// next poll of an idle member is not news.
func (m *marks) settle(index uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.safe = index
	for len(m.list) > 1 && m.list[0].index <= index {
		m.list = m.list[1:]
	}
}

func (m *marks) safeIndex() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.safe
}

// forget begins anew: the member has another history.
func (m *marks) forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.list, m.safe, m.last = nil, 0, mark{}
}

// unshipped is the age of the oldest entry that is not safe; 0 when all are.
func (m *marks) unshipped(now time.Time) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, one := range m.list {
		if one.index > m.safe {
			return max(now.Sub(one.at), 0)
		}
	}
	return 0
}

// seen is when an index was first seen applied.
func (m *marks) seen(index uint64, now time.Time) time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, one := range m.list {
		if one.index >= index {
			return one.at
		}
	}
	return now
}

// revisionAt is a lower bound of the revision once index is applied.
func (m *marks) revisionAt(index uint64) (revision int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, one := range m.list {
		if one.index <= index {
			revision = max(revision, one.revision)
		}
	}
	return revision
}
