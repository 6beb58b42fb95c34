package agent

import (
	"context"
	"strconv"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/plan"
)

// book is where charters, marks, locks and verdicts are kept: the ledger in the
// store (storeBook), or without a store this node's own files, filled by consent
// and by what other agents tell (ownBook).
type book interface {
	// watch keeps the facts fresh until ctx ends.
	watch(ctx context.Context)
	// facts are the last reading; called with Agent.mu held, returns at once.
	facts() plan.Ledger
	// hear notes what another agent's report tells; called with Agent.mu held.
	hear(cluster.Report)

	// writeCharter fails if what the store says of the epoch before is not what it
	// was decided on.
	writeCharter(context.Context, plan.Ledger, cluster.Charter) error
	grant(cluster.Charter) error
	// markStarted fails if the mark there is another disk's.
	markStarted(context.Context, cluster.StartedMark) error
	markReady(context.Context, cluster.ReadyMark) error
	writeCheckpoint(context.Context, cluster.Checkpoint) error
	// journal is durable when it returns nil.
	journal(context.Context, journalEntry) error
	lock(ctx context.Context, holder, reason string, l cluster.Lock) (cluster.Lock, error)
	unlock(context.Context) (cluster.Lock, error)
	writeVerdict(context.Context, cluster.Verdict) error
	// lapseVerdict takes it back, unless another has been given since.
	lapseVerdict(ctx context.Context, old, lapsed cluster.Verdict) error
	// writeRoll writes an entry; losing to another of its number is no failure.
	writeRoll(context.Context, cluster.Roll) error
}

// journalEntry is written before an irreversible step: what was decided, and
// on which facts. plan.Decide of its observation gives its decision again.
type journalEntry struct {
	Node        string           `json:"node"`
	Decision    string           `json:"decision"`
	Observation plan.Observation `json:"observation"`
}

func (a *Agent) journal(ctx context.Context, o plan.Observation, d plan.Decision) error {
	return a.book.journal(ctx, journalEntry{Node: a.opt.Name, Decision: d.String(), Observation: o})
}

func itoa(e cluster.Epoch) string { return strconv.FormatUint(uint64(e), 10) }
