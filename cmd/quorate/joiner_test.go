package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/cluster"
)

// pair is two voters in a cluster that wants three.
func pair(t *testing.T) *rig {
	t.Helper()
	r := newRig(t, "--founding-wait", "1s")
	r.machine("a", 11)
	r.machine("b", 12)
	r.list("a", "b")
	r.nodes["a"].start()
	r.nodes["b"].start()
	r.voters(40*time.Second, "a", "b")
	return r
}

// housekeeping is paused or resumed, and the keeper knows it.
func (r *rig) housekeeping(paused bool) {
	r.t.Helper()
	args := []string{"resume", "--agent", r.nodes["a"].addr + ":2378"}
	if paused {
		args = []string{"pause", "--for", "5m", "--reason", "a test holds the joiner", "--agent", r.nodes["a"].addr + ":2378"}
	}
	if _, stderr, code := r.quorate(args...); code != 0 {
		r.t.Fatalf("%v: %d %s", args, code, stderr)
	}
	r.eventually(20*time.Second, fmt.Sprint("housekeeping paused: ", paused), func() error {
		rep, err := r.leader("a", "b").report()
		if err == nil && (rep.Lock != nil && rep.Lock.Held(time.Now())) != paused {
			err = errors.New("the keeper does not know")
		}
		return err
	})
}

// entry waits for the joiner's entry in the membership.
func (h *host) entry(learner bool) {
	h.r.t.Helper()
	client := h.r.client("a", "b")
	h.r.eventually(30*time.Second, "an entry of "+h.name, func() error {
		for _, m := range h.r.members(client) {
			if m.Listens(h.url(2380)) && m.Learner == learner {
				return nil
			}
		}
		return errors.New("none")
	})
}

func (h *host) runs(what string, ok func(cluster.Report) bool) {
	h.r.t.Helper()
	h.r.eventually(30*time.Second, h.name+" "+what, func() error {
		rep, err := h.report()
		if err == nil && !ok(rep) {
			err = errors.New(rep.Reason)
		}
		return err
	})
}

// TestJoinerDies at each step of joining, and its machine is gone for good:
// nothing of it stays in the membership or in the store's list.
func TestJoinerDies(t *testing.T) {
	t.Parallel()
	r := pair(t)
	script, shut := r.gate("gate")
	begin := func(h *host) {
		r.list("a", "b", h.name)
		h.start("--etcd", script)
	}
	running := func(rep cluster.Report) bool { return rep.Etcd.Running }
	for i, row := range []struct {
		step string
		till func(h *host) // brings it there
	}{
		{"it has asked", func(h *host) {
			r.housekeeping(true)
			begin(h)
			h.says(30*time.Second, "the keeper has been asked")
		}},
		{"its entry is there, and its etcd has not started", func(h *host) {
			r.housekeeping(true)
			begin(h)
			h.says(30*time.Second, "the keeper has been asked")
			r.eventually(10*time.Second, "the keeper hears it", func() error {
				s, err := r.leader("a", "b").status()
				for _, n := range s.Nodes {
					if err == nil && n.Name == h.name && strings.Contains(n.Doing, "the keeper has been asked") {
						return nil
					}
				}
				return fmt.Errorf("%+v, %v", s.Nodes, err)
			})
			h.signal(syscall.SIGSTOP)
			r.housekeeping(false) // well before its report is old
			h.entry(true)
		}},
		{"its etcd has started, and has no log yet", func(h *host) {
			must(t, os.WriteFile(shut, nil, 0o600))
			begin(h)
			h.runs("starts its etcd", running)
			h.entry(true)
		}},
		{"it is a learner", func(h *host) {
			must(t, os.WriteFile(shut, nil, 0o600))
			begin(h)
			h.runs("starts its etcd", running)
			r.housekeeping(true) // or it would be promoted at once
			must(t, os.Remove(shut))
			h.runs("is a learner", func(rep cluster.Report) bool { return rep.Etcd.Healthy && rep.Etcd.Learner })
		}},
		{"it has just been promoted", func(h *host) {
			begin(h)
			h.entry(false)
		}},
	} {
		h := r.machine(fmt.Sprint("joiner", i), 21+i)
		row.till(h)
		h.killAgent()
		h.killGroup()
		_ = os.Remove(shut)
		r.list("a", "b")
		if rep, err := r.leader("a", "b").report(); err == nil && rep.Lock != nil && rep.Lock.Held(time.Now()) {
			r.housekeeping(false)
		}
		took := r.eventually(60*time.Second, row.step+": two are left", func() error {
			if m := r.members(r.client("a", "b")); len(m) != 2 || m["a"].ID == 0 || m["b"].ID == 0 {
				return fmt.Errorf("members %v", m)
			}
			return r.listed(2)
		})
		r.voters(30*time.Second, "a", "b")
		r.leader("a", "b").stays(3, row.step+": nothing comes back", func(rep cluster.Report) error {
			if len(rep.Members) != 2 {
				return fmt.Errorf("members %v", rep.Members)
			}
			return nil
		})
		t.Logf("%s: gone after %s", row.step, took.Round(time.Millisecond))
	}
	r.onlyEpochOne()
}

// killGroup ends the joiner's etcd, be it a script that still waits.
func (h *host) killGroup() {
	h.r.t.Helper()
	var id struct{ PID int }
	raw, err := os.ReadFile(h.dataDir() + "/etcd.pid.json")
	if err == nil && json.Unmarshal(raw, &id) == nil && id.PID > 1 {
		_ = syscall.Kill(-id.PID, syscall.SIGKILL)
	}
	h.killEtcd()
}

// listed says whether the store's member list has so many entries.
func (r *rig) listed(n int) error {
	var c cluster.Checkpoint
	raw, err := os.ReadFile(r.object("ledger/0000000001/checkpoint.json"))
	if err == nil {
		err = json.Unmarshal(raw, &c)
	}
	if err == nil && len(c.Members) != n {
		err = fmt.Errorf("the store lists %v", c.Members)
	}
	return err
}

// TestJoinersQueue: three machines that come at once get in one after the
// other, while there is room.
func TestJoinersQueue(t *testing.T) {
	t.Parallel()
	r, _, _, _ := formed(t, "--size", "5", "--founding-wait", "1s", "--dead-after", "10m")
	watch := r.watchMembers(r.client("a", "b", "c"))
	names := []string{"d", "e", "f"}
	for i, n := range names {
		r.machine(n, 14+i)
	}
	r.list("a", "b", "c", "d", "e", "f")
	for _, n := range names {
		r.nodes[n].start()
	}
	client, in := r.client("a", "b", "c"), []string{"a", "b", "c"}
	r.eventually(90*time.Second, "five voters", func() error {
		in = in[:0]
		for n, m := range r.members(client) {
			if !m.Learner {
				in = append(in, n)
			}
		}
		if len(in) != 5 {
			return fmt.Errorf("voters %v", in)
		}
		return nil
	})
	r.voters(30*time.Second, in...)
	if watch.atOnce() != 1 {
		t.Errorf("%d learners at the same time, want one", watch.atOnce())
	}
	for _, n := range names {
		h, want := r.nodes[n], "learner voter"
		if !slices.Contains(in, n) {
			want = ""
			h.holds(20*time.Second, "the cluster is full: standing by as a spare", 5)
		}
		if got := watch.of(h); got != want {
			t.Errorf("%s has been %q, want %q", n, got, want)
		}
	}
	r.oneCluster(in...)
}
