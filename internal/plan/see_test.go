package plan

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/cluster"
)

// The world of the specification: machines a, b, c … at hosts of the same
// name, seen from a. An observation is the quiet one that see starts from,
// changed by small options, each of which says one thing.

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

type opt func(*Observation)

// see is what node a sees: an empty disk, an authoritative source with a, b
// and c, an empty store, nobody answering, and an agent that started long ago.
func see(opts ...opt) Observation {
	o := Observation{
		Now: noon, Nonce: "n",
		Settings: Settings{Cluster: "test", Size: 3, Join: cluster.JoinReplace, HasStore: true, AutoRecover: true,
			FoundingWait: 30 * time.Second, DeadAfter: time.Minute, LearnerPatience: time.Minute, BackupEvery: 15 * time.Minute},
		Self: Self{Name: "a", PeerURL: at("a"), Scheme: "http", Since: noon.Add(-time.Hour)},
		Disk: cluster.Disk{State: cluster.DiskEmpty, ID: "disk-a"},
		View: cluster.Known(cluster.View{Peers: machines("a", "b", "c"), Authoritative: true}),
		Ledger: Ledger{
			Charter: cluster.Absent[cluster.Charter](), Mark: cluster.Absent[cluster.StartedMark](),
			Ready: cluster.Absent[cluster.ReadyMark](), Checkpoint: cluster.Absent[cluster.Checkpoint](),
			Lock: cluster.Absent[cluster.Lock](), Roll: cluster.Absent[cluster.Roll](), Verdict: cluster.Absent[cluster.Verdict](),
			Backup: cluster.Absent[cluster.Backup](), Grant: cluster.Absent[cluster.Charter](),
		},
	}
	for _, f := range opts {
		f(&o)
	}
	return o
}

func and(opts ...opt) opt {
	return func(o *Observation) {
		for _, f := range opts {
			f(o)
		}
	}
}

// at is a machine's peer URL; id its founder's member id: b is 0xb.
func at(name string) string { return "http://" + name + ":2380" }

func id(name string) cluster.MemberID { return cluster.MemberID(name[0]-'a') + 0xa }

func machine(name string) cluster.Peer {
	return cluster.Peer{ID: "i-" + name, Name: name, Host: name, State: cluster.Running, ClientPort: 2379, PeerPort: 2380, AgentPort: 2378}
}

func machines(names ...string) []cluster.Peer {
	var out []cluster.Peer
	for _, n := range names {
		out = append(out, machine(n))
	}
	return out
}

// Options: what the source says.

func peers(names ...string) opt {
	return func(o *Observation) {
		v := o.View.Value()
		v.Peers = machines(names...)
		o.View = cluster.Known(v)
	}
}

func state(name string, s cluster.PeerState) opt {
	return func(o *Observation) {
		v := o.View.Value()
		v.Peers = slices.Clone(v.Peers)
		for i := range v.Peers {
			if v.Peers[i].Name == name {
				v.Peers[i].State = s
			}
		}
		o.View = cluster.Known(v)
	}
}

// moved has a machine live at another host.
func movedTo(name, host string) opt {
	return func(o *Observation) {
		v := o.View.Value()
		v.Peers = slices.Clone(v.Peers)
		for i := range v.Peers {
			if v.Peers[i].Name == name {
				v.Peers[i].Host = host
			}
		}
		o.View = cluster.Known(v)
	}
}

func listOnly(o *Observation) {
	v := o.View.Value()
	v.Authoritative = false
	o.View = cluster.Known(v)
}

// refounded is a charter of the same epoch that somebody else has written.
func refounded(o *Observation) {
	c := o.Ledger.Charter.Value()
	c.Nonce = "x"
	o.Ledger.Charter = cluster.Known(c)
}

func behind(o *Observation, p *Probe) {
	p.State.Applied = 0
	e := o.Etcd.Value()
	e.Applied = 5
	o.Etcd = cluster.Known(e)
}

// writtenFor has the charter know this node at another address.
func writtenFor(host string) opt {
	return func(o *Observation) {
		c := o.Ledger.Charter.Value()
		c.Founders = append(c.Founders, cluster.Founder{Name: "a", PeerURL: at(host)})
		o.Ledger.Charter = cluster.Known(c)
	}
}

func sourceDown(o *Observation) { o.View = cluster.Unknown[cluster.View]() }

func size(n int) opt { return func(o *Observation) { o.Settings.Size = n } }

