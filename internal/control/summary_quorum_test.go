package control

import (
	"slices"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/cluster"
)

// TestQuorum: which agents are silent is one thing, and whether etcd has a quorum
// another. A fresh report of a voter that has read linearizably proves one; where
// none does, there is none.
func TestQuorum(t *testing.T) {
	both := func(change func(*cluster.Report)) func(map[string]*cluster.Report) {
		return func(all map[string]*cluster.Report) {
			for _, r := range all {
				change(r)
			}
		}
	}
	aged := func(d time.Duration) func(*cluster.Report) { return func(r *cluster.Report) { r.Age = d } }
	heldUp := func(d time.Duration) func(*cluster.Report) {
		return func(r *cluster.Report) { r.At = moment.Add(-d) }
	}
	begun := func(r *cluster.Report) { r.Launched = moment.Add(-200 * time.Millisecond) }
	follows := func(r *cluster.Report) { r.Keeper = false } // the lead has just gone elsewhere
	unread := func(r *cluster.Report) { r.Etcd.Healthy, r.Keeper = false, false }
	unknown := func(r *cluster.Report) { r.Etcd = cluster.EtcdState{Running: true} }
	elder := func(r *cluster.Report) {
		r.Disk.Stamp, r.Charter = &cluster.Stamp{Epoch: 1}, &cluster.Charter{Epoch: 2}
	}
	for name, c := range map[string]struct {
		changes []func(map[string]*cluster.Report)
		want    string
	}{
		"the leader's agent is silent":       {changes(silent("a")), "degraded (the agent of a does not answer): a leader silent, b voter healthy, c voter healthy; can lose 1, led by a"},
		"both followers' agents are silent":  {changes(silent("b"), silent("c")), "degraded (the agents of b, c do not answer): a leader healthy, b voter silent, c voter silent; can lose 1, led by a"},
		"one follower's agent is silent":     {changes(silent("c")), "degraded (the agent of c does not answer): a leader healthy, b voter healthy, c voter silent; can lose 1, led by a"},
		"all but a follower's":               {changes(silent("a"), silent("c")), "degraded (2 of 3 voters are healthy; the agents of a, c do not answer): a leader silent, b voter healthy, c voter silent; can lose 0, led by a"},
		"one is dead, another silent":        {changes(dead("b"), silent("c")), "degraded (2 of 3 voters are healthy; the agent of c does not answer): a leader healthy, b voter silent, c voter silent; can lose 0, led by a"},
		"the keeper has reached nobody yet":  {changes(dead("b"), dead("c")), "degraded (the agents of b, c do not answer): a leader healthy, b voter silent, c voter silent; can lose 0, led by a"},
		"the lead has gone elsewhere":        {changes(at("a", follows)), "degraded (no leader's agent answers): a voter healthy, b voter healthy, c voter healthy; can lose 1, led by "},
		"a silent one is disowned":           {changes(silent("c"), at("b", func(r *cluster.Report) { r.Disowns = []cluster.MemberID{3} })), "degraded (2 of 3 voters are healthy): a leader healthy, b voter healthy, c voter silent; can lose 0, led by a"},
		"a follower's agent has just begun":  {changes(silent("a"), silent("c"), at("b", begun)), "degraded (this agent has just started, and has not heard yet from a, c): a leader silent, b voter healthy, c voter silent; can lose 0, led by a"},
		"the leader's agent has just begun":  {changes(dead("b"), dead("c"), at("a", begun)), "degraded (this agent has just started, and has not heard yet from b, c): a leader healthy, b voter silent, c voter silent; can lose 0, led by a"},
		"one that has begun has heard all":   {changes(at("a", begun)), "healthy (): a leader healthy, b voter healthy, c voter healthy; can lose 1, led by a"},
		"one that has begun reads nothing":   {changes(silent("a"), silent("c"), at("b", begun), at("b", unread)), "no quorum (no leader answers, as far as this agent knows, which has just started): a voter silent, b voter no leader, c voter silent; can lose -2, led by "},
		"no etcd reads":                      {changes(silent("a"), at("b", unread), at("c", unread)), "no quorum (no leader answers): a voter silent, b voter no leader, c voter no leader; can lose -2, led by "},
		"no etcd answers":                    {changes(silent("a"), at("b", unknown), at("c", unknown)), "no quorum (no leader answers): a voter silent, b voter no leader, c voter no leader; can lose -2, led by "},
		"what they told is old":              {changes(silent("a"), at("b", aged(4*time.Second)), at("c", aged(4*time.Second))), "no quorum (no leader answers): a voter silent, b voter healthy, c voter healthy; can lose 0, led by "},
		"the teller was held up":             {changes(silent("a"), both(heldUp(4*time.Second))), "no quorum (no leader answers): a voter silent, b voter healthy, c voter healthy; can lose 0, led by "},
		"both together make it old":          {changes(silent("a"), both(heldUp(2*time.Second)), both(aged(2*time.Second))), "no quorum (no leader answers): a voter silent, b voter healthy, c voter healthy; can lose 0, led by "},
		"a learner reads without a quorum":   {changes(silent("a"), silent("c"), at("b", func(r *cluster.Report) { r.Etcd.Learner = true })), "no quorum (no leader answers): a voter silent, b voter healthy, c voter silent; can lose -1, led by "},
		"who is no member":                   {changes(silent("a"), silent("b"), at("c", func(r *cluster.Report) { r.Etcd.MemberID = 9 })), "no quorum (no leader answers): a voter silent, b voter silent, c voter no leader; can lose -2, led by "},
		"another cluster's":                  {changes(silent("a"), silent("c"), at("b", func(r *cluster.Report) { r.Cluster = "other" })), "no quorum (no leader answers): a voter silent, b voter healthy, c voter silent; can lose -1, led by "},
		"data of an epoch that is over":      {changes(silent("a"), silent("c"), at("b", elder)), "no quorum (no leader answers): a voter silent, b voter healthy, c voter silent; can lose -1, led by "},
		"the keeper's word of an older term": {changes(at("b", func(r *cluster.Report) { r.Etcd.Term, r.Etcd.Leader = 6, 2 }), silent("c")), "degraded (2 of 3 voters are healthy): a leader healthy, b voter healthy, c voter silent; can lose 0, led by a"},
	} {
		reports, members := abc(c.changes...)
		s := Summarize("c", 3, reports, members, moment)
		if got := line(s); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, c.want)
		}
		if s.State == NoQuorum && s.Proven {
			t.Errorf("%s: no quorum, and it is proven", name)
		}
	}
}

