package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/quorate/quorate/internal/cluster"
)

// VersionFacts is what a member's agent tells that a change of etcd's version
// depends on.
type VersionFacts struct {
	Name    string
	Runs    cluster.Version // its etcd's; zero: it does not say
	Healthy bool
	Offers  []cluster.Version // what its --etcd could run
	Unfit   []string          // what its --etcd has and could not run, and why
	V2      string            // v2 content in its data; "": none
	Elder   string            // why etcd 3.7 would panic over its log; "": it would not
	// DowngradeTo is set while etcd itself has a downgrade enabled.
	DowngradeTo cluster.Version
}

// UpgradePath is through which versions a cluster gets to the version to, one
// minor at a time, and all that is in the way, member by member; a path with
// problems is not to be begun. No hops and no problems: it is there.
//
// An upgrade may have many hops. A downgrade has one: how the older version
// fares is for a person to look at before the next.
func UpgradePath(members []VersionFacts, to cluster.Version) (hops []cluster.Version, problems []string) {
	problems = notReady(members)
	oldest, newest, ok := span(members)
	if !ok {
		return nil, problems
	}
	switch {
	case to.Major != newest.Major:
		hops, problems = []cluster.Version{to}, append(problems, fmt.Sprintf("from etcd %s to %s no way is known: another major version", newest, to))
	case nextMinor(oldest).Less(minor(newest)):
		problems = append(problems, fmt.Sprintf("the members run %s to %s: two minors or more apart", oldest, newest))
	case minor(to).Less(minor(newest)):
		hops, problems = downgradeHops(newest, to, problems)
	case oldest == to && newest == to:
		return nil, problems
	default:
		hops, problems = upgradeHops(members, oldest, newest, to, problems)
	}
	for _, m := range members {
		if down := m.DowngradeTo; !down.Zero() && !down.SameMinor(to) {
			problems = append(problems, fmt.Sprintf("etcd has a downgrade to %d.%d enabled: cancel it first", down.Major, down.Minor))
			break
		}
	}
	for _, m := range members {
		problems = append(problems, lacks(m, hops)...)
	}
	if crossesV2(oldest, hops) {
		for _, m := range members {
			if m.V2 != "" {
				problems = append(problems, fmt.Sprintf("%s holds content of the v2 store, on which etcd 3.6 does not start: %s", m.Name, m.V2))
			}
		}
	}
	if len(hops) > 0 && !hops[0].Less(seventh) {
		for _, m := range members {
			if m.Elder != "" && m.Runs.Less(seventh) {
				problems = append(problems, fmt.Sprintf("%s cannot go on to 3.7 yet: %s; entries that change nothing are written past them by and by", m.Name, m.Elder))
			}
		}
	}
	return hops, problems
}

// NewestCommon is the newest version that every member's --etcd offers; zero:
// there is none.
func NewestCommon(members []VersionFacts) (newest cluster.Version) {
	for _, v := range common(members) {
		if newest.Less(v) {
			newest = v
		}
	}
	return newest
}

func common(members []VersionFacts) []cluster.Version {
	if len(members) == 0 {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(members[0].Offers), func(v cluster.Version) bool {
		return slices.ContainsFunc(members, func(m VersionFacts) bool { return !slices.Contains(m.Offers, v) })
	})
}

// notReady is what is wrong with the cluster as it is, for any change.
func notReady(members []VersionFacts) (problems []string) {
	if len(members) == 2 {
		problems = append(problems, "there are two voters: while one restarts, the other has no quorum; add a third first")
	}
	for _, m := range members {
		switch {
		case m.Runs.Zero():
			problems = append(problems, m.Name+" is unhealthy: it does not say which etcd it runs")
		case !m.Healthy:
			problems = append(problems, m.Name+" is unhealthy")
		}
	}
	return problems
}

// span is the oldest and the newest version that members run; false when there
// is none, or when one is not known.
func span(members []VersionFacts) (oldest, newest cluster.Version, ok bool) {
	for i, m := range members {
		if m.Runs.Zero() {
			return oldest, newest, false
		}
		if i == 0 || m.Runs.Less(oldest) {
			oldest = m.Runs
		}
		if newest.Less(m.Runs) {
			newest = m.Runs
		}
	}
	return oldest, newest, len(members) > 0
}

func downgradeHops(newest, to cluster.Version, problems []string) ([]cluster.Version, []string) {
	switch {
	case minor(to).Less(oldestBack):
		problems = append(problems, fmt.Sprintf("etcd %s cannot be taken back to %s: %d.%d is the oldest that can be gone back to", newest, to, oldestBack.Major, oldestBack.Minor))
	case nextMinor(to).Less(minor(newest)):
		problems = append(problems, fmt.Sprintf("from %s to %s are two minors or more down: go down one, look, and go on", newest, to))
	case !mayLeave(to):
		problems = append(problems, fmt.Sprintf("etcd %s does not read what %s has written: go back to %s at least", to, newest, floor(to)))
	}
	return []cluster.Version{to}, problems
}

// upgradeHops begin with a newer patch where the one that runs may not leave
// its minor; in between they are the newest of a minor that everyone offers.
func upgradeHops(members []VersionFacts, oldest, newest, to cluster.Version, problems []string) ([]cluster.Version, []string) {
	if to.SameMinor(oldest) {
		return []cluster.Version{to}, problems
	}
	var hops []cluster.Version
	offered := common(members)
	for at := oldest; ; {
		if better := newestOf(offered, at); !mayLeave(at) && mayLeave(better) && newest.SameMinor(oldest) {
			hops = append(hops, better)
		} else if !mayLeave(at) {
			problems = append(problems, fmt.Sprintf("etcd %s may not go on to %d.%d: it must be %s at least, which not every --etcd offers", at, at.Major, at.Minor+1, floor(at)))
		}
		next := nextMinor(at)
		if next.SameMinor(to) {
			return append(hops, to), problems
		}
		if at = newestOf(offered, next); !at.Zero() {
			hops = append(hops, at)
			continue
		}
		problems = append(problems, fmt.Sprintf("from %s to %s are two minors or more: an etcd %d.%d is needed in between, and not every --etcd offers one", oldest, to, next.Major, next.Minor))
		if at = floor(next); !slices.ContainsFunc(offered, at.Less) { // nor is any that is newer: no further way to look for
			return append(hops, to), problems
		}
	}
}

// lacks says which hops a member's --etcd does not offer, and why if it tells.
func lacks(m VersionFacts, hops []cluster.Version) (problems []string) {
	for _, hop := range hops {
		if slices.Contains(m.Offers, hop) {
			continue
		}
		text := fmt.Sprintf("%s does not have etcd %s: its --etcd offers %s", m.Name, hop, orNone(listing(m.Offers)))
		for _, u := range m.Unfit {
			if strings.Contains(u, hop.String()) {
				text = fmt.Sprintf("%s cannot run etcd %s: %s", m.Name, hop, u)
			}
		}
		problems = append(problems, text)
	}
	return problems
}

func orNone(text string) string {
	if text == "" {
		return "none"
	}
	return text
}

// crossesV2 says that the way leads into the first minor that does not start on
// content of the v2 store.
func crossesV2(oldest cluster.Version, hops []cluster.Version) bool {
	return oldest.Less(sixth) && slices.ContainsFunc(hops, func(h cluster.Version) bool { return !h.Less(sixth) })
}
