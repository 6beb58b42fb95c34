package plan

import (
	"flag"
	"fmt"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/cluster"
)

// An axis is one question about the world, with all the answers that matter.
type axis struct {
	name    string
	answers []opt
}

// space is the product of its axes: every observation for which some
// combination of answers holds. Three of them cover the decision: a node
// without an etcd, one whose etcd has no leader, and the keeper.
type space struct {
	name string
	base func() Observation
	axes []axis
}

func (s space) size() int {
	n := 1
	for _, a := range s.axes {
		n *= len(a.answers)
	}
	return n
}

// at is observation number n; the axes are the digits of n.
func (s space) at(n int) Observation {
	o := s.base()
	for _, a := range s.axes {
		a.answers[n%len(a.answers)](&o)
		n /= len(a.answers)
	}
	return o
}

func (s space) describe(n int) string {
	out := s.name
	for _, a := range s.axes {
		out += fmt.Sprintf(" %s=%d", a.name, n%len(a.answers))
		n /= len(a.answers)
	}
	return out
}

var all = flag.Bool("all", false, "enumerate all observations, some minutes")

func asIs(*Observation) {}

func unknownMark(o *Observation)       { o.Ledger.Mark = cluster.Unknown[cluster.StartedMark]() }
func unknownReady(o *Observation)      { o.Ledger.Ready = cluster.Unknown[cluster.ReadyMark]() }
func unknownBackup(o *Observation)     { o.Ledger.Backup = cluster.Unknown[cluster.Backup]() }
func unknownCharter(o *Observation)    { o.Ledger.Charter = cluster.Unknown[cluster.Charter]() }
func unknownVerdict(o *Observation)    { o.Ledger.Verdict = cluster.Unknown[cluster.Verdict]() }
func unknownLock(o *Observation)       { o.Ledger.Lock = cluster.Unknown[cluster.Lock]() }
func unknownRoll(o *Observation)       { o.Ledger.Roll = cluster.Unknown[cluster.Roll]() }
func unknownGrant(o *Observation)      { o.Ledger.Grant = cluster.Unknown[cluster.Charter]() }
func unknownCheckpoint(o *Observation) { o.Ledger.Checkpoint = cluster.Unknown[cluster.Checkpoint]() }
func unknownEtcd(o *Observation)       { o.Etcd = cluster.Unknown[cluster.EtcdState]() }
func unknownMembers(o *Observation)    { o.Members = cluster.Unknown[[]cluster.Member]() }

// blindfolds are the facts, each made unknown.
var blindfolds = []opt{unknownMark, unknownReady, unknownBackup, unknownCharter, unknownVerdict, unknownLock, unknownRoll, unknownGrant, unknownCheckpoint, unknownEtcd, unknownMembers, sourceDown}

// mate is what another machine's agent says.
func mate(n string) axis {
	return axis{n, []opt{
		asIs, // silent
		empty(n),
		holds(n, 1, 5, 99),
		holds(n, 1, 6, 1),
		says(n, func(r *cluster.Report) { r.Disk = diskOf(n, 1, 5, 100); r.Disk.Removed = true }),
		and(empty(n), disowns(n, id(n)), says(n, func(r *cluster.Report) { r.Lost = 1 })),
		leads(n, unpublished("a"), voter("b"), voter("c")),
		leads(n, voters("b", "c")...),
	}}
}

// source is what the peers source says.
var source = axis{"view", []opt{
	asIs, sourceDown, peers("a"), peers("a", "c"), peers("b", "c"), and(peers("a"), listOnly), state("a", cluster.Terminating),
	and(state("b", cluster.Terminated), state("c", cluster.Terminating)),
}}

var memory = []axis{
	{"checkpoint", []opt{asIs, unknownCheckpoint, checkpoint(unpublished("a"), voter("b"), voter("c")), checkpoint(voters("b", "c")...)}},
	{"ready", []opt{asIs, ready, unknownReady}},
}

