package main

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestWiped: a disk that is lost, in whole or in part, under the same name and
// address, comes back as a new member. It never votes under its old identity.
func TestWiped(t *testing.T) {
	t.Parallel()
	r, a, b, c := formed(t)
	names := []string{"a", "b", "c"}
	r.put(r.client(names...), "k", "v")
	for i, row := range []struct {
		lost string
		h    *host
		path string
	}{
		{"the whole data directory", a, ""},
		{"etcd's directory", b, "etcd"},
		{"etcd's member directory", c, filepath.Join("etcd", "member")},
	} {
		h := row.h
		client := r.client(r.others(h, names...)...)
		before := r.members(client)
		h.crash()
		must(t, os.RemoveAll(filepath.Join(h.dataDir(), row.path)))
		h.start()
		r.eventually(60*time.Second, h.name+" is a new member", func() error {
			now := r.members(client)
			if m := now[h.name]; m.ID == 0 || m.ID == before[h.name].ID || m.Learner || len(now) != 3 {
				return fmt.Errorf("members %v", now)
			}
			return nil
		})
		r.voters(30*time.Second, names...)
		for _, other := range r.others(h, names...) {
			if now := r.members(client); now[other].ID != before[other].ID {
				t.Errorf("%s lost: %s had id %s, and has %s", row.lost, other, before[other].ID, now[other].ID)
			}
		}
		r.wantValue(r.client(h.name), "k", "v")
		r.put(client, "k", fmt.Sprint("v", i))
		r.put(client, "k", "v")
	}
	r.onlyEpochOne()
}
