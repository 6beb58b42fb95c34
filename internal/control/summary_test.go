package control

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/cluster"
)

// TestSummaryOfTheLog: the status tells the furthest end that anybody knows.
func TestSummaryOfTheLog(t *testing.T) {
	of := func(ends ...cluster.LogEnd) *cluster.LogEnd {
		reports := []cluster.Report{{Cluster: "c", Name: "x"}}
		for _, e := range ends {
			reports = append(reports, cluster.Report{Cluster: "c", Log: &cluster.LogReport{End: e}})
		}
		return Summarize("c", 3, reports, nil, time.Now()).Log
	}
	if got := of(cluster.LogEnd{Epoch: 1, Chain: 1}); got != nil {
		t.Errorf("nothing is stored, and it tells %v", got)
	}
	old, far := cluster.LogEnd{Epoch: 1, Chain: 1, Number: 9}, cluster.LogEnd{Epoch: 1, Chain: 2, Number: 3}
	if got := of(old, far, old); got == nil || *got != far {
		t.Errorf("got %v, want %v", got, far)
	}
}

// moment is when what these tests tell of is.
var moment = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// abc are three members, and three reports of agents whose etcds are well; a
// leads. A change makes of them what a row is about.
func abc(changes ...func(map[string]*cluster.Report)) (reports []cluster.Report, members []cluster.Member) {
	all := map[string]*cluster.Report{}
	for i, name := range []string{"a", "b", "c"} {
		id := cluster.MemberID(i + 1)
		url := "http://" + name + ":2380"
		members = append(members, cluster.Member{ID: id, Name: name, PeerURLs: []string{url}, ClientURLs: []string{"http://" + name + ":2379"}})
		all[name] = &cluster.Report{Cluster: "c", Name: name, Host: name, PeerURL: url, Agent: "http://" + name + ":2378", Keeper: name == "a", Charter: &cluster.Charter{Epoch: 2}, At: moment, Launched: moment.Add(-time.Hour),
			Disk: cluster.Disk{State: cluster.DiskData, MemberID: id},
			Etcd: cluster.EtcdState{Running: true, Healthy: true, MemberID: id, Leader: 1, Term: 5, Index: 100, Applied: 100}}
	}
	for _, change := range changes {
		change(all)
	}
	for _, name := range []string{"a", "b", "c", "d"} {
		if r := all[name]; r != nil {
			reports = append(reports, *r)
		}
	}
	return reports, members
}

func at(name string, change func(*cluster.Report)) func(map[string]*cluster.Report) {
	return func(all map[string]*cluster.Report) { change(all[name]) }
}

func silent(name string) func(map[string]*cluster.Report) {
	return func(all map[string]*cluster.Report) { delete(all, name) }
}

// dead is silent, and the keeper does not reach its etcd either.
func dead(name string) func(map[string]*cluster.Report) {
	return func(all map[string]*cluster.Report) {
		silent(name)(all)
		id := cluster.MemberID(name[0] - 'a' + 1)
		all["a"].Care.Ails = append(all["a"].Care.Ails, cluster.Ailment{Member: id, Kind: "unheard", Why: "nobody hears its agent"})
	}
}

func newcomer(change func(*cluster.Report)) func(map[string]*cluster.Report) {
	return func(all map[string]*cluster.Report) {
		all["d"] = &cluster.Report{Cluster: "c", Name: "d", Agent: "http://d:2378", PeerURL: "http://d:2380"}
		change(all["d"])
	}
}

