package plan

import (
	"cmp"
	"fmt"
	"time"

	"github.com/quorate/quorate/internal/cluster"
)

// StaleCA is why an etcd must restart whose files of authorities hold something
// else, wholly written, than when it started and read them.
const StaleCA = "its CA has changed"

// turnAfter is how long the reason for a restart must have stood at every node
// that has one before the first restarts: long enough that all know of all (see
// takeTurn), and that an operator's copying is over.
const turnAfter = 10 * time.Second

// turnAge is how old another agent's word on its etcd may be when it is sent.
const turnAge = 3 * time.Second

// takeTurn restarts our etcd, if it is stale, in a round in which d has nothing
// else to do. The voters take turns, the leader last and not before it has handed
// over; each waits until every other voter answers, is healthy and follows one
// leader.
//
// Two never restart at once. Say X and Y both decide to, X no later than Y. What
// an agent hears was sent at most 5 s ago (2 s on its way, 3 s kept), and the
// round that decides tells of it (Restarting) before it acts. X has told of its
// flag for 10 s, Y too, whatever each is stale for: each saw the other's flag, or
// that it was gone. It is gone after a restart, and then the other was seen
// healthy since; or because a roll has ended, or another has begun. But who
// restarts for a roll has heard from every voter that the newest it knows is that
// very entry, and nobody forgets a newer one: X decides for an entry older than
// Y's only before it knows Y's, and tells Y so until it has restarted. So both saw
// both flags, under one leader and term that both themselves reported. If
// those were the same for both, so was the order, and one of them was not first.
// If Y's term is the later one, Y saw X report it, from a round after the one in
// which X decided: X's restart was over, and X healthy. An etcd that has not been
// healthy for 10 s need not wait for its turn: everyone has seen that by then,
// and waits for it.
func takeTurn(o Observation, d Decision) Decision {
	s := o.Process.Stale
	if s.Why == "" || o.Process.Foreign || len(d.Steps) > 0 || d.Verb == "refuse" {
		return d
	}
	if !o.Etcd.Value().Healthy {
		return turnSick(o, d)
	}
	members := o.electorate()
	switch lock := o.Ledger.Lock; {
	case lock.Unknown() || lock.Value().Held(o.Now):
		return o.later("housekeeping is paused, or its lock is unreadable")
	case Torn(o) != "":
		return o.later("the members' keys differ, and no majority agrees")
	case o.corruptMember():
		return o.later("a member's data is corrupt")
	case !listed(members, o.Etcd.Value().MemberID):
		return o.later("the member list is not known")
	case len(cluster.Learners(members)) > 0:
		return o.later("a learner is joining")
	case !o.mayHop():
		return o.later("its data is not ready for the version that the roll wants", o.Self.Name)
	case len(members) == 1:
		return do("turn", "etcd restarts in its turn", []any{s.Why, ", the only member"}, o.turn()...)
	case o.Now.Sub(s.Since) < turnAfter:
		return o.later("it has not stood long enough", o.Self.Name)
	}
	for _, m := range members {
		if why := holdsUp(o, m); why != "" {
			return o.later(why, m.Label())
		}
	}
	if !o.leads() {
		return do("turn", "etcd restarts in its turn", []any{s.Why}, o.turn()...)
	}
	if to, ok := successor(o, survey(o)); ok {
		return do("turn", "the leader hands over, before its turn", []any{s.Why}, TransferLeadership{to.ID, to.Label()})
	}
	return o.later("no other voter is fit to lead")
}

// corruptMember says that some member is, by etcd's word or by a comparison: the
// keeper is about to remove it, and nobody's restart must come on top of that.
func (o Observation) corruptMember() bool {
	return len(o.corruptAlarms()) > 0 || len(o.integrity(survey(o)).odd) > 0
}

// turn is what a restart begins with: for a roll, with what outlives us between
// the stop and the start.
func (o Observation) turn() []Step {
	if n := o.Process.Stale.Roll; n > 0 {
		steps := []Step{TakeTurn{n}, StopEtcd{}}
		if o.Ledger.Roll.Value().Kind == cluster.RollDefragment {
			steps = append(steps, DefragmentData{})
		}
		return steps
	}
	if o.Process.Stale.Why == StaleDefrag {
		return []Step{StopEtcd{}, DefragmentData{}}
	}
	return []Step{StopEtcd{}}
}

