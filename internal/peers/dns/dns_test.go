package dns

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/clustertest/named"
	"github.com/quorate/quorate/internal/peers/entry"
	"github.com/quorate/quorate/internal/peers/peerstest"
)

var usual = entry.Ports{Client: 2379, Peer: 2380, Agent: 2378}

const zone = "example.org"

// node are the records of a member.
func node(service, name, addr string) []string {
	return []string{
		fmt.Sprintf("%s._tcp.example.org. 60 IN SRV 0 0 2380 %s.example.org.", service, name),
		fmt.Sprintf("%s.example.org. 60 IN A %s", name, addr),
	}
}

func peer(name, host string) cluster.Peer {
	return cluster.Peer{ID: name, Name: name, Host: host, State: cluster.Running, ClientPort: 2379, PeerPort: 2380, AgentPort: 2378}
}

func open(t *testing.T, raw string) *Source {
	t.Helper()
	s, err := Open(raw, usual)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestContract(t *testing.T) {
	server := named.Start(t, zone)
	for name, addr := range map[string]string{"a": "127.0.0.11", "b": "127.0.0.12", "c": "127.0.0.13"} {
		server.Add(t, zone, node("_etcd-server", name, addr)...)
		server.Add(t, zone, node("_etcd-server-ssl-prod", "ssl-"+name, addr)...)
	}
	server.Add(t, zone, "six.example.org. 60 IN AAAA 2001:db8::1", "ALIAS.example.org. 60 IN CNAME six.example.org.",
		"_etcd-server-mixed._tcp.example.org. 60 IN SRV 0 0 2380 ALIAS.Example.org.",
		"_etcd-server-mixed._tcp.example.org. 60 IN SRV 9 9 2380 alias.example.org.",
		"_etcd-server-mixed._tcp.example.org. 60 IN SRV 0 0 12380 ns.example.org.",
		"_etcd-server-half._tcp.example.org. 60 IN SRV 0 0 2380 gone.example.org.",
		"_etcd-server-half._tcp.example.org. 60 IN SRV 0 0 2380 a.example.org.")
	at := "&every=0s&server=" + server.Addr
	ns := peer("ns", "ns.example.org")
	ns.PeerPort = 12380
	for raw, want := range map[string]cluster.View{
		"dns+srv://example.org?size=3": {Gathers: true, Size: 3, Peers: []cluster.Peer{
			peer("a", "a.example.org"), peer("b", "b.example.org"), peer("c", "c.example.org")}},
		"dns+srv://Example.ORG.?host=address": {Gathers: true, Peers: []cluster.Peer{
			peer("a", "127.0.0.11"), peer("b", "127.0.0.12"), peer("c", "127.0.0.13")}},
		"dns+srv://example.org?name=prod": {Gathers: true, Peers: []cluster.Peer{
			peer("ssl-a", "ssl-a.example.org"), peer("ssl-b", "ssl-b.example.org"), peer("ssl-c", "ssl-c.example.org")}},
		"dns+srv://example.org?name=half": {Gathers: true, Peers: []cluster.Peer{ // a stale name does not answer, and keeps nobody out
			peer("a", "a.example.org"), peer("gone", "gone.example.org")}},
		"dns+srv://example.org?name=half&host=address&size=2": {Gathers: true, Size: 2, Peers: []cluster.Peer{peer("a", "127.0.0.11")}},
		"dns+srv://example.org?name=mixed&ssl=false":          {Gathers: true, Peers: []cluster.Peer{peer("alias", "alias.example.org"), ns}},
	} {
		t.Run(raw, func(t *testing.T) {
			sep := at
			if !strings.Contains(raw, "?") {
				sep = "?" + at[1:]
			}
			peerstest.Run(t, peerstest.Leaf{Source: open(t, raw+sep), Want: want,
				Break: func() { server.Pause(t) }, Mend: func() { server.Resume(t) }})
		})
	}
}

// TestUnknown: everything that is not a whole answer is no view.
func TestUnknown(t *testing.T) {
	server := named.Start(t, zone, "empty.test")
	server.Add(t, zone,
		"_etcd-server-half._tcp.example.org. 60 IN SRV 0 0 2380 ns.example.org.",
		"_etcd-server-half._tcp.example.org. 60 IN SRV 0 0 2380 later.example.org.",
		"_etcd-server-stale._tcp.example.org. 60 IN SRV 0 0 2380 later.example.org.",
		"_etcd-server-none._tcp.example.org. 60 IN SRV 0 0 0 .",
		"_etcd-server-port._tcp.example.org. 60 IN SRV 0 0 0 ns.example.org.",
		"_etcd-server-txt._tcp.example.org. 60 IN TXT x",
		"_etcd-server-ssl-mix._tcp.example.org. 60 IN SRV 0 0 0 ns.example.org.",
		"_etcd-server-mix._tcp.example.org. 60 IN SRV 0 0 2380 ns.example.org.",
		"_etcd-server-twin._tcp.example.org. 60 IN SRV 0 0 2380 ns.example.org.",
		"_etcd-server-twin._tcp.example.org. 60 IN SRV 0 0 2381 ns.example.org.",
		"_etcd-server-two._tcp.example.org. 60 IN SRV 0 0 2380 two.example.org.",
		"two.example.org. 60 IN A 127.0.0.1", "two.example.org. 60 IN A 127.0.0.2",
		"loop1.example.org. 60 IN CNAME loop2.example.org.", "loop2.example.org. 60 IN CNAME loop1.example.org.",
		"_etcd-server-loop._tcp.example.org. 60 IN SRV 0 0 2380 loop1.example.org.",
		"_etcd-server-out._tcp.example.org. 60 IN SRV 0 0 2380 a.elsewhere.test.",
	)
	silent, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { silent.Close() })
	at := "server=" + server.Addr
	for options, want := range map[string]string{
		"name=absent&" + at:                         "NXDOMAIN",
		"name=stale&" + at:                          "target later.example.org has no address, nor has any other",
		"name=none&" + at:                           "no record",
		"name=port&" + at:                           "ns.example.org has port 0",
		"name=mix&" + at:                            "ns.example.org has port 0", // and not the plain set
		"name=txt&" + at:                            "no record",
		"name=twin&" + at:                           "name ns: given twice",
		"name=two&host=address&" + at:               "has 2 addresses",
		"name=loop&" + at:                           "loop1.example.org",
		"name=out&" + at:                            "REFUSED",
		"ssl=true&name=half&" + at:                  "SRV _etcd-server-ssl-half._tcp.example.org: no record",
		"server=" + silent.LocalAddr().String():     "i/o timeout",
		"server=127.0.0.1:1":                        "refused",
		"name=half&ssl=false&server=no.such.server": "no.such.server",
	} {
		t.Run(options, func(t *testing.T) {
			t.Parallel()
			v, err := open(t, "dns+srv://example.org?"+options).View(t.Context())
			if err == nil || !strings.Contains(err.Error(), want) || v.Peers != nil {
				t.Errorf("got %+v, %v; want %q", v, err, want)
			}
		})
	}
	if v, err := open(t, "dns+srv://elsewhere.test?"+at).View(t.Context()); err == nil || !strings.Contains(err.Error(), "REFUSED") {
		t.Errorf("a zone that it does not serve: %v, %v", v, err)
	}
}

