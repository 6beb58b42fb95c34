package agent

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/plan"
)

// cloudOf notes what is asked of it. Release hangs until its context ends,
// which it must: that is the contract.
type cloudOf struct {
	mu    sync.Mutex
	asked map[string]int
	hangs bool
}

func (c *cloudOf) note(what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.asked == nil {
		c.asked = map[string]int{}
	}
	c.asked[what]++
}

func (c *cloudOf) count(what string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.asked[what]
}

func (c *cloudOf) Hold(_ context.Context, p cluster.Peer) error { c.note("hold " + p.ID); return nil }
func (c *cloudOf) Release(ctx context.Context, p cluster.Peer) error {
	c.note("release " + p.ID)
	if c.hangs {
		<-ctx.Done()
	}
	return ctx.Err()
}
func (c *cloudOf) Condemn(_ context.Context, p cluster.Peer, _ string) error {
	c.note("condemn " + p.ID)
	return nil
}
func (c *cloudOf) Announce(_ context.Context, p cluster.Peer) error {
	c.note("announce " + p.ID)
	if c.count("announce "+p.ID) == 1 {
		return errors.New("throttled")
	}
	return nil
}

// seen is a source that says what it is told to, and counts the hints.
type seen struct {
	mu        sync.Mutex
	view      cluster.View
	refreshed int
}

func (s *seen) View(context.Context) (cluster.View, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.view, nil
}

func (s *seen) Refresh() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refreshed++
}

func (s *seen) hints() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.refreshed
}

func cloudPeer(name, host string, state cluster.PeerState, held bool) cluster.Peer {
	return cluster.Peer{ID: "i-" + name, Name: name, Host: host, Region: "here", Group: "g", State: state, Held: held, ClientPort: 2379, PeerPort: 2380, AgentPort: 2378}
}

// A cloud that hangs keeps nobody waiting; who has announced itself remembers
// it, and an attempt that failed is made again.
func TestACloudThatHangsDelaysNothing(t *testing.T) {
	r := newRig(t)
	r.settings.Size = 1
	r.writePeers()
	cloud := &cloudOf{hangs: true}
	source := &seen{view: cluster.View{Authoritative: true, Size: 1, Peers: []cluster.Peer{
		cloudPeer("a", "127.0.2.61", cluster.Running, false), cloudPeer("x", "127.0.2.62", cluster.Terminating, true)}}}
	run := func() *node {
		n := r.add("a", "127.0.2.61")
		n.startWith(func(a *Agent) { a.parts.Source, a.parts.Cloud = source, cloud })
		return n
	}
	n := run()
	r.wait("a release is asked for", 30*time.Second, func() bool { return cloud.count("release i-x") > 0 })
	asked := time.Now()
	r.wait("ready, though the release hangs", 30*time.Second, func() bool { ready, _ := n.agent.Ready(); return ready })
	if d := time.Since(asked); d > cloudCall {
		t.Errorf("it took %s: it waited for the cloud", d)
	}
	r.wait("announced at the second attempt", 40*time.Second, func() bool { return cloud.count("announce i-a") == 2 })
	file := filepath.Join(r.dir, "a", announcedFile)
	r.wait("that it is remembered", 5*time.Second, func() bool { raw, _ := os.ReadFile(file); return string(raw) == "here/i-a\n" })
	n.halt()
	n = run()
	r.wait("ready again", 30*time.Second, func() bool { ready, _ := n.agent.Ready(); return ready })
	r.wait("a round that knows", 5*time.Second, func() bool { return n.agent.published.Load().observation.Machines.Announced })
	if got := cloud.count("announce i-a"); got != 2 {
		t.Errorf("announced %d times, want 2", got)
	}
}

// looker is an agent that is not run: it has a view, and is told things.
func looker(t *testing.T, source *seen) *Agent {
	a := newAgent(Options{Settings: plan.Settings{Cluster: "rig"}, Name: "a", Host: "a", DataDir: t.TempDir()},
		Parts{Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Source: source, Cloud: &cloudOf{}, Secure: Schemes{"http", "http", "http"}})
	a.setView(source.view, nil)
	return a
}

