package clustertest

import (
	"fmt"
	"slices"
	"time"

	"github.com/quorate/quorate/internal/cluster"
)

// fault is one thing that goes wrong, with its weight in the draw.
type fault struct {
	name   string
	weight int
	hit    func(*World)
}

var allFaults = []fault{
	{"crash agent", 10, func(w *World) { w.onOne((*World).crashAgent) }},
	{"crash etcd", 10, func(w *World) { w.onOne((*World).crashEtcd) }},
	{"crash machine", 8, func(w *World) { w.onOne((*World).crashMachine) }},
	{"return machine", 16, (*World).returnOne},
	{"wipe disk", 5, func(w *World) { w.onOne((*World).wipe) }},
	{"terminate", 5, func(w *World) { w.onOne((*World).terminate) }},
	{"terminating", 3, func(w *World) { w.onOne((*World).startTerminating) }},
	{"replace", 6, (*World).launch},
	{"move", 2, func(w *World) { w.onOne((*World).move) }},
	{"partition", 8, (*World).partition},
	{"heal network", 10, (*World).healNetwork},
	{"store", 6, func(w *World) { w.store.down = !w.store.down }},
	{"store cut", 4, func(w *World) { w.onOne(func(w *World, m *machine) { m.storeCut = !m.storeCut }) }},
	{"source", 4, func(w *World) { w.source.down = !w.source.down }},
	{"source lag", 2, func(w *World) { w.source.lag = w.between(0, 10*time.Second) }},
	{"clock", 3, func(w *World) { w.onOne((*World).jumpClock) }},
	{"resize", 2, (*World).resize},
	{"pause", 1, (*World).pause},
	{"new CA", 3, (*World).newCA},
	{"roll", 6, (*World).orderRoll},
	{"stop etcd", 6, func(w *World) { w.onOne((*World).stopEtcd) }},
	{"slow", 6, func(w *World) { w.onOne(func(w *World, m *machine) { m.slow = !m.slow }) }},
	{"leave", 1, func(w *World) { w.onOne((*World).leave) }},
	{"kill all", 1, (*World).killAll},
	{"lose all", 1, (*World).loseAll},
	{"lose majority", 2, (*World).loseMajority},
	{"wipe most", 2, (*World).wipeMost},
	{"founding crash", 1, (*World).crashAgents},
}

// strike lets one fault happen.
func (w *World) strike() {
	w.struck = w.now
	total := 0
	for _, f := range allFaults {
		total += f.weight
	}
	n := w.rng.IntN(total)
	for _, f := range allFaults {
		if n -= f.weight; n < 0 {
			f.hit(w)
			return
		}
	}
}

func (w *World) onOne(hit func(*World, *machine)) {
	if len(w.live) > 0 {
		hit(w, w.live[w.rng.IntN(len(w.live))])
	}
}

func (w *World) crashAgent(m *machine) {
	if m.agent != nil {
		w.logf("FAULT: agent of %s crashes", m.name)
		w.agentEnds(m)
	}
}

func (w *World) crashEtcd(m *machine) {
	if m.etcd != nil {
		w.logf("FAULT: etcd of %s crashes", m.name)
		w.etcdEnds(m)
	}
}

func (w *World) crashMachine(m *machine) {
	w.logf("FAULT: machine %s goes down", m.name)
	w.agentEnds(m)
	w.kill(m)
	m.off = true
}

func (w *World) returnOne() {
	for _, m := range w.live {
		if m.off {
			w.powerOn(m)
			return
		}
	}
}

func (w *World) powerOn(m *machine) {
	w.logf("machine %s comes back", m.name)
	m.off = false
	m.ends = nil
	w.startAgent(m)
}

// unsaid says that m runs as a learner that an operator has prepared, and that
// has not said its name yet. A known hole: a disk that takes m's place then
// cannot tell that the entry is spent. Schedules keep out of it.
func (w *World) unsaid(m *machine) bool {
	if w.profile.join != cluster.JoinPrepared || m.disk.data == nil {
		return false
	}
	inc := w.truth.clusters[m.disk.data.cluster]
	x, ok := cluster.ByID(inc.conf.members, m.disk.data.member)
	return ok && !x.Started()
}

func (w *World) wipe(m *machine) {
	if w.unsaid(m) {
		return
	}
	w.logf("FAULT: disk of %s is wiped", m.name)
	w.agentEnds(m)
	m.etcd = nil
	m.disk = w.newDisk()
	if !m.off {
		w.startAgent(m)
	}
}

// terminate ends a machine for good.
func (w *World) terminate(m *machine) {
	if w.unsaid(m) && w.now < w.profile.storm {
		return
	}
	w.logf("FAULT: machine %s is terminated for good", m.name)
	w.agentEnds(m)
	m.etcd, m.off, m.lost, m.state = nil, true, true, cluster.Terminated
	w.live = slices.DeleteFunc(slices.Clone(w.live), func(x *machine) bool { return x == m })
	w.recordSource()
	if w.chance(0.5) || !w.source.authoritative {
		w.replace(m, w.source.authoritative && w.chance(0.7))
	}
}

func (w *World) startTerminating(m *machine) {
	if w.source.authoritative {
		w.logf("FAULT: machine %s is being terminated", m.name)
		m.state, m.held = cluster.Terminating, w.chance(0.7)
		w.recordSource()
	}
}

