package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/quorate/quorate/internal/control"
)

// live is the directory of the TLS files that the hosts use at the moment.
type live struct {
	t   *testing.T
	dir string
}

func (l live) file(name string) string { return filepath.Join(l.dir, name+".pem") }

// put replaces a file by the others' content, as a careful renewer does.
func (l live) put(name string, from ...string) {
	l.t.Helper()
	var parts [][]byte
	for _, f := range from {
		raw, err := os.ReadFile(f)
		must(l.t, err)
		parts = append(parts, raw)
	}
	must(l.t, os.WriteFile(l.file(name)+".tmp", bytes.Join(parts, nil), 0o600))
	must(l.t, os.Rename(l.file(name)+".tmp", l.file(name)))
}

// leaves has an authority sign anew all that the hosts and their clients show.
func (l live) leaves(ca *authority, serial int64, hosts ...string) {
	l.t.Helper()
	ca.issue("server", serial, hosts...)
	ca.issue("peer", serial, append(hosts, "127.0.0.1")...) // where a peer's connection comes from
	ca.issue("admin", serial)
	for _, name := range []string{"server", "peer", "admin"} {
		l.put(name+"-key", ca.file(name+"-key"))
		l.put(name, ca.file(name))
	}
}

// client trusts both authorities, and shows the certificate of the moment.
func (l live) client(cas ...*authority) *tls.Config {
	roots := x509.NewCertPool()
	for _, ca := range cas {
		roots.AddCert(ca.cert)
	}
	return &tls.Config{RootCAs: roots, GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		pair, err := tls.LoadX509KeyPair(l.file("admin"), l.file("admin-key"))
		return &pair, err
	}}
}

// pidWatch looks all the time at which etcds run.
type pidWatch struct {
	hosts []*host
	stop  context.CancelFunc
	done  chan struct{}

	mu       sync.Mutex
	pids     map[string][]int // all that have been seen, by host
	together string           // who was down at once
}

func watchPIDs(t *testing.T, hosts ...*host) *pidWatch {
	ctx, cancel := context.WithCancel(context.Background())
	w := &pidWatch{hosts: hosts, stop: cancel, done: make(chan struct{}), pids: map[string][]int{}}
	t.Cleanup(func() { cancel(); <-w.done })
	go func() {
		defer close(w.done)
		for ctx.Err() == nil {
			w.look()
			time.Sleep(5 * time.Millisecond) // between two looks
		}
	}()
	return w
}

func (w *pidWatch) look() {
	w.mu.Lock()
	defer w.mu.Unlock()
	var down []string
	for _, h := range w.hosts {
		pid, seen := h.etcdPID(), w.pids[h.name]
		switch {
		case pid == 0:
			down = append(down, h.name)
		case len(seen) == 0 || seen[len(seen)-1] != pid:
			w.pids[h.name] = append(seen, pid)
		}
	}
	if len(down) > 1 {
		w.together = strings.Join(down, " and ")
	}
}

// generations is how many etcds each host has had.
func (w *pidWatch) generations() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []string
	for _, h := range w.hosts {
		out = append(out, fmt.Sprint(h.name, len(w.pids[h.name])))
	}
	return strings.Join(out, " ")
}

// refusesCA wants that no port takes a client.
func (h *host) refusesCA(cfg *tls.Config) {
	h.r.t.Helper()
	for port, path := range map[int]string{2378: "/v1/report", 2379: "/version", 2380: "/version"} {
		web := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: cfg}}
		resp, err := web.Get(fmt.Sprintf("https://%s:%d%s", h.addr, port, path))
		if err == nil {
			resp.Body.Close()
			h.r.t.Errorf("port %d of %s takes a client of the old authority", port, h.name)
		} else if !strings.Contains(err.Error(), "tls:") {
			h.r.t.Errorf("port %d of %s: %v, want a refusal by TLS", port, h.name, err)
		}
	}
}