// facts are the machines as the next decision sees them.
func (a *Agent) facts(now time.Time, reports ...cluster.Report) plan.Observation {
	o := plan.Observation{Now: now, Self: a.self(), Reports: reports}
	a.mu.Lock()
	defer a.mu.Unlock()
	o.View = a.view
	a.observeMachines(&o)
	return o
}

func TestNotices(t *testing.T) {
	source := &seen{view: cluster.View{Peers: []cluster.Peer{cloudPeer("a", "a", cluster.Running, false), cloudPeer("b", "b", cluster.Running, false)}}}
	a := looker(t, source)
	now := time.Now()
	a.hear(cluster.Notice{Kind: cluster.NoticeTerminating, PeerID: "i-b", Group: "foreign"})
	if source.hints() != 0 {
		t.Error("a foreign group's message makes the source ask again")
	}
	a.hear(cluster.Notice{Kind: cluster.NoticeTerminating, PeerID: "i-b", Group: "g"})
	if o := a.facts(now); source.hints() != 1 || o.Machines.Doomed != nil || o.View.Value().Peers[1].State != cluster.Running {
		t.Errorf("a message that a machine ends is not the truth: %+v", o.Machines)
	}
	for range 2 {
		a.hear(cluster.Notice{Kind: cluster.NoticeSpot, PeerID: "i-b"})
		a.hear(cluster.Notice{Kind: cluster.NoticeRebalance, PeerID: "i-a"})
		a.hear(cluster.Notice{Kind: cluster.NoticeSpot, PeerID: "i-stranger"})
	}
	o := a.facts(now)
	if !reflect.DeepEqual(o.Machines.Doomed, []string{"i-b"}) || !reflect.DeepEqual(o.Machines.Uneasy, []string{"i-a"}) {
		t.Errorf("heard %+v", o.Machines)
	}
	if o.View.Value().Peers[1].State != cluster.Terminating || source.view.Peers[1].State != cluster.Running {
		t.Errorf("the doomed machine is %s in the view, %s in the source's own", o.View.Value().Peers[1].State, source.view.Peers[1].State)
	}
	if first := o.Machines.DepartsSince["b"]; !first.Equal(now) || !a.facts(now.Add(time.Minute)).Machines.DepartsSince["b"].Equal(now) {
		t.Errorf("it departs since %s, want %s, and to stay so", first, now)
	}
	// Long after, it is as doomed as ever, and the stranger is forgotten.
	if o = a.facts(now.Add(time.Hour)); len(o.Machines.Doomed) != 1 || len(a.machines.doomed) != 1 {
		t.Errorf("an hour later: %v of %v", o.Machines.Doomed, a.machines.doomed)
	}
}

// What one agent has heard all know, of machines that they see.
func TestNoticesTravelByReports(t *testing.T) {
	source := &seen{view: cluster.View{Peers: []cluster.Peer{cloudPeer("a", "a", cluster.Running, false), cloudPeer("b", "b", cluster.Running, false)}}}
	a := looker(t, source)
	now := time.Now()
	o := a.facts(now, cluster.Report{Name: "b", Doomed: []string{"i-b", "i-stranger"}, Uneasy: []string{"i-a"}})
	if !reflect.DeepEqual(o.Machines.Doomed, []string{"i-b"}) || !reflect.DeepEqual(o.Machines.Uneasy, []string{"i-a"}) {
		t.Errorf("heard %+v", o.Machines)
	}
	if o = a.facts(now.Add(time.Minute)); len(o.Machines.Doomed) != 1 {
		t.Error("forgotten, when the other fell silent")
	}
	source.view.Peers = source.view.Peers[:1]
	a.setView(source.view, nil)
	if o = a.facts(now.Add(time.Minute)); o.Machines.Doomed != nil || o.Machines.DepartsSince != nil {
		t.Errorf("of a machine that is gone: %+v", o.Machines)
	}
	a.setView(cluster.View{}, errors.New("throttled"))
	if o = a.facts(now.Add(time.Hour)); o.View.Known() || len(a.machines.doomed) != 1 {
		t.Errorf("a source that does not answer makes it forget: %+v", a.machines.doomed)
	}
}
