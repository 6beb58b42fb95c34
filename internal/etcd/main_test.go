package etcd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/server/v3/etcdmain"
	"golang.org/x/sys/unix"

	"github.com/quorate/quorate/internal/cluster"
)

// patience is how long a condition may take on a slow machine; no test waits
// for it when all is well.
const patience = 60 * time.Second

// TestMain makes the test binary an etcd, as quorate's own is one, and the
// agent that launches one and is killed.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "etcd":
			etcdmain.Main(os.Args[1:])
			return
		case "launch":
			launchAndHang(os.Args[2], os.Args[3:])
		}
	}
	os.Exit(m.Run())
}

// launchAndHang is the agent's part in TestAdopt: its arguments are the
// directory and etcd's flags.
func launchAndHang(dir string, args []string) {
	bin, err := BuiltIn()
	if err == nil {
		_, err = Launch(dir, bin, args, Env(os.Environ(), args))
	}
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
	fmt.Println("launched")
	select {}
}

var sevenThree = Version{Major: 3, Minor: 7, Patch: 3}

// member is one etcd under test.
type member struct {
	t     *testing.T
	dir   string // quorate's
	cfg   Config
	proc  *Process
	agent *Client
}

// newMember prepares a member on a loopback address of its own.
func newMember(t *testing.T, name, host string) *member {
	t.Helper()
	dir := t.TempDir()
	m := &member{t: t, dir: dir, cfg: Config{
		Name: name, DataDir: filepath.Join(dir, "etcd"), AdvertiseHost: host,
		ClientPort: freePort(t, host), PeerPort: freePort(t, host),
		Extra: []string{"--heartbeat-interval=50", "--election-timeout=500"},
	}}
	m.agent = Dial(m.clientURL(), TLSFiles{}, Credentials{})
	t.Cleanup(func() { m.agent.Close() })
	return m
}

func (m *member) clientURL() string {
	return hostURL(m.cfg.Client.scheme(), m.cfg.AdvertiseHost, m.cfg.ClientPort)
}

func (m *member) peerURL() string {
	return hostURL(m.cfg.Peer.scheme(), m.cfg.AdvertiseHost, m.cfg.PeerPort)
}

func (m *member) initialCluster() string { return m.cfg.Name + "=" + m.peerURL() }

// start launches the member; the test's end kills it.
func (m *member) start(s Start) {
	m.t.Helper()
	args := Args(sevenThree, m.cfg, s)
	proc, err := Launch(m.dir, builtIn(m.t), args, Env(os.Environ(), args))
	if err != nil {
		m.t.Fatal(err)
	}
	m.own(proc)
}

// own makes the test responsible for a process.
func (m *member) own(proc *Process) {
	m.proc = proc
	m.t.Cleanup(func() {
		if err := proc.kill(); err != nil {
			m.t.Error(err)
		}
		if m.t.Failed() {
			m.t.Logf("the end of %s's log:\n%s", m.cfg.Name, m.logEnd())
		}
	})
}

// found starts a cluster of one and waits until it serves.
func (m *member) found() {
	m.t.Helper()
	m.start(Start{State: StateNew, InitialCluster: m.initialCluster(), Token: "t-" + m.cfg.Name})
	m.waitHealthy()
}

func (m *member) waitHealthy() {
	m.t.Helper()
	eventually(m.t, m.cfg.Name+" is healthy", func() error {
		ctx, cancel := context.WithTimeout(m.t.Context(), 2*time.Second)
		defer cancel()
		return m.agent.Healthy(ctx)
	})
}

// crash is a power cut, as far as a process can have one.
func (m *member) crash() {
	m.t.Helper()
	if err := m.proc.kill(); err != nil {
		m.t.Fatal(err)
	}
}

func (m *member) stop() {
	m.t.Helper()
	if err := m.proc.Stop(limit(m.t)); err != nil {
		m.t.Fatal(err)
	}
}

func (m *member) status() cluster.EtcdState {
	m.t.Helper()
	s, err := m.agent.Status(limit(m.t))
	if err != nil {
		m.t.Fatal(err)
	}
	return s
}

func (m *member) disk() cluster.Disk { return ReadDisk(m.dir, m.cfg.DataDir) }

func (m *member) put(key, value string) {
	m.t.Helper()
	etcd, err := m.agent.open(limit(m.t))
	if err == nil {
		_, err = etcd.Put(limit(m.t), key, value)
	}
	if err != nil {
		m.t.Fatal(err)
	}
}

func (m *member) logEnd() string {
	b, err := os.ReadFile(filepath.Join(m.dir, logFile))
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return strings.Join(lines[max(0, len(lines)-8):], "\n")
}

func builtIn(t *testing.T) Binary {
	t.Helper()
	bin, err := BuiltIn()
	if err != nil {
		t.Fatal(err)
	}
	return bin
}

func limit(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// contextSoon is for calls that must fail.
func contextSoon(t *testing.T) (context.Context, context.CancelFunc) {
	return context.WithTimeout(t.Context(), 2*time.Second)
}

// eventually waits until the condition has no complaint.
func eventually(t *testing.T, what string, condition func() error) {
	t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := condition()
		if err == nil {
			return
		}
		select {
		case <-deadline:
			t.Fatalf("waiting until %s: %v", what, err)
		case <-tick.C:
		}
	}
}

func freePort(t *testing.T, host string) int {
	t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func wantAlive(t *testing.T, pid int) {
	t.Helper()
	if _, err := identify(pid); err != nil {
		t.Fatalf("process %d: %v; want it alive", pid, err)
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(content), 0o600)); err != nil {
		t.Fatal(err)
	}
}

func mustExist(t *testing.T, path string, want bool) {
	t.Helper()
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) == want {
		t.Errorf("%s: %v; want there: %v", path, err, want)
	}
}

func killPID(pid int) error { return unix.Kill(pid, unix.SIGKILL) }

func wantStrings(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n got %s\nwant %s", what, strings.Join(got, "\n     "), strings.Join(want, "\n     "))
	}
}
