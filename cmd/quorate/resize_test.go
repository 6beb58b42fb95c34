package main

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// voting waits until exactly n of the rig's hosts vote, all healthy, and gives
// the names.
func (r *rig) voting(limit time.Duration, n int) (names []string) {
	r.t.Helper()
	r.eventually(limit, fmt.Sprintf("%d voters", n), func() error {
		names = nil
		for name, h := range r.nodes {
			if rep, err := h.report(); err == nil && rep.Ready {
				names = append(names, name)
			}
		}
		if len(names) != n {
			return fmt.Errorf("ready are %v", names)
		}
		s, err := r.nodes[names[0]].status()
		if err == nil && (s.Voters != n || s.Healthy != n) {
			err = fmt.Errorf("%d voters, %d healthy", s.Voters, s.Healthy)
		}
		return err
	})
	return names
}

// TestResize: 1 → 3 → 5 → 3 by the configuration file, while all run; then
// 3 → 1 by agents that are started again with another --size.
func TestResize(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	file := filepath.Join(r.dir, "quorate.yaml")
	size := func(n int) {
		t.Helper()
		must(t, os.WriteFile(file+".tmp", fmt.Appendf(nil, "size: %d\n", n), 0o600))
		must(t, os.Rename(file+".tmp", file))
	}
	size(1)
	r.flags = append(r.flags, "--config", file)
	for i, name := range []string{"a", "b", "c", "d", "e"} {
		r.machine(name, 11+i)
	}
	r.list("a", "b", "c", "d", "e")
	r.nodes["a"].start()
	r.voting(30*time.Second, 1)
	id := r.oneCluster("a")
	r.writeMany(r.client("a"), "kept-", 20)
	for _, name := range []string{"b", "c", "d", "e"} {
		r.nodes[name].start()
		r.nodes[name].says(30*time.Second, "the cluster is full: standing by as a spare")
	}

	size(3)
	for _, h := range r.nodes { // need not wait for the next look at the file
		h.signal(syscall.SIGHUP)
	}
	r.voting(90*time.Second, 3)
	size(5) // and this the agents find by themselves
	r.voting(120*time.Second, 5)
	size(3)
	three := r.voting(60*time.Second, 3)
	for name, h := range r.nodes {
		if rep, err := h.report(); err == nil && !rep.Ready {
			h.says(30*time.Second, "the cluster is full: standing by as a spare")
			h.wantAside("removed")
			h.term()
			delete(r.nodes, name)
		}
	}

	for _, name := range three {
		h := r.nodes[name]
		h.term()
		h.start("--size", "1")
	}
	one := r.voting(90*time.Second, 1)
	r.wantMany(r.client(one[0]), "kept-", 20)
	if got := r.oneCluster(one[0]); got != id {
		t.Errorf("cluster %s has become %s", id, got)
	}
	r.onlyEpochOne()
}

// TestMoved: a machine comes back with its disk and another address. Its member
// stays the same, and the cluster learns the address.
func TestMoved(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a, b, c := r.trio()
	startAll(a, b, c)
	r.voters(30*time.Second, "a", "b", "c")
	admin := r.client("a", "b")
	before := r.members(admin)
	c.term()
	c.addr = r.net + ".23"
	r.list("a", "b", "c")
	c.start()
	r.voters(60*time.Second, "a", "b", "c")
	after := r.members(admin)
	if len(after) != 3 || after["c"].ID != before["c"].ID || !after["c"].Listens(c.url(2380)) {
		t.Errorf("c was %+v and is %+v", before["c"], after["c"])
	}
	if found := c.aside(); len(found) != 0 {
		t.Errorf("set aside: %q", found)
	}
	r.put(r.client("c"), "at", "home")
	r.wantValue(r.client("c"), "at", "home")
}
