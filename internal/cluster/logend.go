package cluster

import (
	"cmp"
	"time"
)

// LogEnd is where what the store holds of an epoch's raft log ends: after one
// segment of a chain, or with Number 0 after the full snapshot that the chain
// is to begin on. The zero value is "nothing is known".
type LogEnd struct {
	Epoch  Epoch  `json:"epoch"`
	Chain  int    `json:"chain"`      // from 1
	Number uint64 `json:"number"`     // of the segment, from 1; 0 is the snapshot
	Index  uint64 `json:"raft_index"` // everything up to here is stored
	Term   uint64 `json:"raft_term"`  // of the entry at Index
	// Revision is reached once all is applied: a lower bound.
	Revision int64     `json:"revision"`
	SHA256   string    `json:"sha256"` // of the segment's object, or of the snapshot's manifest; hexadecimal
	At       time.Time `json:"at"`     // when the writer saw the last entry committed
}

// Before says that e ends before f: the later epoch, then the later chain, then
// the later segment counts. Clocks do not.
func (e LogEnd) Before(f LogEnd) bool {
	return cmp.Or(cmp.Compare(e.Epoch, f.Epoch), cmp.Compare(e.Chain, f.Chain), cmp.Compare(e.Number, f.Number)) < 0
}