// spaces are built anew for each caller: observations share nothing.
func spaces() []space {
	alone := space{name: "alone", base: func() Observation { return see() }, axes: []axis{
		{"disk", []opt{asIs, unread, data(1), data(2), unstamped, elsewhere, spent("e1", "e2"), and(data(1), blank), and(data(1), removed("a"))}},
		{"charter", []opt{asIs, unknownCharter, charter(1, "a", "b", "c"), charter(1, "b", "c"), and(charter(2, "a", "b", "c"), seed(cluster.Seed{Kind: cluster.SeedBackup, Backup: "k1"})),
			and(charter(2, "a"), seed(cluster.Seed{Kind: cluster.SeedSurvivor, Survivor: "a", Member: id("a")})), and(charter(1, "a", "b", "c"), seed(cluster.Seed{Kind: cluster.SeedAdopted, ClusterID: 0x77}))}},
		{"mark", []opt{asIs, unknownMark, mark("disk-a"), mark("disk-x")}},
		source, mate("b"), mate("c"), memory[0], memory[1],
		{"backup", []opt{asIs, unknownBackup, snapshot("k2", 0)}},
		{"verdict", []opt{asIs, lost("a", "b", "c"), orEmpty}},
	}}
	bare := space{name: "storeless", base: func() Observation { return see(noStore) }, axes: []axis{
		{"disk", []opt{asIs, data(1), spent("e1")}},
		{"charter", []opt{asIs, unknownCharter, charter(1, "a", "b", "c")}},
		{"grant", []opt{asIs, unknownGrant, bound(proposal("a", "p1", "a", "b", "c")), bound(proposal("c", "p0", "c", "a", "b"))}},
		source, {"b", []opt{asIs, agrees("b"), and(agrees("b"), granted("b", proposal("a", "p1", "a", "b", "c"))), empty("b"), holds("b", 1, 5, 1)}},
		{"c", []opt{asIs, agrees("c"), and(agrees("c"), granted("c", proposal("a", "p1", "a", "b", "c"))), and(agrees("c"), granted("c", proposal("c", "p0", "c", "a", "b"))), empty("c")}},
		{"verdict", []opt{asIs, lost("a", "b", "c")}}, memory[0],
	}}
	orphan := space{name: "leaderless", base: func() Observation { return see(data(1), leaderless, charter(1, "a", "b", "c")) }, axes: []axis{
		{"disk", []opt{asIs, blank}},
		{"charter", []opt{asIs, unknownCharter, charter(2, "b", "c"), func(o *Observation) { o.Ledger.Charter = cluster.Absent[cluster.Charter]() }}},
		source, mate("b"), mate("c"), memory[0], memory[1],
		{"lock", []opt{asIs, paused, unknownLock}},
		{"verdict", []opt{asIs, lost("b"), lost("b", "c"), and(lost("b", "c"), insists("k1")), unknownVerdict}},
		{"recover", []opt{asIs, func(o *Observation) { o.Settings.AutoRecover = false }, justStarted, noStore}},
		{"backup", []opt{asIs, unknownBackup, reaching("k1", 5, 100), reaching("k1", 6, 99), reaching("k1", 5, 101), reaching("k1", 6, 1)}},
		{"etcd", []opt{asIs, unknownEtcd, foreign}},
		{"stranger", []opt{asIs, func(o *Observation) { o.Strangers = []string{at("b")} }}},
	}}
	return []space{alone, bare, orphan, household(), renewal(), rolling(), machinery(), orphaned(), corruption()}
}

// renewal is three voters and a CA that has changed at some; b is seen from c
// too, so that a node sees others before and after it by name.
func renewal() space {
	mate := func(n string) axis {
		return axis{n, []opt{
			asIs, silent(n), newCAAt(n, 0), newCAAt(n, time.Hour), follows(n, "b", 6), follows(n, n, 5),
			says(n, func(r *cluster.Report) { r.Etcd.Healthy = false }), says(n, func(r *cluster.Report) { r.Restarting = true }),
			and(newCAAt(n, time.Hour), says(n, func(r *cluster.Report) { r.Restarting = true })),
		}}
	}
	led := func(leader string) opt { return func(o *Observation) { *o = ring(leader) } }
	return space{name: "renewal", base: func() Observation { return ring("b") }, axes: []axis{
		{"leader", []opt{led("a"), led("b"), led("c")}},
		{"self", []opt{asIs, newCA(0), func(o *Observation) { o.Process.Stale = cluster.Stale{} }}},
		mate("b"), mate("c"),
		{"name", []opt{asIs, func(o *Observation) { o.Self.Name = "bb" }, func(o *Observation) { o.Self.Name = "d" }}},
		{"members", []opt{asIs, unknownMembers, and(unknownMembers, says("b", func(r *cluster.Report) { r.Keeper = false })),
			func(o *Observation) { o.Members = cluster.Known(of(voters("a", "b", "c"), learner("d"))) }, func(o *Observation) { o.Members = cluster.Known(voters("a")) }}},
		{"etcd", []opt{asIs, sick(0), sick(time.Hour), foreign, unknownEtcd}},
		{"lock", []opt{asIs, paused, unknownLock}},
	}}
}

