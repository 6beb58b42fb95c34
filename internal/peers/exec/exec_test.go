package exec

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/peers/entry"
	"github.com/quorate/quorate/internal/peers/peerstest"
)

var usual = entry.Ports{Client: 2379, Peer: 2380, Agent: 2378}

// program writes a program; it appears whole, so that no start finds it open.
func program(t testing.TB, path, script string) {
	t.Helper()
	// A process that is forked while the file is open to be written keeps it so, and
	// it cannot be started meanwhile.
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	must(t, os.WriteFile(path+".tmp", []byte("#!/bin/sh\n"+script+"\n"), 0o700))
	must(t, os.Rename(path+".tmp", path))
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func open(t testing.TB, script, options string) *Source {
	t.Helper()
	path := filepath.Join(t.TempDir(), "peers")
	program(t, path, script)
	s, err := Open("exec://"+(&url.URL{Path: path}).String()+"?every=0s"+options, usual)
	must(t, err)
	return s
}

func peer(name, host string) cluster.Peer {
	return cluster.Peer{ID: name, Name: name, Host: host, State: cluster.Running, ClientPort: 2379, PeerPort: 2380, AgentPort: 2378}
}

func TestContract(t *testing.T) {
	b := peer("b", "10.0.0.2")
	b.ID, b.Zone, b.State, b.AgentPort, b.Launched = "i-2", "z1", cluster.Terminating, 1, time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	list := `[{"name":"b","host":"10.0.0.2","id":"i-2","zone":"z1","state":"terminating","launched":"2026-01-02T03:04:05Z","agent_port":1},
		{"name":"a","host":"10.0.0.1"}]`
	for out, want := range map[string]cluster.View{
		list:                     {Peers: []cluster.Peer{peer("a", "10.0.0.1"), b}},
		`{"peers":` + list + `}`: {Peers: []cluster.Peer{peer("a", "10.0.0.1"), b}},
		` {"authoritative": true, "size": 3, "peers": [{"name":"a","host":"::1"}]}`: {Authoritative: true, Size: 3, Peers: []cluster.Peer{peer("a", "::1")}},
	} {
		s := open(t, "cat <<'END'\n"+out+"\nEND\n", "")
		peerstest.Run(t, peerstest.Leaf{Source: s, Want: want,
			Break: func() { must(t, os.Rename(s.program, s.program+".away")) },
			Mend:  func() { must(t, os.Rename(s.program+".away", s.program)) }})
	}
}

// TestUnknown: everything but a whole answer, and what the error says of it.
func TestUnknown(t *testing.T) {
	good := `echo '[{"name":"a","host":"h"}]'; `
	for script, want := range map[string]string{
		good + "echo first >&2; echo 'the cloud says no' >&2; exit 3": "exit status 3: the cloud says no",
		good + "kill -9 $$":               "signal: killed",
		"":                                "it prints nothing",
		"echo":                            "it prints nothing",
		"echo '[]'":                       "no entry in it",
		"echo '{}'":                       "empty",
		"echo null":                       "no entry in it",
		"echo garbage":                    "parsing JSON",
		good + "echo x":                   "more than one value",
		`echo '[{"name":"a","host":"h"}'`: "parsing JSON",
		`echo '[{"name":"a","host":"h","port":1}]'`:                                         `unknown field "port"`,
		`echo '[{"name":"a","host":"h"},null]'`:                                             "entry 2: empty",
		`echo '[{"name":"a","host":"h"},{"name":"a","host":"i"}]'`:                          "name a: given twice",
		`echo '[{"name":"a","host":"h","client_port":0}]'`:                                  "client_port 0",
		`echo '{"size":-1,"peers":[{"name":"a","host":"h"}]}'`:                              "size -1",
		`echo '{"peer":[{"name":"a","host":"h"}]}'`:                                         `unknown field "peer"`,
		good + "head -c 1100000 /dev/zero | tr '\\0' ' '":                                   "it prints more than 1 MiB",
		"trap '' PIPE; echo much >&2; yes A":                                                "it prints more than 1 MiB: much",
		good + "printf 'a\\033[31m\\rb' >&2; exit 1":                                        "exit status 1: a [31m b",
		good + "head -c 200000 /dev/zero | tr '\\0' x >&2; exit 1":                          "xxxxx",
		good + "setsid sh -c 'touch $0.out; sleep 30' $0 & until [ -e $0.out ]; do :; done": "left a child that holds its output open",
	} {
		t.Run(script, func(t *testing.T) {
			t.Parallel()
			v, err := open(t, script, "").View(t.Context())
			if err == nil || v.Peers != nil || !strings.Contains(err.Error(), want) || len(err.Error()) > 700 {
				t.Errorf("got %+v, %v; want %q", v, err, want)
			}
		})
	}
}

// TestTimeLimit: the program and what it has started are gone when it is over.
func TestTimeLimit(t *testing.T) {
	dir := t.TempDir()
	pids := filepath.Join(dir, "pids")
	s := open(t, fmt.Sprintf("echo waiting >&2; sleep 300 & echo $! $$ > '%s.tmp' && mv '%s.tmp' '%s'; wait", pids, pids, pids), "&timeout=1500ms")
	began := time.Now()
	v, err := s.View(t.Context())
	if err == nil || v.Peers != nil || !strings.Contains(err.Error(), "no answer within 1.5s: waiting") {
		t.Errorf("%+v, %v", v, err)
	}
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("it took %s", took)
	}
	gone(t, pids)
	ctx, cancel := context.WithTimeoutCause(t.Context(), time.Millisecond, errors.New("the caller's own limit"))
	defer cancel()
	if _, err := s.View(ctx); err == nil || !strings.Contains(err.Error(), "the caller's own limit") {
		t.Errorf("%v", err)
	}
}

