package plan

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/quorate/quorate/internal/cluster"
)

// Machines is what this agent knows of the machines themselves, beyond the view.
type Machines struct {
	// Handled is when this agent last asked the cloud for a step, by the step's
	// String. It counts from the attempt, so a call that fails or hangs is not
	// repeated at once.
	Handled map[string]time.Time `json:"handled,omitempty"`
	// Announced says that this very machine has announced itself: kept on disk.
	Announced bool `json:"announced,omitempty"`
	// DepartsSince is when this agent first saw a peer terminate, by its name.
	DepartsSince map[string]time.Time `json:"departs_since,omitempty"`
	// Doomed are the ids of the peers that will be interrupted, as this agent or
	// any other has heard. The view says of them already that they terminate.
	Doomed []string `json:"doomed,omitempty"`
	// Uneasy are the ids of the peers that may be interrupted.
	Uneasy []string `json:"uneasy,omitempty"`
}

const (
	holdEvery    = time.Minute      // hooks that are of any use have longer time limits
	askAgain     = 15 * time.Second // for a release or an announcement that may not have arrived
	condemnAgain = 10 * time.Minute // for the group to see it, and to say so in the view
	// spotPatience is a part of the two minutes that a spot machine is given.
	spotPatience = 45 * time.Second
	// unreadLong is how long a disk is unreadable before it is a bad one.
	unreadLong = 5 * time.Minute
)

// Doom is the view in which the peers with these ids terminate: an interruption
// that has been announced is never taken back.
func Doom(v cluster.View, ids []string) cluster.View {
	v.Peers = slices.Clone(v.Peers)
	for i, p := range v.Peers {
		if p.Alive() && p.ID != "" && slices.Contains(ids, p.ID) {
			v.Peers[i].State = cluster.Terminating
		}
	}
	return v
}

// asked says that this agent has asked the cloud for the step not long ago.
func (o Observation) asked(s Step, within time.Duration) bool {
	return o.Now.Sub(o.Machines.Handled[s.String()]) < within
}

// isMember says that a machine has an entry, as etcd's linearizable list tells.
func (o Observation) isMember(p cluster.Peer) bool {
	return slices.ContainsFunc(o.Members.Value(), func(m cluster.Member) bool {
		return m.Name == p.Name || m.Listens(p.PeerURL(o.Self.Scheme))
	})
}

// tendMachines keeps or lets go the machines that wait for us. It looks at what
// is, each round, so no message need ever arrive, and any keeper can go on.
//
// A member's machine is held: coming up while it catches up, going away until
// it has been removed. A pause holds too, and whatever waits to end, member or
// not: a hook that ran out meanwhile would end a voter that nobody may remove,
// or a machine that an operator has paused the house to look at. Letting go is
// housekeeping, and rests.
func tendMachines(o Observation, resting bool) (Decision, bool) {
	var hold, release []Step
	for _, p := range o.View.Value().Peers {
		ends, member := p.State == cluster.Terminating, o.isMember(p)
		held, let := HoldMachine{p.Name}, ReleaseMachine{p.Name}
		switch {
		case !p.Held:
		case member || ends && resting:
			if !o.asked(held, holdEvery) {
				hold = append(hold, held)
			}
		case ends && !o.asked(let, askAgain):
			release = append(release, let)
		}
	}
	switch {
	case !o.Settings.HasCloud:
	case len(hold) > 0:
		return do("keep", "a machine's lifecycle hook is kept from running out", nil, hold...), true
	case len(release) > 0:
		return do("keep", "a machine that is no member may end", nil, release...), true
	}
	return Decision{}, false
}

// holdOwn has a node hold its own machine, in a round in which it has nothing
// else to do, while no keeper answers that would: when the hook of the one runs
// out that has the newest log, the log is gone. A later keeper lets it go.
func holdOwn(o Observation, d Decision) Decision {
	p, _ := o.peer()
	hold := HoldMachine{p.Name}
	if len(d.Steps) == 0 && o.Settings.HasCloud && p.Held && p.State == cluster.Terminating && dataInForce(o) &&
		!o.IsKeeper() && !o.quorumAnswers() && !o.asked(hold, holdEvery) {
		return do("hold", d.Reason, []any{"our machine ends, and no keeper answers"}, hold)
	}
	return d
}

// dataInForce says that our disk holds data of the epoch in force, as far as the
// ledger tells, a removed member's too: its log may be the newest.
func dataInForce(o Observation) bool {
	s := o.Disk.Stamp
	switch {
	case o.Disk.State != cluster.DiskData:
		return false
	case s == nil:
		return o.Ledger.Charter.Value().Seed.ClusterID == o.Disk.ClusterID
	}
	return s.Cluster == o.Settings.Cluster && s.Epoch >= o.epoch()
}

const awaitsReplacement = "a voter departs once its replacement votes"

// departs says why a voter whose machine is about to end goes now: add before
// remove, where the group is going to have one more machine, and within limits.
func (s standing) departs(o Observation, h house) string {
	switch {
	case !s.healthy && !s.unfit:
		return "" // it may be about to answer, or to be gone
	case !s.healthy:
		return "a voter departs, and does not answer any more"
	case len(h.voters) > o.wanted():
		return "a voter departs, and its replacement votes"
	case !o.replacementDue(h):
		return "a voter departs, and no replacement is due"
	case s.mayWait(o, h):
		return awaitsReplacement
	}
	return "a voter departs, and its replacement has not come in time"
}

