package discoveryurl

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/clustertest/etcd34"
	"github.com/quorate/quorate/internal/clustertest/process"
	"github.com/quorate/quorate/internal/peers/entry"
	"github.com/quorate/quorate/internal/peers/peerstest"
)

var usual = entry.Ports{Client: 2379, Peer: 2380, Agent: 2378}

func open(t testing.TB, raw string) *Source {
	t.Helper()
	s, err := Open(raw, usual)
	must(t, err)
	return s
}

// names are a view's names in their order.
func names(v cluster.View) string {
	var out []string
	for _, p := range v.Peers {
		out = append(out, p.Name)
	}
	return strings.Join(out, " ")
}

// contract runs the suite over a service that knows a token of size 2.
func contract(t *testing.T, raw string, breaks, mends func()) {
	s := open(t, raw+"?every=0s")
	if v, err := s.View(t.Context()); err != nil || v.Size != 2 || len(v.Peers) != 0 {
		t.Errorf("nobody has registered: %+v, %v", v, err)
	}
	for _, name := range []string{"z", "a", "m", "z"} { // one more than the size, and one twice
		must(t, s.Register(t.Context(), name, "http://"+name+".example:2380"))
	}
	want, err := s.View(t.Context())
	if err != nil || names(want) != "z a m" {
		t.Fatalf("%+v, %v", want, err)
	}
	for i, name := range []string{"z", "a", "m"} {
		want.Peers[i] = cluster.Peer{ID: name, Name: name, Host: name + ".example", State: cluster.Running, Launched: want.Peers[i].Launched,
			ClientPort: 2379, PeerPort: 2380, AgentPort: 2378}
	}
	peerstest.Run(t, peerstest.Leaf{Source: s, Want: want, Break: breaks, Mend: mends})
}

// TestService: Debian's etcd-discovery, with its etcd 3.4 behind.
func TestService(t *testing.T) {
	raw, service := etcd34.Discovery(t, 2)
	contract(t, raw, func() { process.Pause(t, service) }, func() { process.Resume(t, service) })
	unknown := open(t, raw[:len(raw)-4]+"0000?every=0s")
	if v, err := unknown.View(t.Context()); err == nil || v.Peers != nil || !errors.Is(err, errNoToken) {
		t.Errorf("%+v, %v", v, err)
	}
}

// TestSync: removed members go, new ones come, those that wait to join stay; at
// the service and at the API itself.
func TestSync(t *testing.T) {
	service, _ := etcd34.Discovery(t, 3)
	api := "http://" + etcd34.Start(t) + "/v2/keys/discovery/some-token"
	etcd34.Await(t, strings.Split(api, "/v2")[0]+"/health")
	put(t, api+"/_config/size", "3")
	for name, raw := range map[string]string{"service": service, "keys": api} {
		t.Run(name, func(t *testing.T) {
			s, second := open(t, raw+"?every=0s"), open(t, raw+"?every=0s")
			member := func(name, host string) cluster.Member {
				return cluster.Member{Name: name, PeerURLs: []string{"http://" + host + ":2380"}}
			}
			shows := func(want string) {
				t.Helper()
				if v, err := s.View(t.Context()); err != nil || names(v) != want {
					t.Errorf("%s, %v; want %s", names(v), err, want)
				}
			}
			if _, recorded, err := s.Founders(t.Context()); recorded || err != nil {
				t.Errorf("%v %v", recorded, err)
			}
			for _, n := range []string{"a", "b", "waits"} {
				must(t, s.Register(t.Context(), n, "http://"+n+":2380"))
			}
			must(t, s.Sync(t.Context(), nil)) // no list is no empty list
			first := []cluster.Member{member("a", "a"), member("b", "b"), member("adopted", "adopted"), {PeerURLs: []string{"http://x:2380"}}}
			for _, want := range []bool{false, true} {
				if inStep, err := s.InStep(t.Context(), first); err != nil || inStep != want {
					t.Errorf("in step: %v %v, want %v", inStep, err, want)
				}
				must(t, s.Sync(t.Context(), first))
			}
			shows("a b waits adopted")
			if f, recorded, err := s.Founders(t.Context()); !recorded || err != nil || len(f) != 0 {
				t.Errorf("a running cluster's token founds %v %v %v", f, recorded, err)
			}
			// Another keeper, after the machine of b has gone and one has a new address.
			for range 2 {
				must(t, second.Sync(t.Context(), []cluster.Member{member("a", "a"), member("adopted", "moved")}))
				shows("a waits adopted")
			}
			// b comes back, and waits: a member once is no reason to drop it.
			must(t, s.Register(t.Context(), "b", "http://b:2380"))
			must(t, second.Sync(t.Context(), []cluster.Member{member("a", "a"), member("adopted", "moved")}))
			shows("a waits adopted b")
			must(t, s.SetFounders(t.Context(), []cluster.Founder{{Name: "a", PeerURL: "http://a:2380"}}))
			if f, _, err := s.Founders(t.Context()); err != nil || len(f) != 0 {
				t.Errorf("recorded twice: %v %v", f, err)
			}
			// Notes that another has changed meanwhile are not overwritten.
			b, c, err := s.compare(t.Context(), []cluster.Member{member("a", "a"), member("b", "b")})
			must(t, err)
			must(t, second.Sync(t.Context(), []cluster.Member{member("a", "a"), member("adopted", "moved"), member("waits", "waits")}))
			if err := s.bring(t.Context(), b, c); !errors.Is(err, errDiffers) {
				t.Errorf("an old reading was written: %v", err)
			}
			shows("a waits adopted b")
		})
	}
}

