package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/config"
	"github.com/quorate/quorate/internal/control"
)

// TestStatusOfTwoClusters: an agent of another cluster in the peers is told, also
// of one that has the same name.
func TestStatusOfTwoClusters(t *testing.T) {
	of := func(name string, ids ...cluster.MemberID) control.Status {
		s := control.Status{Cluster: name, State: control.Healthy}
		for _, id := range ids {
			s.Nodes = append(s.Nodes, control.Node{MemberID: id, Role: "voter"})
		}
		return s
	}
	fresh := control.Status{Cluster: "dev", State: control.NoQuorum, Nodes: []control.Node{{Name: "x", Role: "spare"}}}
	for name, row := range map[string]struct {
		told  []control.Status
		state control.State
	}{
		"one cluster":             {[]control.Status{of("dev", 1, 2, 3), of("dev", 1, 2, 3)}, control.Healthy},
		"an older member list":    {[]control.Status{of("dev", 1, 2, 3), of("dev", 3, 4, 5)}, control.Healthy},
		"two of one name":         {[]control.Status{of("dev", 1, 2, 3), of("dev", 4)}, control.Degraded},
		"two, the other first":    {[]control.Status{of("else", 4), of("dev", 1, 2, 3)}, control.Degraded},
		"one that is no part yet": {[]control.Status{of("dev", 1, 2, 3), fresh}, control.Healthy},
	} {
		var agents []http.HandlerFunc
		for _, s := range row.told {
			agents = append(agents, func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(s) })
		}
		c := statusCmd{Target: peersOf(t, agents...)}
		got, err := c.ask(t.Context())
		if err != nil || got.State != row.state || (got.Reason == "") != (row.state == control.Healthy) {
			t.Errorf("%s: %s %q, %v; want %s", name, got.State, got.Reason, err, row.state)
		}
	}
}

// peersOf is a target of these agents; they end with the test.
func peersOf(t *testing.T, agents ...http.HandlerFunc) config.Target {
	t.Helper()
	var list strings.Builder
	for i, serve := range agents {
		agent := httptest.NewServer(serve)
		t.Cleanup(agent.Close)
		host, port, _ := strings.Cut(strings.TrimPrefix(agent.URL, "http://"), ":")
		list.WriteString("- {name: n" + string(rune('a'+i)) + ", host: " + host + ", agent_port: " + port + ", client_port: 1" + string(rune('0'+i)) + ", peer_port: 2" + string(rune('0'+i)) + "}\n")
	}
	path := filepath.Join(t.TempDir(), "peers.yaml")
	must(t, os.WriteFile(path, []byte(list.String()), 0o600))
	return config.Target{Peers: "file://" + path, Timeout: time.Minute, AgentPort: 2378}
}

// TestStatusOfForeignEtcd: the table tells of an etcd that quorate did not start.
func TestStatusOfForeignEtcd(t *testing.T) {
	var out strings.Builder
	printStatus(&out, control.Status{Cluster: "dev", State: control.Healthy, Nodes: []control.Node{
		{Name: "a", Role: "leader", Health: "healthy", Doing: "keep: all is well"},
		{Name: "b", Role: "voter", Health: "healthy", Foreign: true, Doing: "serve: voter"}}})
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if n := len(lines); strings.Contains(lines[n-2], "not started by quorate") || !strings.HasSuffix(lines[n-1], "[etcd not started by quorate] serve: voter") {
		t.Errorf("want it of b alone:\n%s", out.String())
	}
}

// TestStatusOfStore: that the store does not answer is told once, whatever else is
// the matter; and so are the voters that are well behind silent agents.
func TestStatusOfStore(t *testing.T) {
	const store = "the store has not answered since 2026-11-21T11:59:15Z: not a directory, as a says"
	for _, reason := range []string{store, "2 of 3 voters are healthy"} {
		var out strings.Builder
		printStatus(&out, control.Status{Cluster: "dev", State: control.Degraded, Reason: reason, Store: store, Voters: 3, Healthy: 1, Vouched: 1})
		if strings.Count(out.String(), store) != 1 || !strings.Contains(out.String(), "voters 1/3 healthy, 1 more whose agents are silent") {
			t.Errorf("%s", out.String())
		}
	}
}
