package plan

import (
	"reflect"
	"testing"

	"github.com/quorate/quorate/internal/cluster"
)

// TestAhead: the start that a change leads to is known before the change.
func TestAhead(t *testing.T) {
	odd := func(m cluster.Member) cluster.Member { m.Name = "my node"; return m }
	for name, row := range map[string]struct {
		see  Print
		want StartEtcd
	}{
		"registers":       {printing(registered(3, "b", "c")), StartEtcd{State: "new", Initial: "a=" + at("a"), Token: "t"}},
		"founds":          {printing(), StartEtcd{State: "new", Initial: "a=" + at("a") + ",b=" + at("b") + ",c=" + at("c"), Token: "t"}},
		"is added":        {printing(quorum([]cluster.Member{voter("b"), odd(voter("c"))}, "b", "c")), StartEtcd{State: "existing", Initial: "b=" + at("b") + ",my node=" + at("c") + ",a=" + at("a")}},
		"its entry goes":  {printing(quorum([]cluster.Member{voter("a"), voter("b"), voter("c")}, "b", "c")), StartEtcd{State: "existing", Initial: "b=" + at("b") + ",c=" + at("c") + ",a=" + at("a")}},
		"a dead one goes": {printing(quorum([]cluster.Member{voter("b"), voter("c"), odd(voter("d"))}, "b", "c"), mute("d")), StartEtcd{State: "existing", Initial: "b=" + at("b") + ",c=" + at("c") + ",a=" + at("a")}},
		"resumes":         {printing(onData), StartEtcd{State: "resume"}},
		"is promoted":     {printing(onData, quorum([]cluster.Member{learner("a"), voter("b")}, "a", "b")), StartEtcd{State: "resume"}},
	} {
		d := DecidePrint(row.see)
		if len(d.Steps) == 0 {
			t.Errorf("%s: decides %s", name, d)
		}
		if got := row.see.Ahead(d); !reflect.DeepEqual(got, row.want) {
			t.Errorf("%s: %s\n got %+v\nwant %+v", name, d, got, row.want)
		}
	}
}