// TestLeftBehind: so are those that a program leaves when it ends by itself.
func TestLeftBehind(t *testing.T) {
	pids := filepath.Join(t.TempDir(), "pids")
	s := open(t, fmt.Sprintf("sleep 300 & echo $! > '%s'; echo '[{\"name\":\"a\",\"host\":\"h\"}]'", pids), "")
	if v, err := s.View(t.Context()); err != nil || len(v.Peers) != 1 {
		t.Errorf("%+v, %v", v, err)
	}
	gone(t, pids)
}

// gone waits until none of the processes lives; a zombie is none.
func gone(t *testing.T, pids string) {
	t.Helper()
	raw, err := os.ReadFile(pids)
	must(t, err)
	for _, field := range strings.Fields(string(raw)) {
		deadline := time.Now().Add(10 * time.Second)
		for {
			stat, err := os.ReadFile("/proc/" + field + "/stat")
			if _, state, _ := strings.Cut(string(stat), ") "); errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH) || strings.HasPrefix(state, "Z") {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("process %s lives: %s", field, stat)
			}
			time.Sleep(5 * time.Millisecond) // between two looks
		}
	}
}

func TestRefused(t *testing.T) {
	for raw, want := range map[string]string{
		"exec://peers":          "three slashes",
		"exec:/peers":           "", // is the same as with three
		"exec:peers":            "three slashes",
		"exec:///":              "a program, not a directory",
		"exec:///dir/":          "a program, not a directory",
		"exec:///p?every=x":     "every: want a time",
		"exec:///p?timeout=1ms": "timeout: want a time of at least 100ms",
		"exec:///p?arg=x":       `option "arg"`,
		"exec:///p#x":           "three slashes",
		"exec://u:secret@h/p":   "three slashes",
		"exec:///p%zz":          "want exec:///path",
	} {
		s, err := Open(raw, usual)
		if want == "" {
			must(t, err)
			continue
		}
		if err == nil || !strings.Contains(err.Error(), want) || s != nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: got %v, want %q", raw, err, want)
		}
	}
	s, err := Open("exec:///no/such/program", usual)
	must(t, err)
	if _, err := s.View(t.Context()); err == nil || !strings.Contains(err.Error(), "asking /no/such/program for peers") {
		t.Errorf("%v", err)
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"", "[]", "{}", "null", `[{"name":"a","host":"10.0.0.1"}]`, `{"authoritative":true,"size":3,"peers":[{"name":"a","host":"h","state":"pending"}]}`,
		`{"peers":null}`, `[null]`, `[{"name":"a","host":"h","launched":"x"}]`, `{"peers":[{"name":"a","host":"h"}]} x`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, out []byte) {
		v, err := parse(out, usual)
		if err != nil {
			if !reflect.DeepEqual(v, cluster.View{}) {
				t.Fatalf("%s: %+v beside %v", out, v, err)
			}
			return
		}
		sorted := slices.Clone(v.Peers)
		cluster.SortPeers(sorted)
		if !reflect.DeepEqual(sorted, v.Peers) {
			t.Fatalf("%s: not sorted: %+v", out, v.Peers)
		}
		problems := []error{entry.Unique(v.Peers)}
		for _, p := range v.Peers {
			problems = append(problems, entry.Check(p))
		}
		if err := errors.Join(problems...); err != nil || len(v.Peers) == 0 || v.Size < 0 {
			t.Fatalf("%s: %+v, %v", out, v, err)
		}
	})
}
