package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/quorate/quorate/internal/gate"
)

// plain is three etcd without agents, kept by a script.
type plain struct {
	t     testing.TB
	way   plainWay
	dir   string
	hosts []string
	procs map[string]*exec.Cmd
}

// plainWay is how they run and restart. The zero value is what etcd alone does.
type plainWay struct {
	moves bool // the lead, before a SIGTERM of the leader
	holds bool // requests, while the lead moves: each has a gate
	ca    *authority
}

func newPlain(t testing.TB, way plainWay) *plain {
	p := &plain{t: t, way: way, dir: t.TempDir(), procs: map[string]*exec.Cmd{}}
	t.Cleanup(p.close)
	net := nextNetwork()
	for i := range 3 {
		p.hosts = append(p.hosts, fmt.Sprintf("%s.%d", net, 11+i))
	}
	if way.ca != nil {
		way.ca.issue("server", 10, p.hosts...)
		way.ca.issue("client", 20)
	}
	for _, h := range p.hosts {
		p.start(h)
	}
	for _, h := range p.hosts {
		p.awaitHealthy(h)
	}
	return p
}

// clientURL is where clients find the member.
func (p *plain) clientURL(h string) string {
	if p.way.ca != nil {
		return "https://" + h + ":2379"
	}
	return "http://" + h + ":2379"
}

// dataDir is quorate's, as far as the member knows.
func (p *plain) dataDir(h string) string { return filepath.Join(p.dir, h) }

func (p *plain) start(h string) {
	p.t.Helper()
	var initial []string
	for i, each := range p.hosts {
		initial = append(initial, fmt.Sprintf("m%d=http://%s:2380", i, each))
	}
	must(p.t, os.MkdirAll(p.dataDir(h), 0o700))
	args := []string{"etcd", "--name", "m" + strconv.Itoa(slices.Index(p.hosts, h)), "--data-dir", filepath.Join(p.dataDir(h), "etcd"),
		"--listen-client-urls", p.clientURL(h), "--advertise-client-urls", p.clientURL(h), "--initial-cluster", strings.Join(initial, ","),
		"--listen-peer-urls", "http://" + h + ":2380", "--initial-advertise-peer-urls", "http://" + h + ":2380",
		"--listen-metrics-urls", "http://" + h + ":2381"}
	if ca := p.way.ca; ca != nil {
		args = append(args, "--cert-file", ca.file("server"), "--key-file", ca.file("server-key"), "--trusted-ca-file", ca.file("ca"), "--client-cert-auth")
	}
	cmd := exec.Command(program, args...)
	if p.way.holds {
		cmd.Env = append(os.Environ(), gate.Env(p.dataDir(h)))
	}
	must(p.t, cmd.Start())
	p.procs[h] = cmd
}

func (p *plain) awaitHealthy(h string) {
	p.t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		if resp, err := http.Get("http://" + h + ":2381/health"); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return
			}
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("%s is not healthy within a minute", h)
		}
	}
}

func (p *plain) endpoints() (all []string) {
	for _, h := range p.hosts {
		all = append(all, p.clientURL(h))
	}
	return all
}

// roll restarts each in turn.
func (p *plain) roll() time.Duration {
	p.t.Helper()
	began := time.Now()
	for _, h := range p.hosts {
		if p.way.moves {
			if err := p.moveFrom(h); err != nil { // as a script that goes on
				p.t.Logf("moving the lead from %s: %v", h, err)
			}
		}
		must(p.t, p.procs[h].Process.Signal(syscall.SIGTERM))
		_ = p.procs[h].Wait() // it ends by the signal
		p.start(h)
		p.awaitHealthy(h)
	}
	return time.Since(began)
}

// moveFrom moves the lead away from a member that has it.
func (p *plain) moveFrom(h string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	var secure *tls.Config
	if p.way.ca != nil {
		secure = p.way.ca.client("client")
	}
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{p.clientURL(h)}, TLS: secure, Logger: zap.NewNop()})
	if err != nil {
		return err
	}
	defer c.Close()
	s, err := c.Status(ctx, p.clientURL(h))
	if err != nil || s.Leader != s.Header.MemberId {
		return err
	}
	members, err := c.MemberList(ctx)
	if err != nil {
		return err
	}
	for _, each := range p.hosts {
		if !p.way.holds {
			break
		}
		release, err := gate.Hold(ctx, p.dataDir(each), s.Leader)
		if err != nil {
			return err
		}
		defer release()
	}
	to := slices.IndexFunc(members.Members, func(m *etcdserverpb.Member) bool { return m.ID != s.Leader })
	_, err = c.MoveLeader(ctx, members.Members[to].ID)
	return err
}

func (p *plain) close() {
	for _, proc := range p.procs {
		_ = proc.Process.Kill()
		_ = proc.Wait()
	}
}
