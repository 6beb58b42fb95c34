package control

import (
	"context"
	"net/http"
	"slices"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/plan"
)

// RollRequest orders a roll, or ends the one that is under way (POST /v1/roll).
// The keeper carries it out; any agent passes it on.
type RollRequest struct {
	Kind   cluster.RollKind `json:"kind"`           // restart, or upgrade: a downgrade where To is older
	To     cluster.Version  `json:"to,omitzero"`    // zero: the newest that every member offers
	Plan   bool             `json:"plan,omitempty"` // only say what would be done
	Cancel bool             `json:"cancel,omitempty"`
	Reason string           `json:"reason,omitempty"`
	By     string           `json:"by,omitempty"`

	PassedOn bool `json:"passed_on,omitempty"` // as in BackupRequest
}

// RollAnswer is what a roll would do, or the entry that orders it.
type RollAnswer struct {
	Roll     cluster.Roll      `json:"roll,omitzero"` // the newest entry
	Kind     cluster.RollKind  `json:"kind,omitempty"`
	From     cluster.Version   `json:"from,omitzero"` // the oldest that a member runs
	To       cluster.Version   `json:"to,omitzero"`
	Hops     []cluster.Version `json:"hops,omitempty"`
	Members  []string          `json:"members,omitempty"`  // the leader last
	Backups  bool              `json:"backups,omitempty"`  // one is taken before each hop
	Problems []string          `json:"problems,omitempty"` // why it would be refused
}

// Nothing says that every member runs the wanted version already: no order is
// written for it.
func (a RollAnswer) Nothing() bool {
	return a.Kind != cluster.RollRestart && len(a.Hops) == 0 && len(a.Problems) == 0
}

// Roll orders, cancels or plans a roll.
func (c *Client) Roll(ctx context.Context, r RollRequest) (RollAnswer, error) {
	return call[RollAnswer](ctx, c, http.MethodPost, "/v1/roll", r)
}

// NewestRoll is the newest roll's newest entry; the zero Roll: there is none.
func (c *Client) NewestRoll(ctx context.Context) (cluster.Roll, error) {
	return call[cluster.Roll](ctx, c, http.MethodGet, "/v1/roll", nil)
}

// Turn is how far a member is with an open roll.
type Turn string

// The turns.
const (
	TurnWaits    Turn = "waits"
	TurnRestarts Turn = "restarts"
	TurnDone     Turn = "done"
	TurnFailed   Turn = "failed"
)

// newestRoll is the newest entry that anybody knows, while it says something: an
// open roll, or one that has failed.
func newestRoll(reports []cluster.Report) (newest *cluster.Roll) {
	for _, r := range reports {
		if r.Roll != nil && (newest == nil || r.Roll.Number > newest.Number) {
			newest = r.Roll
		}
	}
	if newest == nil || !newest.Open() && newest.State != cluster.RollFailed {
		return nil
	}
	return newest
}

// markTurns notes at each member how far it is.
func markTurns(s *Status, reports []cluster.Report) {
	if s.Roll == nil || !s.Roll.Open() {
		return
	}
	for i := range s.Nodes {
		n := &s.Nodes[i]
		at := slices.IndexFunc(reports, func(r cluster.Report) bool { return r.Agent == n.Agent })
		if n.MemberID == 0 || at < 0 {
			continue
		}
		n.Turn = turnOf(*s.Roll, reports[at])
	}
}

func turnOf(r cluster.Roll, x cluster.Report) Turn {
	switch {
	case x.RollFailed != nil && x.RollFailed.Number == r.Number:
		return TurnFailed
	case x.Restarting || !x.Etcd.Healthy:
		return TurnRestarts
	case plan.HasRolled(r, x) && !plan.Preparing(r):
		return TurnDone
	}
	return TurnWaits
}
