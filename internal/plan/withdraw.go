package plan

import (
	"time"

	"github.com/quorate/quorate/internal/cluster"
)

// Publishing is what the keeper's publisher has done so far.
type Publishing struct {
	TTL time.Duration `json:"ttl,omitempty"` // of the records; 0: nothing is published
	// Withdrawals are of the voters that go, as Goers names them.
	Withdrawals map[cluster.MemberID]Withdrawal `json:"withdrawals,omitempty"`
}

// Withdrawal is a member's way out of the zone.
type Withdrawal struct {
	Asked     time.Time `json:"asked"`              // when it was first seen to go
	Confirmed time.Time `json:"confirmed,omitzero"` // when the zone no longer showed it; zero: not yet
}

// Goers are the voters that the keeper is about to remove and that clients may
// use still: they must forget them first.
func Goers(o Observation) []cluster.MemberID {
	if !o.IsKeeper() {
		return nil
	}
	h := survey(o)
	var out []cluster.MemberID
	for _, s := range h.voters {
		if s.inUse(o) && s.goes(o, h) {
			out = append(out, s.ID)
		}
	}
	return out
}

// inUse says that clients may be served by the voter: it is healthy, or was a
// moment ago, or a new keeper has not looked at it yet. One whose machine is gone
// is not.
func (s standing) inUse(o Observation) bool {
	since := s.probe.UnhealthySince
	return s.healthy || !s.gone && (since.IsZero() || o.Now.Sub(since) < healthDoubt)
}

// Withdrawn says that a voter may go as far as DNS is concerned: its records
// have been out of the zone for as long as a resolver may keep them. A zone
// that cannot be changed delays a removal, and never prevents it.
func Withdrawn(o Observation, id cluster.MemberID) bool {
	p := o.Publishing
	w, asked := p.Withdrawals[id]
	switch {
	case p.TTL == 0:
		return true
	case !asked:
		return false
	case !w.Confirmed.IsZero() && o.Now.Sub(w.Confirmed) >= p.TTL:
		return true
	}
	return o.Now.Sub(w.Asked) >= withdrawLimit(p.TTL)
}

func withdrawLimit(ttl time.Duration) time.Duration { return 2*ttl + 30*time.Second }
