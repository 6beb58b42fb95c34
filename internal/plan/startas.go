package plan

import (
	"fmt"
	"slices"

	"github.com/quorate/quorate/internal/cluster"
)

// LastRun is what is known of the versions that have run on this node's data.
// Each may be zero: not known.
type LastRun struct {
	Version cluster.Version // that ran last, as the agent has recorded it
	Agreed  cluster.Version // the cluster's minor by then, as the data tells
	Format  cluster.Version // the data's minor, as it tells itself
	Elder   string          // why etcd 3.7 would panic over its log; "": it would not
}

// StartAs is which etcd the step starts, or the zero version and why none is.
func StartAs(o Observation, s StartEtcd, ran LastRun) (cluster.Version, string) {
	running := o.runningVersion()
	ran.Agreed = decided(ran.Agreed)
	last := ran.Version
	if s.State != "resume" {
		last = cluster.Version{} // the disk is empty, whatever it held
	} else {
		if last.Zero() { // an agent before this one recorded nothing; which patch it was is not known
			last = slices.MaxFunc([]cluster.Version{minor(ran.Agreed), minor(ran.Format)}, compareVersions)
		}
		if running.Zero() {
			running = ran.Agreed
		}
	}
	offers := o.Process.Offers
	if s.State == "new" {
		offers = o.foundersOffer(s.Charter)
		if running.Zero() {
			running = o.foundersRun(s.Charter)
		}
	}
	v, why := Runs(offers, last, running, s.Version)
	if bar := o.panics(v, last, running, s, ran); bar != "" {
		return cluster.Version{}, bar
	}
	return v, why
}

// panics says why etcd v would end in a panic over what the data holds, ours or
// for an empty disk that of any member; "" when it would not.
func (o Observation) panics(v, last, running cluster.Version, s StartEtcd, ran LastRun) string {
	if name, what := o.v2Content(); !v.Zero() && !v.Less(sixth) && name != "" && !last.SameMinor(v) && running.Less(sixth) {
		return fmt.Sprintf("etcd %s would end in a panic: %s holds content of the v2 store: %s", v, name, what)
	}
	if name, what := o.elder(s, ran); !v.Zero() && !v.Less(seventh) && name != "" && last.Less(seventh) && running.Less(seventh) {
		return fmt.Sprintf("etcd %s would end in a panic: %s: %s", v, name, what)
	}
	return ""
}

// unready says why a newcomer's agent would start no etcd, beside members of
// which the oldest counts as running; "" when it would, or its agent does not tell.
// An entry that no etcd answers for keeps the members from agreeing on the version
// that it may be waiting for.
func (o Observation) unready(j cluster.Report, running cluster.Version) string {
	if len(j.Offers) == 0 {
		return ""
	}
	v, why := Runs(j.Offers, cluster.Version{}, running, cluster.Version{})
	if v.Zero() {
		return why
	}
	return o.panics(v, cluster.Version{}, running, StartEtcd{State: "existing"}, LastRun{})
}

// sixth is the first minor that does not start on content of the v2 store, and
// seventh the first that does not know its form, in which etcd itself wrote.
var (
	sixth   = cluster.Version{Major: 3, Minor: 6}
	seventh = cluster.Version{Major: 3, Minor: 7}
)

// elder is over whose log etcd 3.7 would panic, and why: our own, or for an empty
// disk that of any member, which may be the one that sends it.
func (o Observation) elder(s StartEtcd, ran LastRun) (name, what string) {
	if s.State == "resume" {
		if ran.Elder != "" {
			return o.Self.Name, ran.Elder
		}
		return "", ""
	}
	for _, r := range o.rollers() {
		if r.Etcd.Healthy && r.Elder != "" {
			return r.Name, r.Elder
		}
	}
	return "", ""
}

// PassesLog says that this node, as the keeper, is to write entries that change
// nothing, so that a member's log is without those that etcd 3.7 would panic
// over: the log of a cluster in which little is written keeps them for years.
func PassesLog(o Observation) bool {
	lock, agreed := o.Ledger.Lock, o.Etcd.Value().ClusterVersion
	if !o.IsKeeper() || lock.Unknown() || lock.Value().Held(o.Now) || agreed.Less(sixth) || !agreed.Less(seventh) {
		return false
	}
	return slices.ContainsFunc(o.rollers(), func(r cluster.Report) bool {
		_, member := memberAt(o.Members.Value(), r.PeerURL)
		return member && r.Elder != ""
	})
}

