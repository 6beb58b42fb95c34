package main

import (
	"strings"
	"syscall"
	"testing"
	"time"
)

// fate is what befalls a host; its first letter says for how long it is away.
type fate string

const (
	stays      fate = "stays"
	stutters   fate = "stutters" // stopped and let go on, again and again
	freezes    fate = "freezes"  // SIGSTOP
	reboots    fate = "reboots"
	dies       fate = "dies" // its machine is terminated
	losesADisk fate = "loses its disk"
	isCutOff   fate = "is cut off" // TestPartitioned
)

// subset is one case with real processes. Of all of them TestSubsets, in
// internal/clustertest, plays each one in a simulated world.
type subset struct {
	fates []fate // of a, b, c …
	// says is the reason by which a stands while the fates last; empty: it may act.
	says string
	// founds says that a next epoch follows, in the end.
	founds bool
}

const (
	mayComeBack = "a quorum of the last members may come back"
	mayBeNewer  = "a silent member may hold the newest data"
)

// TestRealSubsets: a next epoch if and only if a majority is proven gone.
func TestRealSubsets(t *testing.T) {
	t.Parallel()
	for _, s := range []subset{
		{[]fate{stays, freezes, freezes}, mayComeBack, false},
		{[]fate{stays, freezes, dies}, mayComeBack, false},
		{[]fate{stays, reboots, losesADisk}, mayComeBack, false},
		{[]fate{stays, stutters, dies}, "", false},
		{[]fate{stays, dies, losesADisk}, "", true},
		{[]fate{stays, dies, losesADisk, losesADisk, freezes}, mayBeNewer, true},
		{[]fate{stays, dies, losesADisk, freezes, reboots}, mayComeBack, false},
	} {
		t.Run(s.name(), func(t *testing.T) {
			t.Parallel()
			r := newRig(t, "--size", string(rune('0'+len(s.fates))))
			for i := range s.fates {
				r.machine(string(rune('a'+i)), 11+i)
			}
			s.play(r)
		})
	}
}

func (s subset) name() string {
	var out []string
	for i, f := range s.fates {
		out = append(out, string(rune('a'+i))+" "+string(f))
	}
	return strings.Join(out, ", ")
}

// who are the hosts of these fates.
func (s subset) who(r *rig, fates ...fate) (hosts []*host) {
	for _, f := range fates {
		for i, have := range s.fates {
			if have == f {
				hosts = append(hosts, r.nodes[string(rune('a'+i))])
			}
		}
	}
	return hosts
}

func called(hosts []*host) (out []string) {
	for _, h := range hosts {
		out = append(out, h.name)
	}
	return out
}

func (s subset) play(r *rig) {
	r.t.Helper()
	all := s.who(r, stays, stutters, freezes, reboots, dies, losesADisk, isCutOff)
	gone, wiped := s.who(r, dies), s.who(r, losesADisk)
	r.list(called(all)...)
	startAll(all...)
	r.voters(60*time.Second, called(all)...)
	r.writeMany(r.client(called(all)...), "acked-", 50)

	var awake []func()
	for _, h := range s.who(r, freezes) {
		awake = append(awake, h.pause())
	}
	for _, h := range s.who(r, stutters) {
		awake = append(awake, h.stutter())
	}
	for _, h := range s.who(r, isCutOff) {
		awake = append(awake, h.cutOff())
	}
	for _, wake := range awake {
		r.t.Cleanup(wake)
	}
	for _, h := range s.who(r, reboots) {
		h.crash()
	}
	wipeAll(append(gone, wiped...)...)
	var peers []string
	for _, h := range all {
		state := ""
		if s.fates[h.name[0]-'a'] == dies {
			state = "=terminated"
		}
		peers = append(peers, h.name+state)
	}
	r.listStates(peers...)
	startAll(wiped...)
	if s.says != "" {
		r.nodes["a"].holds(60*time.Second, s.says, 15)
		r.onlyEpochOne()
	}

	for _, wake := range awake {
		wake()
	}
	startAll(s.who(r, reboots)...)
	left := called(s.who(r, stays, stutters, freezes, reboots, losesADisk, isCutOff))
	r.voters(120*time.Second, left...)
	if s.founds {
		r.inEpoch(2, left...)
	} else {
		r.onlyEpochOne()
	}
	r.wantMany(r.client(left...), "acked-", 50)
}

// stutter stops agent and etcd for most of the time, until it is undone.
func (h *host) stutter() (undo func()) {
	stop, done := make(chan struct{}), make(chan struct{})
	agent, etcd := h.agent.Process.Pid, h.etcdPID()
	send := func(s syscall.Signal) {
		_ = syscall.Kill(etcd, s)
		_ = syscall.Kill(agent, s)
	}
	go func() {
		defer close(done)
		defer send(syscall.SIGCONT)
		for tick := time.NewTicker(150 * time.Millisecond); ; {
			for _, s := range []syscall.Signal{syscall.SIGSTOP, syscall.SIGSTOP, syscall.SIGCONT} {
				send(s)
				select {
				case <-stop:
					tick.Stop()
					return
				case <-tick.C:
				}
			}
		}
	}()
	ended := false
	return func() {
		if !ended {
			ended = true
			close(stop)
			<-done
		}
	}
}
