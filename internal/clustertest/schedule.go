package clustertest

import (
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/plan"
)

func itoa(e cluster.Epoch) string { return strconv.FormatUint(uint64(e), 10) }

// profile is what a schedule is made of.
type profile struct {
	machines       int
	size           int
	hasStore       bool
	authoritative  bool
	join           cluster.JoinStrategy
	autoRecover    bool
	backups        bool
	adopts         bool // a cluster that quorate did not found runs at the start
	resizes        bool
	leaves         bool
	damagedBackups float64
	storm          time.Duration // how long faults go on
	calm           time.Duration // mean time between faults
}

func (p profile) String() string {
	return fmt.Sprintf("%d machines, size %d, store %v, authoritative %v, join %s, auto-recover %v, backups %v, adopts %v, resizes %v",
		p.machines, p.size, p.hasStore, p.authoritative, p.join, p.autoRecover, p.backups, p.adopts, p.resizes)
}

func drawProfile(rng *rand.Rand) profile {
	yes := func(p float64) bool { return rng.Float64() < p }
	p := profile{hasStore: yes(0.85), authoritative: yes(0.7), autoRecover: yes(0.9), backups: yes(0.7), adopts: yes(0.08),
		resizes: yes(0.3), leaves: yes(0.2), join: cluster.JoinReplace}
	p.size = []int{1, 3, 3, 3, 5}[rng.IntN(5)]
	p.machines = p.size + rng.IntN(3)
	if p.size == 1 && yes(0.5) {
		p.machines = 1
	}
	if yes(0.3) {
		p.join = []cluster.JoinStrategy{cluster.JoinAdd, cluster.JoinPrune, cluster.JoinPrepared}[rng.IntN(3)]
	}
	if yes(0.2) {
		p.damagedBackups = 0.3
	}
	p.storm = time.Duration(20+rng.IntN(130)) * time.Second
	p.calm = time.Duration(2+rng.IntN(20)) * time.Second
	return p
}

// Result is what one schedule has shown.
type Result struct {
	Seed    uint64
	Profile string
	Broken  string // the invariant that broke, empty if none
	Rounds  int
	Steps   int
	Acks    int
	Epochs  int
	Reasons map[string]int
}

const tick = 250 * time.Millisecond

// Run plays one schedule: a storm of faults, then calm, in which everything
// must become well.
func Run(seed uint64, trace io.Writer) (res Result) {
	w := newWorld(seed, trace)
	res = Result{Seed: seed, Profile: w.profile.String()}
	defer func() {
		if r := recover(); r != nil {
			v, ok := r.(violation)
			if !ok {
				panic(r)
			}
			res.Broken = v.text
		}
		res.Rounds, res.Steps, res.Acks, res.Epochs, res.Reasons = w.rounds, w.acts, w.truth.acks, int(w.truth.epoch), w.reasons
	}()
	w.logf("seed %d: %s", seed, w.profile)
	w.stormy()
	w.heal()
	w.becomesWell()
	return res
}

func newWorld(seed uint64, trace io.Writer) *World {
	rng := rand.New(rand.NewPCG(seed, 0x71))
	return build(rng, trace, drawProfile(rng))
}

// build is the world of a profile at its beginning: empty machines.
func build(rng *rand.Rand, trace io.Writer, drawn profile) *World {
	w := &World{rng: rng, trace: trace, profile: drawn, store: newStore(), truth: newTruth(),
		agreements: map[cluster.ClusterID]*versions{}, offers: releases[:1+rng.IntN(2)], reasons: map[string]int{}, verdict: map[string]bool{}, lag: 0.2 * rng.Float64()}
	for l := range layers {
		w.cut[l] = map[[2]int]bool{}
	}
	p := w.profile
	w.settings = plan.Settings{Cluster: "sim", Size: p.size, Join: p.join, HasStore: p.hasStore, AutoRecover: p.autoRecover,
		FoundingWait: 12 * time.Second, DeadAfter: 25 * time.Second, LearnerPatience: 15 * time.Second}
	if p.backups {
		w.settings.BackupEvery = 30 * time.Second
	}
	scale := rng.Float64()
	w.faults = faultRates{storeRefuse: 0.05 * scale, storeReplyLost: 0.05 * scale, etcdRefuse: 0.05 * scale, etcdReplyLost: 0.1 * scale,
		sourceFail: 0.05 * scale, reportLost: 0.1 * scale, crashInStep: 0.06 * scale, longPause: 0.01 * scale}
	w.source.authoritative = p.authoritative
	for i := range p.machines {
		w.newMachine(fmt.Sprintf("n%d", i+1), fmt.Sprintf("10.0.0.%d", i+1))
	}
	w.source.static = w.listMachines()
	w.recordSource()
	if p.adopts {
		w.foundByHand()
	}
	return w
}

