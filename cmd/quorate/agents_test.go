package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
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

// stopped is the address of an agent whose process stands still.
func stopped(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { ln.Close() })
	return ln.Addr().String()
}

// answering is the address of an agent that says the same to everything.
func answering(t *testing.T, code int, what any) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(code)
		_ = json.NewEncoder(w).Encode(what)
	}))
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

// targetAt names machines with those agents.
func targetAt(t *testing.T, addrs ...string) config.Target {
	t.Helper()
	var list strings.Builder
	for i, a := range addrs {
		host, port, err := net.SplitHostPort(a)
		must(t, err)
		fmt.Fprintf(&list, "- {name: n%d, host: %s, agent_port: %s, client_port: 1%d, peer_port: 2%d}\n", i, host, port, i, i)
	}
	path := filepath.Join(t.TempDir(), "peers.yaml")
	must(t, os.WriteFile(path, []byte(list.String()), 0o600))
	return config.Target{Peers: "file://" + path, Timeout: 200 * time.Millisecond, AgentPort: 2378}
}

// TestMayHaveBeenDone: a command that got no answer to an order says that it may
// have been done, also beside what another agent says of it; a look is no order.
func TestMayHaveBeenDone(t *testing.T) {
	const maybe = "no answer, and it may have been done"
	refusal := control.Error{Message: "refused: housekeeping is not paused"}
	resume := func(ctx context.Context, c *control.Client) (cluster.Lock, error) { return c.Resume(ctx) }
	look := func(ctx context.Context, c *control.Client) (cluster.Lock, error) {
		_, err := c.Report(ctx)
		return cluster.Lock{}, err
	}
	for name, row := range map[string]struct {
		agents []string
		ask    func(context.Context, *control.Client) (cluster.Lock, error)
		maybe  bool
		says   string
	}{
		"an order to one":             {[]string{stopped(t)}, resume, true, "deadline exceeded"},
		"an order to all":             {[]string{stopped(t), stopped(t)}, resume, true, "no agent says that it did it"},
		"refused by the next":         {[]string{stopped(t), answering(t, 409, refusal)}, resume, true, "refused: housekeeping is not paused"},
		"done by the next":            {[]string{stopped(t), answering(t, 200, cluster.Lock{Number: 1})}, resume, false, ""},
		"refused by the only one":     {[]string{answering(t, 409, refusal)}, resume, false, "refused: housekeeping is not paused"},
		"an order that all cannot do": {[]string{answering(t, 500, refusal), answering(t, 500, refusal)}, resume, false, "no agent did it"},
		"a look":                      {[]string{stopped(t), stopped(t)}, look, false, "no agent did it"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := onAgent(t.Context(), targetAt(t, row.agents...), row.ask)
			said := fmt.Sprint(err)
			if (err == nil) != (row.says == "") || !strings.Contains(said, row.says) || strings.Contains(said, maybe) != row.maybe {
				t.Errorf("says: %s", said)
			}
		})
	}
}

// TestPauseSaysWhatItReplaces: who pauses anew under the same name may shorten.
func TestPauseSaysWhatItReplaces(t *testing.T) {
	at := time.Date(2031, 5, 4, 3, 2, 1, 0, time.UTC)
	for want, old := range map[string]*cluster.Lock{
		"paused until 2031-05-04T03:02:01Z (lock 7)\n":                                                   nil,
		"paused until 2031-05-04T03:02:01Z (lock 7)\nreplaces: held until 2031-05-04T04:02:01Z: disks\n": {Number: 6, Expires: at.Add(time.Hour), Reason: "disks"},
	} {
		agent := answering(t, 200, control.PauseAnswer{Lock: cluster.Lock{Number: 7, Expires: at}, Replaces: old})
		var out strings.Builder
		c := pauseCmd{Target: targetAt(t, agent), For: 2 * time.Second, Reason: "x"}
		if err := c.Run(t.Context(), &out); err != nil || out.String() != want {
			t.Errorf("%v\n%s\nwant\n%s", err, out.String(), want)
		}
	}
}
