package clustertest

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/cluster"
)

// TestStoredHistory: the one member that is left was down when the newest backup
// was made, or was not. The longer history seeds, and the world's own
// bookkeeping says that no acknowledged write of either is missing.
func TestStoredHistory(t *testing.T) {
	kinds := map[cluster.SeedKind]int{}
	for seed := range uint64(40) {
		kinds[storedHistory(t, seed)]++
	}
	if kinds[cluster.SeedBackup] < 10 || kinds[cluster.SeedSurvivor] < 10 {
		t.Errorf("the cases do not tell much: %v", kinds)
	}
}

func storedHistory(t *testing.T, seed uint64) (kind cluster.SeedKind) {
	defer func() {
		if v, ok := recover().(violation); ok {
			t.Errorf("seed %d: %s", seed, v.text)
		}
	}()
	w := build(rand.New(rand.NewPCG(seed, 2)), nil, profile{machines: 3, size: 3, hasStore: true, authoritative: true, join: cluster.JoinReplace, autoRecover: true, backups: true})
	w.faults, w.lag = faultRates{}, 0.1
	if !w.passUntil(3*time.Minute, func() bool { return w.notWell() == "" && w.truth.acks > 20 }) {
		t.Fatalf("seed %d: it never began: %s", seed, w.notWell())
	}
	members := w.byLead()
	left := members[seed%3]
	if seed%2 == 0 {
		w.crashMachine(left)
	}
	behind := uint64(len(left.disk.data.log))
	w.passUntil(3*time.Minute, func() bool {
		b, ok := w.store.newestBackup(true)
		return ok && b.Index > behind
	})
	for _, m := range members {
		if m != left {
			terminated.befall(w, affair{}, members, m)
		}
	}
	w.recordSource()
	if left.off {
		w.powerOn(left)
	}
	w.passUntil(2*time.Minute, func() bool { return w.truth.epoch == 2 })
	w.replaceAll(members)
	w.becomesWell()
	c := w.truth.charters[2]
	if want := map[bool]cluster.SeedKind{true: cluster.SeedBackup, false: cluster.SeedSurvivor}[seed%2 == 0]; c.Seed.Kind != want || w.truth.epoch != 2 {
		t.Errorf("seed %d: epoch %d, charter %+v, want a %s", seed, w.truth.epoch, c, want)
	}
	return c.Seed.Kind
}
