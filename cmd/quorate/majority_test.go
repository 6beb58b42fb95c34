package main

import (
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/cluster"
)

// TestMajorityLost: two of three machines are terminated. The one that is left
// founds epoch 2 from its whole log, and new machines fill the cluster up.
func TestMajorityLost(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a, b, c := r.trio()
	startAll(a, b, c)
	r.voters(30*time.Second, "a", "b", "c")
	r.writeMany(r.client("a", "b", "c"), "acked-", 200)
	wipeAll(b, c)
	r.machine("d", 24)
	r.machine("e", 25)
	r.listStates("a", "b=terminated", "c=terminated", "d", "e")
	startAll(r.nodes["d"], r.nodes["e"])
	r.voters(90*time.Second, "a", "d", "e")
	charter := r.inEpoch(2, "a", "d", "e")
	if s := charter.Seed; s.Kind != cluster.SeedSurvivor || s.Survivor != "a" {
		t.Errorf("seed %+v", s)
	}
	r.wantMany(r.client("d"), "acked-", 200)
}

// TestLongerLogSeeds: of two survivors, the one whose log is longer has the
// later writes. The other's name comes first, so that order decides nothing.
func TestLongerLogSeeds(t *testing.T) {
	t.Parallel()
	r := newRig(t, "--size", "5")
	for i, name := range []string{"a", "b", "c", "d", "e"} {
		r.machine(name, 11+i)
	}
	r.list("a", "b", "c", "d", "e")
	short, long := r.nodes["a"], r.nodes["e"]
	lost := []*host{r.nodes["b"], r.nodes["c"], r.nodes["d"]}
	startAll(append(lost, short, long)...)
	r.voters(60*time.Second, "a", "b", "c", "d", "e")
	writer := r.client("b", "c", "d", "e")
	r.writeMany(writer, "early-", 20)
	short.crash()
	r.writeMany(writer, "late-", 100)

	long.crash() // so that nobody tells the short one what it lacks
	wipeAll(lost...)
	r.listStates("a", "b=terminated", "c=terminated", "d=terminated", "e")
	short.start()
	short.holds(30*time.Second, "a silent member may hold the newest data", 10)
	long.start()
	r.voters(90*time.Second, "a", "e")
	charter := r.inEpoch(2, "a", "e")
	if s := charter.Seed; s.Kind != cluster.SeedSurvivor || s.Survivor != "e" {
		t.Errorf("seed %+v", s)
	}
	r.wantMany(r.client("a"), "late-", 100)
	short.wantAside("epoch-1")
}

// TestOperatorSaysLost: a static list proves nobody gone. The survivor waits,
// until an operator gives his word.
func TestOperatorSaysLost(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a, b, c := r.machine("a", 11), r.machine("b", 12), r.machine("c", 13)
	r.peers = "a=" + a.addr + ",b=" + b.addr + ",c=" + c.addr
	startAll(a, b, c)
	r.voters(30*time.Second, "a", "b", "c")
	r.writeMany(r.client("a"), "acked-", 50)
	wipeAll(b, c)
	a.holds(30*time.Second, "a quorum of the last members may come back", 10)
	for args, want := range map[string]string{
		"--lost=b,x": "no such member: x",
		"--lost=a,b": "a answers, and holds data of epoch 1",
	} {
		if _, errOut, code := r.quorate("recover", a.agentFlag(), args, "--yes"); code != 1 || !strings.Contains(errOut, want) {
			t.Errorf("recover %s: exit code %d, %s", args, code, errOut)
		}
	}
	if _, errOut, code := r.quorate("recover", a.agentFlag(), "--lost=b,c"); code != 2 || !strings.Contains(errOut, "not confirmed") {
		t.Errorf("recover without an answer: exit code %d, %s", code, errOut)
	}
	a.holds(10*time.Second, "a quorum of the last members may come back", 5)
	r.does("recover", a.agentFlag(), "--lost=b,c", "--yes", "--reason", "the racks burned")
	r.voters(60*time.Second, "a")
	r.inEpoch(2, "a")
	r.wantMany(r.client("a"), "acked-", 50)
}

// TestTransientLoss: what is only away comes back, however long it takes.
func TestTransientLoss(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a, b, c := r.trio()
	startAll(a, b, c)
	r.voters(30*time.Second, "a", "b", "c")
	r.writeMany(r.client("a"), "acked-", 20)
	before := r.oneCluster("a", "b", "c")
	b.crash()
	c.crash()
	a.holds(30*time.Second, "a quorum of the last members may come back", 40)
	b.start()
	c.start()
	r.voters(40*time.Second, "a", "b", "c")
	if after := r.oneCluster("a", "b", "c"); after != before {
		t.Errorf("cluster %s has become %s", before, after)
	}
	r.onlyEpochOne()
	r.wantMany(r.client("b"), "acked-", 20)
}
