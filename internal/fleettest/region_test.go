package fleettest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/clustertest/awsproxy"
)

const (
	home = "eu-central-1"
	zone = "fleet.example"
)

// testOneRegion is the life of one stack, scene after scene on one fleet.
func testOneRegion(t *testing.T) {
	f := oneRegion(t)
	defer f.record()
	f.scenario(t, "scale 3 to 5 to 3", 3, f.scalesUpAndDown)
	f.scenario(t, "terminate a follower", 3, func() { f.terminates(f.follower()) })
	f.scenario(t, "terminate the leader", 3, func() { f.terminates(f.leader()) })
	f.scenario(t, "an instance dies without a hook", 3, f.dies)
	f.scenario(t, "a newcomer is held until it votes", 3, f.holdsNewcomer)
	f.scenario(t, "the APIs break, deny, and answer nothing", 3, f.outlastsFaults)
	f.scenario(t, "a bad disk is condemned once", 3, f.condemnsOnce)
	f.scenario(t, "strange messages", 3, f.ignoresStrangeMessages)
	f.scenario(t, "the queue is down", 3, f.needsNoQueue)
	f.scenario(t, "a spot notice of the metadata service", 3, func() {
		f.interrupts(f.leader(), func(m *machine) { m.imds.Interrupt("terminate", time.Now().Add(2*time.Minute)) })
	})
	f.scenario(t, "a spot notice in the queue", 3, func() {
		f.interrupts(f.follower(), func(m *machine) { f.proxy.Send(home, f.stacks[home].queue, spotNotice(m.id)) })
	})
	f.scenario(t, "two are terminated at once", 3, f.terminatesTwo)
	f.scenario(t, "instance refresh", 3, func() { f.refresh() })
	if got := f.epochs(); !slices.Equal(got, []uint64{1}) {
		t.Errorf("epochs %v: want the first alone, whatever was replaced", got)
	}
	f.scenario(t, "all die at once", 3, f.allDie)
	f.scenario(t, "the APIs are throttled for a minute", 3, func() {
		f.outlastsMinute(func() { f.t.(*testing.T).Run("two regions", testTwoRegions) })
	})
	f.scenario(t, "from one region to two", 5, f.migrates)
	if got := f.epochs(); !slices.Equal(got, []uint64{1, 2}) {
		t.Errorf("epochs %v: want the second still, for two regions too", got)
	}
}

// oneRegion is a fleet of three that has formed.
func oneRegion(t testing.TB) *fleet {
	t.Helper()
	f := newFleet(t, networks[0])
	c := f.region(home)
	made := c.deploy(params(3, f.cidr), "", c.zone(zone), nil)
	made.args = hurried(made.args)
	f.deploy(home, made)
	f.voters(90*time.Second, 3)
	f.inService()
	return f
}

// group is the Auto Scaling group at home.
func (f *fleet) group() string { return f.stacks[home].group }

// inService waits until no machine waits for a hook, and the stack has been
// signalled for each.
func (f *fleet) inService() {
	f.t.Helper()
	eventually(f.t, 30*time.Second, "every machine is in service", func() error {
		for _, m := range f.running() {
			if s := f.proxy.State(m.id); s != "" {
				return fmt.Errorf("%s is %s", m.id, s)
			}
			if n := f.proxy.Count("SignalResource", "UniqueId", m.id, "Status", "SUCCESS"); n == 0 {
				return fmt.Errorf("the stack has not been signalled for %s", m.id)
			}
		}
		return nil
	})
}

// published waits until the zone tells exactly the machines that run.
func (f *fleet) published() {
	f.t.Helper()
	eventually(f.t, 30*time.Second, "the records", func() error {
		var want []string
		for _, m := range f.running() {
			want = append(want, m.addr)
		}
		slices.Sort(want)
		if got := f.region(home).published(f.stacks[home].zone); !slices.Equal(got, want) {
			return fmt.Errorf("%v, want %v", got, want)
		}
		return nil
	})
}

