package fleettest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/clustertest/awsproxy"
	"github.com/quorate/quorate/internal/stack"
)

const abroad = "eu-west-1"

// testTwoRegions is the life of a cluster of two regions, founded in both at the
// same time.
func testTwoRegions(t *testing.T) {
	f := twoRegions(t)
	defer f.record()
	f.scenario(t, "one region's API fails", 5, f.losesSight)
	f.scenario(t, "a machine abroad is replaced", 5, f.replacesAbroad)
	if got := f.epochs(); !slices.Equal(got, []uint64{1}) {
		t.Errorf("epochs %v: want the first alone", got)
	}
}

// twoRegions is a fleet of five whose two stacks were made together: no machine
// runs before all do, and one cluster has come of it.
func twoRegions(t testing.TB) *fleet {
	t.Helper()
	f := newFleet(t, networks[1])
	p, c := f.pair(), f.region(home)
	here := c.deploy(p, home, c.zone(zone), nil)
	there := f.region(abroad).deploy(p, abroad, here.zone, map[string]string{"Bucket": here.bucket})
	here.args, there.args = hurried(here.args), hurried(there.args)
	f.deploy(home, here)
	f.deploy(abroad, there)
	f.voters(90*time.Second, 5)
	f.inService()
	f.oneFounding()
	return f
}

// pair are the parameters of five machines in two regions.
func (f *fleet) pair() stack.Params {
	p := params(5, f.cidr)
	p.Regions, p.Address = []string{home, abroad}, "private"
	return p
}

// oneFounding: every machine's data is of the same charter, the first, and of the
// same etcd cluster; and no other was ever seen.
func (f *fleet) oneFounding() {
	f.t.Helper()
	founded := map[string][]string{}
	for _, m := range f.running() {
		r, err := m.report()
		must(f.t, err)
		if r.Charter == nil || r.Disk.Stamp == nil {
			f.t.Fatalf("%s knows no charter", m.id)
		}
		one := fmt.Sprintf("epoch %d, charter %s, data of %s, cluster %s", r.Charter.Epoch, r.Charter.Nonce, r.Disk.Stamp.Charter.Nonce, r.Etcd.ClusterID)
		founded[one] = append(founded[one], m.region)
	}
	if len(founded) != 1 {
		f.t.Errorf("founded more than once: %v", founded)
	}
	for one, regions := range founded {
		if slices.Sort(regions); len(regions) != 5 || len(slices.Compact(regions)) != 2 {
			f.t.Errorf("%s in %v: want five machines of two regions", one, regions)
		}
	}
	if got := f.epochs(); !slices.Equal(got, []uint64{1}) {
		f.t.Errorf("epochs %v: want the first alone", got)
	}
}

// migrates follows docs/multi-region.md, the earlier system's migration without an
// outage and without a new epoch: the agents of the first region are
// told of both regions, one after the other, and then the second region's
// machines start.
func (f *fleet) migrates() {
	began := f.settled()
	c := f.region(abroad)
	made := c.deploy(f.pair(), abroad, f.stacks[home].zone, map[string]string{"Bucket": f.stacks[home].bucket})
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
