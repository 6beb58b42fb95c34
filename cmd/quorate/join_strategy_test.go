package main

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/cluster"
)

// unhealthy waits until the keeper has found the member unhealthy for
// --dead-after: until then no strategy may take it for dead.
func (r *rig) unhealthy(keeper *host, name string) {
	r.t.Helper()
	began := time.Now()
	r.eventually(40*time.Second, name+" counts as dead", func() error {
		s, err := keeper.status()
		if err != nil {
			return err
		}
		for _, n := range s.Nodes {
			if n.Name == name && n.Health == "healthy" {
				began = time.Now()
			}
		}
		if down := time.Since(began); down < 7*time.Second {
			return fmt.Errorf("down for %s", down)
		}
		return nil
	})
}

// TestJoinPrepared: the newcomer asks for nothing; an operator makes its entry.
func TestJoinPrepared(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a, b, c := r.trio()
	r.list("a", "b")
	startAll(a, b)
	r.voters(30*time.Second, "a", "b") // a majority of three, after the founding wait
	r.list("a", "b", "c")
	c.start("--join", "prepared")
	c.holds(20*time.Second, "no entry has been prepared for this node", 8)
	admin := r.client("a", "b")
	if n := len(r.members(admin)); n != 2 {
		t.Fatalf("%d members before anybody has prepared an entry", n)
	}
	var id uint64
	r.eventually(20*time.Second, "an entry is prepared", func() error {
		ctx, cancel := brief()
		defer cancel()
		added, err := admin.MemberAddAsLearner(ctx, []string{c.url(2380)})
		if err == nil {
			id = added.Member.ID
		}
		return err
	})
	r.voters(60*time.Second, "a", "b", "c")
	if got := r.members(admin)["c"].ID; got != cluster.MemberID(id) {
		t.Errorf("c is member %s, the prepared entry was %x", got, id)
	}
}

// TestJoinAddAndReplace: with "add" a newcomer fills a cluster up and never
// takes a dead member's place; with "replace" it does.
func TestJoinAddAndReplace(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a, b, c := r.trio()
	d := r.machine("d", 14)
	r.list("a", "b")
	startAll(a, b)
	r.voters(30*time.Second, "a", "b")
	r.list("a", "b", "c", "d")
	c.start("--join", "add")
	r.voters(60*time.Second, "a", "b", "c")
	d.start("--join", "add")
	d.holds(20*time.Second, "the cluster is full: standing by as a spare", 5)

	c.crash()
	keeper := r.leader("a", "b")
	r.unhealthy(keeper, "c")
	d.holds(20*time.Second, "the cluster is full: standing by as a spare", 10)
	if _, there := r.members(r.client("a", "b"))["c"]; !there {
		t.Error("c was removed for a newcomer that may only be added")
	}
	d.term()
	d.start("--join", "replace")
	r.voters(60*time.Second, "a", "b", "d")
	if _, there := r.members(r.client("a", "b"))["c"]; there {
		t.Error("c is still a member")
	}
	// What was replaced comes back as a spare, with its old data kept.
	c.start()
	c.says(30*time.Second, "the cluster is full: standing by as a spare")
	c.wantAside("removed")
}

// TestJoinPrune: two of five are dead. One newcomer with "prune" has both
// removed, where "replace" would have had one.
func TestJoinPrune(t *testing.T) {
	t.Parallel()
	r := newRig(t, "--size", "5")
	names := []string{"a", "b", "c", "d", "e"}
	for i, name := range names {
		r.machine(name, 11+i)
	}
	f := r.machine("f", 16)
	r.list(names...)
	for _, name := range names {
		r.nodes[name].start()
	}
	r.voters(60*time.Second, names...)
	r.nodes["d"].crash()
	r.nodes["e"].crash()
	r.list(append(names, "f")...)
	r.unhealthy(r.leader("a", "b", "c"), "e")
	r.eventually(20*time.Second, "both stay while nobody asks", func() error {
		if n := len(r.members(r.client("a", "b", "c"))); n != 5 {
			return fmt.Errorf("%d members", n)
		}
		return nil
	})
	f.start("--join", "prune")
	r.voters(60*time.Second, "a", "b", "c", "f")
	left := r.members(r.client("a"))
	for _, dead := range []string{"d", "e"} {
		if _, there := left[dead]; there {
			t.Error(errors.New(dead + " is still a member"))
		}
	}
}