// TestFounders: who founds is recorded once, by whoever is first.
func TestFounders(t *testing.T) {
	raw, _ := etcd34.Discovery(t, 2)
	s := open(t, raw+"?every=0s")
	first := []cluster.Founder{{Name: "a", PeerURL: "http://a:2380"}, {Name: "b", PeerURL: "http://[::1]:2380"}}
	must(t, s.SetFounders(t.Context(), first))
	must(t, s.SetFounders(t.Context(), first[:1]))
	if f, recorded, err := s.Founders(t.Context()); err != nil || !recorded || !slices.Equal(f, first) {
		t.Errorf("%v %v %v", f, recorded, err)
	}
}

// TestKeysAPI: an etcd with the v2 API is such a service.
func TestKeysAPI(t *testing.T) {
	base := "http://" + etcd34.Start(t) + "/v2/keys/discovery/some-token"
	etcd34.Await(t, strings.Split(base, "/v2")[0]+"/health")
	s := open(t, base)
	if _, err := s.View(t.Context()); !errors.Is(err, errNoToken) || strings.Contains(err.Error(), "some-token") {
		t.Errorf("%v", err)
	}
	put(t, base+"/_config/size", "2")
	contract(t, base, nil, nil)
}

// TestWithEtcdsOwn: an etcd 3.4 that uses --discovery itself and one of ours
// find each other.
func TestWithEtcdsOwn(t *testing.T) {
	raw, _ := etcd34.Discovery(t, 2)
	etcd34.Start(t, "--name", "theirs", "--discovery", raw)
	s := open(t, raw+"?every=0s")
	eventually(t, func() error {
		if v, err := s.View(t.Context()); err != nil || names(v) != "theirs" {
			return fmt.Errorf("%+v, %v", v, err)
		}
		return nil
	})
	peer := process.FreeAddrAt(t, 1)
	must(t, s.Register(t.Context(), "ours", "http://"+peer))
	v, err := s.View(t.Context())
	if err != nil || names(v) != "theirs ours" {
		t.Fatalf("%+v, %v", v, err)
	}
	var initial []string
	for _, p := range v.Peers {
		initial = append(initial, p.Name+"="+p.PeerURL("http"))
	}
	client := etcd34.Start(t, "--name", "ours", "--listen-peer-urls", "http://"+peer, "--initial-advertise-peer-urls", "http://"+peer,
		"--initial-cluster", strings.Join(initial, ","), "--initial-cluster-token", raw)
	eventually(t, func() error {
		list, err := etcd34.Get("http://" + client + "/v2/members")
		if err == nil && (!strings.Contains(list, `"theirs"`) || !strings.Contains(list, `"ours"`) || strings.Contains(list, `"clientURLs":[]`)) {
			err = errors.New(list)
		}
		return err
	})
}

// TestUnknown: everything that is not a whole answer is no view, and no error
// shows the token.
func TestUnknown(t *testing.T) {
	for name, row := range map[string]struct {
		size, list, want string
		status           int
	}{
		"garbage":        {"<html>", "", "no JSON", 200},
		"no node":        {"{}", "", "without a node", 200},
		"a bad size":     {`{"node":{"value":"x"}}`, "", "size", 200},
		"no directory":   {`{"node":{"value":"3"}}`, `{"node":{"key":"/secret-token","value":"x"}}`, "without a directory", 200},
		"null":           {`{"node":{"value":"3"}}`, `{"node":{"dir":true,"nodes":[null]}}`, "an empty node", 200},
		"a bad entry":    {`{"node":{"value":"3"}}`, `{"node":{"dir":true,"nodes":[{"key":"/t/1","value":"x"}]}}`, `registration "1"`, 200},
		"a failure":      {`{"errorCode":300,"cause":"/secret-token"}`, "", "500 Internal Server Error", 500},
		"another error":  {`{"errorCode":300,"cause":"/secret-token"}`, "", "error 300", 200},
		"no such key":    {`{"errorCode":100,"cause":"/secret-token"}`, "", "no such token", 404},
		"an endless one": {strings.Repeat(" ", limit+2), "", "more than", 200},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.WriteHeader(row.status)
				if strings.HasSuffix(r.URL.Path, "/_config/size") {
					fmt.Fprint(w, row.size)
				} else {
					fmt.Fprint(w, row.list)
				}
			}))
			defer server.Close()
			v, err := open(t, server.URL+"/secret-token").View(t.Context())
			if err == nil || v.Peers != nil || !strings.Contains(err.Error(), row.want) || strings.Contains(err.Error(), "secret") {
				t.Errorf("%+v, %v; want %q", v, err, row.want)
			}
		})
	}
	_, err := open(t, "http://"+process.FreeAddr(t)+"/secret-token").View(t.Context())
	if err == nil || strings.Contains(err.Error(), "secret") || !strings.Contains(err.Error(), "refused") {
		t.Errorf("%v", err)
	}
}

