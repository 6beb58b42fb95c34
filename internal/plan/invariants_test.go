package plan

import (
	"slices"
	"testing"

	"github.com/quorate/quorate/internal/cluster"
)

// violated is the slow, plain judge of a decision: it knows what the world of
// see_test.go means (names, not guards), and none of plan's own functions but
// the quorum arithmetic. It returns the first promise that d breaks.
func violated(o Observation, d Decision) string {
	if d.Reason == "" || d.Verb == "" {
		return "a decision without a reason"
	}
	if d.Verb == "wait" && len(d.Steps) > 0 {
		return "a wait that acts"
	}
	if o.Disk.State == cluster.DiskUnread && len(d.Steps) > 0 {
		return "an unread disk is touched"
	}
	removals := 0
	for i, s := range d.Steps {
		why := ""
		switch s := s.(type) {
		case WriteCharter:
			why = charterBreaks(o, s.Charter)
		case StartEtcd:
			why = startBreaks(o, s, d.Steps[:i])
		case InstallSeed:
			why = installBreaks(o, s, d.Steps[:i])
		case SetDataAside:
			why = asideBreaks(o)
		case StopEtcd:
			if o.Process.Foreign || asideBreaks(o) != "" && !makesRoom(o) {
				why = restartBreaks(o, d)
			}
		case RemoveMember:
			removals++
			why = removalBreaks(o, s.ID)
		case AddLearner:
			why = additionBreaks(o, s, d.Steps[:i])
		case PromoteLearner:
			if m, ok := cluster.ByID(o.Members.Value(), s.ID); !ok || !m.Learner || !m.Started() || !o.Probes[s.ID].Healthy {
				why = "a learner is promoted that is not fit to vote"
			}
		case HoldMachine, ReleaseMachine, CondemnMachine, AnnounceReady:
			why = machineBreaks(o, s)
		}
		if why == "" && tornApart(o) && !allowedWhileTorn(s) {
			why = "nobody knows which keys are right, and yet it acts"
		}
		if why == "" && isPaused(o) && !allowedWhilePaused(o, s) {
			why = "paused, and yet it acts"
		}
		if why != "" {
			return why
		}
	}
	if removals > 1 {
		return "two changes at once"
	}
	return ""
}

// tornApart: the keeper has compared the voters of now twice, and no majority
// was the same.
func tornApart(o Observation) bool {
	e := o.Etcd.Value()
	if o.Care.Hashes == nil || len(o.Care.Hashes.Rounds) < 2 || !e.Healthy || e.Leader != e.MemberID || !o.Members.Known() {
		return false
	}
	for _, r := range o.Care.Hashes.Rounds {
		sides, most := map[uint32]int{}, 0
		for _, m := range cluster.Voters(o.Members.Value()) {
			if hash, in := r.Hashes[m.ID]; in {
				sides[hash]++
				most = max(most, sides[hash])
			}
		}
		if len(sides) > 1 && most <= len(cluster.Voters(o.Members.Value()))/2 {
			return true
		}
	}
	return false
}

func allowedWhileTorn(s Step) bool {
	switch s.(type) {
	case RemoveMember, AddLearner, PromoteLearner, TakeBackup, ReleaseMachine, CondemnMachine, DisarmAlarm, StopEtcd, SetDataAside, TransferLeadership, UpdateMember:
		return false
	}
	return true
}

func isPaused(o Observation) bool { return o.Ledger.Lock.Known() && o.Ledger.Lock.Value().Held(o.Now) }

func allowedWhilePaused(o Observation, s Step) bool {
	switch s := s.(type) {
	case RemoveMember, AddLearner, PromoteLearner, UpdateMember, TransferLeadership, TakeBackup, ReleaseMachine, CondemnMachine, DisarmAlarm:
		return false
	case WriteCharter:
		return s.Charter.Epoch == 1
	}
	return true
}

// asideBreaks: only a newer epoch, or a living cluster's list, ends our data.
func asideBreaks(o Observation) string {
	if o.Disk.State != cluster.DiskData {
		return "nothing to set aside"
	}
	if !o.Process.Running && makesRoom(o) {
		return "" // with a running etcd an entry may yet arrive
	}
	if o.Ledger.Charter.Known() && o.Disk.Stamp != nil && o.Ledger.Charter.Value().Epoch > o.Disk.Stamp.Epoch {
		return ""
	}
	for _, r := range o.Reports {
		if r.Keeper && r.Etcd.Healthy && r.Etcd.ClusterID == o.Disk.ClusterID && r.Etcd.Term >= o.Disk.Term {
			if _, in := cluster.ByID(r.Members, o.Disk.MemberID); !in {
				return ""
			}
		}
	}
	return "data is set aside that nothing proves to be over"
}

// makesRoom: data without an entry is nobody's loss, where nobody leads.
func makesRoom(o Observation) bool {
	leads := slices.ContainsFunc(o.Reports, func(r cluster.Report) bool { return r.Keeper && r.Etcd.Healthy && r.Disk.Epoch() >= o.epoch() })
	return o.Disk.Index == 0 && !o.Etcd.Value().Healthy && !leads && !isPaused(o) && o.Ledger.Charter.Known()
}