func (f *fleet) scalesUpAndDown() {
	began := f.settled()
	f.proxy.Scale(home, f.group(), 5)
	f.voters(90*time.Second, 5)
	f.inService()
	f.published()
	f.proxy.Scale(home, f.group(), 3)
	f.voters(90*time.Second, 3)
	f.published()
	f.neverBelow(3, began)
}

// terminates ends an instance by its group: its replacement votes before it goes.
func (f *fleet) terminates(m *machine) {
	f.t.Helper()
	began := f.settled()
	f.proxy.Terminate(home, m.id, false)
	f.gone(m)
	f.voters(time.Minute, 3)
	f.neverBelow(3, began)
	f.inService()
}

// gone waits until the instance has ended.
func (f *fleet) gone(ms ...*machine) {
	f.t.Helper()
	eventually(f.t, 90*time.Second, "the machines end", func() error {
		ids := f.ids()
		for _, m := range ms {
			if slices.Contains(ids, m.id) {
				return fmt.Errorf("%s runs, %s", m.id, f.proxy.State(m.id))
			}
		}
		return nil
	})
}

// dies is what a failed host is: nobody was asked before.
func (f *fleet) dies() {
	m := f.follower()
	f.region(home).kill(m.id)
	f.gone(m)
	f.voters(time.Minute, 3)
	if n := f.proxy.Count("CompleteLifecycleAction", "InstanceId", m.id, "LifecycleHookName", "terminating"); n != 0 {
		f.t.Errorf("a hook that nobody waited for was completed %d times", n)
	}
}

// holdsNewcomer: while housekeeping is paused nobody can become a member, so
// the newcomer must not come into service either.
func (f *fleet) holdsNewcomer() {
	f.quorate("pause", "--for", "5m", "--reason", "the test")
	m := f.follower()
	f.region(home).kill(m.id)
	f.gone(m)
	var fresh *machine
	eventually(f.t, 20*time.Second, "a newcomer that runs", func() error {
		all := f.running()
		i := slices.IndexFunc(all, func(m *machine) bool { return f.proxy.State(m.id) == "Pending:Wait" })
		if len(all) != 3 || i < 0 {
			return errors.New("none")
		}
		fresh = all[i]
		_, err := fresh.report()
		return err
	})
	f.polls(4)
	if s := f.proxy.State(fresh.id); s != "Pending:Wait" {
		f.t.Errorf("the newcomer is no member, and its state is %q", s)
	}
	f.quorate("resume")
	f.voters(time.Minute, 3)
	f.inService()
}

// polls waits until the group has been asked about so many times for each machine.
func (f *fleet) polls(n int) { f.t.Helper(); f.asked("DescribeAutoScalingGroups", n) }

// looks waits likewise for EC2.
func (f *fleet) looks(n int) { f.t.Helper(); f.asked("DescribeInstances", n) }

func (f *fleet) asked(action string, n int) {
	f.t.Helper()
	before := f.proxy.Count(action)
	eventually(f.t, time.Minute, "calls of "+action, func() error {
		if got := f.proxy.Count(action) - before; got < n*len(f.running()) {
			return fmt.Errorf("%d", got)
		}
		return nil
	})
}

// outlastsFaults: whatever the APIs say, nothing proves that a machine is gone.
func (f *fleet) outlastsFaults() {
	began := f.settled()
	for _, fault := range []awsproxy.Fault{awsproxy.Broken, awsproxy.Denied, awsproxy.Empty} {
		f.proxy.Inject("autoscaling:*", fault)
		f.proxy.Inject("ec2:*", fault)
		f.polls(2)
		f.writer.flows(f.t)
	}
	f.proxy.Heal()
	if lists := f.since(began); len(lists) != 1 {
		f.t.Errorf("the members changed: %s", tell(lists))
	}
	f.polls(2)
}

