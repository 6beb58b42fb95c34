package fleettest

import (
	"slices"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/clustertest/awsproxy"
)

const abroad = "eu-west-1"

// testTwoRegions is the earlier system's migration: a cluster of one region
// becomes one of two, without an outage and without a new epoch; and then one
// region's API fails.
func testTwoRegions(t *testing.T) {
	f := oneRegion(t)
	defer f.record()
	f.scenario(t, "from one region to two", 5, func() { f.migrates() })
	f.scenario(t, "one region's API fails", 5, f.losesSight)
	f.scenario(t, "a machine abroad is replaced", 5, f.replacesAbroad)
	if got := f.epochs(); !slices.Equal(got, []uint64{1}) {
		t.Errorf("epochs %v: want the first alone", got)
	}
}

// migrates follows docs/multi-region.md: the agents of the first region are
// told of both regions, one after the other, and then the second region's
// machines start.
func (f *fleet) migrates() {
	began := f.settled()
	p := params(5, network)
	p.Regions, p.Address = []string{home, abroad}, "private"
	c := f.region(abroad)
	made := c.deploy(p, abroad, f.stacks[home].zone, map[string]string{"Bucket": f.stacks[home].bucket})
	made.args = hurried(made.args)
	c.empty(made.group)
	f.deploy(abroad, made)

	here := f.stacks[home]
	here.args = with(made.args, "queue", here.queue)
	f.deploy(home, here)
	for _, m := range f.running() {
		m.restart(f.t, m.own(here.args))
		eventually(f.t, time.Minute, "the agent is back", m.isReady)
	}
	f.voters(time.Minute, 3)
	f.proxy.Scale(abroad, made.group, 2)
	f.voters(90*time.Second, 5)
	f.neverBelow(3, began)
}

// losesSight: a machine of a region whose API does not answer may be alive.
func (f *fleet) losesSight() {
	began := f.settled()
	victim := f.abroad()
	for _, fault := range []awsproxy.Fault{awsproxy.Throttled, awsproxy.Hanging, awsproxy.Empty} {
		f.proxy.Inject(abroad+":*", fault)
		f.looks(3)
		f.writer.flows(f.t)
	}
	f.region(abroad).kill(victim.id)
	f.gone(victim)
	f.looks(3)
	f.writer.flows(f.t)
	if lists := f.since(began); len(lists) != 1 {
		f.t.Errorf("the members changed while a region was out of sight: %s", tell(lists))
	}
	f.proxy.Heal()
}

// replacesAbroad: the group of the second region replaces one of its machines.
func (f *fleet) replacesAbroad() {
	victim := f.abroad()
	began := f.settled()
	f.proxy.Terminate(abroad, victim.id, false)
	f.gone(victim)
	f.voters(90*time.Second, 5)
	f.neverBelow(4, began)
}

// abroad is a machine of the second region.
func (f *fleet) abroad() *machine {
	f.t.Helper()
	for _, m := range f.running() {
		if m.region == abroad {
			return m
		}
	}
	f.t.Fatal("no machine abroad")
	return nil
}
