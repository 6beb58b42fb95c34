package aws

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/quorate/quorate/internal/cluster"
)

// answer is what one region says.
type answer struct {
	region   string
	groups   []group
	places   map[string]membership // by instance id
	machines map[string]instance   // by instance id
}

// group is an Auto Scaling group.
type group struct {
	name    string
	desired int
}

// membership is what Auto Scaling says of an instance.
type membership struct {
	group, zone, lifecycle string
	unhealthy              bool
}

// instance is what EC2 says of one.
type instance struct {
	state                       string
	private, public, ipv6, zone string
	launched                    time.Time
}

func (i instance) address(kind string) string {
	switch kind {
	case "public":
		return i.public
	case "ipv6":
		return i.ipv6
	}
	return i.private
}

// going says that EC2 is ending the machine, or has.
func (i instance) going() bool { return i.state == "shutting-down" || i.state == "terminated" }

// read makes a view of whole answers, or says why they cannot be believed.
func read(at place, answers []answer) (cluster.View, error) {
	view := cluster.View{Authoritative: true}
	desired, standby, alone := 0, 0, 0
	for _, a := range answers {
		for _, g := range a.groups {
			desired += g.desired
		}
		peers, err := a.peers(at)
		if err != nil {
			return cluster.View{}, err
		}
		view.Peers = append(view.Peers, peers...)
		for _, m := range a.places {
			if m.lifecycle == "Standby" || m.lifecycle == "EnteringStandby" {
				standby++
			}
		}
		for _, p := range peers {
			if p.Group == "" {
				alone++
			}
		}
	}
	if len(view.Peers) == 0 {
		return cluster.View{}, fmt.Errorf("no instance: not believed")
	}
	cluster.SortPeers(view.Peers)
	if alone == 0 {
		view.Size = size(desired, standby)
	}
	return view, nil
}

// size is the wanted number of voters. An instance in standby is off duty for
// its group, which lowers the desired capacity or launches another in its
// place; but its etcd runs and votes, and an operator who looks into a machine
// does not mean to shrink the cluster. So it counts, as far as that makes no
// even number, which would be one more voter and no more failures survived.
func size(desired, standby int) int {
	n := desired + standby
	if standby > 0 && n%2 == 0 {
		n--
	}
	return n
}

// peers are the machines of one region that exist.
func (a answer) peers(at place) ([]cluster.Peer, error) {
	ids := map[string]bool{}
	for id := range a.places {
		ids[id] = true
	}
	for id := range a.machines {
		ids[id] = true
	}
	var peers []cluster.Peer
	for _, id := range slices.Sorted(maps.Keys(ids)) {
		p, there, err := a.peer(id, at.address)
		if err != nil {
			return nil, fmt.Errorf("%s: %s: %w", a.region, id, err)
		}
		if there {
			peers = append(peers, p)
		}
	}
	return peers, nil
}

// peer joins what the two APIs say of an instance. Neither is trusted to say
// that a machine is gone while the other has it in service; but an instance
// that EC2 calls terminated is gone whatever its group says, which hears of it
// later.
func (a answer) peer(id, kind string) (p cluster.Peer, there bool, err error) {
	place, grouped := a.places[id]
	m, known := a.machines[id]
	state, counts, err := stateOf(place.lifecycle)
	switch {
	case err != nil:
		return p, false, err
	case !counts || m.state == "terminated":
		return p, false, nil
	case !known && (state == cluster.Pending || state == cluster.Terminating):
		return p, false, nil // not there yet, or no longer
	case !known:
		return p, false, fmt.Errorf("its group has it %s, and EC2 does not know it", place.lifecycle)
	}
	if !grouped && m.state == "pending" {
		state = cluster.Pending
	}
	if m.going() {
		state = cluster.Terminating
	}
	host := m.address(kind)
	switch {
	case host == "" && (state == cluster.Pending || m.going()):
		return p, false, nil
	case host == "":
		return p, false, fmt.Errorf("%s, and it has no %s address", m.state, kind)
	}
	return cluster.Peer{ID: id, Name: id, Host: host, Zone: cmp.Or(m.zone, place.zone), Region: a.region, State: state, Launched: m.launched,
		Group: place.group, Held: strings.HasSuffix(place.lifecycle, ":Wait") && state != cluster.Running, Unhealthy: place.unhealthy}, true, nil
}

// stateOf is a peer's state by its lifecycle in the group; what does not count
// is not in the group yet or no longer. An instance in no group has no
// lifecycle, and what EC2 says is all. Stopped is not gone: its disk is there.
func stateOf(lifecycle string) (state cluster.PeerState, counts bool, err error) {
	stage, _, _ := strings.Cut(lifecycle, ":")
	switch stage {
	case "", "InService", "EnteringStandby", "Standby", "ReplacingRootVolume", "RootVolumeReplaced", "Quarantined":
		return cluster.Running, true, nil
	case "Pending":
		return cluster.Pending, true, nil
	case "Terminating", "Detaching":
		return cluster.Terminating, true, nil
	case "Terminated", "Detached", "Warmed": // a warm pool waits outside of the group
		return "", false, nil
	}
	return "", false, fmt.Errorf("lifecycle state %q: not known to this quorate", lifecycle)
}
