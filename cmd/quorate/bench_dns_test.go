package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/clustertest/named"
)

// negativeTTL is how long a resolver of BenchmarkFoundingByDNS remembers that a
// name was not there.
const negativeTTL = 3 * time.Second

// BenchmarkFoundingByDNS compares the time to three voters by a peers file, by
// SRV records that are there, and, from the last record on, by records that a
// caching resolver has just said are not there.
func BenchmarkFoundingByDNS(b *testing.B) {
	for b.Loop() {
		var file, zone, late []time.Duration
		for range pairs {
			file = append(file, formBy(b, nil, false))
			zone = append(zone, formBy(b, named.Start(b, "example.org"), false))
			late = append(late, formBy(b, named.Start(b, "example.org"), true))
		}
		b.ReportMetric(median(file).Seconds(), "s-file")
		b.ReportMetric(median(zone).Seconds(), "s-srv")
		b.ReportMetric(median(late).Seconds(), "s-srv-not-there-before")
		b.Logf("three voters: by a file %s, by SRV records %s, by records that were not there a moment ago %s (negative TTL %s, %d of each)\nfile %v\nsrv %v\nlate %v",
			round(median(file)), round(median(zone)), round(median(late)), negativeTTL, pairs, file, zone, late)
		if extra := median(late) - median(file); extra > negativeTTL+time.Second {
			b.Errorf("founding by DNS took %s longer than by a file, and the negative TTL is %s", extra, negativeTTL)
		}
	}
}

// formBy is the time to three voters: from the agents' start or, for records that
// come late, from the last of these.
func formBy(b *testing.B, server *named.Server, late bool) time.Duration {
	r := newRig(b)
	hosts := []*host{r.machine("a", 11), r.machine("b", 12), r.machine("c", 13)}
	r.list("a", "b", "c")
	add := func() {}
	if server != nil {
		server.Add(b, "example.org", fmt.Sprintf("example.org. 60 IN SOA ns.example.org. hostmaster.example.org. 99 3600 600 86400 %d", int(negativeTTL.Seconds())))
		r.peers = "dns+srv://example.org?host=address&size=3&server=" + named.StartResolver(b, server).Addr
		add = func() {
			for _, h := range hosts {
				server.Add(b, "example.org", h.inZone()...)
			}
		}
	}
	if !late {
		add()
	}
	began := time.Now()
	for _, h := range hosts {
		h.start()
	}
	if late {
		for _, h := range hosts {
			h.says(20*time.Second, "the peers source does not answer")
		}
		began = time.Now()
		add()
	}
	awaitHealthy(b, []string{hosts[0].addr, hosts[1].addr, hosts[2].addr})
	took := time.Since(began)
	r.end()
	r.nodes = nil
	return took
}

// BenchmarkPublishing measures from the moment in which a newcomer votes to that
// in which the zone's own server shows it.
func BenchmarkPublishing(b *testing.B) {
	for b.Loop() {
		s, url := bind(b, "&ttl=1")
		r := newRig(b, "--dns", url)
		_, _, gone := r.trio()
		for _, h := range r.nodes {
			h.start()
		}
		r.voters(time.Minute, "a", "b", "c")
		r.shows(20*time.Second, s, "a", "b", "c")
		client := r.client("a", "b")
		var took []time.Duration
		for i := range pairs {
			gone.crash()
			name := "d" + strconv.Itoa(i)
			gone = r.machine(name, 20+i)
			r.list("a", "b", name)
			gone.start()
			r.eventually(time.Minute, name+" votes", func() error {
				if m := r.members(client)[name]; m.Name == "" || m.Learner {
					return errors.New("not yet")
				}
				return nil
			})
			took = append(took, r.shows(time.Minute, s, "a", "b", name))
		}
		b.ReportMetric(median(took).Seconds(), "s-to-record")
		b.Logf("from the vote to the record at the zone's own server: median %s of %v", round(median(took)), took)
		if worst := slices.Max(took); worst > 2*time.Second {
			b.Errorf("a record came %s after its member, and 2 s is the most", worst)
		}
		r.end()
		r.nodes = nil
	}
}
