package plan

import (
	"slices"
	"strings"

	"github.com/quorate/quorate/internal/cluster"
)

// Print is what a node sees that runs no agent: it asks before each start of
// its own etcd, and starts that with what is printed. The zero value waits.
type Print struct {
	Name, PeerURL, Scheme string
	Join                  cluster.JoinStrategy
	Size                  int    // most members; 0: no upper limit
	Register              bool   // the decided change may be made
	AsVoter               bool   // a newcomer votes at once: nobody need promote it
	First                 bool   // the operator's word that the cluster has never run
	Token                 string // --initial-cluster-token of a founder

	Disk     cluster.Disk
	Mark     Mark
	View     cluster.Fact[cluster.View]
	Unread   string // why View is unknown
	Registry bool   // peers are there because they registered, and the view's size founds
	// Founders is what a registry has recorded, once, of who founds; none of them
	// where its cluster runs and was founded otherwise.
	Founders  cluster.Fact[[]cluster.Founder]
	OutOfStep bool // the registry is not in step with Members

	Answers []PrintAnswer
	// Members is the list that a quorum agreed on; unknown without one.
	Members cluster.Fact[[]cluster.Member]
	Vitals  map[cluster.MemberID]Vital
}

// PrintAnswer is one etcd that answers, by its client port or its peer port.
type PrintAnswer struct {
	At        string
	ClusterID cluster.ClusterID
	MemberID  cluster.MemberID // zero when only the peer port told
	Members   []cluster.Member // as it sees them; may be old
}

// Vital is how a member seems to one that looks once.
type Vital string

// The vitals; the zero value is neither: it answers something, or was not asked
// for long enough.
const (
	VitalHealthy Vital = "healthy" // it reaches a quorum; of a learner: it serves
	VitalSilent  Vital = "silent"  // no port of its answered for the whole look
)

// Mark says which disk has last been given this node's identity.
type Mark string

// The marks; the zero value is unread.
const (
	MarkNone  Mark = "none"  // none yet
	MarkOurs  Mark = "ours"  // the one that is here
	MarkOther Mark = "other" // one that is lost
)

// The steps that only print mode knows.
type (
	// RegisterSelf puts this node into the registry that is its peers source.
	RegisterSelf struct{ Name, PeerURL string }
	// WriteFounders records in the registry who founds, create-if-absent. Losing is
	// no failure.
	WriteFounders struct{ Founders []cluster.Founder }
	// SyncRegistry brings the registry in step with the members. Its failure is none.
	SyncRegistry struct{}
	// MarkDisk says, before a first start, that this disk has the node's identity.
	MarkDisk struct{}
	// AddVoter adds an entry that votes at once.
	AddVoter struct{ Name, PeerURL string }
)

func (s RegisterSelf) String() string { return "RegisterSelf{" + s.Name + "}" }
func (s WriteFounders) String() string {
	return "WriteFounders{" + strings.Join(founderNames(s.Founders), "+") + "}"
}
func (s SyncRegistry) String() string { return "SyncRegistry{}" }
func (s MarkDisk) String() string     { return "MarkDisk{}" }
func (s AddVoter) String() string     { return "AddVoter{" + s.Name + "}" }

// Irreversible steps destroy or decide something that no later round can undo.
func (s RegisterSelf) Irreversible() bool  { return false }
func (s WriteFounders) Irreversible() bool { return false }
func (s SyncRegistry) Irreversible() bool  { return false }
func (s MarkDisk) Irreversible() bool      { return false }
func (s AddVoter) Irreversible() bool      { return false }

// DecidePrint is the one decision of print mode. Its steps end with StartEtcd
// when there is something to print; else one change is to be made, and all
// looked at anew. Without leave to register, a change is a wait that names it.
func DecidePrint(o Print) Decision {
	d := o.decide()
	if o.Register && o.OutOfStep && len(d.Steps) > 0 {
		d.Steps = append([]Step{SyncRegistry{}}, d.Steps...) // before a removal: who is no member any more was one
	}
	if o.Register || !slices.ContainsFunc(d.Steps, func(s Step) bool { _, start := s.(StartEtcd); return !start }) {
		return d
	}
	return wait(d.Reason, "with --register: ", strings.Join(d.StepNames(), ", "))
}