// mayWait says that a departing voter has time. One whose loss would leave
// fewer than a quorum of the wanted voters gets ten times the patience: of two
// that terminate at once in three the second waits. A machine that will be
// interrupted does not wait for anybody.
func (s standing) mayWait(o Observation, h house) bool {
	patience := o.Settings.SurgeWait
	switch {
	case slices.Contains(o.Machines.Doomed, s.machine.ID):
		patience = min(patience, spotPatience)
	case len(h.voters)-1 < cluster.Quorum(o.wanted()):
		patience *= 10
	}
	since, seen := o.Machines.DepartsSince[s.machine.Name]
	return !seen || o.Now.Sub(since) < patience
}

// wanted is how many voters are wanted: the source's word where the operator
// has none, and 0 when nobody knows.
func (o Observation) wanted() int {
	if n := o.size(); n > 0 {
		return n
	}
	return o.View.Value().Size
}

// replacementDue says that a machine that is no voter yet is there, or that
// its group is short of machines and will launch one.
func (o Observation) replacementDue(h house) bool {
	size := o.View.Value().Size
	if size == 0 {
		size = o.size()
	}
	alive, spare := 0, false
	for _, p := range o.View.Value().Peers {
		if p.Alive() {
			alive++
			if !o.isMember(p) {
				spare = true
			}
		}
	}
	return spare || len(h.learners) > 0 || size > alive
}

// groupChooses says that a group has more machines than it wants: it is about
// to end some, and which ones it will say. A voter that we chose would be
// another, and would have to come back.
func (o Observation) groupChooses() bool {
	alive := 0
	for _, p := range o.View.Value().Peers {
		if p.Alive() && p.Group != "" {
			alive++
		}
	}
	return o.Settings.AutoSize && alive > o.size()
}

// condemn has a bad machine replaced: a voter whose etcd ends again and again
// on its disk, or whose disk cannot be read. One at a time, and only while all
// others are well: the group ends it at once. The keeper's own serves.
func condemn(o Observation, h house) (Decision, bool) {
	if !o.Settings.HasCloud || o.Settings.CrashLimit <= 0 || len(h.learners) > 0 || o.unsettled() {
		return Decision{}, false
	}
	for _, s := range h.voters {
		why := s.badDisk(o)
		step := CondemnMachine{s.machine.Name, why}
		switch {
		case why == "" || s.machine.Name == "":
		case h.healthy < len(h.voters)-1:
			return do("keep", "a machine with a bad disk stays: the rest is not whole", []any{s.Label()}), true
		default:
			return do("keep", "a machine with a bad disk is given up", []any{s.Label(), ": ", why}, step), true
		}
	}
	return Decision{}, false
}

// unsettled says that a machine comes or goes already, or that this agent has
// given one up and the view may not tell yet.
func (o Observation) unsettled() bool {
	for s, at := range o.Machines.Handled {
		if strings.HasPrefix(s, "CondemnMachine{") && o.Now.Sub(at) < condemnAgain {
			return true
		}
	}
	return slices.ContainsFunc(o.View.Value().Peers, func(p cluster.Peer) bool { return p.Unhealthy || p.State != cluster.Running })
}

// badDisk is why the member's machine should be replaced, as its agent reports.
func (s standing) badDisk(o Observation) string {
	r, _ := o.reportOf(s.Member)
	switch {
	case s.healthy:
		return ""
	case r.Crashes >= o.Settings.CrashLimit:
		return "etcd has ended " + strconv.Itoa(r.Crashes) + " times in a row"
	case r.Disk.State == cluster.DiskUnread && r.At.Sub(r.Since) >= unreadLong:
		return "its data directory is unreadable"
	}
	return ""
}

// announce adds to the decision of a node whose etcd serves that it is here
// for good, once it votes and the epoch is ready. Its group then counts it in,
// and its stack goes on to the next.
func announce(o Observation, d Decision) Decision {
	ready := !o.Etcd.Value().Learner && !(o.Ledger.Charter.Known() && o.Ledger.Ready.Absent())
	if len(d.Steps) > 0 || d.Verb != "serve" && d.Verb != "keep" || !ready || !mayAnnounce(o) {
		return d
	}
	d.Steps = []Step{AnnounceReady{}}
	return d
}

// announceSpare has a spare announce itself too, when every voter is well. A
// group that launches before it terminates waits for the newcomer's hook before
// it ends an old machine; the newcomer waits for a voter to depart. Somebody
// must go first, and a spare of a whole cluster is all that it can be.
func announceSpare(o Observation, d Decision, voters []cluster.Member) Decision {
	for _, m := range voters {
		if r, _ := o.reportOf(m); !r.Etcd.Healthy {
			return d
		}
	}
	if mayAnnounce(o) {
		d = do("spare", d.Reason, []any{d.Detail}, AnnounceReady{})
	}
	return d
}

func mayAnnounce(o Observation) bool {
	p, _ := o.peer()
	return o.Settings.HasCloud && !o.Machines.Announced && p.Alive() && !o.asked(AnnounceReady{}, askAgain)
}
