package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/quorate/quorate/internal/cluster"
)

// floors are the oldest patches that may leave their minor for the next one,
// and that the next one may come back to: older ones lose learners, revive
// removed members, or do not know what the next one writes.
var floors = map[cluster.Version]int{
	{Major: 3, Minor: 5}: 32,
	{Major: 3, Minor: 6}: 11,
}

// oldestBack is the oldest minor that a newer one can be taken back to.
var oldestBack = cluster.Version{Major: 3, Minor: 5}

// minor is a version's minor, as a version of patch 0.
func minor(v cluster.Version) cluster.Version {
	return cluster.Version{Major: v.Major, Minor: v.Minor}
}

// nextMinor is the minor after a version's.
func nextMinor(v cluster.Version) cluster.Version {
	return cluster.Version{Major: v.Major, Minor: v.Minor + 1}
}

// floor is the oldest patch of v's minor that may leave it.
func floor(v cluster.Version) cluster.Version {
	m := minor(v)
	m.Patch = floors[m]
	return m
}

// mayLeave says that an etcd of version v may be followed by one of the next
// minor.
func mayLeave(v cluster.Version) bool { return !v.Zero() && !v.Less(floor(v)) }

// newestOf is the newest of a minor among versions; zero: there is none.
func newestOf(versions []cluster.Version, of cluster.Version) (newest cluster.Version) {
	for _, v := range versions {
		if v.SameMinor(of) && newest.Less(v) {
			newest = v
		}
	}
	return newest
}

// Runs is which of the etcds that this node has is started now, or the zero
// version and why none is. last ran on this data, running is the oldest that a
// member of the cluster runs, or the version that the cluster has agreed on; hop
// is what an open roll wants here. Each may be zero: not known, or none.
//
// Data goes up by one minor at most and never down but for a hop, and a joiner
// by one at most over the cluster: a newer etcd ends in a panic, or damages what
// an older one cannot read any more. So an etcd without a roll runs on as the
// version it ran as, where that is still there.
func Runs(offers []cluster.Version, last, running, hop cluster.Version) (cluster.Version, string) {
	switch {
	case len(offers) == 0:
		return cluster.Version{}, "--etcd offers none that can run"
	case !hop.Zero() && !slices.Contains(offers, hop):
		return cluster.Version{}, fmt.Sprintf("the roll wants etcd %s, and --etcd offers %s", hop, listing(offers))
	case !hop.Zero():
		return hop, "the roll wants it"
	case !last.Zero() && nextMinor(last).Less(minor(running)):
		return cluster.Version{}, fmt.Sprintf("etcd %s ran last on this data, and the cluster is at %s by now: two minors or more; set the data aside, and this node joins anew", last, running)
	case !last.Zero() && minor(last).Less(minor(running)):
		return goesOn(offers, last, running, "the cluster has gone on to it")
	case !last.Zero():
		return resumes(offers, last, running)
	case running.Zero():
		return slices.MaxFunc(offers, compareVersions), "the newest that --etcd offers"
	}
	return joins(offers, running)
}

// resumes is for data that etcd last ran on as the version last.
func resumes(offers []cluster.Version, last, running cluster.Version) (cluster.Version, string) {
	if slices.Contains(offers, last) {
		return last, "it ran last on this data"
	}
	if v := newestOf(offers, last); !v.Zero() {
		return v, fmt.Sprintf("etcd %s ran last on this data, and --etcd does not offer it any more", last)
	}
	if !running.Zero() && minor(running).Less(minor(last)) {
		return cluster.Version{}, fmt.Sprintf("etcd %s ran last on this data, and a member of the cluster is at %s still; --etcd offers %s", last, running, listing(offers))
	}
	return goesOn(offers, last, last, fmt.Sprintf("etcd %s ran last on this data, and --etcd offers no %d.%d any more", last, last.Major, last.Minor))
}

// goesOn is the next minor for data of the version last, at least of minor least.
func goesOn(offers []cluster.Version, last, least cluster.Version, why string) (cluster.Version, string) {
	next := newestOf(offers, nextMinor(last))
	switch {
	case next.Zero() && minor(last).Less(minor(least)):
		return next, fmt.Sprintf("etcd %s ran last on this data, and the cluster is at %s by now; --etcd offers %s", last, least, listing(offers))
	case next.Zero():
		return next, fmt.Sprintf("etcd %s ran last on this data, and --etcd offers %s: neither its minor nor the next", last, listing(offers))
	case !mayLeave(last):
		return cluster.Version{}, fmt.Sprintf("etcd %s ran last on this data, and --etcd offers %s: to go on to %d.%d it must be at least %s", last, listing(offers), next.Major, next.Minor, floor(last))
	}
	return next, why
}

// joins is for an empty disk that is to join a cluster.
func joins(offers []cluster.Version, running cluster.Version) (cluster.Version, string) {
	if v := newestOf(offers, running); !v.Zero() {
		return v, fmt.Sprintf("the cluster runs %d.%d", running.Major, running.Minor)
	}
	next := newestOf(offers, nextMinor(running))
	switch {
	case next.Zero():
		return next, fmt.Sprintf("the cluster runs etcd %s, and --etcd offers %s: a joiner runs the cluster's minor, or the next", running, listing(offers))
	case !mayLeave(running):
		return cluster.Version{}, fmt.Sprintf("the cluster runs etcd %s, and --etcd offers %s: for %d.%d to join, it must be at least %s everywhere", running, listing(offers), next.Major, next.Minor, floor(running))
	}
	return next, fmt.Sprintf("the cluster runs %d.%d, and accepts the next minor", running.Major, running.Minor)
}

func compareVersions(v, w cluster.Version) int {
	switch {
	case v.Less(w):
		return -1
	case w.Less(v):
		return 1
	}
	return 0
}

// listing prints versions for people.
func listing(versions []cluster.Version) string {
	all := slices.Clone(versions)
	slices.SortFunc(all, compareVersions)
	texts := make([]string, len(all))
	for i, v := range all {
		texts[i] = v.String()
	}
	return strings.Join(texts, ", ")
}