// auto is --size auto, and a source that says n.
func auto(n int) opt {
	return func(o *Observation) {
		o.Settings.Size, o.Settings.AutoSize = 0, true
		v := o.View.Value()
		v.Size = n
		o.View = cluster.Known(v)
	}
}
func noStore(o *Observation) { o.Settings.HasStore = false }
func justStarted(o *Observation) {
	o.Self.Since = o.Now.Add(-time.Second)
}
func leaving(o *Observation) { o.Self.Leaving = true }
func strategy(j cluster.JoinStrategy) opt {
	return func(o *Observation) { o.Settings.Join = j }
}

// Options: the disk.

func unread(o *Observation) {
	o.Disk = cluster.Disk{Detail: "permission denied"}
}
func elsewhere(o *Observation) { o.Disk = cluster.Disk{State: cluster.DiskElsewhere, ID: "disk-a"} }

func data(e cluster.Epoch) opt {
	return func(o *Observation) { o.Disk = diskOf("a", e, 5, 100) }
}

func unstamped(o *Observation) {
	o.Disk = diskOf("a", 0, 5, 100)
	o.Disk.Stamp, o.Disk.ClusterID = nil, 0x77
}

func spent(ids ...string) opt        { return func(o *Observation) { o.Disk.Spent = ids } }
func staged(e cluster.Epoch) opt     { return func(o *Observation) { o.Staged = e } }
func seedFails(n int) opt            { return func(o *Observation) { o.Process.SeedFails = n } }
func disk(f func(*cluster.Disk)) opt { return func(o *Observation) { f(&o.Disk) } }
func ledger(f func(*Ledger)) opt     { return func(o *Observation) { f(&o.Ledger) } }
func running(o *Observation)         { o.Process.Running = true }
func foreign(o *Observation)         { o.Process.Running, o.Process.Foreign = true, true }

func diskOf(name string, e cluster.Epoch, term, index uint64) cluster.Disk {
	c := charterOf(e, "a", "b", "c")
	return cluster.Disk{State: cluster.DiskData, ID: "disk-" + name, ClusterID: cluster.ClusterID(0xc0 + e), MemberID: id(name), Term: term, Index: index,
		Stamp: &cluster.Stamp{Cluster: "test", Epoch: e, Charter: c, Name: name}}
}

// Options: the ledger.

func charterOf(e cluster.Epoch, names ...string) cluster.Charter {
	c := cluster.Charter{Cluster: "test", Epoch: e, Token: "test-" + itoa(e) + "-t", Seed: cluster.Seed{Kind: cluster.SeedEmpty}, By: "b", Nonce: "e" + itoa(e)}
	for _, n := range names {
		c.Founders = append(c.Founders, cluster.Founder{Name: n, PeerURL: at(n)})
	}
	return c
}

func charter(e cluster.Epoch, names ...string) opt {
	return func(o *Observation) { o.Ledger.Charter = cluster.Known(charterOf(e, names...)) }
}

func seed(s cluster.Seed) opt {
	return func(o *Observation) {
		c := o.Ledger.Charter.Value()
		c.Seed = s
		o.Ledger.Charter = cluster.Known(c)
	}
}

func mark(disk string) opt {
	return ledger(func(l *Ledger) {
		l.Mark = cluster.Known(cluster.StartedMark{Epoch: l.Charter.Value().Epoch, Name: "a", DiskID: disk})
	})
}

func ready(o *Observation) {
	o.Ledger.Ready = cluster.Known(cluster.ReadyMark{Epoch: o.epoch(), By: "b"})
}

func checkpoint(members ...cluster.Member) opt {
	return ledger(func(l *Ledger) {
		l.Checkpoint = cluster.Known(cluster.Checkpoint{Epoch: l.Charter.Value().Epoch, Members: members})
	})
}

func paused(o *Observation) {
	o.Ledger.Lock = cluster.Known(cluster.Lock{Number: 1, Holder: "ann", Reason: "upgrade", Expires: o.Now.Add(time.Hour)})
}

func lost(names ...string) opt {
	return ledger(func(l *Ledger) { l.Verdict = cluster.Known(cluster.Verdict{Lost: names}) })
}

func orEmpty(o *Observation) { o.Ledger.Verdict = cluster.Known(cluster.Verdict{Empty: true}) }

func snapshot(key string, age time.Duration) opt {
	return func(o *Observation) {
		o.Ledger.Backup = cluster.Known(cluster.Backup{Key: key, Epoch: o.epoch(), At: o.Now.Add(-age), SHA256: "5ha"})
	}
}

func storeDown(o *Observation) { o.Ledger = Ledger{} }

// Members.

func voter(name string) cluster.Member {
	return cluster.Member{ID: id(name), Name: name, PeerURLs: []string{at(name)}, ClientURLs: []string{"http://" + name + ":2379"}}
}

