package cluster

import "time"

// Report is what one agent tells the others of itself, each second. A reader
// may hold an old one: nothing irreversible may follow from a fact in it that
// can become false again.
type Report struct {
	Cluster string    `json:"cluster"`
	Name    string    `json:"name"`
	PeerID  string    `json:"peer_id,omitempty"`
	Host    string    `json:"host"`
	Zone    string    `json:"zone,omitempty"`
	PeerURL string    `json:"peer_url"`
	Client  string    `json:"client_url"`
	Agent   string    `json:"agent_url"`
	Version string    `json:"version"` // quorate's
	At      time.Time `json:"at"`
	// Age is how old the report was when it was sent: an agent that is held up in
	// a step answers with what it knew before.
	Age      time.Duration `json:"age,omitempty"`
	Launched time.Time     `json:"launched,omitzero"` // machine launch, else agent start

	Disk    Disk      `json:"disk"`
	Etcd    EtcdState `json:"etcd"`
	Charter *Charter  `json:"charter,omitempty"` // the newest it knows
	Ready   bool      `json:"ready"`             // what its /readyz says

	// Lost is the newest epoch for which this node says: I was a founder or a
	// member, and my disk of that epoch is gone. Never taken back.
	Lost Epoch `json:"lost,omitempty"`
	// SeedFailed is the epoch whose seed this founder could not restore.
	SeedFailed Epoch `json:"seed_failed,omitempty"`
	// Disowns are members that list this node's peer URL or name, and whose data
	// this disk does not hold and never will. Never taken back: before the report
	// goes out, the agent records them on its disk as Spent.
	Disowns []MemberID `json:"disowns,omitempty"`

	Join    JoinStrategy `json:"join,omitempty"`
	Joining bool         `json:"joining,omitempty"` // wants to become a member
	Leaving bool         `json:"leaving,omitempty"` // `quorate leave`: wants to be removed
	Moved   bool         `json:"moved,omitempty"`   // runs on kept data at another peer URL than its entry says

	// Stale is why this node's etcd must restart; Restarting says that it is about
	// to stop it.
	Stale      Stale `json:"stale,omitzero"`
	Restarting bool  `json:"restarting,omitempty"`

	Roll *Roll `json:"roll,omitempty"` // the newest roll it knows
	// Rolled is the number of the newest roll that this node's etcd has been
	// started for. It is durable before that start.
	Rolled     uint64       `json:"rolled,omitempty"`
	RollFailed *RollFailure `json:"roll_failed,omitempty"` // of the newest roll
	Offers     []Version    `json:"offers,omitempty"`      // which etcds this node could run, oldest first
	Unfit      []string     `json:"unfit,omitempty"`       // which it has and could not, and why
	V2         string       `json:"v2,omitempty"`          // what its data holds of etcd's v2 store; "": nothing
	Elder      string       `json:"elder,omitempty"`       // why etcd 3.7 would panic over its log; "": it would not

	Crashes int      `json:"crashes,omitempty"` // of etcd, in a row
	Doomed  []string `json:"doomed,omitempty"`  // ids of peers that will be interrupted, as far as it has heard
	Uneasy  []string `json:"uneasy,omitempty"`  // and of those that may be

	Keeper bool `json:"keeper,omitempty"`
	// Invitations are the keeper's: which disk each unstarted learner was added for.
	Invitations map[MemberID]string `json:"invitations,omitempty"`
	// Members is the keeper's linearizable member list.
	Members []Member `json:"members,omitempty"`
	// Local is the member list in this node's own data, as its etcd last told it
	// without asking anyone: it may be old, and it is there without a quorum.
	Local []Member `json:"local,omitempty"`

	ViewHash string   `json:"view_hash,omitempty"` // of the peers it sees, for founding without a store
	Grant    *Charter `json:"grant,omitempty"`     // the proposal that it has granted and persisted
	Lock     *Lock    `json:"lock,omitempty"`      // the newest maintenance lock it knows
	Verdict  *Verdict `json:"verdict,omitempty"`   // the operator's word that it knows

	Backup *Backup    `json:"backup,omitempty"` // the newest good backup it knows
	Stored Stored     `json:"stored,omitzero"`  // the farthest that it knows was in the store once
	Lacks  string     `json:"lacks,omitempty"`  // what the store lacks of that, as the keeper has found; "": nothing
	Log    *LogReport `json:"log,omitempty"`    // nil: it does not ship the raft log
	Proven string     `json:"proven,omitempty"` // key of the backup that this node has last restored and found good

	Care Care `json:"care,omitzero"`

	Reason    string    `json:"reason"` // of its last decision
	Steps     []string  `json:"steps,omitempty"`
	Since     time.Time `json:"since"` // since when that reason stands
	LastError string    `json:"last_error,omitempty"`
}

