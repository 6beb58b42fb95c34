package fleettest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/aws/awstest"
	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/control"
	"github.com/quorate/quorate/internal/stack"
)

// machine is one instance: an agent and its etcd on a loopback address.
type machine struct {
	id, region, zone, addr string

	t    testing.TB
	dir  string // its disk
	log  string
	args []string
	env  []string
	imds *awstest.IMDS

	mu    sync.Mutex
	agent *exec.Cmd
	gone  chan struct{} // closed when the machine is terminated
	ended chan struct{} // closed when its supervisor has ended
}

// boot starts the machine's supervisor, which is what systemd is to it: an
// agent that ends is started again.
func (m *machine) boot() {
	m.gone, m.ended = make(chan struct{}), make(chan struct{})
	go func() {
		defer close(m.ended)
		for m.runAgent() {
			select {
			case <-m.gone:
				return
			case <-time.After(500 * time.Millisecond): // RestartSec
			}
		}
	}()
}

// runAgent runs the agent until it ends; false once the machine is gone.
func (m *machine) runAgent() bool {
	log, err := os.OpenFile(m.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		m.t.Error(err)
		return false
	}
	defer log.Close()
	m.mu.Lock()
	cmd := exec.Command(program, append([]string{"run"}, m.args...)...)
	cmd.Env, cmd.Stdout, cmd.Stderr = m.env, log, log
	cmd.SysProcAttr, cmd.ExtraFiles = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}, held
	select {
	case <-m.gone:
		m.mu.Unlock()
		return false
	default:
	}
	err = cmd.Start()
	m.agent = cmd
	m.mu.Unlock()
	if err != nil {
		m.t.Errorf("starting the agent of %s: %v", m.id, err)
		return false
	}
	_ = cmd.Wait() // an agent that was killed says its error
	return true
}

// terminate is the end of the machine: its processes are killed and its disk
// is deleted.
func (m *machine) terminate() {
	m.mu.Lock()
	close(m.gone)
	if m.agent != nil {
		_ = m.agent.Process.Kill()
	}
	m.mu.Unlock()
	<-m.ended
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
		pids := m.etcds()
		if len(pids) == 0 {
			break
		}
		for _, pid := range pids {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		time.Sleep(5 * time.Millisecond) // until the kernel has ended them
	}
	if err := os.RemoveAll(m.dir); err != nil {
		m.t.Errorf("deleting the disk of %s: %v", m.id, err)
	}
}

// restart has systemd stop the agent, and its etcd with it, and start it with
// these flags instead.
func (m *machine) restart(t testing.TB, args []string) {
	t.Helper()
	old := m.pid()
	m.mu.Lock()
	m.args = args
	_ = m.agent.Process.Signal(syscall.SIGTERM)
	m.mu.Unlock()
	eventually(t, 40*time.Second, "the agent of "+m.id+" is another", func() error {
		if m.pid() == old {
			return errors.New("it is the old one")
		}
		return nil
	})
}

// with is the command line with these flags, a name and a value each, in place
// of those of the same names. Behind a "--" are etcd's own.
func with(args []string, flags ...string) []string {
	out := slices.Clone(args)
	for i := 0; i+1 < len(flags); i += 2 {
		flag := "--" + flags[i] + "="
		at := slices.IndexFunc(out, func(a string) bool { return strings.HasPrefix(a, flag) })
		if at < 0 {
			if at = slices.Index(out, "--"); at < 0 {
				at = len(out)
			}
			out = slices.Insert(out, at, "")
		}
		out[at] = flag + flags[i+1]
	}
	return out
}

// killEtcd ends etcd alone, as kill -9 does.
func (m *machine) killEtcd() {
	for _, pid := range m.etcds() {
		if pid != m.pid() {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

func (m *machine) pid() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.agent.Process.Pid
}

// etcds are the processes of our program that work on this machine's disk: the
// agent's pid file may lag behind a start.
func (m *machine) etcds() (pids []int) {
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil || !bytes.HasPrefix(raw, []byte(program+"\x00")) || !bytes.Contains(raw, []byte(m.dir+"/")) {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(f))); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

func (m *machine) url(port int) string { return fmt.Sprintf("http://%s:%d", m.addr, port) }

func (m *machine) api() *control.Client { return control.NewClient(m.url(2378), http.DefaultClient) }

func (m *machine) report() (cluster.Report, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	return m.api().Report(ctx)
}

func (m *machine) status() (control.Status, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	return m.api().Status(ctx)
}

// ready is what a load balancer's health check says of the machine.
func (m *machine) ready() bool {
	client := http.Client{Timeout: time.Second}
	resp, err := client.Get(m.url(stack.HealthPort) + "/readyz")
	if err != nil {
		return false
	}
	resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// lastWords are the ends of its logs.
func (m *machine) lastWords() string {
	agent, _ := os.ReadFile(m.log)
	etcd, _ := os.ReadFile(filepath.Join(m.dir, "etcd.log"))
	return fmt.Sprintf("agent of %s at %s:\n%setcd:\n%s", m.id, m.addr, tail(agent, 8000), tail(etcd, 1500))
}

func tail(b []byte, n int) []byte { return b[max(0, len(b)-n):] }
