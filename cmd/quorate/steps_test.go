package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/quorate/quorate/internal/cluster"
)

// startAll runs the agents of these hosts.
func startAll(hosts ...*host) {
	for _, h := range hosts {
		h.start()
	}
}

// wipeAll ends these hosts, all agents before the first etcd, and loses their
// disks.
func wipeAll(hosts ...*host) {
	for _, h := range hosts {
		h.killAgent()
	}
	for _, h := range hosts {
		h.wipe()
	}
}

// does runs the program and wants exit code 0.
func (r *rig) does(args ...string) string {
	r.t.Helper()
	out, errOut, code := r.quorate(args...)
	if code != 0 {
		r.t.Fatalf("quorate %s: exit code %d\n%s%s", strings.Join(args, " "), code, out, errOut)
	}
	return out
}

// agentFlag names the host's agent to a command.
func (h *host) agentFlag() string { return "--agent=" + h.addr + ":2378" }

// backup takes one by the command line.
func (r *rig) backup(h *host) cluster.Backup {
	r.t.Helper()
	return parsed[cluster.Backup](r.t, r.does("backup", "create", h.agentFlag(), "-o", "json"))
}

func parsed[T any](t testing.TB, text string) T {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return v
}

// charter is the one that the host's agent lives by.
func (h *host) charter() cluster.Charter {
	h.r.t.Helper()
	r, err := h.report()
	must(h.r.t, err)
	if r.Charter == nil {
		h.r.t.Fatalf("%s knows no charter", h.name)
	}
	return *r.Charter
}

// inEpoch wants these hosts to live by the charter of that epoch.
func (r *rig) inEpoch(want cluster.Epoch, names ...string) cluster.Charter {
	r.t.Helper()
	var c cluster.Charter
	for _, n := range names {
		if c = r.nodes[n].charter(); c.Epoch != want {
			r.t.Fatalf("%s lives in epoch %d, want %d", n, c.Epoch, want)
		}
	}
	return c
}

// log is what the host's agents have logged so far.
func (h *host) log() string {
	h.r.t.Helper()
	raw, err := os.ReadFile(filepath.Join(h.r.dir, h.name+".log"))
	must(h.r.t, err)
	return string(raw)
}

// holds waits for a reason and wants it in each of the next n reports: the
// agent has had the chance to do otherwise.
func (h *host) holds(limit time.Duration, reason string, n int) {
	h.r.t.Helper()
	h.says(limit, reason)
	h.stays(n, "stands by its reason", because(reason))
}

// metrics is what Prometheus would read.
func (h *host) metrics() string {
	h.r.t.Helper()
	text := ""
	h.r.eventually(10*time.Second, "metrics of "+h.name, func() error {
		resp, err := http.Get(h.url(2378) + "/metrics")
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		var b strings.Builder
		if _, err := bufio.NewReader(resp.Body).WriteTo(&b); err != nil {
			return err
		}
		text = b.String()
		return nil
	})
	return text
}

// peersLine is one entry of the peers file.
func (h *host) peersLine(state string) string {
	return fmt.Sprintf("- {name: %s, host: %s, state: %s}\n", h.name, h.addr, state)
}

// listStates writes the peers file, name=state.
func (r *rig) listStates(entries ...string) {
	r.t.Helper()
	text := ""
	for _, e := range entries {
		name, state, _ := strings.Cut(e, "=")
		if state == "" {
			state = "running"
		}
		text += r.nodes[name].peersLine(state)
	}
	r.writePeers(text)
}

// writeMany puts n keys, each acknowledged.
func (r *rig) writeMany(c *clientv3.Client, prefix string, n int) {
	r.t.Helper()
	for i := range n {
		r.put(c, fmt.Sprintf("%s%03d", prefix, i), strconv.Itoa(i))
	}
}

// wantMany wants all that writeMany has put.
func (r *rig) wantMany(c *clientv3.Client, prefix string, n int) {
	r.t.Helper()
	r.eventually(20*time.Second, fmt.Sprintf("%d keys %s…", n, prefix), func() error {
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		defer cancel()
		got, err := c.Get(ctx, prefix, clientv3.WithPrefix(), clientv3.WithCountOnly())
		if err == nil && got.Count != int64(n) {
			err = fmt.Errorf("%d are there", got.Count)
		}
		return err
	})
}
