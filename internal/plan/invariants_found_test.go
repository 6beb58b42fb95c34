package plan

import (
	"slices"

	"github.com/quorate/quorate/internal/cluster"
)

func charterBreaks(o Observation, c cluster.Charter) string {
	l := o.Ledger
	switch {
	case l.Charter.Unknown():
		return "a charter over an unread ledger"
	case l.Charter.Absent():
		if c.Epoch != 1 {
			return "a first charter of a later epoch"
		}
		if o.Process.Running { // adoption, or a charter that the ledger has lost
			return ""
		}
		for _, r := range o.Reports {
			if r.Disk.State == cluster.DiskData {
				return "founded beside data"
			}
		}
		if !o.View.Known() || o.Disk.State != cluster.DiskEmpty {
			return "founded without a view or with a disk in use"
		}
		answers := 1
		for _, f := range c.Founders {
			if i := reporter(o, f.Name); i >= 0 && o.Reports[i].Disk.State == cluster.DiskEmpty && f.Name != o.Self.Name {
				answers++
			}
		}
		if !o.Settings.HasStore && answers < o.Settings.Size || answers < o.Settings.Size/2+1 {
			return "founded with too few"
		}
		return ""
	case c.Epoch != l.Charter.Value().Epoch+1:
		return "a charter of a wrong epoch"
	case l.Lock.Unknown() || isPaused(o):
		return "a next epoch while paused"
	case !o.Settings.AutoRecover && !l.Verdict.Known():
		return "a next epoch that nobody has allowed"
	}
	return successionBreaks(o, c)
}

// successionBreaks holds a next charter against the loss that must precede it:
// of the last members by name, each is held by somebody who answers, or lost
// for a reason, or silent; none may be silent, and a majority must be lost.
func successionBreaks(o Observation, c cluster.Charter) string {
	if o.Ledger.Checkpoint.Unknown() {
		return "a next epoch without a member list"
	}
	var names []string
	listed := len(o.Ledger.Checkpoint.Value().Members) > 0
	for _, m := range o.Ledger.Checkpoint.Value().Members {
		names = append(names, m.Name)
	}
	if !listed {
		for _, f := range o.Ledger.Charter.Value().Founders {
			names = append(names, f.Name)
		}
	}
	epoch, alive, expelled, kept := o.Ledger.Charter.Value().Epoch, 0, 0, ""
	var newest cluster.Disk
	for _, n := range names {
		holds, is := holdsItsData(o, n, epoch), isLost(o, n, listed, epoch)
		if !holds && !is {
			return "a next epoch while " + n + " is silent"
		}
		if !holds {
			continue
		}
		d := diskOfNode(o, n)
		switch { // an operator gives up its vote, never its log; nor does a removal
		case d.Removed:
			expelled++
		case !slices.Contains(o.Ledger.Verdict.Value().Lost, n):
			alive++
		}
		if d.Term > newest.Term || d.Term == newest.Term && (d.Index > newest.Index || d.Index == newest.Index && newest.Removed && !d.Removed) {
			newest, kept = d, n
		}
	}
	switch {
	case len(names) == 0:
		return "a next epoch of a cluster without members"
	case alive >= (len(names)-expelled)/2+1:
		return "a next epoch while a quorum may come back"
	case kept != "" && c.Seed.Kind == cluster.SeedBackup:
		return passesOver(o, c, newest)
	case kept != "" && c.Seed.Kind == cluster.SeedSurvivor && forgets(o, newest):
		return "a next epoch that forgets what only the store may hold"
	case kept != "" && (c.Seed.Kind != cluster.SeedSurvivor || c.Seed.Survivor != kept):
		return "a next epoch that forgets the newest data, of " + kept
	case kept == "" && c.Seed.Kind == cluster.SeedSurvivor:
		return "a survivor that is none"
	case c.Seed.Kind == cluster.SeedEmpty && !o.Ledger.Backup.Absent():
		return "an empty epoch, and there may be a backup"
	case c.Seed.Kind == cluster.SeedEmpty && !o.Ledger.Verdict.Value().Empty && !(o.Ledger.Ready.Absent() && o.Ledger.Charter.Value().Seed.Kind == cluster.SeedEmpty):
		return "an empty epoch over one that lived"
	}
	return ""
}

func diskOfNode(o Observation, name string) cluster.Disk {
	if name == o.Self.Name {
		return o.Disk
	}
	if i := reporter(o, name); i >= 0 {
		return o.Reports[i].Disk
	}
	return cluster.Disk{}
}

