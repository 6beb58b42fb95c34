package plan

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/quorate/quorate/internal/cluster"
)

// three are healthy members a, b, c that run and offer the same.
func three(runs, offers string) []VersionFacts {
	var all []VersionFacts
	for _, n := range []string{"a", "b", "c"} {
		all = append(all, VersionFacts{Name: n, Runs: version(runs), Healthy: true, Offers: versions(offers)})
	}
	return all
}

// but changes member b.
func but(members []VersionFacts, change func(*VersionFacts)) []VersionFacts {
	change(&members[1])
	return members
}

func TestUpgradePath(t *testing.T) {
	const all = "3.4.23 3.5.21 3.5.33 3.6.14 3.7.3"
	for name, c := range map[string]struct {
		members []VersionFacts
		to      string
		hops    string
		problem string // "": none; else it is the only one
	}{
		"there already":                      {three("3.6.14", all), "3.6.14", "", ""},
		"a patch up":                         {three("3.6.11", all), "3.6.14", "3.6.14", ""},
		"a patch down":                       {three("3.6.15", all), "3.6.14", "3.6.14", ""},
		"one minor":                          {three("3.6.14", all), "3.7.3", "3.7.3", ""},
		"three minors, one by one":           {three("3.4.23", all), "3.7.3", "3.5.33 3.6.14 3.7.3", ""},
		"too old a patch: a newer one first": {three("3.5.21", all), "3.6.14", "3.5.33 3.6.14", ""},
		"too old a patch, and no newer":      {three("3.5.21", "3.5.21 3.6.14"), "3.6.14", "3.6.14", "etcd 3.5.21 may not go on to 3.6: it must be 3.5.32 at least"},
		"too old a patch in between":         {three("3.5.33", "3.5.33 3.6.10 3.7.3"), "3.7.3", "3.6.10 3.7.3", "etcd 3.6.10 may not go on to 3.7"},
		"two minors, nothing between":        {three("3.5.33", "3.5.33 3.7.3"), "3.7.3", "3.7.3", "an etcd 3.6 is needed in between"},
		"goes on where it was":               {but(three("3.6.14", all), func(m *VersionFacts) { m.Runs = version("3.7.3") }), "3.7.3", "3.7.3", ""},
		"goes on, from too old a patch":      {but(three("3.6.5", all), func(m *VersionFacts) { m.Runs = version("3.7.3") }), "3.7.3", "3.7.3", "etcd 3.6.5 may not go on to 3.7"},
		"members two minors or more apart":   {but(three("3.5.33", all), func(m *VersionFacts) { m.Runs = version("3.7.3") }), "3.7.3", "", "two minors or more apart"},

		"down, members far apart":    {but(three("3.5.33", all), func(m *VersionFacts) { m.Runs = version("3.7.3") }), "3.6.14", "", "two minors or more apart"},
		"down":                       {three("3.7.3", all), "3.6.14", "3.6.14", ""},
		"down two":                   {three("3.7.3", all), "3.5.33", "3.5.33", "two minors or more down"},
		"down to too old a patch":    {three("3.6.14", all), "3.5.21", "3.5.21", "go back to 3.5.32 at least"},
		"down to what is too old":    {three("3.5.33", all), "3.4.23", "3.4.23", "3.5 is the oldest"},
		"an upgrade turned back":     {but(three("3.6.14", all), func(m *VersionFacts) { m.Runs = version("3.7.3") }), "3.6.14", "3.6.14", ""},
		"up while a downgrade is on": {but(three("3.6.14", all), func(m *VersionFacts) { m.DowngradeTo = version("3.5.0") }), "3.7.3", "3.7.3", "a downgrade to 3.5 enabled"},
		"down while it is on":        {but(three("3.6.14", all), func(m *VersionFacts) { m.DowngradeTo = version("3.5.0") }), "3.5.33", "3.5.33", ""},

		"an unhealthy member":    {but(three("3.6.14", all), func(m *VersionFacts) { m.Healthy = false }), "3.7.3", "3.7.3", "b is unhealthy"},
		"a silent member":        {but(three("3.6.14", all), func(m *VersionFacts) { *m = VersionFacts{Name: "b"} }), "3.7.3", "", "b is unhealthy: it does not say which etcd it runs"},
		"two members only":       {three("3.6.14", all)[:2], "3.7.3", "3.7.3", "two voters"},
		"one member":             {three("3.6.14", all)[:1], "3.7.3", "3.7.3", ""},
		"not offered everywhere": {but(three("3.6.14", all), func(m *VersionFacts) { m.Offers = versions("3.6.14") }), "3.7.3", "3.7.3", "b does not have etcd 3.7.3: its --etcd offers 3.6.14"},
		"a flag that it does not know": {but(three("3.6.14", all), func(m *VersionFacts) {
			m.Offers = versions("3.6.14")
			m.Unfit = []string{"etcd 3.7.3: unknown flag --enable-v2"}
		}), "3.7.3", "3.7.3", "b cannot run etcd 3.7.3: etcd 3.7.3: unknown flag --enable-v2"},
		"v2 content":                    {but(three("3.5.33", all), func(m *VersionFacts) { m.V2 = "keys in the v2 store" }), "3.6.14", "3.6.14", "b holds content of the v2 store, on which etcd 3.6 does not start: keys in the v2 store"},
		"v2 content, two hops away":     {but(three("3.4.23", all), func(m *VersionFacts) { m.V2 = "keys" }), "3.6.14", "3.5.33 3.6.14", "b holds content"},
		"entries of 3.5 in the log":     {but(three("3.6.14", all), func(m *VersionFacts) { m.Elder = "old entries" }), "3.7.3", "3.7.3", "b cannot go on to 3.7 yet: old entries"},
		"entries of 3.5, two hops away": {but(three("3.5.33", all), func(m *VersionFacts) { m.Elder = "old entries" }), "3.7.3", "3.6.14 3.7.3", ""},
		"v2 content that may stay":      {but(three("3.4.23", all), func(m *VersionFacts) { m.V2 = "keys" }), "3.5.33", "3.5.33", ""},
	} {
		hops, problems := UpgradePath(c.members, version(c.to))
		if !slices.Equal(hops, versions(c.hops)) {
			t.Errorf("%s: goes through %v; want %s", name, hops, c.hops)
		}
		switch {
		case c.problem == "" && len(problems) > 0:
			t.Errorf("%s: %q; want no problem", name, problems)
		case c.problem != "" && (len(problems) != 1 || !strings.Contains(problems[0], c.problem)):
			t.Errorf("%s: %q; want %q alone", name, problems, c.problem)
		}
	}
}

