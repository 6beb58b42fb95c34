package cluster

// DiskState is what the data directory holds.
type DiskState string

// The states of a disk; the zero value is unread.
const (
	DiskUnread    DiskState = ""          // not looked at, or the look failed
	DiskEmpty     DiskState = "empty"     // no WAL: this disk votes for nobody
	DiskData      DiskState = "data"      // a WAL and a database that etcd may start on
	DiskElsewhere DiskState = "elsewhere" // an etcd that is not ours serves here, on a directory that is not ours
)

// Disk is what a node knows of its own data directory.
type Disk struct {
	State  DiskState `json:"state"`
	Detail string    `json:"detail,omitempty"` // why it is unread
	// ID is a nonce kept beside the data directory: it is lost when the disk is.
	ID    string `json:"id,omitempty"`
	Stamp *Stamp `json:"stamp,omitempty"` // nil: data that quorate did not make

	// From the WAL's metadata, when State is DiskData.
	ClusterID ClusterID `json:"cluster_id,omitempty"`
	MemberID  MemberID  `json:"member_id,omitempty"`
	// Term and Index are those of the last raft entry in the WAL, committed or not.
	Term  uint64 `json:"term,omitempty"`
	Index uint64 `json:"index,omitempty"`
	// Removed says that the data itself tells that its member has been removed
	// from the cluster. Etcd never takes a member id back, so this never becomes
	// false again; and an etcd that has ended with such data is not started on it
	// any more. Not looked at while etcd runs.
	Removed bool `json:"removed,omitempty"`

	// Aside are the names of what was set aside beside the data directory: its label,
	// such as epoch-1, and when. Nothing deletes it.
	Aside []string `json:"aside,omitempty"`

	// Spent are the identities under which this disk has started an etcd:
	// "e<epoch>" as a founder and a member id (hexadecimal) as a joiner; also the
	// member ids whose data it has held, and those that it has disowned. A spent
	// identity is never used again on an empty disk.
	Spent []string `json:"spent,omitempty"`
}

// Epoch is the epoch that the data is stamped with; 0 when unstamped.
func (d Disk) Epoch() Epoch {
	if d.Stamp == nil {
		return 0
	}
	return d.Stamp.Epoch
}