// outlastsMinute: for a minute no API but the store's does more than throttle.
// Etcd serves on, nobody comes or goes, and a machine that its group ends in that
// minute is dealt with when it is over. Meanwhile something else may happen.
func (f *fleet) outlastsMinute(meanwhile func()) {
	began, m := f.settled(), f.follower()
	f.writer.mark()
	for _, service := range []string{"autoscaling", "ec2", "sqs", "cloudformation", "route53", "monitoring"} {
		f.proxy.Inject(service+":*", awsproxy.Throttled)
	}
	throttled := time.Now()
	f.proxy.Terminate(home, m.id, false)
	meanwhile()
	eventually(f.t, 70*time.Second, "a minute has passed", func() error {
		if left := time.Minute - time.Since(throttled); left > 0 {
			return fmt.Errorf("%s are left", left)
		}
		return nil
	})
	f.polls(1)
	f.writer.flows(f.t)
	if g := f.writer.longest(); g.long > 10*time.Second {
		f.t.Errorf("for %s no write was acknowledged: %v", g.long, g.why)
	}
	if lists := f.since(began); len(lists) != 1 {
		f.t.Errorf("the members changed: %s", tell(lists))
	}
	if s := f.proxy.State(m.id); s != "Terminating:Wait" {
		f.t.Errorf("the machine that ends is %q", s)
	}
	f.proxy.Heal()
	f.gone(m)
	f.voters(time.Minute, 3)
	f.neverBelow(3, began)
	f.inService()
}

// condemnsOnce: an etcd that will not stay up on its disk has its machine
// replaced, and the group is told once.
func (f *fleet) condemnsOnce() {
	m := f.follower()
	db := filepath.Join(m.dir, "etcd", "member", "snap", "db")
	info, err := os.Stat(db)
	must(f.t, err)
	must(f.t, os.WriteFile(db, make([]byte, info.Size()), 0o600))
	m.killEtcd()
	f.gone(m)
	f.voters(90*time.Second, 3)
	if n := f.proxy.Count("SetInstanceHealth"); n != 1 {
		f.t.Errorf("SetInstanceHealth was called %d times: want once", n)
	}
	f.inService()
}

// terminatesTwo at once, of three: one after the other goes.
func (f *fleet) terminatesTwo() {
	began := f.settled()
	a, b := f.follower(), f.leader()
	f.proxy.Terminate(home, a.id, false)
	f.proxy.Terminate(home, b.id, false)
	f.gone(a, b)
	f.voters(time.Minute, 3)
	f.neverBelow(3, began)
	f.inService()
}

// refresh replaces every machine, as an instance refresh that launches before
// it terminates does. It is the longest time without an acknowledged write.
func (f *fleet) refresh() gap {
	f.t.Helper()
	began := f.settled()
	f.writer.mark()
	for _, old := range f.running() {
		f.proxy.Surge(home, f.group())
		eventually(f.t, time.Minute, "the newcomer is in service", func() error {
			all := f.running()
			if len(all) != 4 {
				return fmt.Errorf("%d machines", len(all))
			}
			for _, m := range all {
				if s := f.proxy.State(m.id); s != "" {
					return fmt.Errorf("%s is %s", m.id, s)
				}
			}
			return nil
		})
		f.proxy.Retire(home, f.group(), old.id)
		f.gone(old)
	}
	f.voters(time.Minute, 3)
	f.writer.flows(f.t)
	f.neverBelow(3, began)
	return f.writer.longest()
}

// allDie: no disk is left, and the next epoch is made of the backup.
func (f *fleet) allDie() {
	f.writer.end()
	f.quorate("backup", "create")
	all := f.running()
	f.region(home).kill(f.ids()...)
	f.gone(all...)
	f.voters(2*time.Minute, 3)
	eventually(f.t, 10*time.Second, "the second epoch", func() error {
		if got := f.epochs(); !slices.Equal(got, []uint64{1, 2}) {
			return fmt.Errorf("epochs %v", got)
		}
		return nil
	})
	f.inService()
}
