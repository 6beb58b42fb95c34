package agent

import (
	"context"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/durable"
	"github.com/quorate/quorate/internal/plan"
)

// Cloud does to machines what the plan asks. All methods are idempotent, safe
// for concurrent use and bounded by ctx; an error is retried by a later round.
type Cloud interface {
	// Hold keeps what the machine waits for from timing out.
	Hold(ctx context.Context, p cluster.Peer) error
	// Release lets the machine end. One that does not wait is released already.
	Release(ctx context.Context, p cluster.Peer) error
	// Condemn has the machine replaced.
	Condemn(ctx context.Context, p cluster.Peer, why string) error
	// Announce says that this machine is here for good.
	Announce(ctx context.Context, self cluster.Peer) error
}

// Hints tells of machines before the peers source does. Run calls hear, one
// notice at a time, until ctx ends; it hides its failures and goes on. Whatever
// is missed, repeated or wrong costs nothing: the view is the truth.
type Hints interface {
	Run(ctx context.Context, hear func(cluster.Notice)) error
}

const (
	announcedFile = "announced"      // the id of the machine that has announced itself
	cloudCall     = 14 * time.Second // less than until the plan asks again
	noticeKept    = 10 * time.Minute // of a machine that the view does not show
	handledKept   = time.Hour
)

// machineState is what this agent remembers of machines. Guarded by Agent.mu.
type machineState struct {
	handled      map[string]time.Time // plan.Machines.Handled
	failed       map[string]string    // the last error of each of these, once said
	departsSince map[string]time.Time
	doomed       map[string]time.Time // by machine id: when first heard
	uneasy       map[string]time.Time
	announced    string // the id of the machine that has
}

func newMachineState(announced string) machineState {
	return machineState{handled: map[string]time.Time{}, failed: map[string]string{}, departsSince: map[string]time.Time{},
		doomed: map[string]time.Time{}, uneasy: map[string]time.Time{}, announced: announced}
}

// readAnnounced is empty too when the file cannot be read: announcing again
// does no harm.
func readAnnounced(path string) string {
	raw, _ := os.ReadFile(path)
	return strings.TrimSpace(string(raw))
}

// observeMachines adds what is known of machines to the facts, after the view
// and the reports; called with Agent.mu held.
func (a *Agent) observeMachines(o *plan.Observation) {
	m := &a.machines
	o.Settings.HasCloud = a.parts.Cloud != nil
	m.learn(o)
	o.Machines.Doomed, o.Machines.Uneasy = shown(m.doomed, o.View), shown(m.uneasy, o.View)
	if o.View.Known() {
		o.View = cluster.Known(plan.Doom(o.View.Value(), o.Machines.Doomed))
		m.noteDepartures(o.View.Value(), o.Now)
	}
	o.Machines.Handled = copied(m.handled)
	o.Machines.DepartsSince = copied(m.departsSince)
	self, in := ownPeer(*o)
	o.Machines.Announced = in && m.announced == announcedAs(self)
}

// learn takes over what other agents have heard of machines that we see, and
// forgets those that are long gone.
func (m *machineState) learn(o *plan.Observation) {
	hear := func(into map[string]time.Time, ids []string) {
		for _, id := range ids {
			if _, known := into[id]; !known && inView(o.View, id) {
				into[id] = o.Now
			}
		}
	}
	for _, r := range o.Reports {
		hear(m.doomed, r.Doomed)
		hear(m.uneasy, r.Uneasy)
	}
	for _, heard := range []map[string]time.Time{m.doomed, m.uneasy} {
		for id, at := range heard {
			if o.View.Known() && !inView(o.View, id) && o.Now.Sub(at) > noticeKept {
				delete(heard, id)
			}
		}
	}
}

func (m *machineState) noteDepartures(v cluster.View, now time.Time) {
	for _, p := range v.Peers {
		if _, seen := m.departsSince[p.Name]; !seen && p.State == cluster.Terminating {
			m.departsSince[p.Name] = now
		}
	}
	for name := range m.departsSince {
		if p, in := v.Peer(name); !in || p.State != cluster.Terminating {
			delete(m.departsSince, name)
		}
	}
}

// shown are the ids, sorted, that the view shows.
func shown(heard map[string]time.Time, v cluster.Fact[cluster.View]) []string {
	var out []string
	for id := range heard {
		if inView(v, id) {
			out = append(out, id)
		}
	}
	slices.Sort(out)
	return out
}

