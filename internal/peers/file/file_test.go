package file

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/peers/entry"
	"github.com/quorate/quorate/internal/peers/peerstest"
)

var usual = entry.Ports{Client: 2379, Peer: 2380, Agent: 2378}

const group = `# the group
- {name: b, host: 127.0.0.12}
- name: a
  host: 127.0.0.11
  id: i-1
  zone: z
  region: r
  state: terminating
  launched: 2026-01-02T03:04:05Z
  client_port: 1
  peer_port: 2
  agent_port: 3
`

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func open(t *testing.T, path string) *Source {
	t.Helper()
	s, err := Open("file://"+path, usual)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestContract(t *testing.T) {
	path := filepath.Join(t.TempDir(), "peers.yaml")
	write(t, path, group)
	peerstest.Run(t, peerstest.Leaf{
		Source: open(t, path),
		Want: cluster.View{Authoritative: true, Peers: []cluster.Peer{
			{ID: "b", Name: "b", Host: "127.0.0.12", State: cluster.Running, ClientPort: 2379, PeerPort: 2380, AgentPort: 2378},
			{
				ID: "i-1", Name: "a", Host: "127.0.0.11", Zone: "z", Region: "r", State: cluster.Terminating,
				Launched: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), ClientPort: 1, PeerPort: 2, AgentPort: 3,
			},
		}},
		Break: func() { write(t, path, "") },
		Mend:  func() { write(t, path, group) },
	})
}

func TestRefused(t *testing.T) {
	for text, want := range map[string]string{
		"":                                    "empty",
		"\n \n":                               "empty",
		"# only words\n":                      "empty",
		"[]":                                  "no entry",
		"null\n":                              "no entry",
		"a\n":                                 "",
		"name: a\nhost: h\n":                  "",
		"- a\n":                               "",
		"-\n":                                 "entry 1: empty",
		"- name: a\n":                         "missing host",
		"- host: h\n":                         "missing name",
		"- {name: a, host: h, color: red}\n":  "color",
		"- {name: a, name: b, host: h}\n":     "already defined",
		"- {name: a, host: h, state: dead}\n": `state "dead"`,
		"- {name: a, host: h, state: ''}\n":   `state ""`,
		"- {name: a, host: h, launched: x}\n": "RFC 3339",
		"- {name: a, host: h, launched: 2026-01-02}\n":               "RFC 3339",
		"- {name: a, host: h, peer_port: 0}\n":                       "peer_port 0",
		"- {name: a, host: h, peer_port: 65536}\n":                   "peer_port 65536",
		"- {name: a, host: h, peer_port: many}\n":                    "",
		"- {name: a, host: h, peer_port: 2379}\n":                    `address h:2379: given twice, by two ports of "a"`,
		"- {name: a, host: h}\n- {name: a, host: h, peer_port: 1}\n": "name a: given twice, by h with peer port 2380 and with 1",
		"- {name: a, host: 'h:1'}\n":                                 "want no port",
		"- {name: a, host: h}\n- {name: a, host: i}\n":               "name a: given twice",
		"- {name: a, host: h}\n- {name: b, host: h}\n":               "address h:2379: given twice",
		"- {name: a, host: h, id: x}\n- {name: b, host: i, id: x}\n": "id x: given twice",
		"- {name: a, host: h}\n---\n- {name: b, host: i}\n":          "more than one",
		"- {name: a, host: h}\n- {name: b\n":                         "",
		"- {name: a, host: 10.0.0.12}\n- name: b\n  host: 10.0.0.1":  "half written",
		"- {name: a, host: h}\n\x00\x00\x00\n":                       "half written",
		"- {name: a, host: h}\n- name: b\n":                          "entry 2 (b): missing host",
		"- {name: a, host: h}\n" + strings.Repeat("#", limit) + "\n": "bytes: want",
		"- &a {name: a, host: h}\n- *a\n":                            "given twice",
		"- {name: a, host: h}\n- {name: '!', host: '?', state: x}\n": "entry 2",
	} {
		path := filepath.Join(t.TempDir(), "peers.yaml")
		write(t, path, text)
		v, err := open(t, path).View(t.Context())
		if err == nil || !strings.Contains(err.Error(), want) || len(v.Peers) > 0 || v.Authoritative {
			t.Errorf("%.60q: got %+v, %v; want %q", text, v, err, want)
		}
	}
}