// TestSummarize: the word for the whole, why, and a line for each node.
func TestSummarize(t *testing.T) {
	now := moment
	nothing := func(*cluster.Report) {}
	ended := func(r *cluster.Report) { r.Etcd = cluster.EtcdState{} }
	ails := func(kind string) func(*cluster.Report) {
		return func(r *cluster.Report) { r.Care.Ails = []cluster.Ailment{{Member: 2, Kind: kind, Why: "why"}} }
	}
	old := func(r *cluster.Report) { r.At = now.Add(-4 * time.Second) }
	leaderless := func(r *cluster.Report) { r.Etcd.Healthy, r.Keeper = false, false }
	for name, c := range map[string]struct {
		size    int
		changes []func(map[string]*cluster.Report)
		want    string
	}{
		"all is well":                        {3, nil, "healthy (): a leader healthy, b voter healthy, c voter healthy; can lose 1, led by a"},
		"no limit":                           {0, nil, "healthy (): a leader healthy, b voter healthy, c voter healthy; can lose 1, led by a"},
		"one is silent":                      {3, changes(dead("c")), "degraded (2 of 3 voters are healthy): a leader healthy, b voter healthy, c voter silent; can lose 0, led by a"},
		"one's etcd has ended":               {3, changes(at("c", ended)), "degraded (2 of 3 voters are healthy): a leader healthy, b voter healthy, c voter down; can lose 0, led by a"},
		"one follows nobody":                 {3, changes(at("c", leaderless)), "degraded (2 of 3 voters are healthy): a leader healthy, b voter healthy, c voter no leader; can lose 0, led by a"},
		"one's member is another":            {3, changes(at("c", func(r *cluster.Report) { r.Etcd.MemberID = 9 })), "degraded (2 of 3 voters are healthy): a leader healthy, b voter healthy, c voter no leader; can lose 0, led by a"},
		"nobody leads":                       {3, changes(at("a", leaderless), at("b", leaderless), at("c", leaderless)), "no quorum (no leader answers): a voter no leader, b voter no leader, c voter no leader; can lose -2, led by "},
		"one leads, and two are gone":        {3, changes(dead("b"), dead("c"), at("a", old)), "no quorum (1 of 3 voters are healthy): a leader healthy, b voter silent, c voter silent; can lose -1, led by a"},
		"fewer than wanted":                  {5, nil, "degraded (3 voters of 5 wanted): a leader healthy, b voter healthy, c voter healthy; can lose 1, led by a"},
		"more than wanted":                   {1, nil, "healthy (): a leader healthy, b voter healthy, c voter healthy; can lose 1, led by a"},
		"the leader of a newer term":         {3, changes(at("b", func(r *cluster.Report) { r.Keeper, r.Etcd.Term, r.Etcd.Index = true, 6, 130 })), "healthy (): a voter healthy -30, b leader healthy -30, c voter healthy -30; can lose 1, led by b"},
		"the leader of an older term":        {3, changes(at("b", func(r *cluster.Report) { r.Keeper, r.Etcd.Term = true, 4 })), "healthy (): a leader healthy, b voter healthy, c voter healthy; can lose 1, led by a"},
		"one lags":                           {3, changes(at("c", func(r *cluster.Report) { r.Etcd.Applied = 93 })), "healthy (): a leader healthy, b voter healthy, c voter healthy -7; can lose 1, led by a"},
		"etcd is alarmed":                    {3, changes(at("c", func(r *cluster.Report) { r.Etcd.Errors = []string{"NOSPACE", "CORRUPT"} })), "degraded (c: NOSPACE, CORRUPT): a leader healthy, b voter healthy, c voter healthy; can lose 1, led by a"},
		"its error is that it has no leader": {3, changes(at("c", func(r *cluster.Report) { r.Etcd.Errors = []string{noLeader} })), "healthy (): a leader healthy, b voter healthy, c voter healthy; can lose 1, led by a"},
		"one ails": {3, changes(at("a", func(r *cluster.Report) {
			r.Care.Ails = []cluster.Ailment{{Member: 2, Kind: "slow", Why: "fsync takes 2 s"}}
		})), "degraded (b is slow: fsync takes 2 s): a leader healthy, b voter healthy, c voter healthy; can lose 1, led by a"},
		"one was starting, and is well": {3, changes(at("a", ails("starting"))), "healthy (): a leader healthy, b voter healthy, c voter healthy; can lose 1, led by a"},
		"one was down, and is well":     {3, changes(at("a", ails("down"))), "healthy (): a leader healthy, b voter healthy, c voter healthy; can lose 1, led by a"},
		"one is starting":               {3, changes(at("a", ails("starting")), at("b", leaderless)), "degraded (2 of 3 voters are healthy): a leader healthy, b voter no leader, c voter healthy; can lose 0, led by a"},
		"one is cut off, though well":   {3, changes(at("a", ails("cut off"))), "degraded (b is cut off: why): a leader healthy, b voter healthy, c voter healthy; can lose 1, led by a"},
		"who does not lead says so": {3, changes(at("c", func(r *cluster.Report) {
			r.Care.Ails = []cluster.Ailment{{Member: 2, Kind: "slow", Why: "fsync takes 2 s"}}
		})), "healthy (): a leader healthy, b voter healthy, c voter healthy; can lose 1, led by a"},
		"the store lacks":      {3, changes(at("a", func(r *cluster.Report) { r.Lacks = "the store is old" })), "degraded (the store is old): a leader healthy, b voter healthy, c voter healthy; can lose 1, led by a"},
		"a spare":              {3, changes(newcomer(nothing)), "healthy (): a leader healthy, b voter healthy, c voter healthy, d spare idle; can lose 1, led by a"},
		"another cluster's":    {3, changes(newcomer(func(r *cluster.Report) { r.Cluster = "other" })), "healthy (): a leader healthy, b voter healthy, c voter healthy; can lose 1, led by a"},
		"one that was removed": {3, changes(newcomer(func(r *cluster.Report) { r.Disk.State = cluster.DiskData })), "healthy (): a leader healthy, b voter healthy, c voter healthy, d outsider down; can lose 1, led by a"},
		"and runs":             {3, changes(newcomer(func(r *cluster.Report) { r.Disk.State, r.Etcd.Running = cluster.DiskData, true })), "healthy (): a leader healthy, b voter healthy, c voter healthy, d outsider no leader; can lose 1, led by a"},
		"an entry that its host disowns": {3, changes(at("c", func(r *cluster.Report) {
			r.Disk, r.Etcd, r.Disowns = cluster.Disk{}, cluster.EtcdState{}, []cluster.MemberID{3}
		})),
			"degraded (2 of 3 voters are healthy): a leader healthy, b voter healthy, c voter silent, c spare idle; can lose 0, led by a"},
	} {
		reports, members := abc(c.changes...)
		if got := line(Summarize("c", c.size, reports, members, now)); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, c.want)
		}
	}
}

