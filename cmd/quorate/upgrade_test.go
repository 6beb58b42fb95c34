package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/quorate/quorate/internal/clustertest/etcdbin"
)

// paced is a load of about 200 puts a second.
func (r *rig) paced(c *clientv3.Client, prefix string) *load {
	ctx, cancel := context.WithCancel(context.Background())
	l := &load{stop: cancel, done: make(chan struct{})}
	r.t.Cleanup(func() { cancel(); <-l.done })
	tick := time.NewTicker(5 * time.Millisecond)
	go func() {
		defer close(l.done)
		defer tick.Stop()
		last := time.Now()
		for ; ctx.Err() == nil; l.tries++ {
			key := fmt.Sprintf("%s%06d", prefix, l.tries)
			call, end := context.WithTimeout(ctx, 10*time.Second)
			_, err := c.Put(call, key, key)
			end()
			if err == nil {
				l.worst = max(l.worst, time.Since(last))
				last = time.Now()
				l.acked = append(l.acked, key)
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
			}
		}
	}()
	return l
}

// upgrade runs `quorate upgrade` to its end.
func (r *rig) upgrade(at *host, limit time.Duration, args ...string) (text string, code int) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, program, append([]string{"upgrade", "--agent", at.addr + ":2378"}, args...)...)
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		r.t.Fatal(err)
	}
	return out.String(), cmd.ProcessState.ExitCode()
}

// plans waits until `quorate upgrade --plan` ends with that code and says the text.
func (r *rig) plans(at *host, to string, code int, texts ...string) {
	r.t.Helper()
	r.eventually(90*time.Second, "the plan to "+to, func() error {
		text, got := r.upgrade(at, time.Minute, "--to", to, "--plan")
		if got != code {
			return fmt.Errorf("exit code %d, want %d:\n%s", got, code, text)
		}
		for _, want := range texts {
			if !strings.Contains(text, want) {
				return fmt.Errorf("want %q in\n%s", want, text)
			}
		}
		return nil
	})
}

// TestUpgradeInPlace: from the last etcd with a v2 API to the newest, and two
// minors back, one member at a time, under load: the same members, and every
// write that was acknowledged.
func TestUpgradeInPlace(t *testing.T) {
	t.Parallel()
	r, a, b, c := formedAs(t, etcdbin.V34)
	names := []string{"a", "b", "c"}
	id, before := r.oneCluster(names...), r.members(r.client("a"))
	for _, h := range []*host{a, b, c} {
		h.versions(etcdbin.V35, etcdbin.V36, etcdbin.V37)
	}
	r.plans(a, etcdbin.V37, 0, "from 3.4", "as 3.5.33", "as 3.6.14", "as 3.7.3")
	for i, to := range []string{etcdbin.V37, etcdbin.V36, etcdbin.V35} {
		prefix := fmt.Sprintf("u%d/", i)
		client := r.client(names...)
		writes := r.paced(client, prefix)
		began := time.Now()
		if text, code := r.upgrade(r.nodes[names[i]], 8*time.Minute, "--to", to, "--yes"); code != 0 {
			t.Fatalf("to %s: exit code %d\n%s", to, code, text)
		}
		took := time.Since(began)
		r.runs(20*time.Second, to, names...)
		r.voters(40*time.Second, names...)
		writes.end()
		t.Logf("to %s in %s: %d of %d writes failed, worst pause %s", to, took.Round(time.Second), writes.tries-len(writes.acked), writes.tries, writes.worst.Round(time.Millisecond))
		r.wantAcked(client, writes, prefix)
	}
	if now := r.oneCluster(names...); now != id {
		t.Errorf("cluster %s, before %s", now, id)
	}
	if now := r.members(r.client("a")); fmt.Sprint(now) != fmt.Sprint(before) {
		t.Errorf("members %v, before %v", now, before)
	}
	r.onlyEpochOne()
}

