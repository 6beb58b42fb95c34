package plan

import (
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/cluster"
)

func TestStartAs(t *testing.T) {
	report := func(name, runs, agreed string, more ...func(*cluster.Report)) cluster.Report {
		r := cluster.Report{Cluster: "c", Name: name, PeerURL: "http://" + name, Etcd: cluster.EtcdState{Healthy: runs != "", Version: runs, ClusterVersion: version(agreed)}}
		for _, m := range more {
			m(&r)
		}
		return r
	}
	v2 := func(r *cluster.Report) { r.V2 = "keys" }
	elder := func(r *cluster.Report) { r.Elder = "old entries" }
	offers := func(text string) func(*cluster.Report) {
		return func(r *cluster.Report) { r.Offers = versions(text) }
	}
	leaderless := func(runs string) func(*cluster.Report) {
		return func(r *cluster.Report) { r.Etcd.Running, r.Etcd.Version = true, runs }
	}
	ended := func(r *cluster.Report) { r.Etcd.Running = false }
	resume, joins := StartEtcd{State: "resume"}, StartEtcd{State: "existing"}
	founds := StartEtcd{State: "new", Charter: cluster.Charter{Founders: []cluster.Founder{{Name: "a", PeerURL: "http://a"}, {Name: "b", PeerURL: "http://b"}}}}
	const all = "3.5.33 3.6.14 3.7.3"
	for name, c := range map[string]struct {
		step    StartEtcd
		offers  string
		ran     LastRun
		reports []cluster.Report
		want    string
	}{
		"founding alone":                                          {founds, all, LastRun{}, nil, "3.7.3"},
		"founding: what all have":                                 {founds, all, LastRun{}, []cluster.Report{report("b", "", "", offers("3.5.33 3.6.14"))}, "3.6.14"},
		"founding: nothing in common":                             {founds, "3.7.3", LastRun{}, []cluster.Report{report("b", "", "", offers("3.6.14"))}, "3.7.3"},
		"founding: who founds not has no say":                     {founds, all, LastRun{}, []cluster.Report{report("d", "", "", offers("3.5.33"))}, "3.7.3"},
		"founding: the others run an older one, without a leader": {founds, all, LastRun{}, []cluster.Report{report("b", "", "", leaderless("3.5.33"), offers(all))}, "3.5.33"},
		"founding: one that has ended says nothing":               {founds, all, LastRun{}, []cluster.Report{report("b", "", "", leaderless("3.5.33"), offers(all), ended)}, "3.7.3"},
		"founding: who founds not may run anything":               {founds, all, LastRun{}, []cluster.Report{report("d", "", "", leaderless("3.5.33"), offers(all))}, "3.7.3"},
		"an empty disk forgets what ran":                          {joins, all, LastRun{Version: version("3.7.3")}, []cluster.Report{report("a", "3.5.33", "3.5.0")}, "3.5.33"},
		"joins the oldest":                                        {joins, all, LastRun{}, []cluster.Report{report("a", "3.7.3", "3.6.0"), report("b", "3.6.14", "3.6.0")}, "3.6.14"},
		"joins what is agreed on":                                 {joins, all, LastRun{}, []cluster.Report{report("a", "3.7.3", "3.6.0")}, "3.6.14"},
		"joins what nobody runs any more":                         {joins, "3.7.3", LastRun{}, []cluster.Report{report("a", "3.7.3", "3.6.0"), report("b", "3.7.3", "3.6.0")}, "3.7.3"},
		"who is not up is no member":                              {joins, all, LastRun{}, []cluster.Report{report("a", "3.6.14", "3.6.0"), {Cluster: "c", Name: "b", Etcd: cluster.EtcdState{Version: "3.5.33"}}}, "3.6.14"},
		"another cluster is none of ours":                         {joins, all, LastRun{}, []cluster.Report{report("a", "3.6.14", "3.6.0"), {Cluster: "d", Name: "b", Etcd: cluster.EtcdState{Healthy: true, Version: "3.5.33"}}}, "3.6.14"},
		"joins over v2 content":                                   {joins, "3.6.14", LastRun{}, []cluster.Report{report("a", "3.5.33", "3.5.0"), report("b", "3.5.33", "3.5.0", v2)}, "etcd 3.6.14 would end in a panic: b holds"},
		"joins at 3.5 over v2 content":                            {joins, all, LastRun{}, []cluster.Report{report("b", "3.5.33", "3.5.0", v2)}, "3.5.33"},
		"resumes what ran":                                        {resume, all, LastRun{Version: version("3.6.14"), Agreed: version("3.6.0")}, nil, "3.6.14"},
		"resumes what the data tells":                             {resume, all, LastRun{Agreed: version("3.6.0")}, nil, "3.6.14"},
		"resumes what the format tells":                           {resume, all, LastRun{Agreed: version("3.6.0"), Format: version("3.7.0")}, nil, "3.7.3"},
		"resumes data that tells nothing":                         {resume, all, LastRun{}, nil, "3.7.3"},
		"resumes data of an unknown patch":                        {resume, "3.7.3", LastRun{Agreed: version("3.6.0")}, nil, "to go on to 3.7 it must be at least 3.6.11"},
		"resumes, and the cluster was at less":                    {resume, "3.7.3", LastRun{Version: version("3.6.14"), Agreed: version("3.5.0")}, nil, "a member of the cluster is at 3.5.0 still"},
		"resumes one minor up over v2 content":                    {resume, "3.6.14", LastRun{Version: version("3.5.33"), Agreed: version("3.5.0")}, []cluster.Report{report("b", "3.5.33", "3.5.0", v2)}, "would end in a panic"},
		"joins as 3.7 over old entries":                           {joins, "3.7.3", LastRun{}, []cluster.Report{report("b", "3.6.14", "3.6.0", elder)}, "etcd 3.7.3 would end in a panic: b: old entries"},
		"joins as 3.6 over old entries":                           {joins, all, LastRun{}, []cluster.Report{report("b", "3.6.14", "3.6.0", elder)}, "3.6.14"},
		"goes on to 3.7 over old entries":                         {resume, "3.7.3", LastRun{Version: version("3.6.14"), Elder: "old entries"}, nil, "etcd 3.7.3 would end in a panic: a: old entries"},
		"other logs are no matter to data":                        {resume, "3.7.3", LastRun{Version: version("3.6.14")}, []cluster.Report{report("b", "3.6.14", "3.6.0", elder)}, "3.7.3"},
		"resumes what a roll wants":                               {StartEtcd{State: "resume", Version: version("3.7.3")}, all, LastRun{Version: version("3.6.14")}, []cluster.Report{report("b", "3.6.14", "3.6.0")}, "3.7.3"},
	} {
		o := Observation{Settings: Settings{Cluster: "c"}, Self: Self{Name: "a", PeerURL: "http://a"}, Process: Process{Offers: versions(c.offers)}, Reports: c.reports}
		v, why := StartAs(o, c.step, c.ran)
		got := why
		if !v.Zero() {
			got = v.String()
		}
		if !strings.Contains(got, c.want) || v.Zero() != strings.Contains(c.want, " ") {
			t.Errorf("%s: %s %s; want %s", name, v, why, c.want)
		}
	}
}