// TestUnlike: with registrations that cannot found together there is no view,
// until it is recorded who founds; and nobody registers at another's address.
func TestUnlike(t *testing.T) {
	raw, _ := etcd34.Discovery(t, 2)
	ports := usual
	ports.Scheme = "http"
	s, err := Open(raw+"?every=0s", ports)
	must(t, err)
	must(t, s.Register(t.Context(), "a", "http://a:2380"))
	if err := s.Register(t.Context(), "a2", "http://a:2380"); err == nil || !strings.Contains(err.Error(), `calls the machine at http://a:2380 "a", not "a2"`) {
		t.Errorf("a second name at one address: %v", err)
	}
	must(t, s.Register(t.Context(), "b", "https://b:2380"))
	if v, err := s.View(t.Context()); err == nil || v.Peers != nil || !strings.Contains(err.Error(), `of "b": its peer URL is https://b:2380`) {
		t.Errorf("%+v, %v", v, err)
	}
	members := []cluster.Member{{Name: "a", PeerURLs: []string{"http://a:2380"}}, {Name: "b", PeerURLs: []string{"https://b:2380"}}}
	must(t, s.Sync(t.Context(), members)) // a cluster runs
	if v, err := s.View(t.Context()); err != nil || names(v) != "a b" {
		t.Errorf("%+v, %v", v, err)
	}
	must(t, s.Register(t.Context(), "a2", "http://a:2380")) // a machine follows one that was a member
}

// TestMark: a mark that is not there is so by the service's own word; a page of
// anybody's that says 404 leaves it unknown, for a lost disk would seem new.
func TestMark(t *testing.T) {
	token, _ := etcd34.Discovery(t, 3)
	s := open(t, token)
	for _, want := range []string{"", "one", "two"} {
		if want != "" {
			must(t, s.SetMark(t.Context(), "a", "http://h:1", want))
		}
		if got, err := s.Mark(t.Context(), "a", "http://h:1"); err != nil || got != want {
			t.Errorf("%q, %v; want %q", got, err, want)
		}
	}
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	if got, err := open(t, server.URL+"/secret-token").Mark(t.Context(), "a", "http://h:1"); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("%q, %v; want an error", got, err)
	}
}

func TestRefused(t *testing.T) {
	for raw, want := range map[string]string{
		"https://":                 "want https://host/TOKEN",
		"https://h":                "want https://host/TOKEN",
		"https://h/":               "want https://host/TOKEN",
		"https://u:secret@h/t":     "without a user",
		"https://h/t#x":            "want https://host/TOKEN",
		"https://h/t?cert=x":       "cert: want cert= and key= together",
		"http://h/t?cacert=x":      "cacert: want https",
		"https://h/t?token=secret": `option "token"`,
		"https://h/%zz":            "want https://host/TOKEN",
		"ftp://h/t":                "want https://host/TOKEN",
		"https://h/t?every=secret": "every: want a time",
	} {
		s, err := Open(raw, usual)
		if err == nil || !strings.Contains(err.Error(), want) || s != nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: got %v, want %q", raw, err, want)
		}
	}
}

func FuzzRead(f *testing.F) {
	for _, seed := range []string{"", "{}", `{"node":{"dir":true,"nodes":[{"key":"/t/1","value":"a=http://h:1","createdIndex":3}]}}`,
		`{"node":{"dir":true,"nodes":[null]}}`, `{"errorCode":105}`, `{"errorCode":101,"cause":"[s3cr3t != x]"}`, `{"errorCode":300,"message":"s3cr3t","cause":"/s3cr3t"}`, `s3cr3t`, `{"node":{"nodes":[{"dir":true}]}}`, `[]`} {
		f.Add(200, []byte(seed))
	}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		a, err := read(status, body)
		if err != nil {
			if strings.Contains(err.Error(), "s3cr3t") {
				t.Fatalf("%d %s: %v", status, body, err)
			}
			return
		}
		if status != 200 && status != 201 {
			t.Fatalf("status %d is no error", status)
		}
		entries, err := a.entries()
		if err == nil && len(entries) > len(a.Node.Nodes) {
			t.Fatalf("%v of %s", entries, body)
		}
	})
}
