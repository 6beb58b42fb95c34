package control

import (
	"slices"
	"strings"
	"time"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/plan"
)

// Summarize makes one status of the reports of all agents that answer, the
// teller's own first. members is the best member list at hand.
func Summarize(name string, size int, reports []cluster.Report, members []cluster.Member, now time.Time) Status {
	s := Status{Cluster: name, Size: size, At: now}
	s.Lock, s.Backup, s.Epoch = newest(reports, now)
	s.Roll = newestRoll(reports)
	if s.Backup != nil {
		s.BackupAge = now.Sub(s.Backup.At)
	}
	s.Log = logEnd(reports)
	leader, found := leading(reports)
	p := prove(name, reports, members, s.Epoch, now)
	s.Proven = p.stands
	s.Starting = hasJustStarted(reports) && len(members) == 0
	seen := map[string]bool{}
	for _, m := range members {
		n := memberNode(m, reports, leader, found)
		if n.Health == unheard {
			s.Starting = s.Starting || hasJustStarted(reports)
			s.speakFor(&n, m, p, reports, !found)
		}
		seen[n.Agent] = n.Agent != ""
		s.Nodes = append(s.Nodes, n)
		if m.Learner {
			continue
		}
		s.Voters++
		if n.Health == "healthy" {
			s.Healthy++
		}
		if n.Role == "leader" {
			s.Leader = n.Name
		}
	}
	for _, r := range reports {
		if !seen[r.Agent] && r.Cluster == name {
			s.Nodes = append(s.Nodes, outsider(r))
		}
	}
	markTurns(&s, reports)
	slices.SortFunc(s.Nodes, func(a, b Node) int { return strings.Compare(a.Name, b.Name) })
	for i, n := range s.Nodes {
		for _, a := range leader.Care.Ails {
			if a.Member == n.MemberID && !(n.Health == "healthy" && plan.Passes(a.Kind)) {
				s.Nodes[i].Ails = a.Kind + ": " + a.Why
			}
		}
	}
	s.Lacks, s.Store = leader.Lacks, storeTrouble(reports, leader)
	s.Tolerance = cluster.Tolerance(s.Voters, s.Healthy+s.Vouched)
	if s.Proven {
		s.Tolerance = max(s.Tolerance, 0) // who is not heard of makes up a quorum with the others
	}
	s.State, s.Reason = judge(s, found)
	return s
}

// leading is the report of the agent beside the leader of the newest term.
func leading(reports []cluster.Report) (k cluster.Report, found bool) {
	for _, r := range reports {
		if r.Keeper && r.Etcd.Healthy && (!found || r.Etcd.Term > k.Etcd.Term) {
			k, found = r, true
		}
	}
	return k, found
}

// logEnd is the furthest end of the stored log that anybody knows of.
func logEnd(reports []cluster.Report) (end *cluster.LogEnd) {
	for _, r := range reports {
		if r.Log != nil && r.Log.End.Number > 0 && (end == nil || end.Before(r.Log.End)) {
			end = &r.Log.End
		}
	}
	return end
}

func newest(reports []cluster.Report, now time.Time) (lock *cluster.Lock, backup *cluster.Backup, epoch cluster.Epoch) {
	for _, r := range reports {
		if l := r.Lock; l != nil && (lock == nil || l.Number > lock.Number) {
			lock = l
		}
		if b := r.Backup; b != nil && (backup == nil || b.At.After(backup.At)) {
			backup = b
		}
		if r.Charter != nil {
			epoch = max(epoch, r.Charter.Epoch)
		}
	}
	if lock != nil && !lock.Held(now) {
		lock = nil
	}
	return lock, backup, epoch
}

func memberNode(m cluster.Member, reports []cluster.Report, leader cluster.Report, found bool) Node {
	n := Node{Name: m.Label(), MemberID: m.ID, Role: "voter", Health: unheard, Doing: "its agent does not answer"}
	if len(m.ClientURLs) > 0 {
		n.Client = m.ClientURLs[0]
	}
	if len(m.PeerURLs) > 0 {
		n.Host = m.PeerURLs[0]
	}
	if m.Learner {
		n.Role = "learner"
	}
	if found && leader.Etcd.MemberID == m.ID {
		n.Role = "leader"
	}
	i := slices.IndexFunc(reports, func(r cluster.Report) bool {
		return r.Etcd.Running && r.Etcd.MemberID == m.ID && m.ID != 0 || !r.Etcd.Running && r.Disk.MemberID == m.ID && m.ID != 0
	})
	if i < 0 {
		i = slices.IndexFunc(reports, func(r cluster.Report) bool { return m.Listens(r.PeerURL) && !slices.Contains(r.Disowns, m.ID) })
	}
	if i < 0 {
		return n
	}
	r := reports[i]
	fill(&n, r)
	switch {
	case r.Etcd.Healthy && r.Etcd.MemberID == m.ID:
		n.Health = "healthy"
	case r.Etcd.Running:
		n.Health = "no leader"
	default:
		n.Health = "down"
	}
	if found && r.Etcd.Applied > 0 && leader.Etcd.Index > r.Etcd.Applied { // an etcd that has ended does not tell
		n.Lag = leader.Etcd.Index - r.Etcd.Applied
	}
	return n
}

func outsider(r cluster.Report) Node {
	n := Node{Role: "spare", Health: "idle"}
	if r.Disk.State == cluster.DiskData {
		n.Role, n.Health = "outsider", "down"
	}
	if r.Etcd.Running {
		n.Health = "no leader"
	}
	fill(&n, r)
	return n
}

func fill(n *Node, r cluster.Report) {
	n.Name, n.Host, n.Client, n.Agent = r.Name, r.Host, r.Client, r.Agent
	n.Epoch, n.DBSize, n.Etcd, n.Quorate = r.Disk.Epoch(), r.Etcd.DBSize, r.Etcd.Version, r.Version
	n.Foreign = r.Etcd.Running && r.Etcd.Foreign
	n.PID, n.Restarts, n.Doing, n.Since, n.Error, n.Alarms = r.Etcd.PID, r.Etcd.Restarts, r.Reason, r.Since, r.LastError, nil
	for _, e := range r.Etcd.Errors {
		if e != noLeader { // health says so already
			n.Alarms = append(n.Alarms, e)
		}
	}
}

// unheard is the health of a member whose agent does not answer.
const unheard = "silent"

// noLeader is etcd's error of that name, in the errors of its own status.
const noLeader = "etcdserver: no leader"
