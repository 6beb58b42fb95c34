package main

import (
	"testing"
	"time"
)

// TestForm is the main job: three machines, one cluster.
func TestForm(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a, b, c := r.trio()
	for _, h := range []*host{a, b, c} {
		h.start()
	}
	took := r.voters(30*time.Second, "a", "b", "c")
	t.Logf("three voters after %s", took.Round(time.Millisecond))
	r.put(r.client("a", "b", "c"), "hello", "world")
	r.wantValue(r.client("c"), "hello", "world")
	if out, _, code := r.quorate("status", "--agent", b.addr+":2378"); code != 0 {
		t.Errorf("status of a healthy cluster: exit code %d\n%s", code, out)
	}
}
