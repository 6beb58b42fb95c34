package main

import (
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/clustertest/named"
)

// TestWholeBeforeFounding: with a store a majority may found, but not by a zone
// or a token that lists fewer than the size, which is theirs: --size auto.
func TestWholeBeforeFounding(t *testing.T) {
	for name, open := range map[string]func(*testing.T, *rig) (string, func(*host)){"zone": halfZone, "token": halfToken} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, "--size", "auto", "--founding-wait", "1s")
			a, b, c := r.machine("a", 11), r.machine("b", 12), r.machine("c", 13)
			source, list := open(t, r)
			r.peers = source
			list(a)
			list(b)
			a.start()
			b.start()
			for _, h := range []*host{a, b} {
				h.says(20*time.Second, "the peers source is not complete yet (2 of 3)")
				h.stays(3, "waits for the third", because("the peers source is not complete yet (2 of 3)"))
			}
			if _, err := r.charter(firstCharter); err == nil {
				t.Fatal("a charter has been written")
			}
			list(c)
			c.start()
			r.voters(60*time.Second, "a", "b", "c")
			charter, err := r.charter(firstCharter)
			must(t, err)
			if len(charter.Founders) < 2 {
				t.Errorf("founders %v", charter.Founders)
			}
			d := r.machine("d", 14)
			list(d)
			d.start()
			d.says(30*time.Second, "the cluster is full")
		})
	}
}

// halfZone is a zone of BIND's, in which machines are listed one by one.
func halfZone(t *testing.T, r *rig) (string, func(*host)) {
	server := named.Start(t, "example.org")
	return "dns+srv://example.org?host=address&size=3&every=1s&server=" + server.Addr,
		func(h *host) { server.Add(t, "example.org", h.inZone()...) }
}

// halfToken is a token of size 3: machines register themselves.
func halfToken(t *testing.T, r *rig) (string, func(*host)) {
	addr, c, _ := registry(t)
	r.eventually(30*time.Second, "the registry", func() error { _, err := registered(c); return err })
	out, errOut, code := r.quorate("discovery", "new", "--size", "3", "--endpoints", addr)
	if code != 0 {
		t.Fatal(errOut)
	}
	return strings.TrimSpace(out) + "?every=1s", func(*host) {}
}
