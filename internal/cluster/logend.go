package cluster

import (
	"cmp"
	"time"
)

// LogEnd is where what the store holds of an epoch's raft log ends: after one
// segment of a chain, or with Number 0 after the full snapshot that the chain
// is to begin on. While there is no such snapshot SHA256 is empty, and Index is
// what it must hold at least. The zero value is "nothing is known".
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

// Same says that e and f are the end of one log.
func (e LogEnd) Same(f LogEnd) bool {
	return e.Epoch == f.Epoch && e.Chain == f.Chain && e.Number == f.Number && e.SHA256 == f.SHA256
}

// LogReport is what an agent tells the others of shipping the raft log.
type LogReport struct {
	End LogEnd `json:"end"` // as far as it knows
	// Safe is at least End.Index: the entries up to there that are not stored
	// change nothing that a restore would bring back.
	Safe uint64 `json:"safe"`
	// Unable is why this node cannot ship; Hole says that it never will be able
	// to go on from End, because its own log lacks the entry.
	Unable string `json:"unable,omitempty"`
	Hole   bool   `json:"hole,omitempty"`
	// Failing is since when the store has not answered this node, while it is Unable
	// for that. Another may have stored something since: End tells.
	Failing time.Time `json:"failing,omitzero"`
	// WantsFull says that a new full snapshot is needed: for a chain to begin on,
	// or because a restore has too much to replay.
	WantsFull bool `json:"wants_full,omitempty"`
	Shipping  bool `json:"shipping,omitempty"` // it is the one that ships
}