// foundByHand makes the cluster that quorate will adopt.
func (w *World) foundByHand() {
	c := cluster.Charter{Cluster: "by hand", Epoch: 1, Token: "by hand"}
	n := min(len(w.live), max(1, w.profile.size))
	for _, m := range w.live[:n] {
		c.Founders = append(c.Founders, cluster.Founder{Name: m.name, PeerURL: m.peerURL()})
	}
	for _, m := range w.live[:n] {
		d := w.bootstrap(c, m.name, m.peerURL(), nil, 0)
		d.stamp = nil
		w.knowCluster(d)
		m.disk.data = d
		w.run(m, d, w.offers[0])
		m.etcd.foreign = true
	}
}

// pass lets one tick of time pass.
func (w *World) pass() {
	w.now += tick
	w.raftTick()
	w.listens()
	w.publish()
	if w.chance(0.15) {
		w.clientWrites()
	}
	for _, m := range slices.Clone(w.live) {
		if m.agent != nil && w.now >= m.agent.next && !m.paused && !(m.slow && w.chance(0.7)) {
			w.agentRound(m)
		}
	}
	if w.profile.join == cluster.JoinPrepared && w.chance(0.05) {
		w.prepare()
	}
}

func (w *World) stormy() {
	next := w.between(0, 40*time.Second)
	for w.now < w.profile.storm {
		w.pass()
		w.restart()
		if w.now >= next {
			w.strike()
			next = w.now + w.between(0, 2*w.profile.calm)
		}
	}
}

// heal ends all faults: the network is whole, the store and the source answer
// truly, what crashed is started, and what is gone is replaced.
func (w *World) heal() {
	w.logf("--- faults end ---")
	w.faults, w.lag = faultRates{}, 0
	w.healNetwork()
	w.store.down, w.source.down, w.source.lag = false, false, 0
	for _, m := range slices.Clone(w.live) {
		m.storeCut, m.seesLess, m.ca, m.bad, m.slow = false, false, w.ca, cluster.Version{}, false
		if m.etcd != nil {
			m.etcd.stopped = false
		}
		if m.state == cluster.Terminating {
			w.terminate(m)
		} else if m.off {
			w.powerOn(m)
		} else if m.agent == nil {
			w.startAgent(m)
		}
	}
	for i := 0; len(w.live) < max(w.profile.machines, w.settings.Size) && i < 20; i++ {
		w.launch()
	}
	for _, m := range slices.Clone(w.live) {
		if m.agent.next > w.now+time.Second {
			m.agent.next = w.now + time.Second
		}
	}
	w.recordSource()
	if n := len(w.store.locks); n > 0 {
		w.store.locks = append(w.store.locks, cluster.Lock{Number: uint64(n + 1), Holder: "operator", Released: true})
	}
	if w.chance(0.3) {
		w.orderRoll() // and nothing is in its way any more
	}
	w.settings.Size = min(w.settings.Size, len(w.live))
	stay := 0
	for _, m := range w.live {
		if !m.leaving {
			stay++
		}
	}
	for _, m := range w.live {
		if m.leaving && (stay < w.settings.Size || w.truth.epoch == 0 || m.disk.data == nil) {
			m.leaving = false
			stay++
		}
	}
}
