package clustertest

import (
	"slices"
	"time"

	"github.com/quorate/quorate/internal/cluster"
)

// surelyHeard is how long it takes a keeper to hear of a machine that answers,
// over others, however many reports are lost: far less than --dead-after.
const surelyHeard = 8 * time.Second

// stopEtcd stops an etcd by a signal, or lets one that is stopped go on.
func (w *World) stopEtcd(m *machine) {
	if m.etcd != nil {
		m.etcd.stopped = !m.etcd.stopped
		w.logf("FAULT: etcd of %s is stopped by a signal: %v", m.name, m.etcd.stopped)
	}
}

// attends says that the machine's agent answers, and looks around.
func (w *World) attends(m *machine) bool {
	return m.agent != nil && !m.agent.frozen && m.agent.report != nil && w.now-m.agent.observed <= reportAge
}

// listens notes which machines live so that a keeper can hear of it: their etcd
// runs, stopped or not, their agent answers, and a keeper hears that agent, or
// another that hears it.
func (w *World) listens() {
	var keepers []*machine
	for _, p := range w.procs() {
		if p.leads && w.attends(p.m) {
			keepers = append(keepers, p.m)
		}
	}
	for _, m := range w.live {
		if !slices.ContainsFunc(keepers, func(k *machine) bool { return w.mayHear(k, m) }) {
			m.dumb = w.now
		}
	}
}

func (w *World) mayHear(k, m *machine) bool {
	answers := m.etcd != nil && w.now >= m.etcd.boots && m.agent != nil && !m.agent.frozen && m.agent.report != nil
	return answers && slices.ContainsFunc(w.live, func(x *machine) bool {
		return x != m && w.attends(x) && w.linked(layerAgent, x, m) && w.linked(layerAgent, x, k)
	})
}

// onReplace checks, when a voter is removed because it is dead, that it has not
// been heard of all the time: it may be stopped, slow or cut off from the keeper.
func (w *World) onReplace(by *machine, id cluster.MemberID) {
	if by.agent == nil || by.agent.decision.Reason != "a newcomer replaces a dead voter" {
		return
	}
	for _, m := range w.live {
		if m.etcd != nil && m.etcd.d.member == id && w.now-m.dumb > surelyHeard {
			w.fail("%s removes %s as dead, which lives: stopped %v, slow %v, and heard for %s", by.name, m.name, m.etcd.stopped, m.slow, w.now-m.dumb)
		}
	}
}
