package plan

import (
	"cmp"
	"time"

	"github.com/quorate/quorate/internal/cluster"
)

// StaleCA is why an etcd must restart whose files of authorities hold something
// else, wholly written, than when it started and read them.
const StaleCA = "its CA has changed"

// renewAfter is how long a changed CA must have stood at every node that has it
// before the first restarts: long enough that all know of all (see renew), and
// that an operator's copying is over.
const renewAfter = 10 * time.Second

// renewAge is how old another agent's word on its etcd may be when it is sent.
const renewAge = 3 * time.Second

// renew restarts our etcd for the CA that its files hold now, in a round in
// which d has nothing else to do: etcd reads that CA at its start alone. The
// voters take turns, the leader last and not before it has handed over; each
// waits until every other voter answers, is healthy and follows one leader.
//
// Two never restart at once. Say X and Y both decide to, X no later than Y. What
// an agent hears was sent at most 5 s ago (2 s on its way, 3 s kept), and the
// round that decides tells of it (Restarting) before it acts. X has told of its
// flag for 10 s, Y too: each saw the other's flag, or that it was gone. It is
// gone after a restart alone, and then the other was seen healthy since. So both
// saw both flags, under one leader and term that both themselves reported. If
// those were the same for both, so was the order, and one of them was not first.
// If Y's term is the later one, Y saw X report it, from a round after the one in
// which X decided: X's restart was over, and X healthy. An etcd that has not been
// healthy for 10 s need not wait for its turn: everyone has seen that by then,
// and waits for it.
func renew(o Observation, d Decision) Decision {
	if o.Process.Stale.Why == "" || o.Process.Foreign || len(d.Steps) > 0 || d.Verb == "refuse" {
		return d
	}
	if !o.Etcd.Value().Healthy {
		return renewSick(o, d)
	}
	members := o.electorate()
	switch lock := o.Ledger.Lock; {
	case lock.Unknown() || lock.Value().Held(o.Now):
		return renewLater("housekeeping is paused, or its lock is unreadable")
	case !listed(members, o.Etcd.Value().MemberID):
		return renewLater("the member list is not known")
	case len(members) == 1:
		return do("renew", "etcd restarts for its new CA", []any{"the only member"}, StopEtcd{})
	case len(cluster.Learners(members)) > 0:
		return renewLater("a learner is joining")
	case o.Now.Sub(o.Process.Stale.Since) < renewAfter:
		return renewLater("it has not stood long enough", o.Self.Name)
	}
	for _, m := range members {
		if why := holdsUp(o, m); why != "" {
			return renewLater(why, m.Label())
		}
	}
	if !o.leads() {
		return do("renew", "etcd restarts for its new CA", nil, StopEtcd{})
	}
	if to, ok := successor(o, survey(o)); ok {
		return do("renew", "the leader hands over, to restart for its new CA", nil, TransferLeadership{to.ID, to.Label()})
	}
	return renewLater("no other voter is fit to lead")
}

func renewLater(why string, who ...any) Decision {
	return do("renew", "etcd must restart for its new CA, and waits: "+why, who)
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
	case r.Age > renewAge:
		return "a voter's agent is held up"
	case r.Restarting:
		return "a voter restarts"
	case r.Etcd.Leader != e.Leader || r.Etcd.Term != e.Term:
		return "a voter follows another leader"
	case r.Stale.Why == "":
		return ""
	case r.At.Sub(r.Stale.Since) < renewAfter:
		return "it has not stood long enough"
	case o.leads() || e.Leader != m.ID && !behind:
		return "another voter's turn comes first"
	}
	return ""
}

// renewSick is for an etcd without a leader: it serves nobody, so that its
// restart takes nothing from a quorum that lives without it. Where none does, a
// restart may be what ends the last hope of one: it only says what is the matter.
func renewSick(o Observation, d Decision) Decision {
	k, found, _ := o.keeper()
	lock := o.Ledger.Lock
	stood := o.Now.Sub(o.Process.Stale.Since) >= renewAfter
	sick := !o.UnhealthySince.IsZero() && o.Now.Sub(o.UnhealthySince) >= renewAfter
	if found && k.Etcd.ClusterID == o.Disk.ClusterID && stood && sick && !lock.Unknown() && !lock.Value().Held(o.Now) {
		return do("renew", "etcd follows nobody, and restarts for its new CA", []any{k.Name, " leads"}, StopEtcd{})
	}
	if d.Detail != "" {
		d.Detail += "; "
	}
	d.Detail += "the CA has changed since etcd started"
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