// TestUpgradeByReplacing: each minor comes with machines that have nothing else.
func TestUpgradeByReplacing(t *testing.T) {
	t.Parallel()
	r, _, _, _ := formedAs(t, etcdbin.V34)
	names := []string{"a", "b", "c"}
	id := r.oneCluster(names...)
	r.put(r.client("a"), "k", "v")
	next := 14
	for _, to := range []string{etcdbin.V35, etcdbin.V36, etcdbin.V37} {
		for i, old := range names {
			h := r.machine(fmt.Sprintf("m%d", next), next)
			next++
			writes := r.paced(r.client(r.others(r.nodes[old], names...)...), h.name+"/")
			names[i] = h.name
			r.list(names...)
			h.start("--etcd", h.versions(to))
			r.voters(120*time.Second, names...)
			writes.end()
			r.nodes[old].crash()
			r.wantAcked(r.client(names...), writes, h.name+"/")
		}
		r.runs(20*time.Second, to, names...)
	}
	r.wantValue(r.client(names...), "k", "v")
	if now := r.oneCluster(names...); now != id {
		t.Errorf("cluster %s, before %s", now, id)
	}
	r.onlyEpochOne()
}

// TestDowngradeRefused: to a patch that does not read what the newer one writes.
func TestDowngradeRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t, "--size", "1")
	a := r.machine("a", 11)
	r.list("a")
	a.start("--etcd", a.versions(etcdbin.OldV35, etcdbin.V35, etcdbin.V36, etcdbin.V37))
	r.voters(60*time.Second, "a")
	r.runs(10*time.Second, etcdbin.V37, "a") // founded as the newest
	r.plans(a, etcdbin.V35, 3, "from 3.7.3 to 3.5.33 are two minors or more down")
	r.plans(a, etcdbin.V36, 0, "as 3.6.14")
	if text, code := r.upgrade(a, 4*time.Minute, "--to", etcdbin.V36, "--yes"); code != 0 {
		t.Fatalf("exit code %d\n%s", code, text)
	}
	r.plans(a, etcdbin.OldV35, 3, "does not read what 3.6.14 has written: go back to 3.5.32 at least")
}

// TestUpgradeRefused: everything that is in the way of an upgrade is said before
// anything is stopped.
func TestUpgradeRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a, b, c := r.trio()
	all := []*host{a, b, c}
	for _, h := range all {
		h.way = []string{"env", "ETCD_ENABLE_V2=true"} // as a variable 3.6 takes it without a word
		h.start("--etcd", h.versions(etcdbin.OldV35))
	}
	r.voters(60*time.Second, "a", "b", "c")
	pids := []int{a.etcdPID(), b.etcdPID(), c.etcdPID()}

	r.plans(a, etcdbin.V36, 3, "a does not have etcd 3.6.14: its --etcd offers 3.5.21", "c does not have")
	for _, h := range all {
		h.versions(etcdbin.V36)
	}
	r.plans(a, etcdbin.V36, 3, "etcd 3.5.21 may not go on to 3.6: it must be 3.5.32 at least")
	if text, code := r.upgrade(b, time.Minute, "--to", etcdbin.V36, "--yes"); code == 0 || !strings.Contains(text, "nothing was done") {
		t.Errorf("exit code %d:\n%s", code, text)
	}
	for _, h := range all {
		h.versions(etcdbin.V35, etcdbin.V37)
	}
	r.plans(b, etcdbin.V37, 0, "as 3.5.33", "as 3.6.14", "as 3.7.3")

	resp, err := http.PostForm(c.url(2379)+"/v2/keys/queue", url.Values{"value": {"x"}})
	must(t, err)
	resp.Body.Close()
	r.plans(a, etcdbin.V36, 3, "a holds content of the v2 store, on which etcd 3.6 does not start", "b holds content", "c holds content")
	r.plans(a, etcdbin.V35, 0, "as 3.5.33")

	for _, h := range all {
		must(t, os.RemoveAll(filepath.Join(r.dir, h.name+"-versions", etcdbin.V36)))
	}
	r.plans(c, etcdbin.V37, 3, "an etcd 3.6 is needed in between")

	for i, h := range all {
		if pid := h.etcdPID(); pid != pids[i] {
			t.Errorf("%s was restarted", h.name)
		}
	}
	c.crash()
	r.plans(a, etcdbin.V35, 3, "c is unhealthy")
	c.start("--etcd", c.versions())
	r.voters(60*time.Second, "a", "b", "c")
	if _, stderr, code := r.quorate("leave", "--yes", "--agent", c.addr+":2378"); code != 0 {
		t.Fatalf("leave: %d %s", code, stderr)
	}
	r.plans(a, etcdbin.V35, 3, "there are two voters")
}
