package cluster

import "time"

// Stale is why this node's etcd must restart, and since when that has stood, by
// its own clock. The zero value: it need not.
type Stale struct {
	Why   string    `json:"why,omitempty"`
	Since time.Time `json:"since,omitzero"`
	// Roll is the number of the roll that asks for it; 0: none does.
	Roll uint64 `json:"roll,omitempty"`
}

// RollKind is what a roll is for.
type RollKind string

// The kinds of roll.
const (
	RollRestart    RollKind = "restart"
	RollUpgrade    RollKind = "upgrade"
	RollDowngrade  RollKind = "downgrade"
	RollDefragment RollKind = "defragment"
)

// RollState is how far a roll is.
type RollState string

// The states of a roll; open is the only one that anything follows from.
const (
	RollOpen      RollState = "open"
	RollDone      RollState = "done"
	RollFailed    RollState = "failed"
	RollCancelled RollState = "cancelled"
)

// Roll orders every member's etcd to restart in its turn. Entries are numbered
// from 1, each created where none is, and the newest counts: a hop, an end and a
// cancellation are entries of their own, of the same ID.
type Roll struct {
	Number uint64    `json:"number"`
	First  uint64    `json:"first,omitempty"` // number of the roll's first entry; 0: this one, as far as its writer knew
	ID     string    `json:"id"`              // stays over the entries of one roll
	Nonce  string    `json:"nonce"`           // tells our own write from another's
	Epoch  Epoch     `json:"epoch"`           // of the cluster that it was ordered for: it ends with it
	Kind   RollKind  `json:"kind"`
	Hop    Version   `json:"hop,omitzero"` // what etcd is to run once it has restarted; zero: what it ran
	To     Version   `json:"to,omitzero"`  // where it ends: hops are one minor each
	State  RollState `json:"state"`
	Backup string    `json:"backup,omitempty"` // key of the backup taken before this hop
	Reason string    `json:"reason,omitempty"`
	By     string    `json:"by"`
	Why    string    `json:"why,omitempty"` // it failed or was cancelled
	At     time.Time `json:"at"`            // the writer's clock; for people only
}

// Open says that the roll is under way.
func (r Roll) Open() bool { return r.Number > 0 && r.State == RollOpen }

// FirstNumber is that of the roll's first entry: by it people know the roll.
func (r Roll) FirstNumber() uint64 {
	if r.First == 0 {
		return r.Number
	}
	return r.First
}

// Next is the entry after r, of the same roll. Who writes it adds himself and when.
func (r Roll) Next(state RollState, nonce string) Roll {
	r.First, r.Number, r.State, r.Nonce = r.FirstNumber(), r.Number+1, state, nonce
	return r
}

// RollFailure is a node's word that its etcd did not come up as a roll wanted it.
type RollFailure struct {
	Number uint64 `json:"number"` // of the roll's entry
	Why    string `json:"why"`
}
