package plan

import (
	"fmt"
	"slices"
	"time"

	"github.com/quorate/quorate/internal/cluster"
)

// rollRules are the keeper's while a roll is open: what keeps the cluster whole and
// serving goes on, in the same order, and what can wait does. No turn is taken while
// a member is corrupt (takeTurn), so that its removal and a restart do not meet; a
// defragmentation takes no vote from anybody.
var rollRules = []func(Observation, house) (Decision, bool){corrupt, relieve, tendMoved, tendLearner, handOver, removeLost, admitIntoRoom, backUpWanted, tendRoll}

// tendRoll is the keeper's part in a roll: it opens hops and says how a roll has
// ended. The restarts are each node's own (takeTurn).
func tendRoll(o Observation, h house) (Decision, bool) {
	r := o.Ledger.Roll.Value()
	if o.outlived(r) {
		return do("roll", "the roll's cluster is over", []any{"of epoch ", r.Epoch}, o.end(cluster.RollFailed, "the cluster has been recovered as another epoch")), true
	}
	if name, why, failed := o.failedAt(r); failed {
		return do("roll", "a member did not come up as the roll wants it", []any{name, ": ", why}, o.end(cluster.RollFailed, name+": "+why)), true
	}
	behind := o.behind(r, h)
	switch {
	case Preparing(r):
		return openHop(o, h)
	case r.Kind == cluster.RollDowngrade && behind != "" && !o.lowering(r):
		return do("roll", "the data is to be brought to the older format", []any{r.Hop}, EnableDowngrade{r.Hop}), true
	case behind != "":
		return do("roll", "the members restart in their turns", []any{behind, " is next or waits"}), true
	case !o.agreedOn(r.Hop):
		return do("roll", "etcd has not agreed on its new version yet", []any{"it is ", o.Etcd.Value().ClusterVersion}), true
	case r.Kind == cluster.RollDowngrade && !o.Etcd.Value().DowngradeTo.Zero():
		return do("roll", "etcd has not ended its part of the downgrade yet", []any{"to ", o.Etcd.Value().DowngradeTo}), true
	case r.Hop != r.To:
		return openHop(o, h)
	}
	return do("roll", "every member has restarted", []any{"roll ", r.FirstNumber()}, o.end(cluster.RollDone, "")), true
}

// failedAt is who says that its etcd did not come up for the newest entry.
func (o Observation) failedAt(r cluster.Roll) (name, why string, failed bool) {
	for _, x := range o.rollers() {
		if f := x.RollFailed; f != nil && f.Number == r.Number {
			return x.Name, f.Why, true
		}
	}
	return "", "", false
}

// rollers are all reports, with what of ours a roll asks for.
func (o Observation) rollers() []cluster.Report {
	out := o.answers()
	out[0].Rolled, out[0].RollFailed = o.Process.Rolled.Number, o.Process.Rolled.Failed
	out[0].Offers, out[0].V2, out[0].Elder = o.Process.Offers, o.Process.V2, o.Process.Elder
	return out
}

// behind is a member that has not been rolled, or whose etcd is not well again;
// "" when there is none.
func (o Observation) behind(r cluster.Roll, h house) string {
	for _, s := range append(h.learners, h.voters...) {
		x, ok := o.rollerOf(s.Member)
		if !ok || !s.healthy || s.Learner || !x.Etcd.Healthy || x.Etcd.MemberID != s.ID || !HasRolled(r, x) {
			return s.Label()
		}
	}
	return ""
}

func (o Observation) rollerOf(m cluster.Member) (cluster.Report, bool) {
	for _, x := range o.rollers() {
		if m.Listens(x.PeerURL) {
			return x, true
		}
	}
	return cluster.Report{}, false
}

// HasRolled says that a node's etcd has been started for the roll, or runs what
// it wants.
func HasRolled(r cluster.Roll, x cluster.Report) bool {
	if !r.Hop.Zero() {
		return reached(r, versionOf(x.Etcd))
	}
	return x.Rolled >= r.Number
}

// agreedOn says that etcd has taken over the version's minor as the cluster's: it
// refuses the minor after it until then. Where it does not tell, the members do.
func (o Observation) agreedOn(v cluster.Version) bool {
	agreed := o.Etcd.Value().ClusterVersion
	return v.Zero() || agreed.Zero() || agreed.SameMinor(v)
}

// lowering says that etcd knows of the downgrade, or has done its part.
func (o Observation) lowering(r cluster.Roll) bool {
	e := o.Etcd.Value()
	return e.DowngradeTo.SameMinor(r.Hop) || e.ClusterVersion.SameMinor(r.Hop)
}