func TestUpgradePathOfNobody(t *testing.T) {
	if hops, problems := UpgradePath(nil, version("3.7.3")); len(hops) > 0 || len(problems) > 0 {
		t.Errorf("%v %v", hops, problems)
	}
}

func TestNewestCommon(t *testing.T) {
	m := but(three("3.5.33", "3.5.33 3.6.14 3.7.3"), func(m *VersionFacts) { m.Offers = versions("3.6.14 3.5.33") })
	if got := NewestCommon(m); got != version("3.6.14") {
		t.Errorf("newest that all offer: %s; want 3.6.14", got)
	}
	if got := NewestCommon(nil); !got.Zero() {
		t.Errorf("of nobody: %s", got)
	}
}

// TestUpgradePathTooFar: whatever version somebody asks for, the answer comes, and
// says why not. Looking for a way to 9.9.9 once never ended.
func TestUpgradePathTooFar(t *testing.T) {
	for to, want := range map[string]string{
		"9.9.9":          "from etcd 3.5.33 to 9.9.9 no way is known: another major version",
		"2.3.8":          "from etcd 3.5.33 to 2.3.8 no way is known: another major version",
		"3.99.0":         "from 3.5.33 to 3.99.0 are two minors or more: an etcd 3.8 is needed in between, and not every --etcd offers one",
		"3.2000000000.0": "from 3.5.33 to 3.2000000000.0 are two minors or more: an etcd 3.8 is needed in between, and not every --etcd offers one",
	} {
		_, problems := UpgradePath(three("3.5.33", "3.5.33 3.6.14 3.7.3"), version(to))
		if len(problems) < 4 || problems[0] != want || !strings.HasPrefix(problems[1], "a does not have etcd "+to) {
			t.Errorf("to %s: %q, want %q and that nobody has it", to, problems, want)
		}
	}
	_, problems := UpgradePath(three("3.4.23", "3.4.23 3.7.3"), version("3.7.3"))
	if got := strings.Join(problems, "\n"); !strings.Contains(got, "etcd 3.5 is needed") || !strings.Contains(got, "etcd 3.6 is needed") {
		t.Errorf("%q does not name each minor that is missing", problems)
	}
}

// TestUpgradePathProperties: a path without a problem is one that each member
// can walk, one minor at a time, from patches that may be left.
func TestUpgradePathProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		members := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) VersionFacts {
			return VersionFacts{Name: "m", Runs: someVersion.Draw(t, "runs"), Healthy: true, Offers: rapid.SliceOfN(someVersion, 4, 30).Draw(t, "offers")}
		}), 1, 5).Draw(t, "members")
		to := someVersion.Draw(t, "to")
		hops, problems := UpgradePath(members, to)
		if len(problems) > 0 {
			return
		}
		for _, m := range members {
			at := m.Runs
			for _, hop := range hops {
				if !slices.Contains(m.Offers, hop) {
					t.Fatalf("%s is not offered by %+v", hop, m)
				}
				if nextMinor(at).Less(minor(hop)) || nextMinor(hop).Less(minor(at)) {
					t.Fatalf("from %s to %s", at, hop)
				}
				lower := min(at.Minor, hop.Minor)
				for _, v := range []cluster.Version{at, hop} {
					if at.Minor != hop.Minor && v.Minor == lower && v == at && !mayLeave(v) {
						t.Fatalf("from %s to %s: too old a patch", at, hop)
					}
				}
				at = hop
			}
			if at != to {
				t.Fatalf("ends at %s; want %s", at, to)
			}
		}
	})
}