func removalBreaks(o Observation, mid cluster.MemberID) string {
	m, ok := cluster.ByID(o.Members.Value(), mid)
	if !ok || mid == o.Etcd.Value().MemberID {
		return "a removal of nobody, or of the leader"
	}
	if m.Learner {
		return ""
	}
	voters, healthyAfter := 0, 0
	for _, v := range o.Members.Value() {
		if v.Learner {
			continue
		}
		voters++
		if v.ID != mid && (v.ID == o.Etcd.Value().MemberID || o.Probes[v.ID].Healthy) {
			healthyAfter++
		}
	}
	if voters < 2 || healthyAfter < (voters-1)/2+1 {
		return "a removal that breaks the quorum"
	}
	p, in := o.View.Value().Peer(m.Name)
	goes := o.View.Known() && (in && (p.State == cluster.Terminating || p.State == cluster.Terminated) || !in && o.View.Value().Authoritative)
	i := reporter(o, m.Name)
	leaves := i >= 0 && o.Reports[i].Leaving
	shrinks := o.Settings.Size > 0 && voters > o.Settings.Size
	disowned := slices.ContainsFunc(o.Reports, func(r cluster.Report) bool { return slices.Contains(r.Disowns, mid) })
	waits := slices.ContainsFunc(o.Reports, func(r cluster.Report) bool { return r.Joining })
	if oddOneOut(o, mid) {
		return ""
	}
	unfit := o.Probes[mid].Silent >= o.Settings.DeadAfter && !heardOf(o, m)
	switch {
	case o.Probes[mid].Healthy && !goes && !leaves && !shrinks:
		return "a healthy voter is removed"
	case !o.Probes[mid].Healthy && !goes && !leaves && !shrinks && !disowned && !(waits && unfit):
		return "a voter is removed, and nothing proves that it is lost"
	}
	if !o.Probes[mid].Healthy || leaves || shrinks || in {
		return ""
	}
	return massLoss(o, voters)
}

// heardOf: its own agent says that its etcd runs, or another hears that agent, or
// most of the voters' agents are silent themselves.
func heardOf(o Observation, m cluster.Member) bool {
	listen := 1
	for _, r := range o.Reports {
		switch {
		case m.Listens(r.PeerURL):
			return r.Etcd.Running && !r.Care.Hung && (r.Etcd.MemberID == m.ID || r.Etcd.MemberID == 0) || r.Care.Paused || r.Care.Slow
		case slices.Contains(r.Care.Hears, m.Name):
			return true
		case slices.ContainsFunc(cluster.Voters(o.Members.Value()), func(v cluster.Member) bool { return v.Listens(r.PeerURL) }):
			listen++
		}
	}
	return listen < len(cluster.Voters(o.Members.Value()))/2+1
}

// oddOneOut: two comparisons in a row, each of most of the voters, have found
// that member to differ from a majority of the voters; or etcd says so of one that
// is silent, and the others are the same.
func oddOneOut(o Observation, mid cluster.MemberID) bool {
	if o.Care.Hashes == nil {
		return false
	}
	voters := len(cluster.Voters(o.Members.Value()))
	differs, said := 0, false
	for _, a := range o.Etcd.Value().Alarms {
		said = said || a.Member == mid && a.Kind == cluster.Corrupt && slices.Contains(o.Care.Hashes.Alarms, a)
	}
	for _, r := range o.Care.Hashes.Rounds {
		sides := map[uint32]int{}
		for _, m := range cluster.Voters(o.Members.Value()) {
			if hash, in := r.Hashes[m.ID]; in {
				sides[hash]++
			}
		}
		hash, in := r.Hashes[mid]
		for side, n := range sides {
			if n > voters/2 && (in && side != hash || !in && said && len(sides) == 1) {
				differs++
			}
		}
		if !in && said && differs > 0 {
			return true
		}
	}
	return differs > 1
}

// massLoss: an answer that has lost more than a minority is not believed.
func massLoss(o Observation, voters int) string {
	missing := 0
	for _, v := range o.Members.Value() {
		if _, in := o.View.Value().Peer(v.Name); !in && !v.Learner {
			missing++
		}
	}
	if missing > (voters-1)/2 {
		return "a source is believed that has lost a majority"
	}
	return ""
}

func additionBreaks(o Observation, s AddLearner, before []Step) string {
	voters, healthy := 0, 0
	for _, m := range o.Members.Value() {
		if m.Learner {
			return "two learners"
		}
		if m.Listens(s.PeerURL) {
			return "an address twice"
		}
		voters++
		if m.ID == o.Etcd.Value().MemberID || o.Probes[m.ID].Healthy {
			healthy++
		}
	}
	p, in := o.View.Value().Peer(s.Name)
	switch {
	case voters > 1 && healthy < (voters+1)/2+1:
		return "an addition that breaks the quorum"
	case !o.View.Known() || !in && o.View.Value().Authoritative || in && (p.State == cluster.Terminating || p.State == cluster.Terminated):
		return "a newcomer that does not belong here"
	case len(before) == 0:
		return "a newcomer that the checkpoint lacks"
	}
	return ""
}

// stride samples n observations; the mutants and -short take a thin sample.
func stride(n int) int {
	want := 150_000
	if *all {
		return 1
	}
	if testing.Short() {
		want = 40_000
	}
	s := max(1, n/want)
	for s > 1 && (s%2 == 0 || s%3 == 0 || s%5 == 0 || s%7 == 0) {
		s++
	}
	return s
}
