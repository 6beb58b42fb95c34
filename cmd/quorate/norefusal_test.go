package main

import (
	"fmt"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// TestNoRequestFails: a whole roll of three, under a load of puts, reads and
// watches. No request fails, no read is old, and no watch misses an event.
func TestNoRequestFails(t *testing.T) {
	for _, rate := range []int{200, 2000} {
		t.Run(fmt.Sprint(rate), func(t *testing.T) {
			r := rolling(t)
			f := startTraffic(t, rate, rate/10, nil, r.clientURLs()...)
			for i := range again(t, 2, 20) {
				if i%2 == 0 {
					r.rollByHand()
				} else if out, code := r.nodes["a"].roll("roll").end(); code != 0 {
					t.Fatalf("quorate roll: exit code %d:\n%s", code, out)
				}
			}
			f.mustHaveServed(rate)
		})
	}
}

// TestNoRequestFailsUnderTLS: where etcd serves gRPC below an HTTP server, it
// stops in another way.
func TestNoRequestFailsUnderTLS(t *testing.T) {
	ca := newAuthority(t)
	p := newPlain(t, plainWay{moves: true, holds: true, ca: ca})
	f := startTraffic(t, 200, 20, ca.client("client"), p.endpoints()...)
	for range again(t, 2, 20) {
		if took := p.roll(); took > 20*time.Second {
			t.Errorf("a roll took %s: watches have held the members up", took)
		}
	}
	f.mustHaveServed(200)
}

// mustHaveServed ends the load and checks all that the clients were answered.
func (f *traffic) mustHaveServed(rate int) {
	f.t.Helper()
	f.end()
	f.report(rate)
	if f.failures() > 0 {
		f.t.Errorf("%d requests failed: %v", f.failures(), f.failed)
	}
	for _, b := range f.broken {
		f.t.Error(b)
	}
	if got := f.linearizable(); got != porcupine.Ok {
		f.t.Errorf("linearizable: %s", got)
	}
}

// report logs what the clients have felt.
func (f *traffic) report(rate int) {
	f.t.Logf("%d puts/s: %d puts, %d reads, %d not sent, %d failed; puts p50 %s p99 %s p99.9 %s, reads p99 %s; longest gap %s", rate, len(f.puts), len(f.reads), f.skipped.Load(), f.failures(),
		round(percentile(f.puts, 0.5)), round(percentile(f.puts, 0.99)), round(percentile(f.puts, 0.999)), round(percentile(f.reads, 0.99)), round(f.longestGap()))
}

// rolling is three healthy members.
func rolling(t testing.TB) *rig {
	r := newRig(t)
	r.trio()
	for _, h := range r.nodes {
		h.start()
	}
	r.voters(time.Minute, "a", "b", "c")
	return r
}

func (r *rig) clientURLs() (all []string) {
	for _, h := range r.nodes {
		all = append(all, h.url(2379))
	}
	return all
}

// rollByHand restarts each machine's agent and etcd in turn, as an operator does
// who has no `quorate roll`: followers first.
func (r *rig) rollByHand() time.Duration {
	r.t.Helper()
	began := time.Now()
	s, err := r.nodes["a"].status()
	must(r.t, err)
	order := []string{"a", "b", "c"}
	for i, n := range order {
		if n == s.Leader {
			order[i], order[2] = order[2], n
		}
	}
	for _, n := range order {
		h := r.nodes[n]
		h.term()
		h.start()
		r.voters(time.Minute, "a", "b", "c")
	}
	return time.Since(began)
}
