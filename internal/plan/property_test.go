package plan

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/quorate/quorate/internal/cluster"
)

// Five and seven nodes, where the enumeration does not reach.

var seven = []string{"a", "b", "c", "d", "e", "f", "g"}

// Any mix of gone, silent, wiped and surviving members: a next epoch only when
// nobody is silent and a majority is lost, and then from the newest log.
func TestPropertySurvivor(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names := seven[:rapid.SampledFrom([]int{5, 7}).Draw(t, "size")]
		here := []string{"a"}
		silentOnes, lostOnes := 0, 0
		best, term, index := "a", uint64(5), uint64(100)
		var opts []opt
		for _, n := range names[1:] {
			switch rapid.SampledFrom([]string{"gone", "gone", "wiped", "holds", "holds", "silent"}).Draw(t, n) {
			case "gone":
				lostOnes++
			case "wiped":
				lostOnes++
				here, opts = append(here, n), append(opts, disowns(n, id(n)))
			case "silent":
				silentOnes++
				here = append(here, n)
			case "holds":
				tm, ix := rapid.Uint64Range(4, 6).Draw(t, n+" term"), rapid.Uint64Range(99, 101).Draw(t, n+" index")
				here, opts = append(here, n), append(opts, holds(n, 1, tm, ix))
				if tm > term || tm == term && ix > index {
					best, term, index = n, tm, ix
				}
			}
		}
		d := Decide(leftover(append([]opt{size(len(names)), checkpoint(voters(names...)...), peers(here...)}, opts...)...))
		may := silentOnes == 0 && lostOnes > (len(names)-1)/2
		switch c, wrote := written(d); {
		case wrote != (may && best == "a"):
			t.Fatalf("%d lost, %d silent, the newest is %s: %s", lostOnes, silentOnes, best, d)
		case wrote && (c.Seed.Term != term || c.Seed.Index != index || c.Epoch != 2 || len(c.Founders) != 1):
			t.Fatalf("charter %+v, want term %d index %d", c, term, index)
		case may && !wrote && d.Detail != best:
			t.Fatalf("waits for %q, want %s", d.Detail, best)
		}
	})
}

func written(d Decision) (cluster.Charter, bool) {
	for _, s := range d.Steps {
		if w, ok := s.(WriteCharter); ok {
			return w.Charter, true
		}
	}
	return cluster.Charter{}, false
}

// A keeper of seven, whatever befalls the others: every round is right, and
// when each removal is carried out the quorum holds until nothing is left to do.
func TestPropertyKeeper(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names := seven[:rapid.IntRange(1, 7).Draw(t, "members")]
		opts := []opt{size(rapid.SampledFrom([]int{0, 1, 3, 5, 7}).Draw(t, "size")), peers(seven...), keeping(voters(names...)...)}
		for _, n := range names {
			switch rapid.SampledFrom([]string{"", "", "", "down", "long down", "gone", "dying", "leaving", "wiped"}).Draw(t, n) {
			case "down":
				opts = append(opts, notLeader(n, down(n, 0)))
			case "long down":
				opts = append(opts, notLeader(n, down(n, time.Hour)))
			case "gone":
				opts = append(opts, without1(n), notLeader(n, down(n, 0)))
			case "dying":
				opts = append(opts, state(n, cluster.Terminating))
			case "leaving":
				opts = append(opts, notLeader(n, says(n, func(r *cluster.Report) { r.Leaving = true })))
			case "wiped":
				opts = append(opts, notLeader(n, and(down(n, 0), disowns(n, id(n)))))
			}
		}
		if rapid.Bool().Draw(t, "a newcomer") {
			opts = append(opts, asks("g"))
		}
		o := see(opts...)
		for range 20 {
			d := Decide(o)
			if why := violated(o, d); why != "" {
				t.Fatalf("%s: %s", why, d)
			}
			i := slices.IndexFunc(d.Steps, func(s Step) bool { _, ok := s.(RemoveMember); return ok })
			if i < 0 {
				return
			}
			gone := d.Steps[i].(RemoveMember).ID
			rest := slices.DeleteFunc(slices.Clone(o.Members.Value()), func(m cluster.Member) bool { return m.ID == gone })
			o.Members = cluster.Known(rest)
			checkpoint(rest...)(&o)
		}
		t.Fatal("20 rounds, and still removing")
	})
}

func notLeader(n string, f opt) opt {
	if n == "a" {
		return asIs
	}
	return f
}