// EtcdState is what a node knows of its own etcd process.
type EtcdState struct {
	Running   bool      `json:"running"`
	Foreign   bool      `json:"foreign,omitempty"` // serving at our address, not started by quorate
	PID       int       `json:"pid,omitempty"`
	Restarts  int       `json:"restarts"`
	Healthy   bool      `json:"healthy"` // answers, has a leader, and no read of it is stuck
	Version   string    `json:"version,omitempty"`
	ClusterID ClusterID `json:"cluster_id,omitempty"`
	MemberID  MemberID  `json:"member_id,omitempty"`
	Leader    MemberID  `json:"leader,omitempty"`
	Learner   bool      `json:"learner,omitempty"`
	Term      uint64    `json:"term,omitempty"`
	Index     uint64    `json:"index,omitempty"`   // raft committed index
	Applied   uint64    `json:"applied,omitempty"` // raft applied index
	Revision  int64     `json:"revision,omitempty"`
	DBSize    int64     `json:"db_size,omitempty"`   // bytes on disk
	DBInUse   int64     `json:"db_in_use,omitempty"` // bytes
	Quota     int64     `json:"quota,omitempty"`     // bytes; what the database may grow to; 0: not told, before 3.6
	Errors    []string  `json:"errors,omitempty"`    // alarms, as etcd names them
	Alarms    []Alarm   `json:"alarms,omitempty"`    // that stand

	Storage        Version `json:"storage,omitzero"`         // of the format of its data; zero before 3.6
	ClusterVersion Version `json:"cluster_version,omitzero"` // the oldest minor among the members, as they have agreed
	DowngradeTo    Version `json:"downgrade_to,omitzero"`    // a downgrade is enabled; zero: none, or it does not tell
}

// JoinStrategy says what a newcomer may do to get in; as elastic-etcd named them.
type JoinStrategy string

// The join strategies.
const (
	JoinPrepared JoinStrategy = "prepared" // an operator has added the entry
	JoinAdd      JoinStrategy = "add"      // until the cluster is full
	JoinReplace  JoinStrategy = "replace"  // when full, one dead member goes first
	JoinPrune    JoinStrategy = "prune"    // every dead member goes first
)

// Backup describes one good full snapshot in the store.
type Backup struct {
	Key         string    `json:"key"` // of the manifest
	Object      string    `json:"object"`
	Cluster     string    `json:"cluster"`
	Epoch       Epoch     `json:"epoch"`
	Revision    int64     `json:"revision"`   // everything up to here is in it
	Index       uint64    `json:"raft_index"` // likewise
	Term        uint64    `json:"raft_term"`
	Etcd        string    `json:"etcd_version"`
	ClusterID   ClusterID `json:"cluster_id"`
	Keys        int64     `json:"keys"`                 // at Revision
	Size        int64     `json:"size"`                 // bytes of the database
	StoredSize  int64     `json:"stored_size"`          // bytes of the object
	SHA256      string    `json:"sha256"`               // of the database
	StoredSHA   string    `json:"stored_sha256"`        // of the object
	Compression string    `json:"compression"`          // "zstd"
	Encryption  string    `json:"encryption,omitempty"` // "age"; empty: none
	Signer      string    `json:"signer,omitempty"`     // of the manifest: the key's short name, for people
	By          string    `json:"by"`
	At          time.Time `json:"at"`
	// Log is the end of the raft log that goes on from it in the store, all of it
	// read and verified; zero when that was not asked, or there is none. It is in no
	// manifest.
	Log LogEnd `json:"log,omitzero"`
}
