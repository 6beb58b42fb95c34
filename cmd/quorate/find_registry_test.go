package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
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
	"github.com/quorate/quorate/internal/clustertest/etcd34"
)

// registry is another etcd, of one member.
func registry(t *testing.T) (addr string, c *clientv3.Client, kill func()) {
	t.Helper()
	free := func() string {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		must(t, err)
		defer ln.Close()
		return ln.Addr().String()
	}
	addr, peer := free(), free()
	dir := t.TempDir()
	log, err := os.Create(filepath.Join(dir, "log"))
	must(t, err)
	defer log.Close()
	cmd := exec.Command(program, "etcd", "--data-dir", filepath.Join(dir, "data"), "--listen-client-urls", "http://"+addr, "--advertise-client-urls", "http://"+addr,
		"--listen-peer-urls", "http://"+peer, "--initial-advertise-peer-urls", "http://"+peer, "--initial-cluster", "default=http://"+peer)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	must(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // killed, it says its error
	})
	c, err = clientv3.New(clientv3.Config{Endpoints: []string{addr}, DialTimeout: 5 * time.Second, Logger: zap.NewNop()})
	must(t, err)
	t.Cleanup(func() { c.Close() })
	return addr, c, func() { must(t, cmd.Process.Kill()) }
}

// registered are the names below the only token, in their order.
func registered(c *clientv3.Client) ([]string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	got, err := c.Get(ctx, "/_etcd/registry/", clientv3.WithPrefix(), clientv3.WithSort(clientv3.SortByCreateRevision, clientv3.SortAscend))
	if err != nil {
		return nil, err
	}
	var out []string
	for _, kv := range got.Kvs {
		if strings.Contains(string(kv.Key), "/members/") {
			name, _, _ := strings.Cut(string(kv.Value), "=")
			out = append(out, name)
		}
	}
	return out, nil
}

// TestDiscoveryRegistry: three nodes that know only a token of another etcd
// form a cluster; one more joins; one leaves, and its registration goes.
func TestDiscoveryRegistry(t *testing.T) {
	t.Parallel()
	addr, c, kill := registry(t)
	r := newRig(t, "--size", "0")
	r.eventually(30*time.Second, "the registry", func() error { _, err := registered(c); return err })
	out, stderr, code := r.quorate("discovery", "new", "--size", "3", "--endpoints", addr)
	if code != 0 || !strings.HasPrefix(out, "etcd://"+addr+"/") {
		t.Fatalf("discovery new: %d %q %q", code, out, stderr)
	}
	r.store, r.peers = "", strings.TrimSpace(out)+"?every=1s"
	shows := func(want ...string) {
		t.Helper()
		r.eventually(30*time.Second, fmt.Sprintf("registrations %v", want), func() error {
			got, err := registered(c)
			if err == nil && !slices.Equal(got, want) {
				err = fmt.Errorf("registered are %v", got)
			}
			return err
		})
	}
	z, a, m, d := r.machine("z", 11), r.machine("a", 12), r.machine("m", 13), r.machine("d", 14)

	// explain looks, and never registers.
	if out, stderr, code := r.quorate(append([]string{"explain", "--look", "500ms"}, d.args()...)...); code != 0 || !strings.Contains(out, "this machine is not in the peers source") {
		t.Errorf("explain: %d %q %q", code, out, stderr)
	}
	z.start()
	shows("z")
	a.start()
	shows("z", "a")
	z.says(20*time.Second, "the view is smaller than the size")
	m.start()
	r.voters(40*time.Second, "z", "a", "m")
	shows("z", "a", "m")
	id := r.oneCluster("z", "a", "m")

	d.start()
	r.voters(60*time.Second, "z", "a", "m", "d")
	shows("z", "a", "m", "d")
	if now := r.oneCluster("z", "a", "m", "d"); now != id {
		t.Errorf("the cluster was %s, and is %s", id, now)
	}

	// The keeper has noted all four; then a leaves for good, while it runs on.
	r.eventually(30*time.Second, "notes of all members", func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		got, err := c.Get(ctx, "/_etcd/registry/", clientv3.WithPrefix(), clientv3.WithKeysOnly())
		if err != nil {
			return err
		}
		n := 0
		for _, kv := range got.Kvs {
			if strings.Contains(string(kv.Key), "/_quorate/") {
				n++
			}
		}
		if n != 4 {
			return fmt.Errorf("%d notes", n)
		}
		return nil
	})
	if _, stderr, code := r.quorate("leave", "--yes", "--agent", a.addr+":2378"); code != 0 {
		t.Fatalf("leave: %d %s", code, stderr)
	}
	r.voters(60*time.Second, "z", "m", "d")
	shows("z", "m", "d")
	a.stays(3, "does not register again", func(cluster.Report) error {
		if got, err := registered(c); err == nil && slices.Contains(got, "a") {
			return errors.New("it does")
		}
		return nil
	})

	// The registry dies: the cluster lives on, and a restart needs it not.
	kill()
	killed := z.etcdPID()
	z.killEtcd()
	z.restarted(killed)
	r.voters(30*time.Second, "z", "m", "d")
}

