package clustertest

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/plan"
)

// machines is what an agent remembers of them.
type machines struct {
	handled map[string]time.Time
	departs map[string]time.Time
}

// observeMachines: an authoritative source is a group with lifecycle hooks.
func (w *World) observeMachines(m *machine, o *plan.Observation) {
	if !w.source.authoritative {
		return
	}
	a := &m.agent.machines
	if a.handled == nil {
		a.handled, a.departs = map[string]time.Time{}, map[string]time.Time{}
	}
	for _, p := range o.View.Value().Peers {
		if _, seen := a.departs[p.Name]; !seen && p.State == cluster.Terminating {
			a.departs[p.Name] = o.Now
		}
	}
	o.Settings.HasCloud, o.Settings.SurgeWait = true, 20*time.Second
	o.Machines = plan.Machines{Handled: a.handled, DepartsSince: a.departs, Announced: m.announced}
}

// actMachine says that it was a step for a machine: it succeeds at once,
// whatever becomes of it.
func (w *World) actMachine(m *machine, step plan.Step) bool {
	var name string
	switch s := step.(type) {
	case plan.AnnounceReady:
		m.announced = m.announced || !w.chance(w.faults.storeRefuse)
	case plan.HoldMachine:
		name = s.Name
	case plan.ReleaseMachine:
		name = s.Name
	case plan.CondemnMachine:
		w.fail("%s gives %s up, and no disk here is bad", m.name, s.Name)
	default:
		return false
	}
	handled := maps.Clone(m.agent.machines.handled) // an observation may hold the old one
	handled[step.String()] = w.clockOf(m)
	m.agent.machines.handled = handled
	if strings.HasPrefix(step.String(), "ReleaseMachine{") && !w.chance(w.faults.storeRefuse) {
		w.letGo(m, name)
	}
	return true
}

// letGo ends a machine that waits to end. It must not be a member of the epoch
// that lives.
func (w *World) letGo(by *machine, name string) {
	i := slices.IndexFunc(w.live, func(x *machine) bool { return x.name == name && x.held && x.state == cluster.Terminating })
	if i < 0 {
		return
	}
	x := w.live[i]
	inc := w.truth.clusters[w.truth.epochs[w.truth.epoch]]
	if inc != nil && slices.ContainsFunc(inc.conf.members, func(c cluster.Member) bool { return c.Listens(x.peerURL()) }) {
		w.fail("%s lets %s go, which is a member", by.name, name)
	}
	w.terminate(x)
}
