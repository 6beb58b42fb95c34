package cluster

import (
	"maps"
	"slices"
	"time"
)

// Care is what a node tells of how its etcd fares, beyond being healthy.
type Care struct {
	Hashes *HashCheck `json:"hashes,omitempty"` // the newest comparison of the members' keys that it knows
	// Torn is why nothing may be changed: the keeper's word that the members' keys
	// differ, and that no majority says which are right.
	Torn string `json:"torn,omitempty"`

	Paused bool          `json:"paused,omitempty"` // its etcd is stopped by a signal, and has not ended
	Hung   bool          `json:"hung,omitempty"`   // its etcd runs, and does not answer its own agent
	Slow   bool          `json:"slow,omitempty"`   // its disk is, by its own measure
	Fsync  time.Duration `json:"fsync,omitempty"`  // how long its disk last took to make a few bytes durable
	Hears  []string      `json:"hears,omitempty"`  // the names of the agents that it has heard within seconds
	// Ails are the keeper's words on the voters that fare badly.
	Ails []Ailment `json:"ails,omitempty"`
	// Unburdened is when a leader last handed over because it was slow, as far as
	// this node knows.
	Unburdened time.Time `json:"unburdened,omitzero"`

	// Store is the keeper's: why the store does not answer, asked more than once, and
	// StoreSince since when, by its clock. Empty: it does, or is not asked.
	Store      string    `json:"store,omitempty"`
	StoreSince time.Time `json:"store_since,omitzero"`

	Catching CatchUp `json:"catching,omitzero"`
	Resting  string  `json:"resting,omitempty"` // what of its care waits, and for what
}

// Ailment is what is the matter with a member that is not lost.
type Ailment struct {
	Member MemberID `json:"member"`
	Kind   string   `json:"kind"` // one of few words: a metric's label
	Why    string   `json:"why"`
}

// CatchUp is how far a newcomer's etcd is with the database that the leader
// sends it, as the files on its disk tell.
type CatchUp struct {
	Bytes int64 `json:"bytes,omitempty"` // received, of the whole database
	Whole bool  `json:"whole,omitempty"` // it has arrived, and is being loaded
}

// Alarm is one that etcd has raised, for all members to know.
type Alarm struct {
	Member MemberID  `json:"member"` // 0: of no one in particular
	Kind   AlarmKind `json:"kind"`
}

// AlarmKind is what etcd is alarmed about.
type AlarmKind string

// The alarms. Under NoSpace etcd takes no writes, under Corrupt neither reads nor writes.
const (
	NoSpace AlarmKind = "NOSPACE"
	Corrupt AlarmKind = "CORRUPT"
)

// HashCheck is one comparison of the voters' keys, by etcd's own hash of them.
type HashCheck struct {
	At time.Time `json:"at"` // the comparing keeper's clock
	By string    `json:"by"`
	// Rounds are in the order in which they were made; there is a second one, at a
	// later moment, only after a first that has found a difference.
	Rounds []HashRound `json:"rounds"`
	Alarms []Alarm     `json:"alarms,omitempty"` // that stood when it began
}

// HashRound is the hash of every voter that has answered, of all keys up to one
// revision, less what one compaction has left out: equal unless data is damaged.
type HashRound struct {
	Revision int64               `json:"revision"`
	Compact  int64               `json:"compact"`
	Hashes   map[MemberID]uint32 `json:"hashes"`
}

// Last is the newest round; the zero round when there is none.
func (c HashCheck) Last() HashRound {
	if len(c.Rounds) == 0 {
		return HashRound{}
	}
	return c.Rounds[len(c.Rounds)-1]
}

// Agree says that the voters that answered have the same keys.
func (r HashRound) Agree() bool {
	first, one := uint32(0), false
	for _, h := range r.Hashes {
		if one && h != first {
			return false
		}
		first, one = h, true
	}
	return true
}

// Most is the hash that at least n voters share, if there is one.
func (r HashRound) Most(n int) (uint32, bool) {
	count := map[uint32]int{}
	for _, h := range r.Hashes {
		count[h]++
	}
	for _, h := range slices.Sorted(maps.Keys(count)) {
		if count[h] >= n {
			return h, true
		}
	}
	return 0, false
}