// TestQuorumOfFive: the one voter that answers proves a quorum by itself; how many
// of the silent belong to it is not known.
func TestQuorumOfFive(t *testing.T) {
	reports, members := abc(silent("a"), silent("c"))
	for id := cluster.MemberID(4); id < 6; id++ {
		members = append(members, cluster.Member{ID: id, Name: string(rune('a' + id - 1))})
	}
	s := Summarize("c", 5, reports, members, moment)
	if want := "the agents of a, c, d, e do not answer"; s.State != Degraded || s.Reason != want || s.Tolerance != 0 {
		t.Errorf("%s %q, can lose %d; want degraded %q, 0", s.State, s.Reason, s.Tolerance, want)
	}
	if i := slices.IndexFunc(s.Nodes, func(n Node) bool { return n.Name == "a" }); s.Nodes[i].Doing != vouched || s.Nodes[i].Role != "leader" {
		t.Errorf("the leader: %+v", s.Nodes[i])
	}
}

// TestStarting: a teller that knows of nobody yet says so while it is young.
func TestStarting(t *testing.T) {
	report := cluster.Report{Cluster: "c", Name: "a", At: moment, Launched: moment.Add(-time.Second)}
	if s := Summarize("c", 3, []cluster.Report{report}, nil, moment); !s.Starting || s.State != NoQuorum {
		t.Errorf("%+v", s)
	}
	report.Launched = moment.Add(-time.Minute)
	if s := Summarize("c", 3, []cluster.Report{report}, nil, moment); s.Starting || s.Reason != "no cluster has been founded yet" {
		t.Errorf("%+v", s)
	}
}