func reporter(o Observation, name string) int {
	return slices.IndexFunc(o.Reports, func(r cluster.Report) bool { return r.Name == name })
}

func holdsItsData(o Observation, name string, epoch cluster.Epoch) bool {
	d := diskOfNode(o, name)
	return d.State == cluster.DiskData && (d.Stamp != nil && d.Stamp.Epoch == epoch || d.Stamp == nil && d.ClusterID == o.Ledger.Charter.Value().Seed.ClusterID)
}

// isLost is evidence: a machine that says so, an operator, or a source.
func isLost(o Observation, name string, listed bool, epoch cluster.Epoch) bool {
	if slices.Contains(o.Ledger.Verdict.Value().Lost, name) {
		return true
	}
	if name == o.Self.Name {
		known := o.Ledger.Mark.Known() && o.Ledger.Mark.Value().DiskID != o.Disk.ID
		spent := slices.Contains(o.Disk.Spent, "e"+itoa(epoch))
		kind := o.Ledger.Charter.Value().Seed.Kind
		seeded := kind == cluster.SeedAdopted || kind == cluster.SeedSurvivor
		founder := slices.ContainsFunc(o.Ledger.Charter.Value().Founders, func(f cluster.Founder) bool { return f.Name == name })
		published := slices.ContainsFunc(o.Ledger.Checkpoint.Value().Members, func(m cluster.Member) bool { return m.Name == name && len(m.ClientURLs) > 0 })
		return o.Disk.State == cluster.DiskEmpty && !o.Process.Running && (known || spent || seeded || !founder || published) ||
			o.Disk.State == cluster.DiskData && o.Disk.MemberID != id(name)
	}
	if i := reporter(o, name); i >= 0 {
		r := o.Reports[i]
		return r.Disk.State != cluster.DiskUnread && (listed && slices.Contains(r.Disowns, id(name)) || !listed && r.Lost >= epoch)
	}
	if slices.Contains(o.Strangers, at(name)) || !o.View.Known() || !o.View.Value().Authoritative {
		return false
	}
	p, in := o.View.Value().Peer(name)
	return !in || p.State == cluster.Terminated
}

func startBreaks(o Observation, s StartEtcd, before []Step) string {
	switch {
	case o.Process.Running:
		return "two etcds"
	case s.State == "resume" && o.Disk.State != cluster.DiskData:
		return "a resume without data"
	case s.State != "resume" && o.Disk.State != cluster.DiskEmpty:
		return "a first start on a disk that is not empty"
	case s.State == "resume" && o.Disk.Removed:
		return "a member is started that knows of its removal"
	case s.State == "resume" && o.Ledger.Charter.Known() && o.Disk.Stamp != nil && o.Disk.Epoch() < o.Ledger.Charter.Value().Epoch:
		return "data of an epoch that is over is served"
	case s.State != "resume" && (o.Self.Leaving || slices.Contains(o.Disk.Spent, s.Spends) || s.Spends == ""):
		return "a spent identity"
	case s.State == "new":
		return foundingBreaks(o, s.Charter.Epoch, before)
	}
	return ""
}

func installBreaks(o Observation, s InstallSeed, before []Step) string {
	if o.Staged != s.Epoch || s.Spends == "" {
		return "a seed that is not there"
	}
	if o.Disk.State == cluster.DiskEmpty {
		return foundingBreaks(o, s.Epoch, before)
	}
	return ""
}

func foundingBreaks(o Observation, e cluster.Epoch, before []Step) string {
	c := o.Ledger.Charter
	isFounder := slices.ContainsFunc(c.Value().Founders, func(f cluster.Founder) bool { return f.Name == o.Self.Name && f.PeerURL == o.Self.PeerURL })
	switch {
	case !c.Known() || c.Value().Epoch != e || !isFounder:
		return "a founder without a charter"
	case o.Ledger.Mark.Unknown(), o.Ledger.Mark.Known() && o.Ledger.Mark.Value().DiskID != o.Disk.ID:
		return "a founder that may have voted on another disk"
	case !slices.ContainsFunc(before, func(s Step) bool { return s == WriteStartedMark{e} }):
		return "a founder that starts without a mark"
	}
	replaced := false
	for _, r := range o.Reports {
		if r.Keeper && r.Etcd.Healthy && slices.ContainsFunc(r.Members, func(m cluster.Member) bool { return m.Listens(o.Self.PeerURL) && len(m.ClientURLs) == 0 }) {
			return ""
		}
		replaced = replaced || r.Keeper && r.Etcd.Healthy
	}
	if replaced {
		return "a founder that has been replaced"
	}
	return ""
}
