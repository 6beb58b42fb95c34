package hosts

import (
	"fmt"
	"slices"
	"strings"

	"github.com/quorate/quorate/internal/cluster"
)

// Kind is what is done to a host in its turn.
type Kind string

// The kinds, in the order of their turns.
const (
	Switch  Kind = "switch"  // another release; the agent takes it over while it runs
	Restart Kind = "restart" // another release, by a restart
	Start   Kind = "start"   // the service does not run: the release, and its start
)

// Action is one host's, and why.
type Action struct {
	Host string
	Kind Kind
	Why  string
}

func (a Action) String() string { return fmt.Sprintf("%s: %s (%s)", a.Host, a.Kind, a.Why) }

// Turn is what is done at the same time.
type Turn []Action

// Plan is the turns, one after the other. None: everything is as it should be.
type Plan []Turn

// Standing is a host and what it is to run.
type Standing struct {
	Name  string
	Facts Facts
	Want  Manifest
	// Leads says that its member is the leader, which goes last.
	Leads bool
}

// Decide plans the way from what stands to what is wanted. Where nothing runs,
// all starts at once. Else a change that needs no restart is made everywhere at
// once; what was stopped starts, since the others can be spared only beside it;
// those restart one by one; and new hosts start at once in the end, when all
// others know of them.
func Decide(all []Standing) Plan {
	var switches, stopped, fresh Turn
	var restarts, last []Turn
	runs := slices.ContainsFunc(all, func(s Standing) bool { return s.Facts.Active })
	for _, s := range all {
		a, due := s.action()
		switch {
		case !due:
		case a.Kind == Start && runs && s.Facts.Release.None():
			fresh = append(fresh, a)
		case a.Kind == Start:
			stopped = append(stopped, a)
		case a.Kind == Switch:
			switches = append(switches, a)
		case s.Leads:
			last = append(last, Turn{a})
		default:
			restarts = append(restarts, Turn{a})
		}
	}
	plan := Plan{switches, stopped}
	plan = append(plan, restarts...)
	plan = append(plan, last...)
	plan = append(plan, fresh)
	return slices.DeleteFunc(plan, func(t Turn) bool { return len(t) == 0 })
}

func (s Standing) action() (Action, bool) {
	f := s.Facts
	a := Action{Host: s.Name}
	parts := f.Release.Restarts(s.Want)
	switch {
	case f.Stands(s.Want):
		return Action{}, false
	case f.Release.None():
		a.Kind, a.Why = Start, "nothing is there yet"
	case !f.Active:
		a.Kind, a.Why = Start, "its service does not run"
	case len(parts) > 0:
		a.Kind, a.Why = Restart, "another "+strings.Join(parts, ", ")
	case f.Unit != s.Want.Unit:
		a.Kind, a.Why = Restart, "its service's file was changed"
	case f.outlived(s.Want):
		a.Kind, a.Why = Restart, "its process was started from another release"
	case f.Release == s.Want && f.ReleaseID != s.Want.ID():
		a.Kind, a.Why = Switch, "its release has another name"
	case f.Release != s.Want:
		a.Kind, a.Why = Switch, "another "+strings.Join(f.Release.Differs(s.Want), ", ")
	default:
		a.Kind, a.Why = Switch, "its service does not start at boot"
	}
	return a, true
}

// Node is a member's state, as the plan needs it.
type Node struct {
	Name    string
	Votes   bool
	Healthy bool
}

// MayRestart says why stopping that node's etcd now would cost the cluster its
// quorum. A cluster of one or two has none to spare, ever: there it may.
func MayRestart(name string, nodes []Node) error {
	voters, healthy, others := 0, 0, []string{}
	for _, n := range nodes {
		if !n.Votes {
			continue
		}
		voters++
		if n.Name == name {
			continue
		}
		if n.Healthy {
			healthy++
		} else {
			others = append(others, n.Name)
		}
	}
	switch {
	case voters == 0:
		return fmt.Errorf("the cluster has no voter that we know of")
	case healthy >= cluster.Quorum(voters):
		return nil
	case voters <= 2 && len(others) == 0:
		return nil
	}
	return fmt.Errorf("only %d of the %d voters would be healthy without it: %s", healthy, voters, strings.Join(append(others, "and "+name+" would stop"), ", "))
}
