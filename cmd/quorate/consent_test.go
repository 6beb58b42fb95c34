package main

import (
	"fmt"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/cluster"
)

// TestConsent: without a store, all must agree; a silent one stops the
// founding, and a lost disk comes back as a new member.
func TestConsent(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"static", "file"} {
		t.Run(kind, func(t *testing.T) {
			r := newRig(t, "--founding-wait", "500ms")
			r.store = ""
			a, b, c := r.trio()
			if kind == "static" {
				r.peers = fmt.Sprintf("a=%s,b=%s,c=%s", a.addr, b.addr, c.addr)
			}
			a.start()
			b.start()
			// Many rounds, far beyond the founding wait.
			began := time.Now()
			for _, h := range []*host{a, b} {
				h.says(20*time.Second, "a silent peer may know of a cluster")
				h.stays(12, "nobody founds while c is silent", func(rep cluster.Report) error {
					if rep.Charter != nil || rep.Grant != nil || rep.Etcd.Running {
						return fmt.Errorf("charter %v, grant %v, etcd %v", rep.Charter, rep.Grant, rep.Etcd.Running)
					}
					return because("wait: ")(rep)
				})
			}
			if d := time.Since(began); d < 2*time.Second {
				t.Errorf("watched for %s only", d)
			}
			c.start()
			r.voters(40*time.Second, "a", "b", "c")
			id := r.oneCluster("a", "b", "c")
			if kind == "static" {
				return
			}
			before := r.members(r.client("a", "b"))
			c.wipe()
			c.start()
			r.eventually(60*time.Second, "c is a new member", func() error {
				now := r.members(r.client("a", "b"))
				if m := now["c"]; m.ID == 0 || m.ID == before["c"].ID || m.Learner || len(now) != 3 {
					return fmt.Errorf("members %v", now)
				}
				return nil
			})
			r.voters(40*time.Second, "a", "b", "c")
			if r.oneCluster("a", "b", "c") != id {
				t.Error("another cluster")
			}
		})
	}
}
