package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/clustertest/etcdbin"
	"github.com/quorate/quorate/internal/control"
)

// TestRoll restarts three members under a load: once as it should be, and once
// with the command that ordered it and the keeper's agent killed on the way.
func TestRoll(t *testing.T) {
	t.Parallel()
	r, a, b, c := formed(t)
	names := []string{"a", "b", "c"}
	client := r.client(names...)
	r.put(client, "k", "v")
	writes := r.load(client, "w", 500*time.Millisecond)
	pids := watchPIDs(t, a, b, c)

	// Some 20 s where the machine has nothing else to do; this one may be busy.
	began := time.Now()
	out, code := a.roll("roll", "--reason", "a test").end()
	if took := time.Since(began); code != 0 || !strings.Contains(out, "ordered as roll 1;") || !strings.Contains(out, "roll 1 done in") || took > 90*time.Second {
		t.Errorf("exit code %d after %s:\n%s", code, took, out)
	}
	t.Logf("three members rolled in %s:\n%s", time.Since(began).Round(100*time.Millisecond), out)
	if got := pids.generations(); got != "a2 b2 c2" {
		t.Errorf("etcds so far: %s, want two of each", got)
	}

	r.voters(20*time.Second, names...)
	order := b.roll("roll")
	must(t, order.cmd.Process.Kill())
	keeper, others := r.led(names...)
	old := []int{others[0].etcdPID(), others[1].etcdPID()}
	r.eventually(time.Minute, "the first has restarted", func() error {
		if now := []int{others[0].etcdPID(), others[1].etcdPID()}; now[0] == old[0] && now[1] == old[1] || now[0]*now[1] == 0 {
			return fmt.Errorf("%v", now)
		}
		return nil
	})
	keeper.killAgent()
	keeper.start()
	if second := r.rollIs(time.Minute, cluster.RollDone, names...); !strings.Contains(strings.Join(order.said, "\n"), fmt.Sprintf("ordered as roll %d;", second.FirstNumber())) {
		t.Errorf("the second roll has ended as roll %d: %s", second.FirstNumber(), order.said)
	}
	r.voters(20*time.Second, names...)
	if got := pids.generations(); got != "a3 b3 c3" {
		t.Errorf("etcds so far: %s, want three of each", got)
	}

	writes.end()
	t.Logf("worst pause %s, %d of %d writes failed", writes.worst.Round(time.Millisecond), writes.tries-len(writes.acked), writes.tries)
	r.wantAcked(client, writes, "w")
	if pids.together != "" {
		t.Errorf("%s were down at once", pids.together)
	}
}

// TestRollRests pauses a roll before it begins, lets it begin, and cancels it
// after the first has restarted.
func TestRollRests(t *testing.T) {
	t.Parallel()
	r, a, b, c := formed(t)
	names := []string{"a", "b", "c"}
	pids := watchPIDs(t, a, b, c)
	r.does("pause", "--for", "1h", "--reason", "to look at it", a.agentFlag())
	order := a.roll("roll")
	for _, h := range []*host{a, b, c} {
		r.eventually(time.Minute, "for long enough "+h.name+" rests", func() error {
			x, err := h.report()
			switch {
			case err != nil:
				return err
			case !strings.Contains(x.Reason, "etcd must restart, and waits: housekeeping is paused") && !strings.Contains(x.Reason, "housekeeping is paused"):
				return errors.New(x.Reason)
			case x.Stale.Why == "" || x.At.Sub(x.Stale.Since) < 12*time.Second:
				return fmt.Errorf("it has been stale since %s", x.Stale.Since)
			}
			return nil
		})
	}
	if got := pids.generations(); got != "a1 b1 c1" {
		t.Errorf("etcds so far: %s, though the house is paused", got)
	}
	if _, errOut, code := r.quorate("roll", "--yes", b.agentFlag()); code != 1 || !strings.Contains(errOut, "roll 1 (restart) is under way, ordered by") {
		t.Errorf("a second roll: exit code %d, %s", code, errOut)
	}
	r.does("resume", a.agentFlag())
	order.until(t, "restarts")
	if out := r.does("roll", "--cancel", "--reason", "enough", c.agentFlag()); !strings.HasPrefix(out, "roll 1 is cancelled") {
		t.Errorf("the cancellation says %q", out)
	}
	if out, code := order.end(); code != 1 || !strings.Contains(out, "roll 1 has been cancelled: cancelled by") || !strings.Contains(out, ": enough") {
		t.Errorf("exit code %d:\n%s", code, out)
	}
	r.rollIs(20*time.Second, cluster.RollCancelled, names...)
	r.voters(40*time.Second, names...)
	if got := pids.generations(); strings.Count(got, "2") == 3 || strings.Count(got, "2") == 0 {
		t.Errorf("etcds so far: %s, want that some have restarted and not all", got)
	}
}

