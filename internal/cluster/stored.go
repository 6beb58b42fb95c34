package cluster

import "cmp"

// Stored is the farthest that a node knows to have been in the store once: in a
// full snapshot, or in the log behind one. It keeps it on its own disk, so that
// an old copy of the store in the place of the store is noticed.
type Stored struct {
	Epoch Epoch  `json:"epoch"`
	Index uint64 `json:"raft_index"` // every entry up to here was stored
	// Term is that of the entry at Index if Logged, else that of the member whose
	// snapshot it was.
	Term   uint64 `json:"raft_term"`
	Logged bool   `json:"logged,omitempty"`
}

// Farther is whichever of the two goes farther.
func (s Stored) Farther(t Stored) Stored {
	if s.compare(t) < 0 {
		return t
	}
	return s
}

func (s Stored) compare(t Stored) int {
	return cmp.Or(cmp.Compare(s.Epoch, t.Epoch), cmp.Compare(s.Index, t.Index))
}

// Stored is how far the snapshot alone goes, or the log behind it that is known.
func (b Backup) Stored() Stored {
	return Stored{Epoch: b.Epoch, Index: b.Index, Term: b.Term}.Farther(b.Log.Stored())
}

// Stored is how far a log that is stored goes; zero for one that is yet to begin.
func (e LogEnd) Stored() Stored {
	if e.SHA256 == "" {
		return Stored{}
	}
	return Stored{Epoch: e.Epoch, Index: e.Index, Term: e.Term, Logged: e.Number > 0}
}