// replace launches a machine in m's place, as a new one or under its name.
func (w *World) replace(m *machine, asNew bool) {
	name, host := m.name, m.host
	if asNew {
		name, host = w.freshName()
	} else if w.byName(name) != nil {
		return
	}
	w.newMachine(name, host)
	w.logf("machine %s is launched at %s", name, host)
	w.recordSource()
}

func (w *World) freshName() (name, host string) {
	n := len(w.machines) + 1
	return fmt.Sprintf("n%d", n), fmt.Sprintf("10.0.0.%d", n)
}

// launch adds a machine while there are fewer than the profile wants.
func (w *World) launch() {
	if len(w.live) < max(w.profile.machines, w.settings.Size) && w.source.authoritative {
		name, host := w.freshName()
		w.newMachine(name, host)
		w.logf("machine %s is launched at %s", name, host)
		w.recordSource()
	}
}

// newCA brings a new CA to some machines; the others get it when the faults end.
func (w *World) newCA() {
	w.ca++
	w.logf("FAULT: CA %d is copied to some machines", w.ca)
	for _, m := range w.live {
		if w.chance(0.7) {
			m.ca = w.ca
		}
	}
}

// move gives a machine another address; its data stays.
func (w *World) move(m *machine) {
	if m.state != cluster.Running || m.foreign || w.movedAlready(m) {
		return
	}
	w.agentEnds(m)
	w.kill(m)
	old := m.host
	m.host = fmt.Sprintf("10.1.0.%d", w.serial())
	w.logf("FAULT: %s moves from %s to %s", m.name, old, m.host)
	for i, p := range w.source.static {
		if p.Name == m.name {
			w.source.static = slices.Clone(w.source.static)
			w.source.static[i].Host = m.host
		}
	}
	if !m.off {
		w.startAgent(m)
	}
	w.recordSource()
}

// movedAlready says that another machine's move is not settled yet.
func (w *World) movedAlready(m *machine) bool {
	for _, x := range w.live {
		if d := x.disk.data; d != nil && x != m {
			if e, ok := cluster.ByID(d.conf.members, d.member); ok && !e.Listens(x.peerURL()) {
				return true
			}
		}
	}
	return false
}

// partition cuts a random part of the machines off on one layer, or on all.
func (w *World) partition() {
	side := map[int]bool{}
	for _, m := range w.live {
		side[m.idx] = w.chance(0.4)
	}
	layer := w.rng.IntN(layers + 1)
	w.logf("FAULT: partition on layer %d", layer)
	for _, a := range w.live {
		for _, b := range w.live {
			if side[a.idx] && !side[b.idx] {
				for l := range layers {
					if layer == l || layer == layers {
						w.cut[l][pair(a, b)] = true
					}
				}
			}
		}
	}
}

func (w *World) healNetwork() {
	for l := range layers {
		clear(w.cut[l])
	}
}

func (w *World) jumpClock(m *machine) {
	m.clock = w.between(0, 2*time.Hour) - time.Hour
	w.logf("FAULT: clock of %s is off by %s", m.name, m.clock)
}

func (w *World) resize() {
	if w.profile.resizes {
		w.settings.Size = []int{1, 3, 5, 3}[w.rng.IntN(4)]
		w.logf("FAULT: size is %d now", w.settings.Size)
	}
}

func (w *World) pause() {
	if w.settings.HasStore {
		n := uint64(len(w.store.locks) + 1)
		w.store.locks = append(w.store.locks, cluster.Lock{Number: n, Holder: "operator", Reason: "test", Expires: zeroTime.Add(w.now + 30*time.Second)})
		w.logf("FAULT: paused for 30 s")
	}
}

func (w *World) leave(m *machine) {
	if w.profile.leaves {
		m.leaving = !m.leaving
		w.logf("FAULT: %s leaving: %v", m.name, m.leaving)
	}
}

func (w *World) killAll() {
	for _, m := range slices.Clone(w.live) {
		w.crashMachine(m)
	}
}

func (w *World) loseAll() {
	for _, m := range slices.Clone(w.live) {
		w.terminate(m)
	}
	if len(w.live) == 0 {
		w.launch()
	}
}

func (w *World) loseMajority() {
	for _, m := range slices.Clone(w.live)[:len(w.live)/2+len(w.live)%2] {
		if w.chance(0.5) {
			w.wipe(m)
		} else {
			w.terminate(m)
		}
	}
}

// wipeMost has new agents on empty disks at the old addresses: all of them, or
// all but somebody who may be slow to answer.
func (w *World) wipeMost() {
	for _, m := range slices.Clone(w.live) {
		if w.chance(0.9) {
			w.wipe(m)
		}
	}
}

func (w *World) crashAgents() {
	for _, m := range w.live {
		w.crashAgent(m)
	}
}

// restart brings crashed agents back, as a supervisor does.
func (w *World) restart() {
	for _, m := range w.live {
		if m.agent == nil && !m.off && w.chance(0.2) {
			w.startAgent(m)
		}
		ends := 0.02
		if m.held {
			ends = 0.001 // the hook has run out
		}
		if m.state == cluster.Terminating && w.chance(ends) {
			w.terminate(m)
			return
		}
	}
}
