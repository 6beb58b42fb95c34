package plan

import (
	"slices"

	"github.com/quorate/quorate/internal/cluster"
)

// founders are those that the registry has recorded, else the first of the source,
// as many as found. All nodes see the same ones: the order is the registry's, or
// that of age and name.
func (o Print) founders() ([]cluster.Founder, Decision, bool) {
	if o.Registry && o.Founders.Known() {
		return o.among(o.Founders.Value())
	}
	v := o.View.Value()
	size := o.Size
	if o.Registry || size <= 0 {
		size = v.Size
	}
	peers := slices.DeleteFunc(slices.Clone(v.Peers), func(p cluster.Peer) bool { return !p.Alive() })
	switch {
	case o.Registry && o.Founders.Unknown():
		return nil, wait("who founds by this registry is unread"), false
	case size <= 0:
		return nil, refuse("founding needs a size: give --size, or a peers source that knows it"), false
	case len(peers) < size:
		return nil, wait("the peers source is not complete yet", len(peers), " of ", size), false
	}
	var first []cluster.Founder
	for _, p := range peers[:size] {
		first = append(first, cluster.Founder{Name: p.Name, PeerURL: p.PeerURL(o.Scheme)})
	}
	return o.among(first)
}

func (o Print) among(all []cluster.Founder) ([]cluster.Founder, Decision, bool) {
	if !slices.Contains(all, cluster.Founder{Name: o.Name, PeerURL: o.PeerURL}) {
		return nil, wait("this node is no founder, and no member answers", "the founders are ", len(all)), false
	}
	return all, Decision{}, true
}

func founderNames(all []cluster.Founder) []string {
	var names []string
	for _, f := range all {
		names = append(names, f.Name)
	}
	return names
}

func foundersText(all []cluster.Founder) string {
	return cluster.Charter{Founders: all}.InitialCluster()
}

// found is reached when no etcd of any peer answers.
func (o Print) found() Decision {
	founders, d, ok := o.founders()
	switch {
	case !ok:
		return d
	case o.Mark == "":
		return wait("which disk has this node's identity is unread")
	case o.Mark == MarkOther:
		return refuse("this node has been started before, on a disk that is lost, and no member answers: start the others")
	case o.unproven():
		return refuse(askFirst)
	case o.Registry && o.Founders.Absent():
		return do("found", "the registry is complete, and nobody answers", nil, WriteFounders{founders})
	}
	return o.begin("found", "the peers source is complete, and nobody answers", "new", foundersText(founders))
}

const askFirst = "nothing tells a first start from a lost disk: if the cluster has never run, say --first-start on each founder"

// unproven says that nothing proves a first start. A registry keeps the mark of
// each node's disk; of a list, a machine that is new and one that has lost its
// disk, its own mark with it, look alike, and silence proves nothing.
func (o Print) unproven() bool { return !o.Registry && !o.First && o.Mark != MarkOurs }

// late is a founder whose fellows have started and wait for it, or a newcomer to
// a cluster without a quorum.
func (o Print) late() Decision {
	if own, members, ok := o.second(); ok {
		return o.begin("join", "the one voter waits for this node's entry to start", "existing", initialCluster(members, own.ID, o.Name))
	}
	founders, _, ok := o.founders()
	waits := ok && slices.ContainsFunc(o.Answers, func(a PrintAnswer) bool {
		if len(a.Members) != len(founders) {
			return false
		}
		for _, f := range founders {
			at := slices.IndexFunc(a.Members, func(m cluster.Member) bool { return m.Name == f.Name && m.Listens(f.PeerURL) })
			if at < 0 || f.Name == o.Name && published(a.Members[at]) {
				return false
			}
		}
		return true
	})
	if waits && o.unproven() {
		return refuse(askFirst)
	}
	if !waits || o.Mark != MarkNone && o.Mark != MarkOurs {
		return wait("an etcd answers, and no quorum does", o.Answers[0].At)
	}
	return o.begin("found", "the other founders wait for this one", "new", foundersText(founders))
}

// second finds this node's entry beside that of the one voter that there was:
// etcd takes it at once, and has no quorum until it starts. Every later entry is
// refused by etcd where it would cost the quorum.
func (o Print) second() (own cluster.Member, members []cluster.Member, ok bool) {
	for _, a := range o.Answers {
		at := slices.IndexFunc(a.Members, func(m cluster.Member) bool { return m.Listens(o.PeerURL) })
		voters := slices.DeleteFunc(slices.Clone(a.Members), func(m cluster.Member) bool { return m.Learner })
		if at < 0 || len(voters) != 2 || a.Members[at].Learner || a.Members[at].Started() {
			return own, nil, false
		}
		if a.MemberID != 0 { // it runs, and is the other one: the list is not older than the entry
			own, members, ok = a.Members[at], a.Members, true
		}
	}
	return own, members, ok && (o.Mark == MarkOurs || o.Join == cluster.JoinPrepared && o.Mark != "")
}

// begin is a first start on this disk, marked where the mark may be written.
func (o Print) begin(verb, reason, state, initial string) Decision {
	start := StartEtcd{State: state, Initial: initial}
	if state == "new" {
		start.Token = o.Token
	}
	if !o.Register && !o.Registry || state == "existing" && o.Mark == MarkNone && !o.Register {
		return do(verb, reason, nil, start)
	}
	return do(verb, reason, nil, append(o.marking(), start)...)
}

func (o Print) marking() []Step {
	if o.Mark == MarkOurs {
		return nil
	}
	return []Step{MarkDisk{}}
}