func voters(names ...string) []cluster.Member {
	var out []cluster.Member
	for _, n := range names {
		out = append(out, voter(n))
	}
	return out
}

func learner(name string) cluster.Member {
	m := voter(name)
	m.Learner = true
	return m
}

// unstarted is an entry that nobody has started yet.
func unstarted(m cluster.Member) cluster.Member {
	m.Name, m.ClientURLs = "", nil
	return m
}

// unpublished is a founder's entry before its first start: it has a name.
func unpublished(name string) cluster.Member {
	m := voter(name)
	m.ClientURLs = nil
	return m
}

// keeping makes a the keeper of a well cluster of these members.
func keeping(members ...cluster.Member) opt {
	return func(o *Observation) {
		if !o.Ledger.Charter.Known() {
			charter(1, "a", "b", "c")(o)
		}
		data(1)(o)
		ready(o)
		checkpoint(members...)(o)
		snapshot("k1", time.Minute)(o)
		o.Process.Running = true
		o.Etcd = cluster.Known(cluster.EtcdState{Running: true, Healthy: true, MemberID: id("a"), Leader: id("a"), Term: 5, ClusterID: o.Disk.ClusterID, Applied: 1000})
		o.Members = cluster.Known(members)
		o.Probes = map[cluster.MemberID]Probe{}
		for _, m := range members {
			p := Probe{Healthy: true, FirstSeen: o.Now.Add(-time.Hour), ProgressAt: o.Now, State: cluster.EtcdState{MemberID: m.ID, Applied: 1000}}
			o.Probes[m.ID] = p
			if m.Name != "a" && m.Started() && len(m.ClientURLs) > 0 {
				holds(m.Name, 1, 5, 100)(o)
				says(m.Name, func(r *cluster.Report) { r.Etcd.Healthy, r.Care.Hears = true, []string{"a"} })(o)
			}
		}
	}
}

// down has a member's etcd and agent not answer the keeper for so long, nor anybody.
func down(name string, ago time.Duration) opt {
	return and(probe(name, func(o *Observation, p *Probe) { p.Healthy, p.UnhealthySince, p.Silent = false, o.Now.Add(-ago), ago }), silent(name))
}

func silent(name string) opt {
	return func(o *Observation) {
		o.Reports = slices.DeleteFunc(o.Reports, func(r cluster.Report) bool { return r.Name == name })
	}
}

func probe(name string, f func(*Observation, *Probe)) opt {
	return func(o *Observation) {
		p := o.Probes[id(name)]
		f(o, &p)
		o.Probes[id(name)] = p
	}
}

// following makes a a voter that follows; alone, one whose etcd has had no
// leader for an hour.
func following(o *Observation) {
	running(o)
	o.Etcd = cluster.Known(cluster.EtcdState{Running: true, Healthy: true, MemberID: id("a"), Leader: id("b"), Term: 5, ClusterID: o.Disk.ClusterID})
}

func leaderless(o *Observation) {
	running(o)
	o.Etcd = cluster.Known(cluster.EtcdState{Running: true, MemberID: id("a"), Term: 5, ClusterID: o.Disk.ClusterID})
	o.UnhealthySince = o.Now.Add(-time.Hour)
}

// rowOf is one sentence of the specification, about what S sees. Its story, where
// it has one, is the trap or the bug that it stands for.
type rowOf[S any] struct {
	see  S
	want string
}

type row = rowOf[Observation]

func check(t *testing.T, rows map[string]row) {
	t.Helper()
	checkAs(t, rows, askDecide)
}

func askDecide(o Observation) string { return Decide(o).String() }

// askSteps prints the steps with all that is in them, in single quotes.
func askSteps(o Observation) string {
	b, err := json.Marshal(Decide(o).Steps)
	if err != nil {
		return err.Error()
	}
	return strings.ReplaceAll(string(b), `"`, "'")
}

func checkAs[S any](t *testing.T, rows map[string]rowOf[S], ask func(S) string) {
	t.Helper()
	for name, r := range rows {
		t.Run(name, func(t *testing.T) {
			if got := ask(r.see); got != r.want {
				t.Errorf("\n got %s\nwant %s", got, r.want)
			}
		})
	}
}

// word is what an operator said so long ago; of nobody, a word that has lapsed.
func word(ago time.Duration, lost ...string) opt {
	return func(o *Observation) {
		o.Ledger.Verdict = cluster.Known(cluster.Verdict{Epoch: o.epoch(), Lost: lost, By: "op", At: o.Now.Add(-ago)})
	}
}

// lapsed is what is left of a word that has been taken back.
func lapsed(o *Observation) {
	o.Ledger.Verdict = cluster.Known(cluster.Verdict{Epoch: o.epoch(), By: "op"})
}
