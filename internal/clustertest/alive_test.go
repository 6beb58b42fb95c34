package clustertest

import (
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/cluster"
)

// lives is how a voter fares that does not answer the keeper, and lives: its etcd
// is stopped, its machine is slow too, or it is cut off from the leader alone.
type lives struct {
	size             int
	stopped, slow    bool
	cutOff, agentCut bool
}

func (l lives) String() string {
	return fmt.Sprintf("of %d, stopped %v, slow %v, cut off %v, agents apart %v", l.size, l.stopped, l.slow, l.cutOff, l.agentCut)
}

// TestAlive: for five times --dead-after a voter does not answer the keeper while
// a newcomer waits for its place, and many reports are lost. Nobody is replaced;
// then one dies, and is.
func TestAlive(t *testing.T) {
	seeds := uint64(20)
	if raceDetector {
		seeds = 5
	}
	for _, size := range []int{3, 5} {
		for _, l := range []lives{{stopped: true}, {stopped: true, slow: true}, {cutOff: true}, {cutOff: true, agentCut: true}, {cutOff: true, agentCut: true, slow: true}} {
			l.size = size
			for seed := range seeds {
				var trace io.Writer
				if *simSeed == seed+1 {
					trace = os.Stdout
				}
				if why := l.play(seed+1, trace); why != "" {
					t.Errorf("%s, seed %d: %s", l, seed+1, why)
				}
			}
		}
	}
}

func (l lives) play(seed uint64, trace io.Writer) (why string) {
	w := build(rand.New(rand.NewPCG(seed, 0xa11e)), trace, profile{machines: l.size + 1, size: l.size, hasStore: true, join: cluster.JoinReplace})
	w.faults, w.lag = faultRates{}, 0
	defer func() {
		if r := recover(); r != nil {
			v, ok := r.(violation)
			if !ok {
				panic(r)
			}
			why = v.text
		}
	}()
	if !w.passUntil(3*time.Minute, func() bool { return w.notWell() == "" }) {
		return "it never began: " + w.notWell()
	}
	var leader, victim *machine
	for _, m := range w.live {
		switch {
		case m.etcd != nil && m.etcd.leads:
			leader = m
		case m.etcd != nil:
			victim = m
		}
	}
	id := victim.etcd.id()
	w.faults.reportLost = 0.3
	victim.etcd.stopped, victim.slow = l.stopped, l.slow
	w.cut[layerEtcd][pair(leader, victim)], w.cut[layerAgent][pair(leader, victim)] = l.cutOff, l.agentCut
	w.passUntil(5*w.settings.DeadAfter, func() bool { return false })
	if !leader.etcd.d.conf.votes(id) {
		return "a voter that lives has been replaced"
	}
	w.crashMachine(victim)
	if !w.passUntil(5*time.Minute, func() bool { return !leader.etcd.d.conf.votes(id) }) {
		return "a voter that is dead has not been replaced: " + w.doing()
	}
	return ""
}