// TestForeignEtcd: an etcd that quorate did not start is told of, while it runs.
func TestForeignEtcd(t *testing.T) {
	foreign := func(running bool) func(*cluster.Report) {
		return func(r *cluster.Report) { r.Etcd.Foreign, r.Etcd.Running = true, running }
	}
	reports, members := abc(at("b", foreign(true)), at("c", foreign(false)), newcomer(foreign(true)))
	for _, n := range Summarize("c", 3, reports, members, time.Now()).Nodes {
		if want := n.Name == "b" || n.Name == "d"; n.Foreign != want {
			t.Errorf("%s: foreign %t", n.Name, n.Foreign)
		}
	}
}

func changes(all ...func(map[string]*cluster.Report)) []func(map[string]*cluster.Report) { return all }

func line(s Status) string {
	var nodes []string
	for _, n := range s.Nodes {
		text := n.Name + " " + n.Role + " " + n.Health
		if n.Lag > 0 {
			text += fmt.Sprint(" -", n.Lag)
		}
		nodes = append(nodes, text)
	}
	return fmt.Sprintf("%s (%s): %s; can lose %d, led by %s", s.State, s.Reason, strings.Join(nodes, ", "), s.Tolerance, s.Leader)
}

// TestSummaryOfNobody: nothing was founded, or nobody answers.
func TestSummaryOfNobody(t *testing.T) {
	now := time.Now()
	if s := Summarize("c", 3, []cluster.Report{{Cluster: "c", Name: "a", Agent: "http://a:2378"}}, nil, now); s.State != NoQuorum || s.Reason != "no cluster has been founded yet" || len(s.Nodes) != 1 {
		t.Errorf("before the first cluster: %+v", s)
	}
	_, members := abc()
	if s := Summarize("c", 3, nil, members, now); s.State != NoQuorum || s.Reason != "no leader answers" || len(s.Nodes) != 3 {
		t.Errorf("nobody answers: %+v", s)
	}
	if s := Summarize("c", 3, []cluster.Report{{Cluster: "c", Charter: &cluster.Charter{Epoch: 4}}}, nil, now); s.Reason != "no leader answers" || s.Epoch != 4 {
		t.Errorf("founded, and no members known: %+v", s)
	}
}

