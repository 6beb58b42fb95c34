package firewall

import "github.com/quorate/quorate/internal/cluster"

// deputyEvery is how many rounds pass until the others look too. One node a
// region is enough, but it may be hung, or run without this task still, and its
// fellows cannot see that in a view.
const deputyEvery = 20

// Turn says whether the peer named self tends its region's rules in that round,
// counted from 0 since the machines last changed, and which region that is. It
// is the oldest that lives, of those of its region; any other has the first
// round and each twentieth. A peer that is not in the view, has no region or is
// going away has no turn.
func Turn(v cluster.View, self string, round int) (region string, turn bool) {
	me, there := v.Peer(self)
	if !there || me.Region == "" || !me.Alive() {
		return "", false
	}
	peers := append([]cluster.Peer(nil), v.Peers...)
	cluster.SortPeers(peers)
	for _, p := range peers {
		if p.Region == me.Region && p.Alive() {
			return me.Region, p.Name == self || round%deputyEvery == 0
		}
	}
	return "", false
}