// backupAgain is the pause between two attempts at the backup before a hop.
const backupAgain = 30 * time.Second

// openHop opens the next hop, after a backup.
func openHop(o Observation, h house) (Decision, bool) {
	r := o.Ledger.Roll.Value()
	facts := o.versionFacts(h)
	hops, problems := UpgradePath(facts, r.To)
	newest := o.Ledger.Backup.Value().Key
	switch {
	case len(problems) > 0:
		return do("roll", "the next hop is not safe yet", []any{problems[0]}), true
	case len(hops) == 0:
		return do("roll", "every member has restarted", []any{"all run ", r.To}, o.end(cluster.RollDone, "")), true
	case GoesDown(facts, r.To) != (r.Kind == cluster.RollDowngrade):
		const why = "the members run other versions than when it was ordered"
		return do("roll", "the roll's way is not what was ordered", []any{why}, o.end(cluster.RollFailed, why)), true
	case !o.Settings.HasStore:
	case o.Ledger.Backup.Unknown():
		return do("roll", "the next hop waits for its backup", []any{"which there are is not known"}), true
	case newest == "" || newest == r.Backup:
		by := BackupBy(o)
		if within(o.Now.Sub(o.Ledger.BackupTried), backupAgain) {
			return do("roll", "the next hop waits for its backup", []any{"by ", by}), true
		}
		return do("roll", "a backup is taken before the next hop", []any{"by ", by}, TakeBackup{by}), true
	}
	next := o.entry(cluster.RollOpen)
	next.Hop, next.Backup = hops[0], newest
	return do("roll", "the next hop begins", []any{"etcd ", hops[0]}, WriteRoll{next}), true
}

// entry is the roll's next one.
func (o Observation) entry(state cluster.RollState) cluster.Roll {
	r := o.Ledger.Roll.Value().Next(state, o.Nonce)
	r.By, r.At = o.Self.Name, o.Now
	return r
}

func (o Observation) end(state cluster.RollState, why string) Step {
	r := o.entry(state)
	r.Why = why
	return WriteRoll{r}
}

// versionFacts are what UpgradePath asks of each member.
func (o Observation) versionFacts(h house) []VersionFacts {
	var out []VersionFacts
	for _, s := range append(h.voters, h.learners...) {
		f := VersionFacts{Name: s.Label()}
		if x, ok := o.rollerOf(s.Member); ok {
			f.Runs, f.Offers, f.Unfit, f.V2, f.Elder, f.DowngradeTo = versionOf(x.Etcd), x.Offers, x.Unfit, x.V2, x.Elder, x.Etcd.DowngradeTo
			f.Healthy = s.healthy && x.Etcd.Healthy && x.Etcd.MemberID == s.ID
		}
		out = append(out, f)
	}
	return out
}

// RollOrder are the voters' names in the order of their turns.
func RollOrder(o Observation) []string {
	var names []string
	leader := ""
	for _, s := range survey(o).voters {
		if s.ID == o.Etcd.Value().MemberID {
			leader = s.Label()
			continue
		}
		names = append(names, s.Label())
	}
	slices.Sort(names)
	if leader != "" {
		names = append(names, leader)
	}
	return names
}

// GoesDown says that some member runs a newer minor than to.
func GoesDown(members []VersionFacts, to cluster.Version) bool {
	return slices.ContainsFunc(members, func(m VersionFacts) bool { return minor(to).Less(minor(m.Runs)) })
}

// UpgradeFacts are what UpgradePath asks of each member, as the keeper sees them.
func UpgradeFacts(o Observation) []VersionFacts { return o.versionFacts(survey(o)) }

// endDowngrade takes back what an ended downgrade has left enabled.
func endDowngrade(o Observation, _ house) (Decision, bool) {
	r, to := o.Ledger.Roll.Value(), o.Etcd.Value().DowngradeTo
	if r.Kind != cluster.RollDowngrade || r.State != cluster.RollFailed && r.State != cluster.RollCancelled || to.Zero() || !to.SameMinor(r.Hop) {
		return Decision{}, false
	}
	return do("roll", "a downgrade has ended before its end", []any{"to ", fmt.Sprint(to)}, CancelDowngrade{}), true
}

// admitIntoRoom lets a newcomer in where there is room, and in nobody's place.
func admitIntoRoom(o Observation, h house) (Decision, bool) {
	if o.size() > 0 && len(h.voters) >= o.size() {
		return Decision{}, false
	}
	d, ok := admit(o, h)
	for _, s := range d.Steps {
		if _, removes := s.(RemoveMember); removes {
			return Decision{}, false
		}
	}
	return d, ok
}
