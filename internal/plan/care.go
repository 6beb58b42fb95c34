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
}

// CareSettings are the operator's wishes for it.
type CareSettings struct {
	HashEvery time.Duration `json:"hash_every,omitempty"` // between two comparisons of the members' keys; 0: none but after an alarm
}