// Every beginning of a file that is being written is unknown, or a whole
// number of its entries: never a peer with half an address.
func TestBeginnings(t *testing.T) {
	whole, err := parse([]byte(group), usual)
	if err != nil {
		t.Fatal(err)
	}
	hosts := map[string]bool{}
	for _, p := range whole {
		hosts[p.Name+p.Host] = true
	}
	for n := range len(group) {
		if cut([]byte(group[:n])) {
			continue // View refuses it while it is fresh: TestALastLineWithoutItsEnd
		}
		peers, err := parse([]byte(group[:n]), usual)
		if err != nil {
			continue
		}
		for _, p := range peers {
			if !hosts[p.Name+p.Host] {
				t.Errorf("the first %d bytes: %+v", n, p)
			}
		}
	}
}

func TestBracketsEndByThemselves(t *testing.T) {
	peers, err := parse([]byte(`[{"name":"a","host":"h"}]`), usual)
	if err != nil || len(peers) != 1 {
		t.Error(peers, err)
	}
}

func TestUnreadableIsUnknown(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"missing", "pipe", "."} {
		s := &Source{path: filepath.Join(dir, name), ports: usual}
		if v, err := s.View(t.Context()); err == nil {
			t.Errorf("%s: %+v", name, v)
		}
	}
}

func TestAFileThatMovesIsNotTheSame(t *testing.T) {
	dir := t.TempDir()
	stat := func(name, text string) os.FileInfo {
		write(t, filepath.Join(dir, name), text)
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return info
	}
	one := stat("a", "x")
	if !same(one, one) || same(one, stat("b", "x")) || same(one, stat("a", "xy")) {
		t.Error("same is wrong")
	}
}

func TestOpen(t *testing.T) {
	for _, raw := range []string{
		"", "file://", "file:///", "file:///dir/", "file:relative", "file://host/path", "file://relative",
		"file:///p?x=1", "file:///p#x", "file:///p?", "http:///p", "file://u@/p", "file:///%zz",
	} {
		if s, err := Open(raw, usual); err == nil || s != nil {
			t.Errorf("%q is taken: %+v", raw, s)
		}
	}
	for _, raw := range []string{"file:///no/such", "file://localhost/x", "file:///a%20b"} {
		if _, err := Open(raw, usual); err != nil {
			t.Errorf("%q: %v", raw, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		group, "[]", "- a\n", "-\n", "- {name: a, host: h}\n", `[{"name":"a","host":"h"}]`, "- &a {name: a}\n- *a\n",
		"- name: a\n  host: 127.0.0.1\n  launched: 2026-01-02T03:04:05Z\n", "? - a\n: b\n", "- <<: {name: a, host: h}\n", "---\n...\n", "- !!str a\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		peers, err := parse(data, usual)
		if err != nil {
			if peers != nil {
				t.Fatalf("%q: %+v beside %v", data, peers, err)
			}
			return
		}
		problems := []error{entry.Unique(peers)}
		for _, p := range peers {
			problems = append(problems, entry.Check(p))
		}
		if err := errors.Join(problems...); err != nil || len(peers) == 0 {
			t.Fatalf("%q: %+v, %v", data, peers, err)
		}
	})
}

// A file whose last line has no end is doubted while it is fresh, and believed
// once nobody has touched it for a while: people's editors leave such files.
func TestALastLineWithoutItsEnd(t *testing.T) {
	path := filepath.Join(t.TempDir(), "peers.yaml")
	if err := os.WriteFile(path, []byte("- name: a\n  host: 127.0.0.1"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := Open("file://"+path, usual)
	if err != nil {
		t.Fatal(err)
	}
	if v, err := s.View(t.Context()); err == nil {
		t.Errorf("fresh: got %+v, want an error", v)
	}
	rested := time.Now().Add(-settled)
	if err := os.Chtimes(path, rested, rested); err != nil {
		t.Fatal(err)
	}
	if v, err := s.View(t.Context()); err != nil || len(v.Peers) != 1 {
		t.Errorf("rested: got %+v, %v; want one peer", v, err)
	}
}