// TestNewCA changes the certificate authority in the usual three phases, under
// a client that writes all the time. Etcd reads its CA at its start alone: the
// agents restart the members one after the other, and the leader hands over.
func TestNewCA(t *testing.T) {
	t.Parallel()
	before, after := newAuthority(t), newAuthority(t)
	r := newRig(t)
	a, b, c := r.trio()
	l := live{t, t.TempDir()}
	addrs := []string{a.addr, b.addr, c.addr}
	l.leaves(before, 10, addrs...)
	l.put("ca", before.file("ca"))
	l.put("both", before.file("ca"), after.file("ca"))
	r.flags = append(r.flags, "--cert-file", l.file("server"), "--key-file", l.file("server-key"), "--trusted-ca-file", l.file("ca"), "--client-cert-auth",
		"--peer-cert-file", l.file("peer"), "--peer-key-file", l.file("peer-key"), "--peer-trusted-ca-file", l.file("ca"), "--peer-client-cert-auth")
	startAll(a, b, c)
	well := func(what string, ok func() error) {
		t.Helper()
		took := r.eventually(2*time.Minute, what, func() error {
			if ok != nil && ok() != nil {
				return ok()
			}
			out, errOut, code := r.quorate("status", a.agentFlag(), "-o", "json", "--cert-file", l.file("admin"), "--key-file", l.file("admin-key"), "--trusted-ca-file", l.file("both"))
			if code != 0 {
				return fmt.Errorf("exit code %d: %s", code, errOut)
			}
			if s := parsed[control.Status](t, out); s.Voters != 3 || s.Healthy != 3 {
				return fmt.Errorf("%d of %d voters are healthy", s.Healthy, s.Voters)
			}
			return nil
		})
		t.Logf("%s: %s", what, took.Round(time.Millisecond))
	}
	well("three voters", nil)
	old := before.client("admin")
	old.RootCAs.AddCert(after.cert)
	var urls []string
	for _, addr := range addrs {
		urls = append(urls, "https://"+addr+":2379")
	}
	etcd, err := clientv3.New(clientv3.Config{Endpoints: urls, TLS: l.client(before, after), DialTimeout: 5 * time.Second, Logger: zap.NewNop()})
	must(t, err)
	defer etcd.Close()
	r.put(etcd, "k", "v")
	writes := r.load(etcd, "w", 500*time.Millisecond)
	pids := watchPIDs(t, a, b, c)
	each := func(n int) func() error {
		return func() error {
			if got, want := pids.generations(), fmt.Sprintf("a%d b%d c%d", n, n, n); got != want {
				return fmt.Errorf("etcds so far: %s, want %s", got, want)
			}
			return nil
		}
	}
	well("before", each(1))

	l.put("ca", l.file("both"))
	well("both authorities are trusted", each(2))
	l.leaves(after, 20, addrs...)
	for _, h := range []*host{a, b, c} {
		r.eventually(20*time.Second, "the new certificates of "+h.name, func() error {
			for _, port := range []int{2378, 2379, 2380} {
				if got, err := after.serial("admin", fmt.Sprintf("%s:%d", h.addr, port)); err != nil || got != 20 {
					return fmt.Errorf("port %d: serial %d, %w", port, got, err)
				}
			}
			return nil
		})
	}
	well("nobody restarts for a certificate", each(2))
	l.put("ca", after.file("ca"))
	well("the new authority alone is trusted", each(3))

	writes.end()
	t.Logf("worst pause %s, %d of %d writes failed", writes.worst.Round(time.Millisecond), writes.tries-len(writes.acked), writes.tries)
	// An election takes up to 2 s; each of the six restarts may cost one at most.
	if writes.worst > 3*time.Second {
		t.Errorf("no write was taken for %s", writes.worst)
	}
	r.wantAcked(etcd, writes, "w")
	if pids.together != "" {
		t.Errorf("%s were down at once", pids.together)
	}
	if handed := strings.Count(a.log()+b.log()+c.log(), "decision=\"turn: the leader hands over"); handed != 2 {
		t.Errorf("the lead was handed over %d times, want once for each change of the CA", handed)
	}
	for _, h := range []*host{a, b, c} {
		h.refusesCA(old)
	}
}