func (o Print) decide() Decision {
	switch {
	case o.Disk.State != cluster.DiskEmpty && o.Disk.State != cluster.DiskData:
		return wait("the data directory is unread", o.Disk.Detail)
	case o.torn():
		return refuse("two clusters answer: end one of them")
	case o.Disk.State == cluster.DiskData:
		return o.resume()
	case o.View.Unknown():
		return wait("the peers source does not answer", o.Unread)
	case o.otherName() != "": // before a registry replaces that one by ours
		return refuse("the peers source calls this machine by another name", o.otherName(), ", not ", o.Name)
	case o.Registry && !o.listed():
		return do("register", "this node is not in the registry", nil, RegisterSelf{o.Name, o.PeerURL})
	}
	if d, no := o.outside(); no {
		return d
	}
	switch {
	case o.Members.Known():
		return o.enter()
	case len(o.Answers) > 0:
		return o.late()
	}
	return o.found()
}

func (o Print) torn() bool {
	return slices.ContainsFunc(o.Answers, func(a PrintAnswer) bool { return a.ClusterID != o.Answers[0].ClusterID })
}

// resume keeps what the disk says, and tells the cluster of a new address first.
func (o Print) resume() Decision {
	if len(o.Answers) > 0 && o.Answers[0].ClusterID != o.Disk.ClusterID {
		return refuse("the data is of another cluster than the one that answers: set the data directory aside", o.Disk.ClusterID, ", not ", o.Answers[0].ClusterID)
	}
	if o.Disk.Removed {
		return refuse("this member has been removed from its cluster: set the data directory aside", "member ", o.Disk.MemberID)
	}
	resume := do("start", "the data is usable", nil, StartEtcd{State: "resume"})
	if !o.Members.Known() {
		return resume
	}
	own, in := cluster.ByID(o.Members.Value(), o.Disk.MemberID)
	tenant, taken := o.entry()
	switch {
	case !in:
		return refuse("this member has been removed from its cluster: set the data directory aside", "member ", o.Disk.MemberID)
	case taken && tenant.ID != own.ID:
		return refuse("another member has this node's address", tenant.Label())
	case !taken:
		return do("update", "the data's member has another address", []any{strings.Join(own.PeerURLs, ",")}, UpdateMember{own.ID, own.Label(), o.PeerURL})
	case o.Registry && o.View.Known() && !o.listed() && o.Register:
		return do("register", "this node is not in the registry", nil, RegisterSelf{o.Name, o.PeerURL})
	case own.Learner && o.Register && o.Vitals[own.ID] == VitalHealthy:
		return do("promote", "this node's etcd is a learner that serves", nil, PromoteLearner{own.ID, own.Label()})
	}
	return resume
}

// entry is the member at our address.
func (o Print) entry() (cluster.Member, bool) {
	for _, m := range o.Members.Value() {
		if m.Listens(o.PeerURL) {
			return m, true
		}
	}
	return cluster.Member{}, false
}

func (o Print) peer() (cluster.Peer, bool) { return o.View.Value().PeerAt(o.Scheme, o.PeerURL) }

// listed says that the source has a machine at our address; otherName, that it
// is not ours.
func (o Print) listed() bool {
	_, in := o.peer()
	return in
}

// otherName is what the source calls the machine at our address, where that is
// not our name.
func (o Print) otherName() string {
	if p, _ := o.peer(); p.Name != o.Name {
		return p.Name // of nobody there is none
	}
	return ""
}

// outside says that the environment does not count this machine in. A source
// that cannot prove who is out may lack a newcomer, though never a founder.
func (o Print) outside() (Decision, bool) {
	p, in := o.peer()
	switch {
	case !in && (o.View.Value().Authoritative || !o.Members.Known()):
		return wait("this machine is not in the peers source"), true
	case in && !p.Alive():
		return wait("this machine is being terminated"), true
	}
	return Decision{}, false
}
