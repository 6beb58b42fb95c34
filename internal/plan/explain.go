package plan

import "github.com/quorate/quorate/internal/cluster"

// Alternative is something that a node might do, and why it does or does not.
type Alternative struct {
	Choice   string   `json:"choice"`
	Chosen   bool     `json:"chosen"`
	Decision Decision `json:"decision"`
}

// Explain is the decision, and for each other choice the guard that rejects it.
func Explain(o Observation) (Decision, []Alternative) {
	d := Decide(o)
	choices := []struct {
		name string
		ask  func(Observation) Decision
	}{
		{"resume on the data that is here", ifEligible(resumable, resume)},
		{"follow a newer epoch", ifEligible(outdated, succeed)},
		{"join a living cluster", ifEligible(joinable, join)},
		{"start as a founder", ifEligible(executable, execute)},
		{"found a new cluster", ifEligible(foundable, found)},
		{"found the next epoch", ifEligible(recoverable, recovery)},
		{"keep house", ifEligible(keepable, serve)},
	}
	var out []Alternative
	for _, c := range choices {
		a := c.ask(o)
		chosen := d.Verb != "wait" && d.Verb != "refuse" && a.String() == d.String()
		out = append(out, Alternative{Choice: c.name, Chosen: chosen, Decision: a})
	}
	return d, out
}

// ifEligible asks a choice, unless one of its own preconditions rejects it.
func ifEligible(guard func(Observation) string, ask func(Observation) Decision) func(Observation) Decision {
	return func(o Observation) Decision {
		if why := guard(o); why != "" {
			return wait(why)
		}
		return ask(o)
	}
}

func resumable(o Observation) string {
	switch {
	case o.Disk.State != cluster.DiskData:
		return "the disk holds no data of ours"
	case o.Process.Running:
		return "etcd runs already"
	case o.OfAnother():
		return othersData
	case fenced(o):
		return "the data is of an epoch that is over"
	}
	return ""
}

// othersData keeps every step off the disk: decide refuses before all of them.
const othersData = "the data belongs to another cluster"

func outdated(o Observation) string {
	switch {
	case o.OfAnother():
		return othersData
	case !fenced(o):
		return "no newer epoch than our data's is known"
	}
	return ""
}

func joinable(o Observation) string {
	switch {
	case o.Process.Running:
		return "etcd runs already"
	case o.Disk.State != cluster.DiskEmpty:
		return "the disk is not empty"
	case !o.Ledger.Charter.Known():
		return "no charter is known"
	case mayStartAsFounder(o):
		return "this node is a founder that has not started yet"
	}
	return ""
}

func executable(o Observation) string {
	c := o.Ledger.Charter
	switch {
	case c.Unknown():
		return "the ledger is unreadable"
	case c.Absent():
		return "there is no charter"
	case o.Process.Running:
		return "etcd runs already"
	case o.Disk.State != cluster.DiskEmpty:
		return "the disk is not empty"
	case !isFounder(o):
		return "the charter does not name this node at this address"
	case founderLost(o):
		return "this node has voted in this epoch, and that disk is lost: its identity is spent"
	case !mayStartAsFounder(o):
		return "nothing proves that this founder has never voted"
	}
	return ""
}

func foundable(o Observation) string {
	switch {
	case o.Ledger.Charter.Unknown():
		return "the ledger is unreadable: a charter may exist"
	case o.Ledger.Charter.Known():
		return "charter " + itoa(o.epoch()) + " exists"
	case o.Disk.State != cluster.DiskEmpty:
		return "the disk is not empty"
	}
	return ""
}

func recoverable(o Observation) string {
	switch {
	case o.Etcd.Value().Healthy:
		return "our etcd follows a leader"
	case o.Disk.State == cluster.DiskUnread:
		return "the data directory is unread"
	case o.OfAnother():
		return othersData
	case o.Disk.State == cluster.DiskData && !o.Process.Running:
		return "the data that is here comes first"
	case fenced(o):
		return "a newer epoch has been founded"
	}
	return ""
}

func keepable(o Observation) string {
	switch {
	case o.OfAnother():
		return othersData
	case !o.IsKeeper():
		return "our etcd does not lead"
	case fenced(o):
		return "the data is of an epoch that is over"
	}
	return ""
}
