package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/control"
)

// rig is a group of hosts on loopback addresses: real agents, real etcd, the
// standard ports, a peers file and a directory store.
type rig struct {
	t     testing.TB
	net   string // first three bytes of its hosts' addresses
	dir   string
	flags []string // of every node
	env   []string // of every node's agent, beside this process's own
	nodes map[string]*host
	store string // URL; empty: none
	peers string // --peers; empty: the file
	// secure is how clients of etcd connect; nil: plain text.
	secure *tls.Config
}

// host is one machine.
type host struct {
	r     *rig
	name  string
	addr  string
	way   []string // what runs a program on this host; nothing: it is here
	agent *exec.Cmd
	ended chan struct{}
}

func newRig(t testing.TB, flags ...string) *rig {
	t.Helper()
	r := &rig{t: t, net: nextNetwork(), dir: t.TempDir(), nodes: map[string]*host{}}
	r.flags = append([]string{"--founding-wait", "4s", "--dead-after", "6s", "--backup-interval", "0"}, flags...)
	r.store = "file://" + filepath.Join(r.dir, "store") + "?create_dir=true"
	t.Cleanup(r.end)
	return r
}

// machine adds a host: number is the last byte of its address.
func (r *rig) machine(name string, number int) *host {
	h := &host{r: r, name: name, addr: fmt.Sprintf("%s.%d", r.net, number)}
	r.nodes[name] = h
	return h
}

// trio is three machines, a b c, in the peers file.
func (r *rig) trio() (a, b, c *host) {
	a, b, c = r.machine("a", 11), r.machine("b", 12), r.machine("c", 13)
	r.list("a", "b", "c")
	return a, b, c
}

// list writes the peers file.
func (r *rig) list(names ...string) {
	r.t.Helper()
	var b strings.Builder
	for _, n := range names {
		fmt.Fprintf(&b, "- {name: %s, host: %s}\n", n, r.nodes[n].addr)
	}
	r.writePeers(b.String())
}

func (r *rig) peersFile() string { return filepath.Join(r.dir, "peers.yaml") }