func TestSeedAs(t *testing.T) {
	for _, c := range []struct{ offers, of, want string }{
		{"3.5.33 3.6.11 3.6.14 3.7.3", "3.6.5", "3.6.14"},
		{"3.5.33 3.7.3 3.7.1 3.8.0", "3.6.5", "3.7.3"},
		{"3.5.33 3.6.14", "3.7.3", "3.6.14"},
		{"3.5.33", "", ""},
		{"", "3.5.33", ""},
	} {
		if got := SeedAs(versions(c.offers), version(c.of)); got != version(c.want) {
			t.Errorf("a backup of %s, offers %s: %s; want %s", c.of, c.offers, got, c.want)
		}
	}
}

func TestPassesLog(t *testing.T) {
	now := time.Now()
	mine := cluster.Member{ID: 1, PeerURLs: []string{"http://a"}}
	other := cluster.Member{ID: 2, PeerURLs: []string{"http://b"}}
	keeps := func(agreed string, change func(*Observation)) Observation {
		o := Observation{Now: now, Settings: Settings{Cluster: "c"}, Self: Self{Name: "a", PeerURL: "http://a"},
			Etcd:    cluster.Known(cluster.EtcdState{Healthy: true, MemberID: 1, Leader: 1, ClusterVersion: version(agreed)}),
			Members: cluster.Known([]cluster.Member{mine, other}),
			Ledger:  Ledger{Lock: cluster.Absent[cluster.Lock]()},
			Reports: []cluster.Report{{Cluster: "c", Name: "b", PeerURL: "http://b", Elder: "old entries"}}}
		if change != nil {
			change(&o)
		}
		return o
	}
	for name, c := range map[string]struct {
		o    Observation
		want bool
	}{
		"another's log":      {keeps("3.6.0", nil), true},
		"our own log":        {keeps("3.6.0", func(o *Observation) { o.Reports, o.Process.Elder = nil, "old entries" }), true},
		"nobody's":           {keeps("3.6.0", func(o *Observation) { o.Reports = nil }), false},
		"no member's":        {keeps("3.6.0", func(o *Observation) { o.Reports[0].PeerURL = "http://c" }), false},
		"3.5 writes more":    {keeps("3.5.0", nil), false},
		"not known":          {keeps("", nil), false},
		"3.7 is there":       {keeps("3.7.0", nil), false},
		"no keeper":          {keeps("3.6.0", func(o *Observation) { o.Members = cluster.Unknown[[]cluster.Member]() }), false},
		"the lock is unread": {keeps("3.6.0", func(o *Observation) { o.Ledger.Lock = cluster.Unknown[cluster.Lock]() }), false},
		"paused":             {keeps("3.6.0", func(o *Observation) { o.Ledger.Lock = cluster.Known(cluster.Lock{Number: 1, Expires: now.Add(1)}) }), false},
	} {
		if got := PassesLog(c.o); got != c.want {
			t.Errorf("%s: %v; want %v", name, got, c.want)
		}
	}
}
