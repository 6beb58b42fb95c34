package plan

import (
	"fmt"
	"strings"

	"github.com/quorate/quorate/internal/cluster"
)

// Decision is what to do next and why. Without steps it is a wait.
type Decision struct {
	Verb   string // wait, found, start, join, keep, recover, …
	Reason string // one of a fixed set of sentences: a metric's label
	Detail string // who or what, this time
	Steps  []Step
}

func (d Decision) String() string {
	s := d.Verb + ": " + d.Reason
	if d.Detail != "" {
		s += " (" + d.Detail + ")"
	}
	if len(d.Steps) > 0 {
		s += ": " + strings.Join(d.StepNames(), ", ")
	}
	return s
}

// StepNames are the steps as people read them.
func (d Decision) StepNames() []string {
	names := make([]string, len(d.Steps))
	for i, s := range d.Steps {
		names[i] = s.String()
	}
	return names
}

func wait(reason string, detail ...any) Decision { return do("wait", reason, detail) }

// refuse is a wait that only an operator can end.
func refuse(reason string, detail ...any) Decision { return do("refuse", reason, detail) }

func do(verb, reason string, detail []any, steps ...Step) Decision {
	d := Decision{Verb: verb, Reason: reason, Steps: steps}
	if len(detail) > 0 {
		d.Detail = fmt.Sprint(detail...)
	}
	return d
}

// Step is one thing to do. Only agent/act.go does it; a failed step ends the
// round, and the next round looks again. String is for people and tests.
type Step interface {
	fmt.Stringer
	// Irreversible says that the step is journalled before it is taken.
	Irreversible() bool
}

// The steps, in the order of a cluster's life.
type (
	// WriteCharter writes the charter, create-if-absent. Losing is no failure.
	WriteCharter struct{ Charter cluster.Charter }
	// GrantCharter persists our consent to a proposal, without a store.
	GrantCharter struct{ Charter cluster.Charter }
	// RestoreSeed restores the charter's backup into the staging directory.
	RestoreSeed struct{ Charter cluster.Charter }
	// SeedFromSurvivor makes the staging directory out of our own data, WAL included.
	SeedFromSurvivor struct{ Charter cluster.Charter }
	// WriteStartedMark says in the ledger that our disk is about to vote.
	WriteStartedMark struct{ Epoch cluster.Epoch }
	// InstallSeed renames the staging directory to the data directory. Before
	// that it records that the founder's identity is spent: the seed lies here
	// once, and a data directory that is lost later must not be made anew.
	InstallSeed struct {
		Epoch  cluster.Epoch
		Spends string
	}
	// StartEtcd starts the process. State is etcd's: new, existing, or resume
	// when the data directory says all.
	StartEtcd struct {
		State   string
		Initial string // --initial-cluster; empty on resume
		Token   string
		Spends  string // identity that this start uses up; empty on resume
		Charter cluster.Charter
		// Version is the one that a roll wants; zero: the one that ran last here.
		// Roll is the entry for which this start counts; 0: for none.
		Version cluster.Version `json:",omitzero"`
		Roll    uint64          `json:",omitzero"`
	}
	// TakeTurn records, before etcd is stopped for a roll, that the next start is
	// the first as what the roll wants.
	TakeTurn struct{ Roll uint64 }
	// StopEtcd stops the process and waits.
	StopEtcd struct{}
	// SetDataAside renames the data directory; nothing is deleted.
	SetDataAside struct{ Label string }
	// AdoptData stamps data that quorate did not make.
	AdoptData struct{ Charter cluster.Charter }

	// WriteReadyMark says that the epoch has lived.
	WriteReadyMark struct{ Epoch cluster.Epoch }
	// WriteCheckpoint copies the member list to the store.
	WriteCheckpoint struct{ Members []cluster.Member }
	// LapseVerdict takes an operator's word back, unless another has been given since.
	LapseVerdict struct{ Verdict cluster.Verdict }
	// AddLearner adds an entry for the newcomer and invites its disk.
	AddLearner struct{ Name, PeerURL, DiskID string }
	// PromoteLearner makes a voter.
	PromoteLearner struct {
		ID   cluster.MemberID
		Name string
	}
	// RemoveMember removes an entry for good: etcd bans the id.
	RemoveMember struct {
		ID   cluster.MemberID
		Name string
	}
	// UpdateMember tells etcd the new address of a member that moved.
	UpdateMember struct {
		ID      cluster.MemberID
		Name    string
		PeerURL string
	}
	// TransferLeadership hands the lead to another voter.
	TransferLeadership struct {
		To   cluster.MemberID
		Name string
	}
	// WriteRoll writes the roll's next entry, create-if-absent. Losing is no failure.
	WriteRoll struct{ Roll cluster.Roll }
	// GiveUpRoll records that our etcd does not come up as the roll wants it: what
	// ran before is started from now on.
	GiveUpRoll struct {
		Roll uint64
		Why  string
	}
	// EnableDowngrade has etcd bring its data to the format of an older minor, and
	// CancelDowngrade takes that back.
	EnableDowngrade struct{ To cluster.Version }
	CancelDowngrade struct{}
	// TakeBackup has the named node stream a full snapshot to the store.
	TakeBackup struct{ By string }

	// CompareHashes has the keeper compare the voters' keys, in the background.
	CompareHashes struct{}
	// DisarmAlarm takes an alarm of etcd's back.
	DisarmAlarm struct{ Alarm cluster.Alarm }

	// Compact forgets what was overwritten or deleted up to a revision, in the background.
	Compact struct{ Revision int64 }
	// Defragment has a member's running etcd write its database anew, in the
	// background; until it is done that member serves nobody.
	Defragment struct {
		ID   cluster.MemberID
		Name string
	}
	// DefragmentData writes the database of our stopped etcd anew.
	DefragmentData struct{}

	// HoldMachine keeps the lifecycle hook that the peer waits for from running
	// out. The steps for machines ask the cloud in the background: they always
	// succeed at once, for no failure of a cloud may end a round.
	HoldMachine struct{ Name string }
	// ReleaseMachine lets the peer's machine end.
	ReleaseMachine struct{ Name string }
	// CondemnMachine tells the group that the peer's machine is bad: it ends it
	// and launches another.
	CondemnMachine struct{ Name, Why string }
	// AnnounceReady says that this machine is here for good: to its group's
	// launching hook and to the stack that made it.
	AnnounceReady struct{}
)