func memberAt(members []cluster.Member, peerURL string) (cluster.Member, bool) {
	i := slices.IndexFunc(members, func(m cluster.Member) bool { return m.Listens(peerURL) })
	if i < 0 {
		return cluster.Member{}, false
	}
	return members[i], true
}

// SeedAs is which of the offers is to run on data that is made out of a backup
// of a version: one of its minor, else of the next minor that there is, for etcd
// reads the data of older ones, else the newest. Of zero, not known, it is zero.
func SeedAs(offers []cluster.Version, of cluster.Version) cluster.Version {
	if of.Zero() {
		return of
	}
	if v := newestOf(offers, of); !v.Zero() {
		return v
	}
	best := cluster.Version{}
	for _, v := range offers {
		if minor(of).Less(minor(v)) && (best.Zero() || minor(v).Less(minor(best)) || v.SameMinor(best) && best.Less(v)) {
			best = v
		}
	}
	if best.Zero() && len(offers) > 0 {
		best = slices.MaxFunc(offers, compareVersions)
	}
	return best
}

// runningVersion is the oldest that a member runs, as far as their agents tell,
// and not above what the cluster has agreed on; zero: nobody tells.
func (o Observation) runningVersion() cluster.Version {
	oldest, agreed := o.oldestRun()
	switch {
	case agreed.Zero():
		return oldest
	case oldest.Zero():
		return agreed
	case minor(agreed).Less(minor(oldest)):
		return floor(agreed) // none of its patches that is too old to leave it is left
	}
	return oldest
}

// oldestRun is the oldest version that a member runs, and the minor that the
// cluster has agreed on, as far as their agents tell. Each may be zero.
func (o Observation) oldestRun() (oldest, agreed cluster.Version) {
	agreed = decided(o.Etcd.Value().ClusterVersion)
	for _, r := range o.answers() {
		v := versionOf(r.Etcd)
		if !r.Etcd.Healthy || v.Zero() || r.Disk.Stamp != nil && r.Disk.Epoch() < o.epoch() {
			continue
		}
		if oldest.Zero() || v.Less(oldest) {
			oldest = v
		}
		if agreed.Zero() {
			agreed = decided(r.Etcd.ClusterVersion)
		}
	}
	return oldest, agreed
}

// decided is the version that a cluster has agreed on, and zero while it has not:
// etcd calls that 3.0.0, until every founder has answered once.
func decided(v cluster.Version) cluster.Version {
	if v.Less(cluster.Version{Major: 3, Minor: 4}) {
		return cluster.Version{}
	}
	return v
}

// foundersOffer are the versions that every founder that answers offers, else
// our own: founders of different minors would do, but for two in between.
func (o Observation) foundersOffer(c cluster.Charter) []cluster.Version {
	all := slices.Clone(o.Process.Offers)
	for _, f := range c.Founders {
		if r, ok := o.reportAt(f.PeerURL); ok && len(r.Offers) > 0 {
			all = slices.DeleteFunc(all, func(v cluster.Version) bool { return !slices.Contains(r.Offers, v) })
		}
	}
	if len(all) == 0 {
		return o.Process.Offers
	}
	return all
}

// foundersRun is the oldest etcd that another founder runs, with a leader or
// without: a founder that is late is one of theirs, whatever it offers.
func (o Observation) foundersRun(c cluster.Charter) (oldest cluster.Version) {
	for _, f := range c.Founders {
		r, _ := o.reportAt(f.PeerURL)
		if v := versionOf(r.Etcd); r.Etcd.Running && !v.Zero() && (oldest.Zero() || v.Less(oldest)) {
			oldest = v
		}
	}
	return oldest
}

// v2Content is a member that is known to hold content of the v2 store, and what.
func (o Observation) v2Content() (name, what string) {
	for _, r := range o.rollers() {
		if r.V2 != "" && r.Etcd.Healthy {
			return r.Name, r.V2
		}
	}
	return "", ""
}
