package main

import (
	"testing"
	"time"
)

// TestAllKilled: all are killed at once under load and come back on their
// data: the same cluster, every acknowledged write, nothing restored.
func TestAllKilled(t *testing.T) {
	t.Parallel()
	r, a, b, c := formed(t)
	names := []string{"a", "b", "c"}
	id, before := r.oneCluster(names...), r.members(r.client("a"))
	// A backup is there, older than the data: it must not win.
	r.put(r.client("a"), "old", "yes")
	if _, stderr, code := r.quorate("backup", "create", "--agent", a.addr+":2378"); code != 0 {
		t.Fatalf("backup: %d %s", code, stderr)
	}
	all := []*host{a, b, c}
	for i := range again(t, 2, 10) {
		prefix := string(rune('p'+i)) + "/"
		client := r.client(names...)
		writes := r.load(client, prefix, time.Second)
		r.wantValue(r.client("b"), prefix+"000200", prefix+"000200") // in full swing
		for _, h := range all {
			h.signal(9)
			h.killEtcd()
		}
		writes.end()
		for _, h := range all {
			h.crash()
		}
		began := time.Now()
		for _, h := range all {
			h.start()
		}
		r.put(client, "first", "yes")
		t.Logf("first put after %s; raw etcd needs 0.4 to 1.2 s", time.Since(began).Round(time.Millisecond))
		r.voters(40*time.Second, names...)
		r.wantAcked(client, writes, prefix)
		if now := r.oneCluster(names...); now != id {
			t.Errorf("cluster %s, before %s", now, id)
		}
		for name, m := range r.members(client) {
			if before[name].ID != m.ID {
				t.Errorf("%s has id %s, before %s", name, m.ID, before[name].ID)
			}
		}
		r.onlyEpochOne()
	}
}