func (s WriteCharter) String() string {
	names := make([]string, len(s.Charter.Founders))
	for i, f := range s.Charter.Founders {
		names[i] = f.Name
	}
	return fmt.Sprintf("WriteCharter{%d %s %s}", s.Charter.Epoch, s.Charter.Seed.Kind, strings.Join(names, "+"))
}
func (s GrantCharter) String() string {
	return fmt.Sprintf("GrantCharter{%d by %s}", s.Charter.Epoch, s.Charter.By)
}
func (s RestoreSeed) String() string { return fmt.Sprintf("RestoreSeed{%d}", s.Charter.Epoch) }
func (s SeedFromSurvivor) String() string {
	return fmt.Sprintf("SeedFromSurvivor{%d}", s.Charter.Epoch)
}
func (s WriteStartedMark) String() string { return fmt.Sprintf("WriteStartedMark{%d}", s.Epoch) }
func (s InstallSeed) String() string      { return fmt.Sprintf("InstallSeed{%d}", s.Epoch) }
func (s StartEtcd) String() string {
	if s.Version.Zero() {
		return fmt.Sprintf("StartEtcd{%s}", s.State)
	}
	return fmt.Sprintf("StartEtcd{%s %s}", s.State, s.Version)
}
func (s TakeTurn) String() string { return fmt.Sprintf("TakeTurn{entry %d}", s.Roll) }
func (s WriteRoll) String() string {
	if s.Roll.Hop.Zero() {
		return fmt.Sprintf("WriteRoll{entry %d: %s %s}", s.Roll.Number, s.Roll.Kind, s.Roll.State)
	}
	return fmt.Sprintf("WriteRoll{entry %d: %s to %s %s}", s.Roll.Number, s.Roll.Kind, s.Roll.Hop, s.Roll.State)
}
func (s GiveUpRoll) String() string      { return fmt.Sprintf("GiveUpRoll{entry %d}", s.Roll) }
func (s EnableDowngrade) String() string { return fmt.Sprintf("EnableDowngrade{%s}", s.To) }
func (s CancelDowngrade) String() string { return "CancelDowngrade{}" }
func (s StopEtcd) String() string        { return "StopEtcd{}" }
func (s SetDataAside) String() string    { return fmt.Sprintf("SetDataAside{%s}", s.Label) }
func (s AdoptData) String() string       { return fmt.Sprintf("AdoptData{%d}", s.Charter.Epoch) }
func (s WriteReadyMark) String() string  { return fmt.Sprintf("WriteReadyMark{%d}", s.Epoch) }
func (s WriteCheckpoint) String() string {
	return fmt.Sprintf("WriteCheckpoint{%d members}", len(s.Members))
}
func (s LapseVerdict) String() string   { return fmt.Sprintf("LapseVerdict{by %s}", s.Verdict.By) }
func (s AddLearner) String() string     { return fmt.Sprintf("AddLearner{%s}", s.Name) }
func (s PromoteLearner) String() string { return fmt.Sprintf("PromoteLearner{%s}", s.Name) }
func (s RemoveMember) String() string   { return fmt.Sprintf("RemoveMember{%s}", s.Name) }
func (s UpdateMember) String() string   { return fmt.Sprintf("UpdateMember{%s %s}", s.Name, s.PeerURL) }
func (s TransferLeadership) String() string {
	return fmt.Sprintf("TransferLeadership{%s}", s.Name)
}
func (s TakeBackup) String() string    { return fmt.Sprintf("TakeBackup{%s}", s.By) }
func (s CompareHashes) String() string { return "CompareHashes{}" }
func (s DisarmAlarm) String() string {
	return fmt.Sprintf("DisarmAlarm{%s of %s}", s.Alarm.Kind, s.Alarm.Member)
}
func (s Compact) String() string        { return fmt.Sprintf("Compact{%d}", s.Revision) }
func (s Defragment) String() string     { return fmt.Sprintf("Defragment{%s}", s.Name) }
func (s DefragmentData) String() string { return "DefragmentData{}" }
func (s HoldMachine) String() string    { return fmt.Sprintf("HoldMachine{%s}", s.Name) }
func (s ReleaseMachine) String() string { return fmt.Sprintf("ReleaseMachine{%s}", s.Name) }
func (s CondemnMachine) String() string { return fmt.Sprintf("CondemnMachine{%s}", s.Name) }
func (s AnnounceReady) String() string  { return "AnnounceReady{}" }

