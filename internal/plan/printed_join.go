package plan

import (
	"slices"

	"github.com/quorate/quorate/internal/cluster"
)

// enter gets an empty disk into the cluster that answers.
func (o Print) enter() Decision {
	h := o.house()
	own, has := o.entry()
	switch {
	case !has && o.Join == cluster.JoinPrepared:
		return wait("no entry has been prepared for this node", "strategy prepared")
	case !has:
		return o.admit(h)
	case !published(own) && o.Mark == "":
		return wait("which disk has this node's identity is unread")
	case published(own) || o.Mark == MarkOther && o.Join != cluster.JoinPrepared:
		return o.renounce(h, own)
	}
	return o.begin("join", "an entry awaits this node", "existing", initialCluster(o.Members.Value(), own.ID, o.Name))
}

// published says that the member has once told its client URLs: it has run. A
// founder's entry has its name from the start.
func published(m cluster.Member) bool { return len(m.ClientURLs) > 0 }

// renounce takes the entry of a lost disk away: nobody may start under it.
func (o Print) renounce(h house, own cluster.Member) Decision {
	switch s, _ := h.find(func(s standing) bool { return s.ID == own.ID }); {
	case o.Vitals[own.ID] == VitalHealthy:
		return refuse("a member serves at this node's address, and the data directory is empty", own.Label())
	case o.Join == cluster.JoinPrepared:
		return refuse("the entry of a lost disk has this node's address: remove it and add a new one", own.Label())
	case !own.Learner && !h.mayGo(s):
		return wait("the entry of a lost disk must go, but the rest would not be a quorum", own.Label())
	}
	return do("join", "the entry of a lost disk goes first", []any{own.Label()}, RemoveMember{own.ID, own.Label()})
}

// admit lets this node in, by its join strategy.
func (o Print) admit(h house) Decision {
	n := len(o.Members.Value())
	full := o.Size > 0 && n >= o.Size
	dead, anyDead := h.find(func(s standing) bool { return s.unfit })
	follower := slices.IndexFunc(h.learners, func(s standing) bool { return s.unfit })
	switch {
	case follower >= 0 && o.Join == cluster.JoinPrune:
		dead = h.learners[follower]
		return do("join", "a dead member goes first", []any{dead.Label()}, RemoveMember{dead.ID, dead.Label()})
	case anyDead && (o.Join == cluster.JoinPrune || o.Join == cluster.JoinReplace && full && n <= o.Size):
		if !h.mayGo(dead) {
			return wait("a dead member would go, but the rest would not be a quorum", dead.Label())
		}
		return do("join", "a dead member goes first", []any{dead.Label()}, RemoveMember{dead.ID, dead.Label()})
	case full:
		return wait("the cluster is full", n, " members of ", o.Size)
	case len(h.learners) > 0 && !o.AsVoter:
		return wait("another learner is joining", h.learners[0].Label())
	case !h.mayAdd():
		return wait("etcd adds none while too few voters are healthy", h.healthy, " of ", len(h.voters))
	}
	var add Step = AddLearner{o.Name, o.PeerURL, ""}
	if o.AsVoter {
		add = AddVoter{o.Name, o.PeerURL}
	}
	return do("join", "there is room for this node", nil, append(o.marking(), add)...)
}

// house is the membership as the guards count it: an entry that nobody has
// started yet is no healthy voter, and no dead one either.
func (o Print) house() house {
	var h house
	for _, m := range o.Members.Value() {
		s := standing{Member: m, healthy: o.Vitals[m.ID] == VitalHealthy, unfit: published(m) && o.Vitals[m.ID] == VitalSilent}
		if m.Learner {
			h.learners = append(h.learners, s)
			continue
		}
		h.voters = append(h.voters, s)
		if s.healthy {
			h.healthy++
		}
	}
	return h
}
