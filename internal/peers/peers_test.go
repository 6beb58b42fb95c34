package peers

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/peers/peerstest"
)

func TestOpenPicksTheLeaf(t *testing.T) {
	path := filepath.Join(t.TempDir(), "p.yaml")
	if err := os.WriteFile(path, []byte("- {name: a, host: h}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	a := cluster.Peer{ID: "a", Name: "a", Host: "h", State: cluster.Running, ClientPort: 1, PeerPort: 2, AgentPort: 3}
	for raw, want := range map[string]cluster.View{
		"a=h":            {Peers: []cluster.Peer{a}, Size: 1},
		"file://" + path: {Peers: []cluster.Peer{a}, Authoritative: true},
	} {
		s, err := Open(raw, Ports{Client: 1, Peer: 2, Agent: 3})
		if err != nil {
			t.Fatal(err)
		}
		t.Run(raw[:3], func(t *testing.T) { peerstest.Run(t, peerstest.Leaf{Source: s, Want: want}) })
	}
}

func TestValidate(t *testing.T) {
	for raw, want := range map[string]string{
		"":                "empty: want name=host",
		"a":               "want name=host",
		"file://relative": "three slashes",
		"gce://x":         `not supported: "gce://"; want name=host,name=host, file:///path, aws-asg://GROUP, aws-tag://KEY=VALUE`,
		"aws-asg://x?y=z": `option "y"`,
		"etcd://h":        "want a token",
		"https://u:p@h/x": "without a user",
		"dns+srv://1.2.3": "want a domain's name",
		"exec://x":        "want exec:///path",
		"gopher://h":      `not supported: "gopher://"`,
	} {
		err := Validate(raw)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "u:p") {
			t.Errorf("%q: got %v, want %q", raw, err, want)
		}
		if s, err := Open(raw, Ports{}); err == nil || s != nil {
			t.Errorf("%q: opened as %v", raw, s)
		}
	}
	for _, raw := range []string{"a=h", "file:///no/such", "dns+srv://example.org", "etcd://h/token", "http://h/token", "https://h/token", "exec:///no/such", "aws-asg://x", "aws-tag://a=b"} {
		if err := Validate(raw); err != nil {
			t.Errorf("%q: %v", raw, err)
		}
	}
}
