package plan

import (
	"time"

	"github.com/quorate/quorate/internal/cluster"
)

// Care is what this agent knows of how the cluster's etcds fare, and of what it
// has done about it.
type Care struct {
	Own       cluster.Care       `json:"own,omitzero"`     // what it tells the others of its own etcd
	Hashes    *cluster.HashCheck `json:"hashes,omitempty"` // the newest comparison that any agent knows
	HashTried time.Time          `json:"hash_tried,omitzero"`
	// Unburdened is when a leader last handed over because it was slow, by any
	// agent's word.
	Unburdened time.Time `json:"unburdened,omitzero"`
	Moments    []Moment  `json:"moments,omitempty"`  // revisions of our own etcd, oldest first
	Compacted  Moment    `json:"compacted,omitzero"` // what this agent has compacted last, and when
	Busy       string    `json:"busy,omitempty"`     // what frees space at this moment, by this agent's order
	// Freed is when this agent last had each member's etcd defragmented for want of
	// space, done or failed.
	Freed     map[cluster.MemberID]time.Time `json:"freed,omitempty"`
	Defragged time.Time                      `json:"defragged,omitzero"` // when our own database was last defragmented in a turn, done or failed
}

// CareSettings are the operator's wishes for it.
type CareSettings struct {
	HashEvery time.Duration `json:"hash_every,omitempty"` // between two comparisons of the members' keys; 0: none but after an alarm
	// CompactKeep is how old a revision must be to be forgotten; 0: none is, or
	// etcd's own flags say which.
	CompactKeep time.Duration `json:"compact_keep,omitempty"`
	DefragBelow float64       `json:"defrag_below,omitempty"` // the part of a database that is in use; 0: it is left as it is
}