// TestManyRecords: what does not fit a datagram comes by TCP.
func TestManyRecords(t *testing.T) {
	server := named.Start(t, zone)
	for i := range 40 {
		server.Add(t, zone, node("_etcd-server", fmt.Sprintf("a-machine-with-a-long-name-%03d", i), fmt.Sprintf("127.0.1.%d", i+1))...)
	}
	v, err := open(t, "dns+srv://example.org?server="+server.Addr).View(t.Context())
	if err != nil || len(v.Peers) != 40 || v.Peers[39].Name != "a-machine-with-a-long-name-039" {
		t.Errorf("%d peers, %v", len(v.Peers), err)
	}
}

// TestSystemResolver: the first server of resolv.conf is dead, and the second
// remembers that there was nothing. The zone's own server says what there is.
func TestSystemResolver(t *testing.T) {
	zoneServer := named.Start(t, zone)
	caching := named.StartResolver(t, zoneServer)
	_, port, _ := net.SplitHostPort(caching.Addr)
	host, zonePort, _ := net.SplitHostPort(zoneServer.Addr)
	if host != "127.0.0.1" { // what the zone's NS record says
		t.Fatal(zoneServer.Addr)
	}
	s := open(t, "dns+srv://example.org?every=0s")
	s.system = filepath.Join(t.TempDir(), "resolv.conf")
	if err := os.WriteFile(s.system, []byte("search nowhere.test\nnameserver 127.0.0.99\nnameserver 127.0.0.1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ask := func(authority string) (cluster.View, error) {
		r, err := s.resolver()
		if err != nil {
			t.Fatal(err)
		}
		if r.servers[0] != "127.0.0.99:53" || r.servers[1] != "127.0.0.1:53" || r.authority != "53" {
			t.Errorf("%+v", r)
		}
		// The same on ports that need no privilege.
		r.servers, r.authority = []string{"127.0.0.99:" + port, "127.0.0.1:" + port}, authority
		s.direct = time.Time{}
		targets, err := s.targets(t.Context(), r)
		if err != nil {
			return cluster.View{}, err
		}
		for i := range targets {
			if err := r.locate(t.Context(), &targets[i]); err != nil {
				return cluster.View{}, err
			}
		}
		if r.servers[0] != caching.Addr {
			t.Errorf("%s is asked first again", r.servers[0])
		}
		return s.view(targets)
	}
	if v, err := ask(zonePort); err == nil {
		t.Fatalf("%+v", v)
	}
	zoneServer.Add(t, zone, "example.org. 3600 IN SOA ns.example.org. hostmaster.example.org. 99 3600 600 86400 3600")
	if v, err := ask(zonePort); err == nil { // and is remembered for an hour
		t.Fatalf("%+v", v)
	}
	zoneServer.Add(t, zone, node("_etcd-server", "a", "127.0.0.11")...)
	if v, err := ask(""); err == nil {
		t.Fatalf("this tests nothing: the resolver remembers nothing: %+v", v)
	}
	if v, err := ask(zonePort); err != nil || len(v.Peers) != 1 {
		t.Errorf("%+v, %v", v, err)
	}
	if r, _ := s.resolver(); r.authority != "53" {
		t.Error("the zone's own servers are never asked")
	}
	if r, _ := s.resolver(); r.authority != "" {
		t.Error("the zone's own servers are asked twice within a moment")
	}
}

// TestLocal: a machine finds itself by its addresses.
func TestLocal(t *testing.T) {
	server := named.Start(t, zone)
	s := open(t, "dns+srv://example.org?server="+server.Addr)
	server.Add(t, zone, node("_etcd-server", "far", "192.0.2.1")...)
	if p, ok := s.Local(t.Context()); ok {
		t.Errorf("%+v", p)
	}
	server.Add(t, zone, node("_etcd-server", "here", "127.0.0.1")...)
	if p, ok := s.Local(t.Context()); !ok || p != peer("here", "here.example.org") {
		t.Errorf("%+v, %v", p, ok)
	}
	server.Add(t, zone, node("_etcd-server", "too", "127.0.0.1")...)
	if p, ok := s.Local(t.Context()); ok {
		t.Errorf("one of two: %+v", p)
	}
}

func TestRefused(t *testing.T) {
	for raw, want := range map[string]string{
		"dns+srv://":                           "want a domain's name",
		"dns+srv:example.org":                  "want dns+srv://",
		"dns+srv://10.0.0.1":                   "want a domain's name",
		"dns+srv://example.org:53":             "want a domain's name",
		"dns+srv://u:secret@example.org":       "want dns+srv://",
		"dns+srv://example.org/path":           "want dns+srv://",
		"dns+srv://example.org?ssl=yes":        "ssl: want auto, true, false",
		"dns+srv://example.org?host=ip":        "host: want name, address",
		"dns+srv://example.org?size=-1":        "size: want a number",
		"dns+srv://example.org?every=x":        "every: want a time",
		"dns+srv://example.org?server=a/b":     "server: host",
		"dns+srv://example.org?name=a%20b":     "name: want letters",
		"dns+srv://example.org?nmae=x":         `option "nmae"`,
		"dns+srv://exa_mple..org":              "want a domain's name",
		"dns+srv://%zz":                        "want dns+srv://",
		"dns+srv://" + strings.Repeat("a", 70): "want a domain's name",
	} {
		s, err := Open(raw, usual)
		if err == nil || !strings.Contains(err.Error(), want) || s != nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: got %v, want %q", raw, err, want)
		}
	}
}
