package clustertest

import (
	"flag"
	"fmt"
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
		t.Log(fmt.Sprintf("%9d  %s", reasons[k], k))
	}
}
