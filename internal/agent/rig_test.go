package agent

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/server/v3/etcdmain"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/etcd"
	"github.com/quorate/quorate/internal/peers"
	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/replay"
	"github.com/quorate/quorate/internal/store"
)

// TestMain: the test binary started as `… etcd …` is the built-in etcd, and the
// process that replays a log when it is called as that.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == replay.Subcommand {
		os.Exit(replay.Work(os.Stdin, os.Stdout))
	}
	if len(os.Args) > 1 && os.Args[1] == "etcd" {
		etcdmain.Main(os.Args[1:])
		return
	}
	os.Exit(m.Run())
}

// rig is a group of hosts on loopback addresses: real agents in this process,
// real etcd processes.
type rig struct {
	t        testing.TB
	dir      string
	settings plan.Settings
	offers   *etcd.Offers
	nodes    map[string]*node
}

type node struct {
	r     *rig
	name  string
	host  string
	agent *Agent
	stop  context.CancelFunc
	done  chan error
}

func newRig(t testing.TB) *rig {
	r := &rig{t: t, dir: t.TempDir(), nodes: map[string]*node{}}
	r.settings = plan.Settings{Cluster: "rig", Size: 3, Join: cluster.JoinReplace, HasStore: true, AutoRecover: true,
		FoundingWait: 3 * time.Second, DeadAfter: 5 * time.Second, LearnerPatience: 20 * time.Second}
	if err := os.MkdirAll(filepath.Join(r.dir, "store"), 0o700); err != nil {
		t.Fatal(err)
	}
	var err error
	if r.offers, err = etcd.OpenOffers(context.Background(), etcd.BuiltInSpec, r.dir, nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.end)
	return r
}

func (r *rig) end() {
	for _, n := range r.nodes {
		n.halt()
	}
	if r.t.Failed() {
		for name := range r.nodes {
			raw, _ := os.ReadFile(filepath.Join(r.dir, name+".log"))
			r.t.Logf("agent %s:\n%s", name, lastLines(raw, 60))
			raw, _ = os.ReadFile(filepath.Join(r.dir, name, "etcd.log"))
			r.t.Logf("etcd %s:\n%s", name, lastLines(raw, 15))
		}
	}
}

func lastLines(raw []byte, n int) string {
	lines := strings.Split(strings.TrimSpace(string(raw)), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// writePeers writes the peers file.
func (r *rig) writePeers(names ...string) {
	var b strings.Builder
	for _, n := range names {
		fmt.Fprintf(&b, "- {name: %s, host: %s}\n", n, r.nodes[n].host)
	}
	tmp := filepath.Join(r.dir, "peers.tmp")
	if err := os.WriteFile(tmp, []byte(b.String()), 0o600); err != nil {
		r.t.Fatal(err)
	}
	if err := os.Rename(tmp, filepath.Join(r.dir, "peers.yaml")); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) add(name, host string) *node {
	n := &node{r: r, name: name, host: host}
	r.nodes[name] = n
	return n
}

// start runs the node's agent.
func (n *node) start() { n.startWith(func(*Agent) {}) }

// startWith runs it with other parts.
func (n *node) startWith(change func(*Agent)) {
	r := n.r
	r.t.Helper()
	log, err := os.OpenFile(filepath.Join(r.dir, n.name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		r.t.Fatal(err)
	}
	a := r.agentOf(n.name, n.host, log)
	change(a)
	ln, err := net.Listen("tcp", n.host+":2378")
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	n.agent, n.stop, n.done = a, stop, make(chan error, 1)
	go func() { n.done <- a.Run(ctx, ln) }()
}

// joiner is an agent that is not run.
func (r *rig) joiner(host string) *Agent {
	r.t.Helper()
	a := r.agentOf("j", host, io.Discard)
	r.t.Cleanup(func() { a.lockFile.Close() })
	return a
}

func (r *rig) agentOf(name, host string, log io.Writer) *Agent {
	r.t.Helper()
	src, err := peers.Open("file://"+filepath.Join(r.dir, "peers.yaml"), peers.Ports{Client: 2379, Peer: 2380, Agent: 2378})
	if err != nil {
		r.t.Fatal(err)
	}
	st, err := store.Open(context.Background(), "file://"+filepath.Join(r.dir, "store"), "rig")
	if err != nil {
		r.t.Fatal(err)
	}
	dir := filepath.Join(r.dir, name)
	opt := Options{Settings: r.settings, Name: name, Host: host, AgentPort: 2378, DataDir: dir, Version: "test",
		Etcd: etcd.Config{Name: name, DataDir: filepath.Join(dir, "etcd"), AdvertiseHost: host, ClientPort: 2379, PeerPort: 2380}}
	a, err := New(opt, Parts{Log: slog.New(slog.NewTextHandler(log, nil)), Source: src, Store: st, Offers: r.offers,
		Environ: os.Environ(), Dial: func(e string) *etcd.Client { return etcd.Dial(e, etcd.TLSFiles{}, etcd.Credentials{}) },
		HTTP: &http.Client{Timeout: 5 * time.Second}, Secure: Schemes{"http", "http", "http"},
		AtPeer: func(ctx context.Context, u string) (etcd.PeerPort, error) {
			return etcd.ProbePeerPort(ctx, u, etcd.TLSFiles{})
		}})
	if err != nil {
		r.t.Fatal(err)
	}
	return a
}

// halt ends the agent, which ends its etcd.
func (n *node) halt() {
	if n.stop == nil {
		return
	}
	n.stop()
	if err := <-n.done; err != nil {
		n.r.t.Errorf("agent %s: %v", n.name, err)
	}
	n.stop = nil
}

func (r *rig) wait(what string, limit time.Duration, ok func() bool) {
	r.t.Helper()
	deadline := time.Now().Add(limit)
	for !ok() {
		if time.Now().After(deadline) {
			r.t.Fatalf("not within %s: %s", limit, what)
		}
		time.Sleep(20 * time.Millisecond) // a poll's pause, not a guess at how long it takes
	}
}

func TestThreeNodesForm(t *testing.T) {
	r := newRig(t)
	r.add("a", "127.0.2.11")
	r.add("b", "127.0.2.12")
	r.add("c", "127.0.2.13")
	r.writePeers("a", "b", "c")
	began := time.Now()
	for _, n := range r.nodes {
		n.start()
	}
	r.wait("all ready", 30*time.Second, func() bool {
		for _, n := range r.nodes {
			if ok, _ := n.agent.Ready(); !ok {
				return false
			}
		}
		return true
	})
	t.Logf("formed in %s", time.Since(began))
	st := r.nodes["a"].agent.Status()
	t.Logf("%+v", st)
}
