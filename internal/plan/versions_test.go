package plan

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/quorate/quorate/internal/cluster"
)

// versions reads "3.5.33 3.6.14".
func versions(text string) (all []cluster.Version) {
	for _, f := range strings.Fields(text) {
		v, err := cluster.ParseVersion(f)
		if err != nil {
			panic(err)
		}
		all = append(all, v)
	}
	return all
}

// version reads one; "" is the zero version.
func version(text string) cluster.Version {
	if text == "" {
		return cluster.Version{}
	}
	return versions(text)[0]
}

func TestRuns(t *testing.T) {
	const all = "3.5.33 3.6.14 3.7.3"
	for name, c := range map[string]struct{ offers, last, running, hop, want string }{
		"a founder runs the newest":                        {all, "", "", "", "3.7.3: the newest"},
		"nothing to run":                                   {"", "3.6.14", "3.6.14", "", "--etcd offers none"},
		"a crash: what ran last, though newer is there":    {all, "3.6.14", "3.6.14", "", "3.6.14: it ran last"},
		"a crash in an upgrade: not back to the cluster's": {all, "3.7.3", "3.6.14", "", "3.7.3: it ran last"},
		"a new patch was put in its place":                 {"3.6.15 3.7.3", "3.6.14", "3.6.14", "", "3.6.15: etcd 3.6.14 ran last"},
		"an older patch was put in its place":              {"3.6.11", "3.6.14", "3.6.14", "", "3.6.11: etcd 3.6.14 ran last"},
		"a new quorate: one minor up":                      {"3.7.3", "3.6.14", "3.6.14", "", "3.7.3: etcd 3.6.14 ran last on this data, and --etcd offers no 3.6 any more"},
		"a new quorate, nobody answers":                    {"3.7.3", "3.6.14", "", "", "3.7.3: etcd 3.6.14 ran last"},
		"one minor up from too old a patch":                {"3.7.3", "3.6.10", "3.6.10", "", "to go on to 3.7 it must be at least 3.6.11"},
		"one minor up from too old a patch of 3.5":         {"3.6.14", "3.5.31", "3.5.33", "", "must be at least 3.5.32"},
		"from 3.4 any patch goes":                          {"3.5.33", "3.4.1", "3.4.1", "", "3.5.33: "},
		"two minors up":                                    {"3.7.3", "3.5.33", "3.5.33", "", "neither its minor nor the next"},
		"one up, but a member is one minor behind":         {"3.7.3", "3.6.14", "3.5.33", "", "a member of the cluster is at 3.5.33 still"},
		"down":                                  {"3.5.33", "3.6.14", "3.6.14", "", "neither its minor nor the next"},
		"the cluster went on while it was down": {all, "3.6.14", "3.7.3", "", "3.7.3: the cluster has gone on"},
		"the cluster went on, and it has not what":  {"3.6.14", "3.6.14", "3.7.3", "", "the cluster is at 3.7.3 by now; --etcd offers 3.6.14"},
		"the cluster went on by two":                {all, "3.5.33", "3.7.3", "", "two minors or more; set the data aside"},
		"the cluster went on, from too old a patch": {all, "3.5.31", "3.6.14", "", "must be at least 3.5.32"},
		"a joiner runs the cluster's minor":         {all, "", "3.6.11", "", "3.6.14: the cluster runs 3.6"},
		"a joiner one minor up":                     {"3.6.14 3.7.3", "", "3.5.33", "", "3.6.14: the cluster runs 3.5, and accepts the next minor"},
		"a joiner one minor up, too old a patch":    {"3.6.14", "", "3.5.31", "", "it must be at least 3.5.32 everywhere"},
		"a joiner two minors up":                    {"3.7.3", "", "3.5.33", "", "a joiner runs the cluster's minor, or the next"},
		"a joiner that is older":                    {"3.5.33", "", "3.6.14", "", "a joiner runs the cluster's minor, or the next"},
		"a hop beats what ran last":                 {all, "3.6.14", "3.6.14", "3.7.3", "3.7.3: the roll wants it"},
		"a hop beats the cluster, down":             {all, "3.6.14", "3.5.0", "3.5.33", "3.5.33: the roll wants it"},
		"a hop that is not there":                   {"3.6.14", "3.6.14", "3.6.14", "3.7.3", "the roll wants etcd 3.7.3, and --etcd offers 3.6.14"},
	} {
		v, why := Runs(versions(c.offers), version(c.last), version(c.running), version(c.hop))
		got := why
		if !v.Zero() {
			got = v.String() + ": " + why
		}
		if !strings.Contains(got, c.want) {
			t.Errorf("%s: %s; want %s", name, got, c.want)
		}
		if starts := c.want[0] == '3' && c.want[1] == '.'; starts == v.Zero() {
			t.Errorf("%s: %s; want %s", name, got, c.want)
		}
	}
}

var someVersion = rapid.Custom(func(t *rapid.T) cluster.Version {
	return cluster.Version{Major: 3, Minor: rapid.IntRange(4, 8).Draw(t, "minor"), Patch: rapid.SampledFrom([]int{0, 10, 11, 14, 31, 32, 33}).Draw(t, "patch")}
})

var maybeVersion = rapid.OneOf(rapid.Just(cluster.Version{}), someVersion)

// TestRunsProperties: what starts is offered, and no step is one that etcd
// does not survive.
func TestRunsProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		offers := rapid.SliceOfDistinct(someVersion, func(v cluster.Version) cluster.Version { return v }).Draw(t, "offers")
		last, running := maybeVersion.Draw(t, "last"), maybeVersion.Draw(t, "running")
		v, why := Runs(offers, last, running, cluster.Version{})
		switch {
		case why == "":
			t.Fatal("no reason")
		case v.Zero():
			if slices.Contains(offers, last) && !minor(last).Less(minor(running)) {
				t.Fatalf("what ran last is there and is not started: %s", why)
			}
			return
		case !slices.Contains(offers, v):
			t.Fatalf("%s is not offered", v)
		}
		if !last.Zero() {
			if minor(v).Less(minor(last)) || nextMinor(last).Less(minor(v)) {
				t.Fatalf("data of %s on %s", last, v)
			}
			if minor(last).Less(minor(v)) && !mayLeave(last) {
				t.Fatalf("%s left at too old a patch for %s", last, v)
			}
		}
		if !running.Zero() && (minor(v).Less(minor(running)) || nextMinor(running).Less(minor(v))) && v != last && !v.SameMinor(last) {
			t.Fatalf("%s in a cluster of %s", v, running)
		}
		shuffled := rapid.Permutation(offers).Draw(t, "shuffled")
		if w, _ := Runs(shuffled, last, running, cluster.Version{}); w != v {
			t.Fatalf("the order of offers matters: %s, %s", v, w)
		}
	})
}