func inView(v cluster.Fact[cluster.View], id string) bool {
	return id != "" && slices.ContainsFunc(v.Value().Peers, func(p cluster.Peer) bool { return p.ID == id })
}

// copied is nil of an empty map: most observations have no Machines at all.
func copied(m map[string]time.Time) map[string]time.Time {
	if len(m) == 0 {
		return nil
	}
	return maps.Clone(m)
}

// ownPeer is this node's machine, as the source tells of it.
func ownPeer(o plan.Observation) (cluster.Peer, bool) {
	return o.View.Value().PeerAt(o.Self.Scheme, o.Self.PeerURL)
}

// announcedAs names the machine whose announcement is remembered: a data
// directory may move on to another.
func announcedAs(p cluster.Peer) string { return p.Region + "/" + p.ID }

// askCloud has the cloud do something to a machine, in the background: what
// happens between us and a cloud ends no round and keeps nobody waiting. The
// attempt counts from now on, whatever becomes of it.
func (a *Agent) askCloud(ctx context.Context, o plan.Observation, s plan.Step, name string, call func(context.Context, cluster.Peer) error) {
	p, in := o.View.Value().Peer(name)
	if a.parts.Cloud == nil || !in {
		return
	}
	key := s.String()
	a.mu.Lock()
	for k, at := range a.machines.handled {
		if o.Now.Sub(at) > handledKept {
			delete(a.machines.handled, k)
			delete(a.machines.failed, k)
		}
	}
	a.machines.handled[key] = o.Now
	a.mu.Unlock()
	a.work.Go(func() {
		ctx, cancel := context.WithTimeout(ctx, cloudCall)
		defer cancel()
		err := call(ctx, p)
		a.metrics.cloud(s, err)
		a.sayCloud(key, p, err)
	})
}

// sayCloud logs an outcome; the same failure once.
func (a *Agent) sayCloud(key string, p cluster.Peer, err error) {
	a.mu.Lock()
	before := a.machines.failed[key]
	delete(a.machines.failed, key)
	if err != nil {
		a.machines.failed[key] = err.Error()
	}
	a.mu.Unlock()
	switch {
	case err == nil:
		a.log.Info("asked the cloud", "step", key, "machine", p.ID)
		a.refreshSource()
	case err.Error() != before:
		a.log.Warn("asking the cloud", "step", key, "machine", p.ID, "error", err)
	}
}

// announce is AnnounceReady: what has been announced is kept, so that the next
// agent on this machine does not do it again.
func (a *Agent) announce(ctx context.Context, p cluster.Peer) error {
	if err := a.parts.Cloud.Announce(ctx, p); err != nil {
		return err
	}
	if err := durable.WriteFile(a.path(announcedFile), []byte(announcedAs(p)+"\n"), 0o600); err != nil {
		return err
	}
	a.mu.Lock()
	a.machines.announced = announcedAs(p)
	a.mu.Unlock()
	return nil
}

// hear takes a notice: it makes the agent look now, and of an interruption it
// is the only word there will be.
func (a *Agent) hear(n cluster.Notice) {
	a.mu.Lock()
	if a.foreignGroup(n.Group) {
		a.mu.Unlock()
		a.log.Debug("a notice of another group's machine", "kind", n.Kind, "machine", n.PeerID, "group", n.Group)
		return
	}
	into := map[cluster.NoticeKind]map[string]time.Time{cluster.NoticeSpot: a.machines.doomed, cluster.NoticeRebalance: a.machines.uneasy}[n.Kind]
	_, known := into[n.PeerID]
	if into != nil && !known {
		into[n.PeerID] = time.Now()
	}
	a.mu.Unlock()
	if into != nil && !known {
		a.log.Info("a machine is to be interrupted", "kind", n.Kind, "machine", n.PeerID)
	}
	a.refreshSource()
	a.poke()
}

// foreignGroup says that the view shows groups, and not this one.
func (a *Agent) foreignGroup(group string) bool {
	groups, ours := false, false
	for _, p := range a.view.Value().Peers {
		groups, ours = groups || p.Group != "", ours || p.Group == group
	}
	return group != "" && groups && !ours
}

// refreshSource has a source that remembers its answers ask again.
func (a *Agent) refreshSource() {
	if s, ok := a.parts.Source.(interface{ Refresh() }); ok {
		s.Refresh()
	}
}