// TestSummaryOfNews: of what several tell, the newest counts; a lock that is not
// held any more is none.
func TestSummaryOfNews(t *testing.T) {
	now := moment
	old, young := cluster.Backup{Key: "old", At: now.Add(-time.Hour)}, cluster.Backup{Key: "young", At: now.Add(-time.Minute)}
	held := cluster.Lock{Number: 2, Holder: "me", Expires: now.Add(time.Hour)}
	over := cluster.Lock{Number: 1, Holder: "you", Expires: now.Add(time.Hour)}
	done := cluster.Roll{Number: 3, State: cluster.RollDone}
	failed := cluster.Roll{Number: 2, State: cluster.RollFailed}
	reports, members := abc(
		at("a", func(r *cluster.Report) { r.Backup, r.Lock, r.Roll = &old, &over, &failed }),
		at("b", func(r *cluster.Report) { r.Backup, r.Lock, r.Charter = &young, &held, &cluster.Charter{Epoch: 3} }),
		at("c", func(r *cluster.Report) { r.Backup, r.Lock = &old, &over }))
	s := Summarize("c", 3, reports, members, now)
	if s.Backup == nil || s.Backup.Key != "young" || s.BackupAge != time.Minute || s.Lock == nil || s.Lock.Holder != "me" || s.Epoch != 3 || s.Roll == nil || s.Roll.Number != 2 {
		t.Errorf("%+v", s)
	}
	held.Expires, reports[2].Roll = now, &done
	if s = Summarize("c", 3, reports, members, now); s.Lock != nil || s.Roll != nil {
		t.Errorf("a lock that has run out, a roll that is done: %+v, %+v", s.Lock, s.Roll)
	}
	if s = Summarize("c", 3, []cluster.Report{{Cluster: "c"}}, members, now); s.Lock != nil || s.Roll != nil || s.Backup != nil || s.BackupAge != 0 {
		t.Errorf("nobody tells anything: %+v", s)
	}
}

// TestTurns: how far each member is with a roll, while one is open.
func TestTurns(t *testing.T) {
	open := cluster.Roll{Number: 4, Kind: cluster.RollRestart, State: cluster.RollOpen}
	reports, members := abc(
		at("a", func(r *cluster.Report) { r.Roll, r.Rolled = &open, 3 }),
		at("b", func(r *cluster.Report) { r.Rolled = 4 }),
		at("c", func(r *cluster.Report) { r.Rolled, r.Restarting = 3, true }),
		newcomer(func(*cluster.Report) {}))
	turns := func() (out string) {
		for _, n := range Summarize("c", 3, reports, members, time.Now()).Nodes {
			out += n.Name + " " + string(n.Turn) + "; "
		}
		return out
	}
	if got, want := turns(), "a waits; b done; c restarts; d ; "; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	reports[2].Restarting, reports[2].Etcd.Healthy = false, false
	reports[1].RollFailed = &cluster.RollFailure{Number: 4}
	reports[0].RollFailed = &cluster.RollFailure{Number: 3}
	if got, want := turns(), "a waits; b failed; c restarts; d ; "; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	open.Kind = cluster.RollUpgrade // its first hop is not open yet
	if got, want := turns(), "a waits; b failed; c restarts; d ; "; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	open.State = cluster.RollDone
	if got, want := turns(), "a ; b ; c ; d ; "; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestNothing: an upgrade to what runs already is no roll; a restart always is.
func TestNothing(t *testing.T) {
	hop := []cluster.Version{{Major: 3, Minor: 7}}
	for _, c := range []struct {
		a    RollAnswer
		want bool
	}{
		{RollAnswer{Kind: cluster.RollUpgrade}, true},
		{RollAnswer{Kind: cluster.RollDowngrade}, true},
		{RollAnswer{Kind: cluster.RollRestart}, false},
		{RollAnswer{Kind: cluster.RollUpgrade, Hops: hop}, false},
		{RollAnswer{Kind: cluster.RollUpgrade, Problems: []string{"b is unhealthy"}}, false},
	} {
		if got := c.a.Nothing(); got != c.want {
			t.Errorf("%+v: %v", c.a, got)
		}
	}
}
