package main

import (
	"fmt"
	"path"
	"slices"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/clustertest/etcd34"
	"github.com/quorate/quorate/internal/clustertest/etcdbin"
	"github.com/quorate/quorate/internal/clustertest/process"
)

// TestTokenOf: by a registry, the token of etcd's own clients of it.
func TestTokenOf(t *testing.T) {
	for source, want := range map[string]string{
		"a=10.0.0.1,b=10.0.0.2":                             "c",
		"file:///x/y":                                       "c",
		"dns+srv://example.org?size=3":                      "c",
		"exec:///bin/x":                                     "c",
		"etcd://h:2379/TOKEN?every=1s&cacert=/x/y":          "TOKEN",
		"etcd://[::1]:2379,h2/TOKEN":                        "TOKEN",
		"https://h/TOKEN":                                   "https://h/TOKEN",
		"https://h/TOKEN/?every=1s":                         "https://h/TOKEN",
		"http://h:2379/v2/keys/discovery/TOKEN?cacert=/x/y": "http://h:2379/v2/keys/discovery/TOKEN",
	} {
		if got := tokenOf("c", source); got != want {
			t.Errorf("%s: %q, want %q", source, got, want)
		}
	}
}

// theirs runs a stock etcd that finds the others by its own means.
func (r *rig) theirs(h *host, program string, more ...string) {
	r.t.Helper()
	process.Start(r.t, program, append([]string{"--name", h.name, "--data-dir", h.dataDir(), "--listen-client-urls", h.url(2379), "--advertise-client-urls", h.url(2379),
		"--listen-peer-urls", h.url(2380), "--initial-advertise-peer-urls", h.url(2380)}, more...)...)
}

// TestPrintBesideEtcdsOwn: two of ours, and one with etcd's own --discovery-token,
// make one cluster, whoever comes first.
func TestPrintBesideEtcdsOwn(t *testing.T) {
	t.Parallel()
	for name, last := range map[string]bool{"theirs first": false, "theirs last": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, "--size", "auto")
			c := r.token("3")
			a, b, z := r.bare("a", 11), r.bare("b", 12), r.machine("z", 13)
			theirs := func() {
				r.theirs(z, etcdbin.Etcd(t, etcdbin.V37), "--discovery-token", path.Base(r.peers), "--discovery-endpoints", "http://"+c.Endpoints()[0])
			}
			ours := func() {
				a.sh(flagsLine, "--register", "--wait", "60s")
				b.sh(envLine, "--register", "--wait", "60s")
			}
			shows := func(want ...string) {
				r.eventually(30*time.Second, fmt.Sprintf("registrations %v", want), func() error {
					got, err := registered(c)
					if slices.Sort(got); err == nil && !slices.Equal(got, want) {
						err = fmt.Errorf("registered are %v", got)
					}
					return err
				})
			}
			if last {
				ours()
				shows("a", "b")
				theirs()
			} else {
				theirs()
				shows("z")
				ours()
			}
			r.votes(90*time.Second, "a", "b", "z")
		})
	}
}

// elasticAlone is elastic-etcd's README with the etcd that its users have.
const elasticAlone = `args=$("$PROGRAM" elastic-etcd -discovery=$DISCOVERY_URL -o flags -name=$NAME -initial-advertise-peer-urls=http://$ADDR:2380 -data-dir="$DIR") &&
exec "$ETCD" $args -listen-peer-urls=http://$ADDR:2380 -listen-client-urls=http://$ADDR:2379 -advertise-client-urls=http://$ADDR:2379`

// TestElasticBesideEtcdsOwn: the same by a discovery URL and etcd's own --discovery.
func TestElasticBesideEtcdsOwn(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.store = ""
	discovery, _ := etcd34.Discovery(t, 3)
	etcd := etcdbin.Etcd(t, etcdbin.V35)
	for i, name := range []string{"a", "b"} {
		h := r.bare(name, 11+i)
		h.env = []string{"DISCOVERY_URL=" + discovery, "ETCD=" + etcd}
		h.sh(elasticAlone)
	}
	r.theirs(r.machine("z", 13), etcd, "--discovery", discovery)
	r.votes(90*time.Second, "a", "b", "z")
}
