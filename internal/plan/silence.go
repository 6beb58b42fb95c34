package plan

import (
	"maps"
	"slices"
	"time"

	"github.com/quorate/quorate/internal/cluster"
)

// hungPatience is how many times longer a hung etcd is waited for than one that
// is down: one that loads its data, or that is starved, does not answer either.
const hungPatience = 10

// Listen is what is known of every member's life, once this observation has been
// added: a sign of it ends the silence, and what proves nothing leaves it as it
// was. passed is the time since the observation before, 0 for an agent that was
// held up meanwhile: it has not listened. Time alone, therefore, makes nobody
// dead: all who could tell have found no life for as long.
func Listen(o Observation, passed time.Duration) map[cluster.MemberID]Probe {
	out := maps.Clone(o.Probes)
	h := survey(o)
	for _, s := range slices.Concat(h.voters, h.learners) {
		p, known := out[s.ID]
		if !known {
			continue
		}
		f := s.finding(o)
		switch f.Kind {
		case ailsUncertain:
		case ailsUnheard, ailsDown, ailsHung:
			p.Silent += passed
		default:
			p.Silent = 0
		}
		if f.Kind != ailsUncertain && f.Kind != ailsUnheard {
			p.Ailed = f
		}
		out[s.ID] = p
	}
	return out
}

// dead says that a newcomer may take the voter's place: for --dead-after nothing
// has told of its life, and nothing does now.
func (s standing) dead(o Observation) bool {
	switch s.finding(o).Kind {
	case ailsUnheard, ailsDown:
		return s.probe.Silent >= o.Settings.DeadAfter
	case ailsHung:
		return s.probe.Silent >= hungPatience*o.Settings.DeadAfter
	}
	return false
}

// hearers are the agents that have heard that node within seconds.
func (o Observation) hearers(name string) (by []string) {
	for _, r := range o.Reports {
		if name != "" && r.Cluster == o.Settings.Cluster && slices.Contains(r.Care.Hears, name) {
			by = append(by, r.Name)
		}
	}
	return by
}

// certain says that enough agents listen to know that the voter's is silent: those
// of a majority of the voters, ours one of them. One that is held up, or that does
// not hear us, may not hear others either.
func (s standing) certain(o Observation) bool {
	voters := cluster.Voters(o.Members.Value())
	listen := 1
	for _, m := range voters {
		r, _ := o.reportOf(m) // of one that is silent: it hears nobody
		if r.Age <= turnAge && slices.Contains(r.Care.Hears, o.Self.Name) {
			listen++
		}
	}
	return listen >= cluster.Quorum(len(voters))
}
