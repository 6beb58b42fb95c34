package agent

import (
	"context"
	"time"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/control"
	"github.com/quorate/quorate/internal/etcd"
	"github.com/quorate/quorate/internal/plan"
)

// Look observes as an agent with these options would, for at most the time
// given, and says what it would do. It writes nothing, takes no lock, and tells
// the other agents nothing. Where an agent runs for this node, it is asked.
func Look(ctx context.Context, opt Options, parts Parts, limit time.Duration) (control.Explanation, error) {
	a := newAgent(opt, parts)
	a.readOnly = true
	ask, cancel := context.WithTimeout(ctx, time.Second)
	e, err := control.NewClient(a.agentURL(), parts.HTTP).Explain(ask)
	cancel()
	if err == nil && e.Observation.Self.Name == opt.Name {
		// Decided again here: the answer's steps are only their names.
		return Explain(e.Observation), nil
	}
	proc, found, err := etcd.Adopt(opt.DataDir, opt.Etcd.DataDir)
	if err != nil {
		return control.Explanation{}, err
	}
	if found {
		a.proc, a.foreign = proc, isForeign(opt)
		a.recallAuthorities(proc)
	}
	work, stop := context.WithTimeout(ctx, limit)
	defer a.work.Wait()
	defer stop()
	a.work.Go(func() { a.watchSource(work) })
	a.work.Go(func() { a.book.watch(work) })
	for {
		a.round(work, false)
		if a.sees() || work.Err() != nil {
			break
		}
		select {
		case <-work.Done():
		case <-time.After(100 * time.Millisecond):
		}
	}
	o := a.published.Load().observation
	return Explain(o), nil
}

// sees says that nothing more is likely to be learned: the source and the
// ledger have answered, and so has every peer.
func (a *Agent) sees() bool {
	o := a.published.Load().observation
	if !o.View.Known() || o.Ledger.Charter.Unknown() || o.Process.Running && !o.Etcd.Value().Healthy {
		return false
	}
	if o.Disk.State == cluster.DiskEmpty && o.Ledger.Charter.Known() && o.Ledger.Mark.Unknown() {
		return false
	}
	return len(o.Reports)+1 >= len(o.View.Value().Peers) || plan.Decide(o).Verb == "keep"
}