// TestDiscoveryURL: the same by a v2 discovery URL, of Debian's service.
func TestDiscoveryURL(t *testing.T) {
	t.Parallel()
	token, _ := etcd34.Discovery(t, 3)
	r := newRig(t, "--size", "0")
	r.store, r.peers = "", token+"?every=1s"
	shows := func(want ...string) {
		t.Helper()
		r.eventually(60*time.Second, fmt.Sprintf("registrations %v", want), func() error {
			text, err := etcd34.Get(token)
			for _, n := range []string{"z", "a", "m", "d"} {
				if is := strings.Contains(text, `"`+n+"=http"); err == nil && is != slices.Contains(want, n) {
					err = errors.New(text)
				}
			}
			return err
		})
	}
	z, a, m, d := r.machine("z", 11), r.machine("a", 12), r.machine("m", 13), r.machine("d", 14)
	z.start()
	a.start()
	z.says(20*time.Second, "the view is smaller than the size (2 of 3)")
	m.start()
	r.voters(40*time.Second, "z", "a", "m")
	shows("z", "a", "m")
	d.start()
	r.voters(60*time.Second, "z", "a", "m", "d")
	shows("z", "a", "m", "d")
	a.wipe() // it comes back under another id, and its registration is the same
	a.start()
	r.voters(60*time.Second, "z", "a", "m", "d")
	if _, stderr, code := r.quorate("leave", "--yes", "--agent", d.addr+":2378"); code != 0 {
		t.Fatalf("leave: %d %s", code, stderr)
	}
	r.voters(60*time.Second, "z", "a", "m")
	shows("z", "a", "m")
}

// TestDiscoveryNewRefused: bad input is said at once, and secrets are not.
func TestDiscoveryNewRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for want, args := range map[string][]string{
		"size: 0":                          {"--size", "0", "--endpoints", "127.0.0.1:1"},
		"want --tls or --cacert":           {"--endpoints", "https://127.0.0.1:1"},
		"user: want --user and --password": {"--endpoints", "127.0.0.1:1", "--user", "u"},
		"cert: want --cert and --key":      {"--endpoints", "127.0.0.1:1", "--cert", "u"},
		"endpoints: want a port of 1 to":   {"--endpoints", "127.0.0.1:0"},
		"endpoints: empty: want HOST:PORT": {"--endpoints", ""},
		"making a token":                   {"--endpoints", "127.0.0.1:1"},
		"missing flags: --endpoints":       {},
		"reading password-file":            {"--endpoints", "127.0.0.1:1", "--user", "u", "--password-file", "/no/such"},
		"reading cacert, cert and key":     {"--endpoints", "127.0.0.1:1", "--cacert", "/no/such"},
		"endpoints: want HOST:PORT":        {"--endpoints", "u:secret@127.0.0.1:1"},
	} {
		out, stderr, code := r.quorate(append([]string{"discovery", "new"}, args...)...)
		bad := 2
		if strings.HasPrefix(want, "making") || strings.HasPrefix(want, "reading") { // the world's, not the input's
			bad = 1
		}
		if code != bad || out != "" && !strings.Contains(out, "Usage") || !strings.Contains(stderr, want) || strings.Contains(stderr, "secret") {
			t.Errorf("%v: %d %q %q, want %q", args, code, out, stderr, want)
		}
	}
}

// TestDiscoveryNewPaths: what is printed is used in other directories.
func TestDiscoveryNewPaths(t *testing.T) {
	c := discoveryNewCmd{User: "root", PasswordFile: "pw", CACert: "/ca.pem"}
	here, err := os.Getwd()
	must(t, errors.Join(err, c.absolute()))
	want := url.Values{"user": {"root"}, "cacert": {"/ca.pem"}, "password-file": {filepath.Join(here, "pw")}}
	if got := c.options(); got != "?"+want.Encode() {
		t.Errorf("got %s, want %s", got, want.Encode())
	}
}
