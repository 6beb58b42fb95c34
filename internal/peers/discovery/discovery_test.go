package discovery

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/clustertest/process"
	"github.com/quorate/quorate/internal/peers/entry"
	"github.com/quorate/quorate/internal/peers/peerstest"
	"github.com/quorate/quorate/internal/peers/registry"
)

var usual = entry.Ports{Client: 2379, Peer: 2380, Agent: 2378}

func open(t testing.TB, raw string) *Source {
	t.Helper()
	s, err := Open(raw, usual)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// token makes a token of that size, and opens it.
func token(t testing.TB, addr string, size int) (*Source, string) {
	t.Helper()
	raw, err := New(t.Context(), "etcd://"+addr+"?every=0s", size)
	if err != nil {
		t.Fatal(err)
	}
	return open(t, raw), raw
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func names(t testing.TB, s *Source) string {
	t.Helper()
	v, err := s.View(t.Context())
	must(t, err)
	var out []string
	for _, p := range v.Peers {
		out = append(out, p.Name+"="+p.PeerURL("http"))
	}
	return strings.Join(out, ",")
}

func TestContract(t *testing.T) {
	addr, server := startRegistry(t)
	c := client(t, clientv3.Config{Endpoints: []string{addr}})
	s, raw := token(t, addr, 2)
	if !strings.HasPrefix(raw, "etcd://"+addr+"/") || !strings.HasSuffix(raw, "?every=0s") || len(s.token) != 32 {
		t.Errorf("%q", raw)
	}
	if v, err := s.View(t.Context()); err != nil || v.Size != 2 || len(v.Peers) != 0 {
		t.Errorf("nobody has registered: %+v, %v", v, err)
	}
	var want cluster.View
	for _, name := range []string{"z", "a", "m"} { // one more than the size: it joins later
		must(t, s.Register(t.Context(), name, "http://"+name+".example:2380"))
		kvs, err := c.Get(t.Context(), root+s.token+membersKey, clientv3.WithPrefix())
		must(t, err)
		order := slices.MaxFunc(kvs.Kvs, func(a, b *kv) int { return int(a.CreateRevision - b.CreateRevision) }).CreateRevision
		want.Peers = append(want.Peers, cluster.Peer{ID: name, Name: name, Host: name + ".example", State: cluster.Running,
			Launched: time.Unix(order, 0).UTC(), ClientPort: 2379, PeerPort: 2380, AgentPort: 2378})
	}
	must(t, s.Register(t.Context(), "z", "http://z.example:2380")) // again: keeps its place
	want.Gathers, want.Size = true, 2
	peerstest.Run(t, peerstest.Leaf{Source: s, Want: want,
		Break: func() { process.Pause(t, server) }, Mend: func() { process.Resume(t, server) }})
	dead := open(t, strings.Replace(raw, addr, process.FreeAddr(t)+","+addr, 1))
	if got := names(t, dead); got != names(t, s) {
		t.Errorf("with one dead host: %s", got)
	}
}

// TestUnlike: with registrations that cannot found together there is no view,
// until it is recorded who founds; and nobody registers at another's address.
func TestUnlike(t *testing.T) {
	addr, _ := startRegistry(t)
	client(t, clientv3.Config{Endpoints: []string{addr}})
	lenient, raw := token(t, addr, 2)
	ports := usual
	ports.Scheme = "http"
	s, err := Open(raw, ports)
	must(t, err)
	must(t, s.Register(t.Context(), "a", "http://a:2380"))
	if err := s.Register(t.Context(), "a2", "http://a:2380"); err == nil || !strings.Contains(err.Error(), `calls the machine at http://a:2380 "a", not "a2"`) {
		t.Errorf("a second name at one address: %v", err)
	}
	must(t, s.Register(t.Context(), "b", "https://b:2380"))
	if v, err := s.View(t.Context()); err == nil || v.Peers != nil || !strings.Contains(err.Error(), `of "b": its peer URL is https://b:2380`) {
		t.Errorf("%+v, %v", v, err)
	}
	if got := names(t, lenient); got != "a=http://a:2380,b=http://b:2380" {
		t.Errorf("who knows no scheme sees %s", got)
	}
	members := []cluster.Member{{Name: "a", PeerURLs: []string{"http://a:2380"}}, {Name: "b", PeerURLs: []string{"https://b:2380"}}}
	must(t, s.Sync(t.Context(), members)) // a cluster runs
	if v, err := s.View(t.Context()); err != nil || len(v.Peers) != 2 {
		t.Errorf("%+v, %v", v, err)
	}
	must(t, s.Register(t.Context(), "a2", "http://a:2380")) // a machine follows one that was a member
}

// TestUnknownToken: nothing is read, and nothing written, below a token that
// nobody made.
func TestUnknownToken(t *testing.T) {
	addr, _ := startRegistry(t)
	c := client(t, clientv3.Config{Endpoints: []string{addr}})
	s := open(t, "etcd://"+addr+"/not-made")
	_, err := s.View(t.Context())
	for _, err := range []error{err, s.Register(t.Context(), "a", "http://a:1"), s.Sync(t.Context(), []cluster.Member{{Name: "a", PeerURLs: []string{"http://a:1"}}})} {
		if !errors.Is(err, errNoToken) {
			t.Errorf("%v", err)
		}
	}
	if got, err := c.Get(t.Context(), root, clientv3.WithPrefix()); err != nil || got.Count != 0 {
		t.Errorf("%v, %v", got, err)
	}
	_, err = c.Put(t.Context(), root+"not-made"+sizeKey, "three")
	must(t, err)
	if v, err := s.View(t.Context()); err == nil || !strings.Contains(err.Error(), `"three"`) {
		t.Errorf("%+v, %v", v, err)
	}
}

// TestSync: removed members go, new ones come, those that wait to join stay.
func TestSync(t *testing.T) {
	addr, _ := startRegistry(t)
	client(t, clientv3.Config{Endpoints: []string{addr}})
	s, _ := token(t, addr, 3)
	member := func(name string) cluster.Member {
		return cluster.Member{Name: name, PeerURLs: []string{"http://" + name + ":2380"}}
	}
	for _, n := range []string{"a", "b", "waits"} {
		must(t, s.Register(t.Context(), n, "http://"+n+":2380"))
	}
	must(t, s.Sync(t.Context(), nil)) // no list is no empty list
	must(t, s.Sync(t.Context(), []cluster.Member{member("a"), member("b"), member("adopted"), {PeerURLs: []string{"http://x:2380"}}}))
	if got, want := names(t, s), "a=http://a:2380,b=http://b:2380,waits=http://waits:2380,adopted=http://adopted:2380"; got != want {
		t.Errorf("got %s", got)
	}
	// Another keeper, after the machine of b is gone and one has a new address.
	s2 := open(t, "etcd://"+addr+"/"+s.token+"?every=0s")
	moved := cluster.Member{Name: "adopted", PeerURLs: []string{"http://moved:2380"}}
	for range 2 {
		must(t, s2.Sync(t.Context(), []cluster.Member{member("a"), moved}))
		if got, want := names(t, s), "a=http://a:2380,waits=http://waits:2380,adopted=http://moved:2380"; got != want {
			t.Errorf("got %s", got)
		}
	}
	must(t, s2.Sync(t.Context(), nil)) // nor is it now, when all have been noted
	b, err := s.read(t.Context())
	must(t, err)
	if len(b.entries) != 3 || len(b.noted) != 2 {
		t.Errorf("notes %v", b.noted)
	}
	must(t, s.Register(t.Context(), "later", "http://later:2380"))
	if err := s.write(t.Context(), registry.Changes{Drop: []string{b.entries[0].ID}}, b); err == nil || !strings.Contains(names(t, s), "a=") {
		t.Errorf("an old reading was written: %v", err)
	}
}

// TestFounders: who founds is recorded once, by whoever is first, and a cluster
// that was founded otherwise leaves nobody to found.
func TestFounders(t *testing.T) {
	addr, _ := startRegistry(t)
	client(t, clientv3.Config{Endpoints: []string{addr}})
	s, _ := token(t, addr, 2)
	if f, recorded, err := s.Founders(t.Context()); err != nil || recorded || f != nil {
		t.Errorf("%v %v %v", f, recorded, err)
	}
	first := []cluster.Founder{{Name: "a", PeerURL: "http://a:2380"}, {Name: "b", PeerURL: "http://[::1]:2380"}}
	must(t, s.SetFounders(t.Context(), first))
	must(t, s.SetFounders(t.Context(), first[:1]))
	must(t, s.Sync(t.Context(), []cluster.Member{{Name: "z", PeerURLs: []string{"http://z:2380"}}}))
	if f, recorded, err := s.Founders(t.Context()); err != nil || !recorded || !slices.Equal(f, first) {
		t.Errorf("%v %v %v", f, recorded, err)
	}
	other, _ := token(t, addr, 2)
	members := []cluster.Member{{Name: "z", PeerURLs: []string{"http://z:2380"}}}
	for _, want := range []bool{false, true} {
		if inStep, err := other.InStep(t.Context(), members); err != nil || inStep != want {
			t.Errorf("in step: %v %v, want %v", inStep, err, want)
		}
		must(t, other.Sync(t.Context(), members))
	}
	must(t, other.SetFounders(t.Context(), first))
	if f, recorded, err := other.Founders(t.Context()); err != nil || !recorded || len(f) != 0 {
		t.Errorf("a running cluster's token founds %v %v %v", f, recorded, err)
	}
}

// TestSecured: TLS with certificates of both sides, and a user.
func TestSecured(t *testing.T) {
	addr, peer := process.FreeAddr(t), process.FreeAddr(t)
	host, _, _ := strings.Cut(addr, ":")
	cert, key := selfSigned(t, host)
	start(t, "--listen-client-urls", "https://"+addr, "--advertise-client-urls", "https://"+addr, "--listen-peer-urls", "http://"+peer,
		"--initial-advertise-peer-urls", "http://"+peer, "--initial-cluster", "default=http://"+peer,
		"--cert-file", cert, "--key-file", key, "--trusted-ca-file", cert, "--client-cert-auth", "--bcrypt-cost", "4")
	options := "?every=0s&cacert=" + cert + "&cert=" + cert + "&key=" + key
	at, _, _, err := parse("etcd://" + addr + options)
	must(t, err)
	cfg, err := at.config(t.Context())
	must(t, err)
	cfg.Context = nil
	c := client(t, cfg)
	_, err = c.UserAdd(t.Context(), "root", "hunter22")
	must(t, err)
	_, err = c.UserGrantRole(t.Context(), "root", "root")
	must(t, err)
	_, err = c.AuthEnable(t.Context())
	must(t, err)
	password := filepath.Join(t.TempDir(), "password")
	must(t, os.WriteFile(password, []byte("hunter22\n"), 0o600))
	raw, err := New(t.Context(), "etcd://"+addr+options+"&user=root&password-file="+password, 1)
	must(t, err)
	s := open(t, raw)
	must(t, s.Register(t.Context(), "a", "https://a:2380"))
	if got := names(t, s); got != "a=http://a:2380" {
		t.Error(got)
	}
	must(t, os.WriteFile(password, []byte("wrong-one\n"), 0o600))
	_, err = s.View(t.Context())
	if err == nil || strings.Contains(err.Error(), "wrong-one") || strings.Contains(err.Error(), s.token) {
		t.Errorf("%v", err)
	}
	must(t, os.Remove(password))
	if _, err = s.View(t.Context()); err == nil || !strings.Contains(err.Error(), "reading password-file") {
		t.Errorf("%v", err)
	}
	// Without the certificate nobody is let in.
	if _, err := open(t, "etcd://"+addr+"/"+s.token+"?cacert="+cert).View(t.Context()); err == nil {
		t.Error("let in without a certificate")
	}
}

// TestWithEtcdsOwn: two etcds find each other by etcd's own --discovery-token,
// and the third member is one of ours, in the same registry.
func TestWithEtcdsOwn(t *testing.T) {
	addr, _ := startRegistry(t)
	client(t, clientv3.Config{Endpoints: []string{addr}})
	s, _ := token(t, addr, 3)
	node := func(i int) (flags []string, client, peer string) {
		client, peer = process.FreeAddrAt(t, 1+i), process.FreeAddrAt(t, 1+i)
		return []string{"--name", fmt.Sprint("n", i), "--listen-client-urls", "http://" + client, "--advertise-client-urls", "http://" + client,
			"--listen-peer-urls", "http://" + peer, "--initial-advertise-peer-urls", "http://" + peer}, client, peer
	}
	for i := range 2 {
		flags, _, _ := node(i)
		start(t, append(flags, "--discovery-token", s.token, "--discovery-endpoints", "http://"+addr)...)
	}
	flags, ours, peer := node(2)
	eventually(t, func() error { // those two are the first, as in life
		if v, err := s.View(t.Context()); err != nil || len(v.Peers) != 2 {
			return fmt.Errorf("%+v, %v", v, err)
		}
		return nil
	})
	must(t, s.Register(t.Context(), "n2", "http://"+peer))
	v, err := s.View(t.Context())
	must(t, err)
	if len(v.Peers) != v.Size || v.Peers[2].Name != "n2" {
		t.Fatalf("%+v", v)
	}
	start(t, append(flags, "--initial-cluster", names(t, s), "--initial-cluster-token", s.token)...)
	c := client(t, clientv3.Config{Endpoints: []string{ours}})
	eventually(t, func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		list, err := c.MemberList(ctx)
		if err != nil || len(list.Members) != 3 || slices.ContainsFunc(list.Members, func(m *member) bool { return m.Name == "" }) {
			return fmt.Errorf("%v, %v", list, err)
		}
		return nil
	})
}

// TestConcurrentFirst: of those that register at once each has its own place.
func TestConcurrentFirst(t *testing.T) {
	addr, _ := startRegistry(t)
	client(t, clientv3.Config{Endpoints: []string{addr}})
	s, _ := token(t, addr, 3)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			if err := s.Register(t.Context(), fmt.Sprint("n", i), fmt.Sprintf("http://h%d:2380", i)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	v, err := s.View(t.Context())
	if err != nil || len(v.Peers) != 8 || v.Size != 3 {
		t.Errorf("%+v, %v", v, err)
	}
	for i := 1; i < len(v.Peers); i++ {
		if !v.Peers[i-1].Launched.Before(v.Peers[i].Launched) {
			t.Errorf("one place for two: %+v", v.Peers)
		}
	}
}

func TestRefused(t *testing.T) {
	for raw, want := range map[string]string{
		"etcd://h:2379":                      "want a token",
		"etcd://h:2379/":                     "want a token",
		"etcd://h:2379/a/b":                  "want a token",
		"etcd:///token":                      "missing host",
		"etcd://h:x/token":                   "port",
		"etcd://h,,i/token":                  "missing host",
		"etcd://u:secret@h:2379/token":       "user= and password-file=",
		"etcd://h/token?password=secret":     `option "password"`,
		"etcd://h/token?user=u":              "user: want user= and password-file= together",
		"etcd://h/token?cert=c":              "cert: want cert= and key= together",
		"etcd://h/token?every=secret":        "every: want a time",
		"http://h/token":                     "want etcd://",
		"etcd://h:70000/token":               "port",
		"etcd://h/token?every=1s&every=2s&x": "every: given 2 times",
	} {
		s, err := Open(raw, usual)
		if err == nil || !strings.Contains(err.Error(), want) || s != nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: got %v, want %q", raw, err, want)
		}
	}
	for _, raw := range []string{"etcd://h/t", "etcd://h:1,[::1]:2,10.0.0.1/t?tls=true"} {
		if _, err := Open(raw, usual); err != nil {
			t.Errorf("%q: %v", raw, err)
		}
	}
	for raw, size := range map[string]int{"etcd://h/token": 3, "etcd://h": 0, "x": 3} {
		if got, err := New(t.Context(), raw, size); err == nil || got != "" {
			t.Errorf("%q, %d: %q, %v", raw, size, got, err)
		}
	}
}

// FuzzOpen: a source's text makes a whole source or an error that keeps to
// itself what it read.
func FuzzOpen(f *testing.F) {
	for _, seed := range []string{"etcd://h:2379/token", "etcd://h,[::1]:1/t?tls=true&every=1s", "etcd://u:p@h/t", "etcd:///", "etcd://h/t?%", "etcd://h/t?user=u&password-file=f", "x", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		s, err := Open(raw, usual)
		if err != nil {
			return
		}
		if len(s.at.hosts) == 0 || !tokenForm.MatchString(s.token) || (s.at.user == "") != (s.at.passwordFile == "") {
			t.Fatalf("%q: %+v", raw, s.at)
		}
		for _, h := range s.at.hosts {
			if again, err := endpoint(h); err != nil || again != h {
				t.Fatalf("%q: host %q, again %q, %v", raw, h, again, err)
			}
		}
	})
}
