package clustertest

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/cluster"
)

// TestNewImages: each release of etcd comes with machines that have nothing else,
// one at a time in the place of an older one that ends. They all come to vote,
// also the first of a release that the members have yet to agree on.
func TestNewImages(t *testing.T) {
	for seed := range uint64(40) {
		for _, authoritative := range []bool{true, false} {
			if why := newImages(seed, authoritative); why != "" {
				t.Errorf("seed %d, authoritative %v: %s", seed, authoritative, why)
			}
		}
	}
}

func newImages(seed uint64, authoritative bool) (why string) {
	w := build(rand.New(rand.NewPCG(seed, 0x1a6e)), nil, profile{machines: 3, size: 3, hasStore: seed%2 == 0, authoritative: authoritative, join: cluster.JoinReplace})
	w.faults, w.lag, w.offers = faultRates{}, 0.1, releases[:1]
	defer func() {
		if v, ok := recover().(violation); ok {
			why = v.text
		}
	}()
	if !w.passUntil(3*time.Minute, func() bool { return w.notWell() == "" }) {
		return "it never began: " + w.notWell()
	}
	members := w.byLead()
	for _, release := range releases[1:] {
		for i, old := range members {
			m := w.newMachine(fmt.Sprintf("%s-%d", release, i), fmt.Sprintf("10.0.%d.%d", release.Minor, i+1))
			m.image = []cluster.Version{release}
			old.state = cluster.Terminating
			w.source.static = w.listMachines()
			w.recordSource()
			votes := func() bool { return m.etcd != nil && m.etcd.version == release && m.etcd.d.conf.votes(m.etcd.id()) }
			if !w.passUntil(time.Minute, votes) { // an entry in vain costs LearnerPatience, again and again
				return fmt.Sprintf("%s does not come to vote: %s", m.name, w.doing())
			}
			terminated.befall(w, affair{}, members, old)
			w.source.static = w.listMachines()
			w.recordSource()
			members[i] = m
		}
	}
	if !w.passUntil(2*time.Minute, func() bool { return w.notWell() == "" }) {
		return "not well: " + w.notWell()
	}
	return ""
}
