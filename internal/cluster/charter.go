package cluster

import (
	"strings"
	"time"
)

// Epoch numbers the incarnations of a cluster from 1. Zero is "no epoch".
type Epoch uint64

// SeedKind says where the first data of an epoch comes from.
type SeedKind string

// The kinds of seed.
const (
	SeedEmpty    SeedKind = "empty"    // no data: a new cluster, or an operator's word
	SeedBackup   SeedKind = "backup"   // a full snapshot in the store, restored by every founder
	SeedSurvivor SeedKind = "survivor" // the data directory of the one founder, its WAL included
	SeedAdopted  SeedKind = "adopted"  // a running cluster that quorate did not found
)

// Seed is the first data of an epoch.
type Seed struct {
	Kind SeedKind `json:"kind"`
	// Backup is the key of the snapshot's manifest (SeedBackup).
	Backup string `json:"backup,omitempty"`
	SHA256 string `json:"sha256,omitempty"` // of the uncompressed database, hexadecimal
	// Log is where the log that every founder applies to the snapshot ends; zero
	// is the snapshot alone (SeedBackup).
	Log LogEnd `json:"log,omitzero"`
	// Survivor is the name of the founder whose data is the seed, and Term and
	// Index its last raft entry (SeedSurvivor); the backup's, where it was chosen
	// over a survivor's data.
	Survivor string   `json:"survivor,omitempty"`
	Member   MemberID `json:"member,omitempty"`
	Term     uint64   `json:"term,omitempty"`
	Index    uint64   `json:"index,omitempty"`
	// Over is the survivor whose log was the newest, and shorter than the backup's
	// history (SeedBackup): its data is set aside.
	Over string `json:"over,omitempty"`
	// Bump is added to the seed's revision, and everything up to there marked
	// compacted, so that a watcher from before gets an error, not silence.
	Bump uint64 `json:"bump,omitempty"`
	// ClusterID is the adopted cluster's (SeedAdopted).
	ClusterID ClusterID `json:"cluster_id,omitempty"`
}

// Founder is one first member of an epoch.
type Founder struct {
	Name    string `json:"name"`
	PeerURL string `json:"peer_url"`
}

// Charter founds an incarnation of the cluster. A node executes the charter,
// never its own opinion.
type Charter struct {
	Cluster  string    `json:"cluster"`
	Epoch    Epoch     `json:"epoch"`
	Token    string    `json:"token"` // etcd's initial-cluster-token; fresh for each epoch
	Founders []Founder `json:"founders"`
	Seed     Seed      `json:"seed"`
	By       string    `json:"by"` // the node that wrote it
	At       time.Time `json:"at"` // the writer's clock; for people only
	Reason   string    `json:"reason"`
	Nonce    string    `json:"nonce"` // tells our own write from another's
}

// Founder finds the founder of that name.
func (c Charter) Founder(name string) (Founder, bool) {
	for _, f := range c.Founders {
		if f.Name == name {
			return f, true
		}
	}
	return Founder{}, false
}

// InitialCluster is etcd's --initial-cluster for the founders.
func (c Charter) InitialCluster() string {
	parts := make([]string, len(c.Founders))
	for i, f := range c.Founders {
		parts[i] = f.Name + "=" + f.PeerURL
	}
	return strings.Join(parts, ",")
}

// Stamp is what a data directory says of itself, in the file quorate.json
// inside it. The charter is kept whole, so that a lost ledger can be rewritten.
type Stamp struct {
	Cluster string  `json:"cluster"`
	Epoch   Epoch   `json:"epoch"`
	Charter Charter `json:"charter"`
	Name    string  `json:"name"`
}

// StartedMark is written once, before a founder's first start in an epoch. A
// founder with an empty disk that finds a mark of another disk has lost data.
type StartedMark struct {
	Epoch  Epoch     `json:"epoch"`
	Name   string    `json:"name"`
	DiskID string    `json:"disk_id"`
	At     time.Time `json:"at"`
}

// ReadyMark is written by the keeper once a majority of an epoch's founders
// are healthy voters. An epoch without one may have died before its birth.
type ReadyMark struct {
	Epoch Epoch     `json:"epoch"`
	By    string    `json:"by"`
	At    time.Time `json:"at"`
}

// Checkpoint is the store's copy of the member list: always a superset of
// etcd's own, because a member enters it before it enters etcd.
type Checkpoint struct {
	Epoch   Epoch     `json:"epoch"`
	Members []Member  `json:"members"`
	Term    uint64    `json:"term,omitempty"` // raft term of the keeper that wrote it
	By      string    `json:"by"`
	At      time.Time `json:"at"`
}

// Lock is the maintenance lock: while it is held, housekeeping rests.
type Lock struct {
	Number   uint64    `json:"number"` // fencing number: the greater one counts
	Holder   string    `json:"holder"`
	Reason   string    `json:"reason"`
	Expires  time.Time `json:"expires"`
	Released bool      `json:"released,omitempty"`
	Nonce    string    `json:"nonce"`
}

// Held says that the lock is in force at the time now.
func (l Lock) Held(now time.Time) bool { return l.Number > 0 && !l.Released && now.Before(l.Expires) }

// Verdict is an operator's word on what an epoch has lost for good
// (`quorate recover`). It is evidence, as a cloud's "terminated" is. A keeper takes
// it back by one that says nothing: that a quorum lives proves it wrong or spent.
type Verdict struct {
	Epoch  Epoch     `json:"epoch"`
	Lost   []string  `json:"lost,omitempty"`    // names of members whose disks will never come back
	Empty  bool      `json:"empty,omitempty"`   // found an empty cluster if nothing can be restored
	GiveUp []string  `json:"give_up,omitempty"` // nodes whose data an empty cluster may pass over
	Backup string    `json:"backup,omitempty"`
	NoLog  bool      `json:"no_log,omitempty"` // restore Backup as it is, without the log behind it
	Reason string    `json:"reason,omitempty"`
	By     string    `json:"by"`
	At     time.Time `json:"at"`
}

// Stands is false of a verdict that says nothing: the one before has lapsed.
func (v Verdict) Stands() bool { return len(v.Lost) > 0 || v.Empty || v.Backup != "" }