// Irreversible steps destroy or decide something that no later round can undo.
func (s WriteCharter) Irreversible() bool       { return s.Charter.Epoch > 1 }
func (s GrantCharter) Irreversible() bool       { return false }
func (s RestoreSeed) Irreversible() bool        { return false }
func (s SeedFromSurvivor) Irreversible() bool   { return false }
func (s WriteStartedMark) Irreversible() bool   { return false }
func (s InstallSeed) Irreversible() bool        { return false }
func (s StartEtcd) Irreversible() bool          { return false }
func (s StopEtcd) Irreversible() bool           { return false }
func (s TakeTurn) Irreversible() bool           { return true } // a newer etcd may change the data for good
func (s WriteRoll) Irreversible() bool          { return true }
func (s GiveUpRoll) Irreversible() bool         { return false } // it must not wait for a store
func (s EnableDowngrade) Irreversible() bool    { return true }
func (s CancelDowngrade) Irreversible() bool    { return false }
func (s SetDataAside) Irreversible() bool       { return true }
func (s AdoptData) Irreversible() bool          { return false }
func (s WriteReadyMark) Irreversible() bool     { return false }
func (s WriteCheckpoint) Irreversible() bool    { return false }
func (s LapseVerdict) Irreversible() bool       { return true } // the word may be needed at once
func (s AddLearner) Irreversible() bool         { return false }
func (s PromoteLearner) Irreversible() bool     { return false }
func (s RemoveMember) Irreversible() bool       { return true }
func (s UpdateMember) Irreversible() bool       { return false }
func (s TransferLeadership) Irreversible() bool { return false }
func (s TakeBackup) Irreversible() bool         { return false }
func (s CompareHashes) Irreversible() bool      { return false }
func (s DisarmAlarm) Irreversible() bool        { return false }
func (s Compact) Irreversible() bool            { return false } // it is policy, each time
func (s Defragment) Irreversible() bool         { return false }
func (s DefragmentData) Irreversible() bool     { return false }
func (s HoldMachine) Irreversible() bool        { return false }
func (s ReleaseMachine) Irreversible() bool     { return false } // its group has decided it
func (s CondemnMachine) Irreversible() bool     { return true }
func (s AnnounceReady) Irreversible() bool      { return false }
