package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/clustertest/etcdbin"
	"github.com/quorate/quorate/internal/clustertest/named"
)

// inZone are the SRV record and the address of a host.
func (h *host) inZone() []string {
	return []string{
		fmt.Sprintf("_etcd-server._tcp.example.org. 60 IN SRV 0 0 2380 %s.example.org.", h.name),
		fmt.Sprintf("_etcd-client._tcp.example.org. 60 IN SRV 0 0 2379 %s.example.org.", h.name),
		fmt.Sprintf("%s.example.org. 60 IN A %s", h.name, h.addr),
	}
}

// TestFoundBySRV: three nodes without a store that know only a zone. Nobody
// founds before the zone lists all of them; what it forgets later removes
// nobody; and who is not in it yet may join.
func TestFoundBySRV(t *testing.T) {
	t.Parallel()
	server := named.Start(t, "example.org")
	r := newRig(t)
	r.store, r.peers = "", "dns+srv://example.org?host=address&size=3&every=1s&server="+server.Addr
	a, b, c := r.machine("a", 11), r.machine("b", 12), r.machine("c", 13)
	all := []*host{a, b, c}
	for _, h := range all {
		h.start("--listen-host", h.addr)
	}
	a.says(20*time.Second, "the peers source does not answer")
	server.Add(t, "example.org", a.inZone()...)
	server.Add(t, "example.org", c.inZone()...)
	b.says(20*time.Second, "this machine is not in the peers source")
	a.says(20*time.Second, "the view is smaller than the size")
	a.stays(3, "waits for the zone to be complete", because("the view is smaller than the size"))
	if pid := a.etcdPID(); pid != 0 {
		t.Fatalf("etcd of a runs, pid %d", pid)
	}
	server.Add(t, "example.org", b.inZone()...)
	took := r.voters(40*time.Second, "a", "b", "c")
	t.Logf("three voters %s after the last record", took.Round(time.Millisecond))
	id := r.oneCluster("a", "b", "c")

	// The zone loses a member that lives, and a member's agent restarts.
	server.Remove(t, "example.org", b.inZone()...)
	c.term()
	c.start()
	r.voters(40*time.Second, "a", "b", "c")
	// A fourth, which the zone does not list, joins by what it finds there, among
	// it names of machines that have gone: one without an address, one silent.
	server.Add(t, "example.org", "_etcd-server._tcp.example.org. 60 IN SRV 0 0 2380 gone.example.org.",
		"_etcd-server._tcp.example.org. 60 IN SRV 0 0 2380 silent.example.org.", "silent.example.org. 60 IN A "+r.net+".99")
	d := r.machine("d", 14)
	for _, h := range all {
		h.term()
		h.start("--size", "5")
	}
	d.start("--size", "5")
	r.voters(60*time.Second, "a", "b", "c", "d")
	if now := r.oneCluster("a", "b", "c", "d"); now != id {
		t.Errorf("the cluster was %s, and is %s", id, now)
	}
}

// resolvConf makes a resolv.conf of this server, which must be at port 53.
func resolvConf(t *testing.T, server *named.Server) string {
	t.Helper()
	address, _, err := net.SplitHostPort(server.Addr)
	must(t, err)
	path := filepath.Join(t.TempDir(), "resolv.conf")
	must(t, os.WriteFile(path, []byte("nameserver "+address+"\n"), 0o644))
	return path
}

// resolving is a command whose process, and what that starts, asks the server
// of a resolv.conf for every name: it has its own view of /etc, which takes
// root.
func resolving(conf, path string, args ...string) *exec.Cmd {
	script := `mount --bind "$0" /etc/resolv.conf && exec "$@"`
	return exec.Command("unshare", append([]string{"-m", "sh", "-c", script, conf, path}, args...)...)
}

