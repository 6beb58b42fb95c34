package control

import (
	"cmp"
	"fmt"
	"strings"
)

// judge is the word for the whole, and why. Without a proof of a quorum it goes by
// what the agents say; led says that one of them is the keeper.
func judge(s Status, led bool) (State, string) {
	if lost := lost(s, led); lost != "" {
		return NoQuorum, s.unsure(lost)
	}
	if why := short(s, led); why != "" {
		return Degraded, why
	}
	if why := cmp.Or(s.Lacks, s.Store); why != "" {
		return Degraded, why
	}
	for _, n := range s.Nodes {
		if len(n.Alarms) > 0 {
			return Degraded, n.Name + ": " + strings.Join(n.Alarms, ", ")
		}
		if n.Ails != "" {
			return Degraded, n.Name + " is " + n.Ails
		}
	}
	return Healthy, ""
}

// lost is why there is no quorum, as far as is known; empty: there is one.
func lost(s Status, led bool) string {
	switch {
	case s.Voters == 0 && s.Epoch == 0:
		return "no cluster has been founded yet"
	case s.Proven:
		return ""
	case !led:
		return "no leader answers"
	case s.Tolerance < 0:
		return fmt.Sprintf("%d of %d voters are healthy", s.Healthy, s.Voters)
	}
	return ""
}

// unsure adds to what a teller says that has just started that it may not know.
func (s Status) unsure(why string) string {
	if s.Starting {
		return why + ", as far as this agent knows, which has just started"
	}
	return why
}

// short is what the cluster lacks of its voters, or of their agents.
func short(s Status, led bool) string {
	var why []string
	well := s.Healthy + s.Vouched
	counted := 2*well > s.Voters // else a quorum is proven, and who else is in it is not known
	mute := s.mute(!led || !counted)
	if counted && well < s.Voters && !(s.Starting && len(mute) > 0) {
		why = append(why, fmt.Sprintf("%d of %d voters are healthy", well, s.Voters))
	}
	switch n := len(mute); {
	case n > 0 && s.Starting:
		why = append(why, "this agent has just started, and has not heard yet from "+strings.Join(mute, ", "))
	case n == 1:
		why = append(why, "the agent of "+mute[0]+" does not answer")
	case n > 1:
		why = append(why, "the agents of "+strings.Join(mute, ", ")+" do not answer")
	case !counted:
		why = append(why, fmt.Sprintf("there is a quorum, and %d of %d voters say that they are healthy", s.Healthy, s.Voters))
	case !led:
		why = append(why, "no leader's agent answers")
	}
	if len(why) == 0 && s.Size > 0 && s.Voters < s.Size {
		return fmt.Sprintf("%d voters of %d wanted", s.Voters, s.Size)
	}
	return strings.Join(why, "; ")
}

// mute are the voters whose agents do not answer while their etcds are well; with
// unknown also those of which nothing is known, while there is a quorum.
func (s Status) mute(unknown bool) (names []string) {
	for _, n := range s.Nodes {
		if n.Health == unheard && n.Role != "learner" && (n.Doing == vouched || unknown && s.Proven) {
			names = append(names, n.Name)
		}
	}
	return names
}
