package clustertest

import (
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/plan"
)

// The layers that a partition can cut.
const (
	layerAgent = iota
	layerEtcd
	layers
)

// zeroTime is the wall clock's start of every run.
var zeroTime = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

// faultRates are probabilities for one call, while faults are on.
type faultRates struct {
	storeRefuse    float64 // the call fails and nothing happens
	storeReplyLost float64 // it happens and is reported failed
	etcdRefuse     float64
	etcdReplyLost  float64
	sourceFail     float64
	reportLost     float64
	crashInStep    float64 // the agent dies before or after a step
	longPause      float64 // the agent sleeps for up to a minute before its next act
}

// violation ends a run.
type violation struct{ text string }

// World is everything there is. Nothing in it knows more than it should: a
// node's agent sees it through observe alone.
type World struct {
	rng   *rand.Rand
	now   time.Duration
	trace io.Writer

	profile  profile
	settings plan.Settings // the operator's present wishes
	faults   faultRates
	lag      float64 // a follower misses a tick's entries

	machines []*machine // all that ever were
	live     []*machine // those not terminated for good
	cut      [layers]map[[2]int]bool
	source   source
	store    store

	truth     truth
	struck    time.Duration // when a fault last hit
	nextWrite int
	serials   int
	acts      int
	rounds    int
	reasons   map[string]int
	verdict   map[string]bool // names that an operator has called lost
	procBuf   []*proc
	ca        int // the newest

	offers     []cluster.Version // what every machine could run
	agreements map[cluster.ClusterID]*versions
}

// machine is one machine's whole life; a replacement is another one.
type machine struct {
	idx       int
	id        string
	name      string
	host      string
	zone      string
	state     cluster.PeerState
	launched  time.Time
	off       bool          // powered down, may come back
	paused    bool          // frozen: what runs there goes on where it was
	dumb      time.Duration // when nobody who could tell could last have heard that it lives
	slow      bool          // its agent, its reports and its etcd are late
	disk      *disk
	etcd      *proc
	foreign   bool // its etcd was not started by quorate
	agent     *agent
	ends      []time.Duration // when its etcd ended by itself
	clock     time.Duration   // its clock's error
	storeCut  bool
	seesLess  bool // its source answers are partial
	leaving   bool
	lost      bool // terminated for good
	held      bool // its end waits for quorate's word
	announced bool
	ca        int               // of its files
	bad       cluster.Version   // does not come up here
	image     []cluster.Version // all that this machine could run; nil: what every machine could
	renewing  cluster.MemberID  // its etcd was stopped for its CA, and is not healthy again
}

// disk outlives its agent and its etcd, but not a wipe.
type disk struct {
	id      string
	data    *data
	staged  *staged
	spent   []string
	aside   []*data
	grant   *cluster.Charter
	charter *cluster.Charter // without a store
	members []cluster.Member // last seen list, without a store
	ready   *cluster.ReadyMark
	epochOf cluster.Epoch // of members
	verdict *cluster.Verdict
	roll    *cluster.Roll // without a store
	rolled  plan.Rolled
	stored  cluster.Stored // the farthest that it knows of in the store
}

type staged struct {
	epoch   cluster.Epoch
	charter cluster.Charter
	base    []int
}

func (m *machine) peerURL() string { return "http://" + m.host + ":2380" }

// clockOf is the time as m's agent reads it. Within one life of an agent time
// only passes (Go's clock readings are monotonic); a jump of the machine's clock
// shows at the agent's next start.
func (w *World) clockOf(m *machine) time.Time {
	if m.agent != nil {
		return zeroTime.Add(w.now + m.agent.clock)
	}
	return zeroTime.Add(w.now + m.clock)
}

func (w *World) serial() int {
	w.serials++
	return w.serials
}

func (w *World) chance(p float64) bool { return p > 0 && w.rng.Float64() < p }

func (w *World) between(lo, hi time.Duration) time.Duration {
	return lo + time.Duration(w.rng.Int64N(int64(hi-lo)+1))
}

func (w *World) logf(format string, args ...any) {
	if w.trace != nil {
		fmt.Fprintf(w.trace, "%8.2fs  %s\n", w.now.Seconds(), fmt.Sprintf(format, args...))
	}
}

// fail ends the run with a broken invariant.
func (w *World) fail(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	w.logf("BROKEN: %s", text)
	panic(violation{text})
}

// linked says that two machines reach each other on a layer.
func (w *World) linked(layer int, a, b *machine) bool {
	if a.off || b.off || a.lost || b.lost || a.paused || b.paused {
		return false
	}
	return a == b || !w.cut[layer][pair(a, b)]
}

func pair(a, b *machine) [2]int { return [2]int{min(a.idx, b.idx), max(a.idx, b.idx)} }

// newMachine launches a machine with an empty disk.
func (w *World) newMachine(name, host string) *machine {
	m := &machine{idx: len(w.machines), name: name, host: host, state: cluster.Running, launched: zeroTime.Add(w.now)}
	m.id = fmt.Sprintf("i-%02d", m.idx)
	m.zone = string(rune('a' + m.idx%3))
	m.disk, m.ca = w.newDisk(), w.ca
	w.machines = append(w.machines, m)
	w.live = append(w.live, m)
	w.startAgent(m)
	return m
}

func (w *World) newDisk() *disk {
	return &disk{id: fmt.Sprintf("disk-%d", w.serial())}
}

func (w *World) byName(name string) *machine {
	for _, m := range w.live {
		if m.name == name {
			return m
		}
	}
	return nil
}

// etcdEnds is an etcd that exits or crashes by itself.
func (w *World) etcdEnds(m *machine) {
	w.kill(m)
	m.ends = append(m.ends, w.now)
}

// kill ends an etcd at once. One that was starting for the first time may have
// written its log or not.
func (w *World) kill(m *machine) {
	if p := m.etcd; p != nil && w.now < p.boots && !p.foreign && len(p.d.base) == 0 && w.chance(0.5) {
		m.disk.data = nil
	}
	m.etcd = nil
}
