package static

import (
	"errors"
	"strings"
	"testing"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/peers/entry"
	"github.com/quorate/quorate/internal/peers/peerstest"
)

var usual = entry.Ports{Client: 2379, Peer: 2380, Agent: 2378}

func peer(name, host string) cluster.Peer {
	return cluster.Peer{ID: name, Name: name, Host: host, State: cluster.Running, ClientPort: 2379, PeerPort: 2380, AgentPort: 2378}
}

func TestContract(t *testing.T) {
	s, err := Open("c=h.example, a=127.0.0.11 ,b=[2001:DB8::0:1],d=::1", usual)
	if err != nil {
		t.Fatal(err)
	}
	peerstest.Run(t, peerstest.Leaf{Source: s, Want: cluster.View{Size: 4, Peers: []cluster.Peer{
		peer("a", "127.0.0.11"), peer("b", "2001:db8::1"), peer("c", "h.example"), peer("d", "::1"),
	}}})
}

func TestRefused(t *testing.T) {
	for raw, want := range map[string]string{
		"":                              "want name=host",
		"a":                             "want name=host",
		"a=1.2.3.4,":                    "want name=host",
		"=1.2.3.4":                      "missing name",
		"a=":                            "missing host",
		"a=1.2.3.4,a=1.2.3.5":           "name a: given twice, by host 1.2.3.4 and host 1.2.3.5",
		"a=1.2.3.4,a=1.2.3.4":           "name a: given twice, each time with host 1.2.3.4",
		"a=1.2.3.4,b=1.2.3.4":           "address 1.2.3.4:2379: given twice",
		"a=H.example,b=h.EXAMPLE":       "address h.example:2379: given twice",
		"a=::1,b=0:0::1":                "address [::1]:2379: given twice",
		"a=1.2.3.4,b=[::ffff:1.2.3.4]":  "address 1.2.3.4:2379: given twice",
		"a=1.2.3.4:2380":                "want no port: leave :2380 out",
		"a=[::1]:2380":                  "want no port",
		"a=[1.2.3.4]":                   "host",
		"a=1.2.3.300":                   "want an IP address or a DNS name",
		"a=0.0.0.0":                     "nobody can be reached there",
		"a=http://h":                    "host",
		"a=fe80::1%eth0":                "nobody can be reached there",
		"a b=1.2.3.4":                   `name "a b"`,
		"a=b=c":                         "host",
		"a=-x":                          "host",
		"-a=x":                          "name",
		strings.Repeat("n", 254) + "=x": "name",
		"a=u:hunter2@h":                 `"…@…": host`,
		"u:hunter2@h":                   `"…@…": want name=host`,
		"@hunter2":                      `"…@…": want name=host`,
	} {
		s, err := Open(raw, usual)
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: a password is told: %v", raw, err)
		}
		if err == nil || !strings.Contains(err.Error(), want) || s != nil {
			t.Errorf("%q: got %v, want %q", raw, err, want)
		}
		if strings.Contains(want, "twice") && strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: one fault in several lines: %v", raw, err)
		}
	}
	_, err := Open("a,b=,c=1.2.3.4:5", usual)
	if lines := strings.Count(err.Error(), "\n"); lines != 2 {
		t.Errorf("not all problems at once: %v", err)
	}
}

func FuzzOpen(f *testing.F) {
	for _, seed := range []string{"", "a=127.0.0.1", "a=127.0.0.11,b=127.0.0.12", "a=[::1],b=h", "a=1:2", ",=,=", "a=%00", "a=[", "a=]["} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		s, err := Open(raw, usual)
		if err != nil {
			return
		}
		v, err := s.View(t.Context())
		problems := []error{err, entry.Unique(v.Peers)}
		var again []string
		for _, p := range v.Peers {
			problems = append(problems, entry.Check(p))
			again = append(again, p.Name+"="+p.Host)
		}
		if err := errors.Join(problems...); err != nil || len(v.Peers) == 0 || v.Size != len(v.Peers) {
			t.Fatalf("%q: %+v, %v", raw, v, err)
		}
		if _, err := Open(strings.Join(again, ","), usual); err != nil {
			t.Fatalf("%q: written again: %v", raw, err)
		}
	})
}
