package clustertest

import (
	"flag"
	"os"
	"runtime"
	"sort"
	"strconv"
	"sync"
	"testing"
)

var (
	simSchedules = flag.Int("sim.schedules", 0, "how many schedules TestSim plays (default: QUORATE_SIM_SCHEDULES, else 2000)")
	simSeed      = flag.Uint64("sim.seed", 0, "play this one schedule and print its trace")
	simFrom      = flag.Uint64("sim.from", 1, "the first seed")
)

// TestSim plays schedules of faults against real planners, and checks the
// invariants of this package's doc at every step.
func TestSim(t *testing.T) {
	if *simSeed != 0 {
		r := Run(*simSeed, os.Stdout)
		if r.Broken != "" {
			t.Fatalf("seed %d: %s", r.Seed, r.Broken)
		}
		return
	}
	n := schedules()
	results := make(chan Result, 64)
	var wg sync.WaitGroup
	workers := runtime.GOMAXPROCS(0)
	for i := range workers {
		wg.Go(func() {
			for s := uint64(i); s < uint64(n); s += uint64(workers) {
				results <- Run(*simFrom+s, nil)
			}
		})
	}
	go func() { wg.Wait(); close(results) }()
	report(t, results)
}

func schedules() int {
	if *simSchedules > 0 {
		return *simSchedules
	}
	if n, err := strconv.Atoi(os.Getenv("QUORATE_SIM_SCHEDULES")); err == nil && n > 0 {
		return n
	}
	return 2000
}

func report(t *testing.T, results <-chan Result) {
	var total Result
	reasons := map[string]int{}
	played, broken := 0, 0
	for r := range results {
		played++
		total.Rounds += r.Rounds
		total.Steps += r.Steps
		total.Acks += r.Acks
		total.Epochs += r.Epochs
		for k, v := range r.Reasons {
			reasons[k] += v
		}
		if r.Broken != "" {
			if broken++; broken <= 10 {
				t.Errorf("seed %d (%s): %s\n\tgo test ./internal/clustertest -run TestSim -sim.seed=%d -v", r.Seed, r.Profile, r.Broken, r.Seed)
			}
		}
	}
	t.Logf("%d schedules, %d rounds, %d steps, %d acknowledged writes, %d epochs, %d broken", played, total.Rounds, total.Steps, total.Acks, total.Epochs, broken)
	var names []string
	for k := range reasons {
		names = append(names, k)
	}
	sort.Slice(names, func(i, j int) bool { return reasons[names[i]] > reasons[names[j]] })
	for _, k := range names {
		t.Logf("%9d  %s", reasons[k], k)
	}
	if played >= 1000 {
		covered(t, reasons)
	}
}

// covered fails if the schedules never came to what they are there to prove.
func covered(t *testing.T, reasons map[string]int) {
	for _, want := range []string{
		"found: the ledger is empty, and enough empty peers answer",
		"found: every peer has granted our proposal",
		"found: the charter names this node",
		"found: the charter seeds from a backup",
		"found: the seed is complete",
		"start: the data is usable",
		"join: an entry awaits this disk",
		"adopt: this cluster runs and has no charter",
		"adopt: the data is of the adopted cluster",
		"fence: a newer epoch is in force",
		"rejoin: this member has been removed from the cluster",
		"recover: a majority is proven lost, and this survivor's log is the newest",
		"recover: this disk seeds the new epoch",
		"recover: every disk of the epoch is proven lost",
		"recover: an agent that has just started founds the next epoch",
		"refuse: every disk is lost and nothing can be restored: use `quorate recover --empty`",
		"refuse: no quorum answers, and automatic recovery is off: use `quorate recover`",
		"wait: a silent member may hold the newest data",
		"wait: a quorum of the last members may come back",
		"wait: a silent peer may know of a cluster",
		"wait: the cluster is full: standing by as a spare",
		"keep: a newcomer joins",
		"keep: a newcomer replaces a dead voter",
		"keep: the learner has caught up",
		"keep: a learner's disk is lost",
		"keep: a voter's disk is lost",
		"keep: a voter's machine is gone",
		"keep: a voter leaves",
		"keep: a member has moved, with its data",
		"keep: more voters than wanted",
		"keep: a backup is due",
		"keep: housekeeping is paused",
		"keep: all is well",
		"turn: etcd restarts in its turn",
		"turn: the leader hands over, before its turn",
		"turn: etcd must restart, and waits: another voter's turn comes first",
		"roll: every member has restarted",
		"roll: a backup is taken before the next hop",
		"roll: the next hop begins",
		"roll: the data is to be brought to the older format",
		"roll: etcd has not come up as the roll wants it",
		"roll: a member did not come up as the roll wants it",
		"roll: the roll's cluster is over",
		"operator: recover",
	} {
		if reasons[want] == 0 {
			t.Errorf("no schedule came to %q", want)
		}
	}
}
