package discoveryurl

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"

	"github.com/quorate/quorate/internal/cluster"
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
	raw, cmd := startService(t, 2)
	contract(t, raw, func() { must(t, cmd.Process.Signal(syscall.SIGSTOP)) }, func() { must(t, cmd.Process.Signal(syscall.SIGCONT)) })
	unknown := open(t, raw[:len(raw)-4]+"0000?every=0s")
	if v, err := unknown.View(t.Context()); err == nil || v.Peers != nil || !errors.Is(err, errNoToken) {
		t.Errorf("%+v, %v", v, err)
	}
}

// TestKeysAPI: an etcd with the v2 API is such a service.
func TestKeysAPI(t *testing.T) {
	base := "http://" + startEtcd(t) + "/v2/keys/discovery/some-token"
	eventually(t, func() error { _, err := get(strings.Split(base, "/v2")[0] + "/health"); return err })
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
	raw, _ := startService(t, 2)
	startEtcd(t, "--name", "theirs", "--discovery", raw)
	s := open(t, raw+"?every=0s")
	eventually(t, func() error {
		if v, err := s.View(t.Context()); err != nil || names(v) != "theirs" {
			return fmt.Errorf("%+v, %v", v, err)
		}
		return nil
	})
	peer := freeAt(t, "127.0.27.99")
	must(t, s.Register(t.Context(), "ours", "http://"+peer))
	v, err := s.View(t.Context())
	if err != nil || names(v) != "theirs ours" {
		t.Fatalf("%+v, %v", v, err)
	}
	var initial []string
	for _, p := range v.Peers {
		initial = append(initial, p.Name+"="+p.PeerURL("http"))
	}
	client := startEtcd(t, "--name", "ours", "--listen-peer-urls", "http://"+peer, "--initial-advertise-peer-urls", "http://"+peer,
		"--initial-cluster", strings.Join(initial, ","), "--initial-cluster-token", raw)
	eventually(t, func() error {
		list, err := get("http://" + client + "/v2/members")
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
	_, err := open(t, "http://"+freePort(t)+"/secret-token").View(t.Context())
	if err == nil || strings.Contains(err.Error(), "secret") || !strings.Contains(err.Error(), "refused") {
		t.Errorf("%v", err)
	}
}

// TestMark: a mark that is not there is so by the service's own word; a page of
// anybody's that says 404 leaves it unknown, for a lost disk would seem new.
func TestMark(t *testing.T) {
	token, _ := startService(t, 3)
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
		`{"node":{"dir":true,"nodes":[null]}}`, `{"errorCode":105}`, `{"node":{"nodes":[{"dir":true}]}}`, `[]`} {
		f.Add(200, []byte(seed))
	}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		a, err := read(status, body)
		if err != nil {
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