// later is a turn that has not come.
func (o Observation) later(why string, who ...any) Decision {
	if len(who) > 0 {
		who = append(who, "; ")
	}
	return do("turn", "etcd must restart, and waits: "+why, append(who, o.Process.Stale.Why))
}

// holdsUp is why this node does not restart while the voter m is as it is.
func holdsUp(o Observation, m cluster.Member) string {
	e := o.Etcd.Value()
	if m.ID == e.MemberID {
		return ""
	}
	r, ok := o.reportOf(m)
	behind := cmp.Or(cmp.Compare(r.Name, o.Self.Name), cmp.Compare(m.ID, e.MemberID)) > 0
	switch {
	case !ok:
		return "a voter's agent is silent"
	case r.Etcd.MemberID != m.ID || !r.Etcd.Healthy:
		return "a voter is unhealthy"
	case r.Age > turnAge:
		return "a voter's agent is held up"
	case r.Restarting:
		return "a voter restarts"
	case r.Etcd.Leader != e.Leader || r.Etcd.Term != e.Term:
		return "a voter follows another leader"
	case o.Process.Stale.Roll > 0 && !sameRoll(r.Roll, o.Ledger.Roll.Value()):
		return "a voter has not heard of this roll, or has heard of another"
	case o.Process.Stale.Roll > 0 && r.RollFailed != nil && r.RollFailed.Number == o.Process.Stale.Roll:
		return "a voter did not come up as this roll wants it"
	case o.Process.Stale.Roll > 0 && !readyToHop(o.Ledger.Roll.Value(), r.Etcd):
		return "a voter's data is not ready for the version that the roll wants"
	case r.Stale.Why == "":
		return ""
	case r.At.Sub(r.Stale.Since) < turnAfter:
		return "it has not stood long enough"
	case o.leads() || e.Leader != m.ID && !behind:
		return "another voter's turn comes first"
	}
	return ""
}

func sameRoll(r *cluster.Roll, ours cluster.Roll) bool {
	return r != nil && r.Number == ours.Number && r.Nonce == ours.Nonce
}

// mayHop says that our own etcd may be stopped for the roll that wants it.
func (o Observation) mayHop() bool {
	return o.Process.Stale.Roll == 0 || readyToHop(o.Ledger.Roll.Value(), o.Etcd.Value())
}

// readyToHop says that an etcd's data can be read by the version that follows:
// on the way down only once its format is that version's.
func readyToHop(r cluster.Roll, e cluster.EtcdState) bool {
	return r.Kind != cluster.RollDowngrade || versionOf(e).SameMinor(r.Hop) || e.Storage.SameMinor(r.Hop)
}

// turnSick is for an etcd without a leader: it serves nobody, so that its
// restart takes nothing from a quorum that lives without it. Where none does, a
// restart may be what ends the last hope of one: it only says what is the matter.
// For a roll it waits until it is well.
func turnSick(o Observation, d Decision) Decision {
	k, found, _ := o.keeper()
	lock := o.Ledger.Lock
	stood := o.Now.Sub(o.Process.Stale.Since) >= turnAfter
	sick := !o.UnhealthySince.IsZero() && o.Now.Sub(o.UnhealthySince) >= turnAfter
	if o.Process.Stale.Roll == 0 && found && k.Etcd.ClusterID == o.Disk.ClusterID && stood && sick && !lock.Unknown() && !lock.Value().Held(o.Now) {
		return do("turn", "etcd follows nobody, and restarts", []any{o.Process.Stale.Why, "; ", k.Name, " leads"}, StopEtcd{})
	}
	if d.Detail != "" {
		d.Detail += "; "
	}
	d.Detail += fmt.Sprint("etcd must restart: ", o.Process.Stale.Why)
	return d
}

// leads says that our own etcd leads, as far as it knows.
func (o Observation) leads() bool { e := o.Etcd.Value(); return e.Leader == e.MemberID }

// electorate is the member list at hand that a quorum vouches for: our own
// etcd's, else the keeper's.
func (o Observation) electorate() []cluster.Member {
	if o.Members.Known() {
		return o.Members.Value()
	}
	k, _, _ := o.keeper()
	return k.Members
}
