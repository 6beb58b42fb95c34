package main

import (
	"fmt"
	"os"
	"syscall"
	"testing"
	"time"
)

// TestShippedWhenAllIsLost: under load every process is killed at once, and
// every disk is gone. What the store holds of the raft log is all that was
// acknowledged, but for the last second; and the metric has told the truth.
func TestShippedWhenAllIsLost(t *testing.T) {
	r := newRig(t, "--backup-interval", "1h")
	a, b, c := r.trio()
	hosts := []*host{a, b, c}
	startAll(a, b, c)
	r.voters(40*time.Second, "a", "b", "c")
	put := r.client("a")
	r.put(put, "first", "1")
	r.ships(40*time.Second, hosts...)
	for round := range 3 {
		j := r.traffic(24, "a", "b", "c")
		began := time.Now()
		r.eventually(60*time.Second, "much is written", func() error {
			if time.Since(began) < 5*time.Second || j.count() < 6000 {
				return fmt.Errorf("%d writes", j.count())
			}
			return nil
		})
		rate := float64(j.count()) / time.Since(began).Seconds()
		if round < 2 { // it settles, and everything is there
			j.end()
			r.eventually(20*time.Second, "all is stored", func() error {
				for _, h := range hosts {
					if age, ok := h.unshipped(); !ok || age > 0 {
						return fmt.Errorf("%s: %.1f s", h.name, age)
					}
				}
				return nil
			})
			s := r.shipped(1)
			if n, _ := s.lacking(j); n > 0 || s.chains != 1 {
				t.Errorf("at rest %d of %d writes are not stored, in %d chains", n, len(j.acked), s.chains)
			}
			t.Logf("%.0f writes/s; %d entries, %d segments, %d bytes", rate, len(s.entries), s.end.Number, s.bytes)
			continue
		}
		said := map[string]float64{}
		for _, h := range hosts {
			said[h.name], _ = h.unshipped()
		}
		killed := time.Now()
		for _, h := range hosts {
			h.signal(syscall.SIGKILL)
			h.killEtcd()
		}
		took := time.Since(killed)
		for _, h := range hosts {
			h.wipe()
			if _, err := os.Stat(h.dataDir()); err == nil {
				t.Error("a disk is left")
			}
		}
		j.end()
		s := r.shipped(1)
		n, first := s.lacking(j)
		lost := time.Duration(0)
		if n > 0 {
			lost = killed.Sub(first)
		}
		t.Logf("%.0f writes/s; %d acknowledged, %d lost, of the last %s; the metric said %v; killing took %s", rate, len(j.acked), n, lost, said, took)
		if s.chains != 1 || lost > time.Second {
			t.Errorf("%d writes of the last %s are lost, in %d chains", n, lost, s.chains)
		}
		if rate < 1000 {
			t.Logf("only %.0f writes/s: this machine is busy", rate)
		}
		for name, age := range said {
			if lost.Seconds() > age+0.3 {
				t.Errorf("%s said %.2f s, and what is lost is of %s", name, age, lost)
			}
		}
	}
}