func (r *rig) writePeers(text string) {
	r.t.Helper()
	tmp := r.peersFile() + ".tmp"
	must(r.t, os.WriteFile(tmp, []byte(text), 0o600))
	must(r.t, os.Rename(tmp, r.peersFile()))
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (h *host) dataDir() string { return filepath.Join(h.r.dir, h.name) }
func (h *host) url(port int) string {
	return fmt.Sprintf("http://%s:%d", h.addr, port)
}

// args are the flags of `quorate run` for this host.
func (h *host) args(more ...string) []string {
	peers := h.r.peers
	if peers == "" {
		peers = "file://" + h.r.peersFile()
	}
	args := []string{"--cluster", "test", "--name", h.name, "--host", h.addr, "--data-dir", h.dataDir(), "--peers", peers}
	if h.r.store != "" {
		args = append(args, "--store", h.r.store)
	}
	return append(append(args, h.r.flags...), more...)
}

// start runs the host's agent.
func (h *host) start(more ...string) {
	h.r.t.Helper()
	log, err := os.OpenFile(filepath.Join(h.r.dir, h.name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	must(h.r.t, err)
	defer log.Close()
	command := slices.Concat(h.way, []string{program, "run"}, h.args(more...))
	h.agent = exec.Command(command[0], command[1:]...)
	h.agent.Env, h.agent.Stdout, h.agent.Stderr = append(os.Environ(), h.r.env...), log, log
	h.agent.SysProcAttr, h.agent.ExtraFiles = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}, heldNetwork
	must(h.r.t, h.agent.Start())
	h.ended = make(chan struct{})
	go func(cmd *exec.Cmd, ended chan struct{}) {
		_ = cmd.Wait()
		close(ended)
	}(h.agent, h.ended)
}

func (h *host) signal(s syscall.Signal) {
	if h.agent != nil {
		_ = h.agent.Process.Signal(s)
	}
}

// term ends the agent gracefully, and waits.
func (h *host) term() {
	h.r.t.Helper()
	h.signal(syscall.SIGTERM)
	h.await(40 * time.Second)
}

// killAgent ends the agent alone, as kill -9 does.
func (h *host) killAgent() {
	h.r.t.Helper()
	h.signal(syscall.SIGKILL)
	h.await(10 * time.Second)
}

func (h *host) await(limit time.Duration) {
	h.r.t.Helper()
	if h.agent == nil {
		return
	}
	select {
	case <-h.ended:
		h.agent = nil
	case <-time.After(limit):
		h.r.t.Fatalf("the agent of %s does not end", h.name)
	}
}

// etcdPID is the process that the pid file names, if it lives.
func (h *host) etcdPID() int {
	var id struct{ PID int }
	raw, err := os.ReadFile(filepath.Join(h.dataDir(), "etcd.pid.json"))
	if err != nil || json.Unmarshal(raw, &id) != nil || id.PID <= 1 || syscall.Kill(id.PID, 0) != nil {
		return 0
	}
	args, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", id.PID))
	if err != nil || !bytes.Contains(args, []byte("--data-dir="+h.dataDir()+"/")) {
		return 0
	}
	return id.PID
}

// killEtcd ends etcd alone, as kill -9 does.
func (h *host) killEtcd() {
	if pid := h.etcdPID(); pid > 0 {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}

// crash is a power cut: agent and etcd end at once, the disk stays.
func (h *host) crash() {
	h.r.t.Helper()
	h.killAgent()
	h.killEtcd()
	h.r.eventually(10*time.Second, "etcd of "+h.name+" ends", func() error {
		if h.etcdPID() != 0 {
			return errors.New("still there")
		}
		return nil
	})
}

// wipe is a crash that loses the disk too.
func (h *host) wipe() {
	h.r.t.Helper()
	h.crash()
	must(h.r.t, os.RemoveAll(h.dataDir()))
}

func (h *host) report() (cluster.Report, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	return control.NewClient(h.url(2378), http.DefaultClient).Report(ctx)
}

func (h *host) status() (control.Status, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	return control.NewClient(h.url(2378), http.DefaultClient).Status(ctx)
}

// ready is the agent's own word: a voter in a healthy cluster.
func (h *host) ready() error {
	r, err := h.report()
	if err == nil && !r.Ready {
		err = fmt.Errorf("%s: %s %s", h.name, r.Reason, r.LastError)
	}
	return err
}

// client talks to the etcd of these hosts.
func (r *rig) client(names ...string) *clientv3.Client {
	r.t.Helper()
	var eps []string
	for _, n := range names {
		u := r.nodes[n].url(2379)
		if r.secure != nil {
			u = strings.Replace(u, "http:", "https:", 1)
		}
		eps = append(eps, u)
	}
	c, err := clientv3.New(clientv3.Config{Endpoints: eps, TLS: r.secure, DialTimeout: 5 * time.Second, Logger: zap.NewNop()})
	must(r.t, err)
	r.t.Cleanup(func() { c.Close() })
	return c
}

func (r *rig) put(c *clientv3.Client, key, value string) {
	r.t.Helper()
	r.eventually(20*time.Second, "put "+key, func() error {
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		defer cancel()
		_, err := c.Put(ctx, key, value)
		return err
	})
}

func (r *rig) wantValue(c *clientv3.Client, key, want string) {
	r.t.Helper()
	r.eventually(20*time.Second, "get "+key, func() error {
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		defer cancel()
		got, err := c.Get(ctx, key)
		switch {
		case err != nil:
			return err
		case len(got.Kvs) != 1 || string(got.Kvs[0].Value) != want:
			return fmt.Errorf("%s is %v, want %q", key, got.Kvs, want)
		}
		return nil
	})
}

// eventually waits for a condition; its last error says what was missing.
func (r *rig) eventually(limit time.Duration, what string, ok func() error) time.Duration {
	r.t.Helper()
	began := time.Now()
	for {
		err := ok()
		if err == nil {
			return time.Since(began)
		}
		if time.Since(began) > limit {
			r.t.Fatalf("not within %s: %s: %v", limit, what, err)
		}
		time.Sleep(25 * time.Millisecond) // between two looks at the condition
	}
}

// voters waits until exactly these hosts vote in one healthy cluster.
func (r *rig) voters(limit time.Duration, names ...string) time.Duration {
	r.t.Helper()
	return r.eventually(limit, fmt.Sprintf("voters %v", names), func() error {
		for _, n := range names {
			if err := r.nodes[n].ready(); err != nil {
				return err
			}
		}
		// What one agent has learned reaches the others a moment later.
		for _, n := range names {
			if err := r.nodes[n].sees(len(names)); err != nil {
				return err
			}
		}
		return nil
	})
}

// sees says whether the host's agent sees n voters, all healthy, and no learner.
func (h *host) sees(n int) error {
	s, err := h.status()
	switch {
	case err != nil:
		return err
	case s.Voters != n || s.Healthy != n:
		return fmt.Errorf("%s sees %d voters, %d healthy", h.name, s.Voters, s.Healthy)
	}
	for _, node := range s.Nodes {
		if node.Role == "learner" {
			return fmt.Errorf("learner %s is left", node.Name)
		}
	}
	return nil
}

// says waits until the host's agent gives that reason.
func (h *host) says(limit time.Duration, reason string) {
	h.r.t.Helper()
	h.r.eventually(limit, h.name+" says "+reason, func() error {
		r, err := h.report()
		if err == nil && !strings.Contains(r.Reason, reason) {
			err = errors.New(r.Reason)
		}
		return err
	})
}

// quorate runs the program and gives its output and exit code.
func (r *rig) quorate(args ...string) (stdout, stderr string, code int) {
	r.t.Helper()
	var out, errOut bytes.Buffer
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		r.t.Fatal(err)
	}
	return out.String(), errOut.String(), cmd.ProcessState.ExitCode()
}

// end stops everything; after a failure it shows what the agents said.
func (r *rig) end() {
	for _, h := range r.nodes {
		h.signal(syscall.SIGKILL)
	}
	for _, h := range r.nodes {
		h.await(10 * time.Second)
		// Its ports are the next test's.
		for deadline := time.Now().Add(10 * time.Second); h.etcdPID() != 0 && time.Now().Before(deadline); {
			h.killEtcd()
			time.Sleep(5 * time.Millisecond)
		}
	}
	for _, h := range r.nodes {
		if r.t.Failed() {
			log, _ := os.ReadFile(filepath.Join(r.dir, h.name+".log"))
			r.t.Logf("agent %s:\n%s", h.name, tail(log, 6000))
			log, _ = os.ReadFile(filepath.Join(h.dataDir(), "etcd.log"))
			r.t.Logf("etcd %s:\n%s", h.name, tail(log, 1500))
		}
	}
}