// startNamed runs the host's agent under its name in the zone.
func (h *host) startNamed(conf string, more ...string) {
	h.r.t.Helper()
	log, err := os.OpenFile(filepath.Join(h.r.dir, h.name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	must(h.r.t, err)
	defer log.Close()
	args := append(h.args(more...), "--host", h.name+".example.org", "--listen-host", h.addr)
	h.agent = resolving(conf, program, append([]string{"run"}, args...)...)
	h.agent.Stdout, h.agent.Stderr = log, log
	h.agent.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	must(h.r.t, h.agent.Start())
	h.ended = make(chan struct{})
	go func(cmd *exec.Cmd, ended chan struct{}) {
		_ = cmd.Wait()
		close(ended)
	}(h.agent, h.ended)
}

// TestNamesOfDNS: nodes whose hosts are names of the zone, as the machine's own
// resolver knows them, with the same records that etcd's --discovery-srv and
// etcdctl's take.
func TestNamesOfDNS(t *testing.T) {
	server := named.StartAt(t, "127.0.0.1:53", "example.org") // BIND serves no address that no interface has
	conf := resolvConf(t, server)
	r := newRig(t)
	r.peers = "dns+srv://example.org?size=3"
	a, b, c := r.machine("a", 11), r.machine("b", 12), r.machine("c", 13)
	for _, h := range []*host{a, b, c} {
		server.Add(t, "example.org", h.inZone()...)
		h.startNamed(conf)
	}
	r.voters(40*time.Second, "a", "b", "c")
	for name, m := range r.members(r.client("a")) {
		if want := "http://" + name + ".example.org:2380"; !slices.Equal(m.PeerURLs, []string{want}) {
			t.Errorf("%s: %v, want %s", name, m.PeerURLs, want)
		}
	}
	b.wipe()
	b.startNamed(conf)
	r.voters(60*time.Second, "a", "b", "c")

	for _, version := range []string{etcdbin.V34, etcdbin.V37} {
		etcdctl := resolving(conf, etcdbin.Etcdctl(t, version), "--discovery-srv", "example.org", "--insecure-discovery", "member", "list")
		etcdctl.Env = append(os.Environ(), "ETCDCTL_API=3")
		out, err := etcdctl.CombinedOutput()
		if err != nil || strings.Count(string(out), "started") != 3 {
			t.Errorf("etcdctl %s --discovery-srv: %v\n%s", version, err, out)
		}
	}
}

// TestEtcdsOwnDiscoverySRV: two etcds use --discovery-srv themselves, and one of
// them is found by the records that quorate reads. One set of records is right
// for both: each node's view lists the members that etcd's own discovery made.
func TestEtcdsOwnDiscoverySRV(t *testing.T) {
	server := named.StartAt(t, "127.0.0.1:53", "example.org") // BIND serves no address that no interface has
	conf := resolvConf(t, server)
	r := newRig(t)
	a, b := r.machine("a", 11), r.machine("b", 12)
	for _, h := range []*host{a, b} {
		server.Add(t, "example.org", h.inZone()...)
	}
	for _, h := range []*host{a, b} {
		etcd := resolving(conf, program, "etcd", "--name", h.name, "--data-dir", h.dataDir(), "--discovery-srv", "example.org",
			"--initial-advertise-peer-urls", "http://"+h.name+".example.org:2380", "--advertise-client-urls", "http://"+h.name+".example.org:2379",
			"--listen-peer-urls", h.url(2380), "--listen-client-urls", h.url(2379), "--initial-cluster-token", "t")
		log, err := os.Create(filepath.Join(r.dir, h.name+".log"))
		must(t, err)
		etcd.Stdout, etcd.Stderr = log, log
		etcd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		must(t, etcd.Start())
		log.Close()
		t.Cleanup(func() {
			_ = etcd.Process.Kill()
			_ = etcd.Wait() // killed, it says its error
		})
	}
	client := r.client("a", "b")
	r.eventually(40*time.Second, "two members by etcd's own discovery", func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		list, err := client.MemberList(ctx)
		if err == nil && len(list.Members) != 2 {
			err = fmt.Errorf("%v", list.Members)
		}
		return err
	})
	// An agent that knows only the zone sees that same cluster.
	c := r.machine("c", 13)
	server.Add(t, "example.org", c.inZone()...)
	r.peers = "dns+srv://example.org?size=3"
	explain := resolving(conf, program, append([]string{"explain"}, append(c.args("--look", "2s"), "--host", "c.example.org", "--listen-host", c.addr)...)...)
	out, err := explain.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "an etcd answers at a peer whose agent does not: adopt it first") {
		t.Error(errors.Join(err, errors.New(string(out))))
	}
}

// TestJoinByPublished: what a cluster's keeper publishes is enough for a new
// machine, and for `quorate status`, to find that cluster.
func TestJoinByPublished(t *testing.T) {
	t.Parallel()
	server, url := bind(t, "&ttl=3")
	r := newRig(t, "--dns", url, "--size", "4")
	a, b, c := r.trio()
	r.peers = fmt.Sprintf("a=%s,b=%s,c=%s", a.addr, b.addr, c.addr) // a file would prove that there is no d
	for _, n := range []string{"a", "b", "c"} {
		r.nodes[n].start("--founding-wait", "1s")
	}
	r.voters(60*time.Second, "a", "b", "c")
	r.shows(20*time.Second, server, "a", "b", "c")
	zone := "dns+srv://example.org?host=address&server=" + server.Addr
	d := r.machine("d", 14)
	d.start("--peers", zone)
	r.voters(60*time.Second, "a", "b", "c", "d")
	r.shows(20*time.Second, server, "a", "b", "c", "d")
	if out, stderr, code := r.quorate("status", "--peers", zone); code != 0 || !strings.Contains(out, "voters 4/4 healthy") {
		t.Errorf("status: %d %q %q", code, out, stderr)
	}
}

// TestOwnNameByDNS: a node without --name and --host finds both by the one
// target that has an address of this machine.
func TestOwnNameByDNS(t *testing.T) {
	t.Parallel()
	server := named.Start(t, "example.org")
	r := newRig(t)
	server.Add(t, "example.org", "_etcd-server._tcp.example.org. 60 IN SRV 0 0 2380 here.example.org.", "here.example.org. 60 IN A 127.0.0.1",
		"_etcd-server._tcp.example.org. 60 IN SRV 0 0 2380 far.example.org.", "far.example.org. 60 IN A 192.0.2.1")
	for options, want := range map[string]string{"": "http://here.example.org:2380", "&host=address": "http://127.0.0.1:2380"} {
		out, stderr, code := r.quorate("explain", "-o", "json", "--look", "100ms", "--data-dir", t.TempDir(), "--peers", "dns+srv://example.org?server="+server.Addr+options)
		if code != 0 || !strings.Contains(out, `"here"`) || !strings.Contains(out, want) {
			t.Errorf("%d %q, want %s\n%s", code, stderr, want, out)
		}
	}
}
