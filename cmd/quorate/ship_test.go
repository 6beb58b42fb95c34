package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/quorate/quorate/internal/raftlog"
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

// TestShippingSurvives: under load the leader's etcd, the agent that ships and
// whole machines are killed at random. The chain has no hole and no index with
// two entries, it is one chain, it agrees with every member's own log, and at
// rest it holds every acknowledged write.
func TestShippingSurvives(t *testing.T) {
	r := newRig(t, "--backup-interval", "1h")
	a, b, c := r.trio()
	hosts := []*host{a, b, c}
	startAll(a, b, c)
	r.voters(40*time.Second, "a", "b", "c")
	r.ships(40*time.Second, hosts...)
	j := r.traffic(12, "a", "b", "c")
	more := func(n int) {
		t.Helper()
		until := j.count() + n
		r.eventually(60*time.Second, "more is written", func() error {
			if j.count() < until {
				return fmt.Errorf("%d of %d", j.count(), until)
			}
			return nil
		})
	}
	seed := uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(seed, 0))
	more(500)
	for range 6 {
		h := hosts[random.IntN(3)]
		switch what := random.IntN(4); what {
		case 0:
			r.leader("a", "b", "c").killEtcd()
		case 1:
			h = r.shipper(hosts...)
			h.killAgent()
			more(200)
			h.start()
		case 2:
			h = r.shipper(hosts...)
			h.crash()
			more(200)
			h.start()
		case 3:
			h.crash()
			more(200)
			h.start()
		}
		r.voters(60*time.Second, "a", "b", "c")
		more(300)
	}
	j.end()
	r.eventually(30*time.Second, "all is stored", func() error {
		for _, h := range hosts {
			if age, ok := h.unshipped(); !ok || age > 0 {
				return fmt.Errorf("%s: %.1f s", h.name, age)
			}
		}
		return nil
	})
	s := r.shipped(1)
	if n, _ := s.lacking(j); n > 0 || s.chains != 1 {
		t.Errorf("%d of %d writes are not stored, in %d chains; seed %d", n, len(j.acked), s.chains, seed)
	}
	same := 0
	for _, h := range hosts {
		same += s.compare(t, h)
	}
	if same < 1000 {
		t.Errorf("only %d entries were compared", same)
	}
	t.Logf("%d writes, %d entries, %d segments, %d compared", len(j.acked), len(s.entries), s.end.Number, same)
}

// shipper is whose turn it is.
func (r *rig) shipper(hosts ...*host) (found *host) {
	r.t.Helper()
	r.eventually(30*time.Second, "somebody ships", func() error {
		for _, h := range hosts {
			if rep, err := h.report(); err == nil && rep.Log != nil && rep.Log.Shipping {
				found = h
				return nil
			}
		}
		return errors.New("nobody does")
	})
	return found
}

// compare holds what is stored against a member's own log, and says how many
// entries both have.
func (s *shipped) compare(t *testing.T, h *host) (n int) {
	t.Helper()
	dir := filepath.Join(h.dataDir(), "etcd", "member", "wal")
	log, err := raftlog.Open(dir, 1)
	must(t, err)
	defer log.Close()
	for {
		some, err := log.Read(context.Background(), raftlog.Applied{}, 1<<20)
		must(t, err)
		if len(some) == 0 {
			return n
		}
		for _, e := range some {
			if stored := s.entries[e.GetIndex()]; stored != nil {
				if n++; !proto.Equal(stored, e) {
					t.Errorf("%s has %v, stored is %v", h.name, e, stored)
				}
			}
		}
	}
}