// broken puts into the host's directory of versions one that says its version and
// does nothing else.
func (h *host) broken(version string) {
	h.r.t.Helper()
	dir := filepath.Join(h.dataDir()+"-versions", version)
	must(h.r.t, os.MkdirAll(dir, 0o700))
	script := fmt.Sprintf("#!/bin/sh\ncase \" $* \" in *\" --version \"*) echo etcd Version: %s; exit 0;; esac\necho it is broken >&2\nexit 1\n", version)
	must(h.r.t, os.WriteFile(filepath.Join(dir, "etcd"), []byte(script), 0o700))
}

// TestRolledBack upgrades three members, of which one does not come up as the new
// version: it goes back, and the roll says why it has failed.
func TestRolledBack(t *testing.T) {
	t.Parallel()
	r, a, b, c := formedAs(t, etcdbin.V36)
	names := []string{"a", "b", "c"}
	client := r.client(names...)
	writes := r.load(client, "w", 500*time.Millisecond)
	_, others := r.led(names...)
	bad := others[0]
	for _, args := range [][]string{{"--plan"}, {"--to", etcdbin.V36, "--yes"}} { // there is nothing to upgrade to yet
		out, _, code := r.quorate(append([]string{"upgrade", a.agentFlag()}, args...)...)
		if code != 0 || !strings.Contains(out, "nothing to do: every member runs etcd "+etcdbin.V36+" already") {
			t.Errorf("exit code %d:\n%s", code, out)
		}
	}
	for _, h := range []*host{a, b, c} {
		if h == bad {
			h.broken(etcdbin.V37)
		} else {
			h.versions(etcdbin.V37)
		}
	}
	r.eventually(time.Minute, "all offer the new version", func() error {
		for _, n := range names {
			if x, err := r.nodes[n].report(); err != nil || len(x.Offers) != 2 {
				return fmt.Errorf("%s offers %v, %w", n, x.Offers, err)
			}
		}
		return nil
	})
	var out string
	var code int
	r.eventually(20*time.Second, "the keeper has heard it", func() (err error) {
		if out, _, code = r.quorate("upgrade", "--plan", a.agentFlag()); code != 0 || strings.Contains(out, "nothing to do") {
			err = errors.New(out)
		}
		return err
	})
	if want := "upgrade etcd from 3.6.14 to 3.7.3"; code != 0 || !strings.Contains(out, want) || strings.Count(out, "restart ") != 3 || strings.Count(out, "backup") != 1 {
		t.Errorf("exit code %d, want %q, a backup and three restarts:\n%s", code, want, out)
	}
	out, code = a.roll("upgrade", "--to", etcdbin.V37).end()
	if code != 1 || !strings.Contains(out, "roll 1 has failed: "+bad.name+": etcd 3.7.3: ") || !strings.Contains(out, "ordered as roll 1;") {
		t.Errorf("exit code %d, want that %s has failed in roll 1:\n%s", code, bad.name, out)
	}
	t.Log(out)
	r.voters(40*time.Second, names...)
	r.runs(10*time.Second, etcdbin.V36, bad.name)
	roll := r.rollIs(10*time.Second, cluster.RollFailed, names...)
	if roll.Backup == "" || roll.Hop.String() != etcdbin.V37 {
		t.Errorf("the failed entry is %+v, want one of a hop with a backup", roll)
	}
	writes.end()
	r.wantAcked(client, writes, "w")
	r.eventually(20*time.Second, "a healthy cluster, whose status shows the failed roll", func() error {
		s, err := a.status()
		if err == nil && (s.Roll == nil || s.State != control.Healthy) {
			err = fmt.Errorf("%s: %s, roll %+v", s.State, s.Reason, s.Roll)
		}
		return err
	})
	if table, _, _ := r.quorate("status", a.agentFlag()); !strings.Contains(table, "roll 1 (upgrade to 3.7.3) failed") {
		t.Errorf("status does not tell of roll 1:\n%s", table)
	}
}
