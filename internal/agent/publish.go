package agent

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/control"
	"github.com/quorate/quorate/internal/etcd"
	"github.com/quorate/quorate/internal/plan"
)

// publish makes this round's facts and decision visible: to other agents, to
// people, to load balancers.
func (a *Agent) publish(o plan.Observation, d plan.Decision) {
	line := d.Verb + ": " + d.Reason
	if d.Detail != "" {
		line += " (" + d.Detail + ")"
	}
	if line != a.lastReason {
		if len(d.Steps) == 0 {
			a.log.Info(d.Reason, "decision", d.String(), "epoch", o.Ledger.Charter.Value().Epoch)
		}
		a.lastReason, a.reasonAt = line, o.Now
	}
	s := &snapshot{observation: o, decision: d}
	s.ready, s.notReady = readiness(o)
	s.report = a.report(o, d, line, s.ready)
	old := a.published.Swap(s)
	a.metrics.publish(s, a.Status)
	if matters(old.report, s.report) {
		a.gossipNow()
	}
}

func (a *Agent) report(o plan.Observation, d plan.Decision, line string, ready bool) cluster.Report {
	c := plan.Claim(o)
	c.Disowns = a.spend(o.Disk, c.Disowns)
	r := cluster.Report{
		Cluster: o.Settings.Cluster, Name: a.opt.Name, Host: a.opt.Host, Zone: a.opt.Zone,
		PeerURL: a.peerURL(), Client: a.clientURL(), Agent: a.agentURL(),
		Version: a.opt.Version, At: o.Now, Launched: a.since,
		Disk: o.Disk, Local: o.Local, Etcd: o.Etcd.Value(), Ready: ready,
		Lost: c.Lost, SeedFailed: c.SeedFailed, Disowns: c.Disowns, Joining: c.Joining, Moved: c.Moved,
		Join: o.Settings.Join, Leaving: o.Self.Leaving,
		Stale: o.Process.Stale, Restarting: slices.Contains(d.Steps, plan.Step(plan.StopEtcd{})),
		Reason: line, Steps: d.StepNames(), Since: a.reasonAt, LastError: a.lastErr,
	}
	r.Etcd.Running, r.Etcd.Foreign, r.Etcd.Restarts, r.Etcd.PID = o.Process.Running, o.Process.Foreign, a.launch.restarts, a.pid()
	e := o.Etcd.Value()
	if r.Keeper = o.IsKeeper(); r.Keeper {
		r.Invitations = o.Invitations
	}
	if o.Members.Known() {
		r.Members = o.Members.Value()
	}
	if o.View.Known() {
		r.ViewHash = plan.ViewHash(o.View.Value())
	}
	self, _ := ownPeer(o)
	r.PeerID, r.Crashes, r.Doomed, r.Uneasy = self.ID, o.Process.Crashes, o.Machines.Doomed, o.Machines.Uneasy
	r.Charter, r.Grant = value(o.Ledger.Charter), value(o.Ledger.Grant)
	r.Roll, r.Rolled, r.RollFailed = value(o.Ledger.Roll), o.Process.Rolled.Number, o.Process.Rolled.Failed
	r.Lock, r.Verdict, r.Backup = value(o.Ledger.Lock), value(o.Ledger.Verdict), a.newestBackup(o)
	r.Log, r.Proven = a.logReport(), a.proofs.provenKey()
	if r.Stored = o.Stored; e.Leader != 0 && e.Leader != e.MemberID {
		a.memory.leave()
	}
	r.Lacks = a.memory.lacking()
	a.keepStored(o.Now)
	r.Care = a.reportCare(o)
	r.Offers, r.Unfit, r.V2, r.Elder = o.Process.Offers, a.unfit(), o.Process.V2, o.Process.Elder
	return r
}

// spend records, before anybody hears of them, the member ids that this disk
// holds or disowns: none is ever started from on an empty disk. It returns the
// disowned ones that are recorded.
func (a *Agent) spend(d cluster.Disk, disowns []cluster.MemberID) []cluster.MemberID {
	if a.readOnly {
		return disowns
	}
	mark := func(id cluster.MemberID) bool {
		if slices.Contains(d.Spent, id.String()) {
			return true
		}
		err := etcd.MarkSpent(a.opt.DataDir, id.String())
		if err != nil {
			a.log.Warn("recording a spent identity", "error", err)
		}
		return err == nil
	}
	if d.State == cluster.DiskData && d.MemberID != 0 {
		mark(d.MemberID)
	}
	return slices.DeleteFunc(slices.Clone(disowns), func(id cluster.MemberID) bool { return !mark(id) })
}

func value[T any](f cluster.Fact[T]) *T {
	if !f.Known() {
		return nil
	}
	v := f.Value()
	return &v
}

// readiness says whether this node is a voter in a healthy cluster.
func readiness(o plan.Observation) (bool, string) {
	e := o.Etcd.Value()
	switch {
	case !o.Process.Running:
		return false, "etcd does not run"
	case o.OfAnother():
		return false, "its data belongs to another cluster"
	case !o.Etcd.Known():
		return false, "etcd does not answer"
	case !e.Healthy:
		return false, "etcd has no leader"
	case e.Learner:
		return false, "this member is a learner"
	case o.Ledger.Charter.Known() && o.Ledger.Ready.Absent():
		return false, "the epoch is not ready: no majority of its founders votes yet"
	}
	return true, ""
}

// Report is this node's, of the last round.
func (a *Agent) Report() cluster.Report {
	s := a.published.Load()
	r := s.report
	r.Log = a.logReport()
	if !s.observation.Now.IsZero() {
		r.Age = time.Since(s.observation.Now)
	}
	return r
}

// Ready says whether this node is a voter in a healthy cluster, or why not.
func (a *Agent) Ready() (bool, string) {
	s := a.published.Load()
	return s.ready, s.notReady
}

// View is the machines as the last round knew them; false when it did not. It
// must not be changed.
func (a *Agent) View() (cluster.View, bool) {
	v := a.published.Load().observation.View
	return v.Value(), v.Known()
}

// Status is what this node knows of the whole cluster.
func (a *Agent) Status() control.Status {
	s := a.published.Load()
	reports := append([]cluster.Report{s.report}, s.observation.Reports...)
	return control.Summarize(a.opt.Settings.Cluster, s.observation.Size(), reports, bestMembers(s, reports), time.Now())
}

// bestMembers is the keeper's list, else any linearizable one, else the store's.
func bestMembers(s *snapshot, reports []cluster.Report) []cluster.Member {
	var best []cluster.Member
	var rank uint64
	for _, r := range reports {
		if r.Members != nil && r.Etcd.Healthy && cmp.Compare(r.Etcd.Term+1, rank) > 0 {
			best, rank = r.Members, r.Etcd.Term+1
		}
	}
	if best == nil {
		best = s.observation.Ledger.Checkpoint.Value().Members
	}
	if best == nil {
		best = members(s.observation.Ledger.Charter.Value())
	}
	return best
}

// Explain is the last decision and why it was no other.
func (a *Agent) Explain() control.Explanation { return Explain(a.published.Load().observation) }

// Explain explains an observation; it touches nothing.
func Explain(o plan.Observation) control.Explanation {
	d, alternatives := plan.Explain(o)
	return control.Explanation{Decision: d, Line: fmt.Sprint(d), Alternatives: alternatives, Observation: o}
}