// household is the keeper a of b, c and a learner or newcomer d.
func household() space {
	member := func(n string) axis {
		return axis{n, []opt{
			asIs, down(n, 0), down(n, 3600e9), and(down(n, 0), disowns(n, id(n))), state(n, cluster.Terminating), without1(n), and(down(n, 0), without1(n)),
			says(n, func(r *cluster.Report) { r.Leaving = true }), and(disowns(n, id(n)), without1(n)),
		}}
	}
	return space{name: "keeper", base: func() Observation { return see(peers("a", "b", "c", "d")) }, axes: []axis{
		{"members", []opt{keeping(voters("a", "b", "c")...), keeping(voters("a", "b")...), keeping(voters("a")...), keeping(of(voters("a", "b", "c"), learner("d"))...),
			and(keeping(of(voters("a", "b"), unstarted(learner("d")))...), probe("d", func(o *Observation, p *Probe) { *p = Probe{FirstSeen: o.Now} }))}},
		member("b"), member("c"),
		{"d", []opt{asIs, asks("d"), wants("d", cluster.JoinPrune), wants("d", cluster.JoinAdd), without1("d"), and(down("d", 0), without1("d")), and(down("d", 0), disowns("d", id("d")))}},
		{"self", []opt{asIs, leaving, state("a", cluster.Terminating), without1("a")}},
		{"size", []opt{asIs, size(0), size(1), size(5)}},
		{"lock", []opt{asIs, paused, unknownLock}},
		{"ledger", []opt{asIs, unknownReady, checkpoint(voters("a")...), unknownCheckpoint, unknownBackup}},
		{"source", []opt{asIs, sourceDown, listOnly}},
	}}
}

// without1 takes a machine out of the source.
func without1(name string) opt {
	return func(o *Observation) {
		v := o.View.Value()
		var rest []cluster.Peer
		for _, p := range v.Peers {
			if p.Name != name {
				rest = append(rest, p)
			}
		}
		v.Peers = rest
		o.View = cluster.Known(v)
	}
}

// TestEnumerate asks for the decision of every observation of the spaces, and
// holds it against the invariants of DESIGN 3 to 5: a fixed sample, every
// stride-th with a stride prime to the axes; all of them with -all.
func TestEnumerate(t *testing.T) {
	if d := Decide(Observation{}); d.Verb != "wait" || len(d.Steps) > 0 {
		t.Errorf("the zero observation: %s", d)
	}
	total := 0
	for _, s := range spaces() {
		n := s.size()
		stride := stride(n)
		var wg sync.WaitGroup
		for half := range 2 {
			wg.Go(func() {
				s := spacesNamed(s.name)
				for i := half * stride; i < n; i += 2 * stride {
					if why := judge(s, i); why != "" {
						t.Errorf("%s: %s", s.describe(i), why)
						return
					}
				}
			})
		}
		wg.Wait()
		t.Logf("%s: %d observations, every %d", s.name, n, stride)
		total += n / stride
	}
	fmt.Printf("plan: enumerated %d observations\n", total)
}

func spacesNamed(name string) space {
	for _, s := range spaces() {
		if s.name == name {
			return s
		}
	}
	panic(name)
}

// judge is why the decision of observation i is wrong; empty when it is right.
func judge(s space, i int) string {
	o := s.at(i)
	d := Decide(o)
	if why := violated(o, d); why != "" {
		return why + ": " + d.String()
	}
	if i%17 != 0 {
		return ""
	}
	// The dearer ones, for a part of them: a blindfold allows nothing new.
	switch {
	case !reflect.DeepEqual(o, s.at(i)):
		return "the input was changed"
	case !reflect.DeepEqual(d, Decide(s.at(i))):
		return "two answers to one question"
	}
	for k, blind := range blindfolds {
		o := s.at(i)
		blind(&o)
		// What is decided blindly must be right whatever the truth is.
		if dark := Decide(o); violated(s.at(i), dark) != "" && destroys(dark) {
			return fmt.Sprintf("without fact %d: %s: %s", k, violated(s.at(i), dark), dark)
		}
	}
	return ""
}

func destroys(d Decision) bool {
	for _, s := range d.Steps {
		switch s := s.(type) {
		case RemoveMember, SetDataAside, WriteCharter:
			return true
		case StartEtcd:
			if s.State != "resume" {
				return true
			}
		}
	}
	return false
}
