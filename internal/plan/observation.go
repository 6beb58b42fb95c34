package plan

import (
	"time"

	"github.com/quorate/quorate/internal/cluster"
)

// Observation is everything that one node knows at one moment, as data. The
// zero Observation knows nothing and decides Wait.
type Observation struct {
	Now      time.Time `json:"now"`
	Nonce    string    `json:"nonce"` // fresh and random each round; names what this round creates
	Settings Settings  `json:"settings"`
	Self     Self      `json:"self"`

	Disk    cluster.Disk  `json:"disk"`
	Staged  cluster.Epoch `json:"staged,omitempty"` // a complete seed for this epoch lies beside the data directory
	Process Process       `json:"process"`

	Ledger Ledger `json:"ledger"`
	// Stored is the farthest that this disk remembers to have been in the store.
	Stored cluster.Stored             `json:"stored,omitzero"`
	View   cluster.Fact[cluster.View] `json:"view"` // unknown: the source did not answer, or not credibly
	// Reports are the other agents' newest, none older than a few seconds. An
	// agent that is not here is silent: it may be alive.
	Reports []cluster.Report `json:"reports,omitempty"`
	// Strangers are the peer URLs whose agent is silent but where some etcd answers.
	Strangers []string `json:"strangers,omitempty"`

	Etcd           cluster.Fact[cluster.EtcdState] `json:"etcd"` // of our own etcd
	UnhealthySince time.Time                       `json:"unhealthy_since,omitzero"`
	// Members is the linearizable member list: our own etcd's, if it is the leader's.
	Members cluster.Fact[[]cluster.Member] `json:"members"`
	// Local is the member list in our own data, as our etcd last told it: it may
	// be old, and it is there without a quorum. Nil: not known.
	Local       []cluster.Member            `json:"local,omitempty"`
	Probes      map[cluster.MemberID]Probe  `json:"probes,omitempty"`
	Invitations map[cluster.MemberID]string `json:"invitations,omitempty"`
	Publishing  Publishing                  `json:"publishing,omitzero"` // the keeper's, of DNS records
	Machines    Machines                    `json:"machines,omitzero"`
	Care        Care                        `json:"care,omitzero"`
}

// Settings are the operator's wishes.
type Settings struct {
	Cluster         string               `json:"cluster"`
	Size            int                  `json:"size"`                // wanted voters; 0: no upper limit
	AutoSize        bool                 `json:"auto_size,omitempty"` // Size is what the peers source says; it is 0 here
	Join            cluster.JoinStrategy `json:"join"`
	HasStore        bool                 `json:"has_store"`
	AutoRecover     bool                 `json:"auto_recover"`
	FoundingWait    time.Duration        `json:"founding_wait"`
	DeadAfter       time.Duration        `json:"dead_after"`
	LearnerPatience time.Duration        `json:"learner_patience"`
	BackupEvery     time.Duration        `json:"backup_every"` // 0: none
	Care            CareSettings         `json:"care,omitzero"`

	HasCloud   bool          `json:"has_cloud,omitempty"`   // machines can be held, let go, given up
	SurgeWait  time.Duration `json:"surge_wait,omitempty"`  // how long a departing voter stays for its replacement
	CrashLimit int           `json:"crash_limit,omitempty"` // ends of etcd in a row that say its disk is bad; 0: none do
}

// Self is who this node is.
type Self struct {
	Name    string    `json:"name"`
	PeerURL string    `json:"peer_url"`
	Scheme  string    `json:"scheme"` // of peer URLs: http or https
	Since   time.Time `json:"since"`  // when this agent started
	Leaving bool      `json:"leaving,omitempty"`
}

// Process is the etcd process of this node.
type Process struct {
	Running   bool              `json:"running"`
	Foreign   bool              `json:"foreign,omitempty"`    // serves at our address, but is not ours to stop
	NotBefore time.Time         `json:"not_before,omitzero"`  // back-off after crashes
	Crashes   int               `json:"crashes,omitempty"`    // in a row
	SeedFails int               `json:"seed_fails,omitempty"` // restores of this charter's seed that failed, in a row
	Stale     cluster.Stale     `json:"stale,omitzero"`       // why it must restart
	Rolled    Rolled            `json:"rolled,omitzero"`
	Offers    []cluster.Version `json:"offers,omitempty"` // the etcds that this node could run, oldest first
	V2        string            `json:"v2,omitempty"`     // what its data holds of etcd's v2 store; "": nothing
	Elder     string            `json:"elder,omitempty"`  // why etcd 3.7 would panic over its log; "": it would not
}

// Ledger is what the store holds; without a store, what consent has made.
type Ledger struct {
	// Unfit says why the store must not be trusted with a charter: it ignores
	// create-if-absent.
	Unfit string `json:"unfit,omitempty"`
	// Asking says that the first reading since this agent's start is under way.
	Asking     bool                              `json:"asking,omitempty"`
	Charter    cluster.Fact[cluster.Charter]     `json:"charter"`    // the newest
	Mark       cluster.Fact[cluster.StartedMark] `json:"mark"`       // ours, in that charter's epoch
	Ready      cluster.Fact[cluster.ReadyMark]   `json:"ready"`      // of that charter's epoch
	Checkpoint cluster.Fact[cluster.Checkpoint]  `json:"checkpoint"` // of that charter's epoch
	Lock       cluster.Fact[cluster.Lock]        `json:"lock"`
	Roll       cluster.Fact[cluster.Roll]        `json:"roll"`    // the newest entry; one that is known is never taken for none again
	Verdict    cluster.Fact[cluster.Verdict]     `json:"verdict"` // of that charter's epoch
	// Backup is the newest snapshot in the store that is good. When there is a
	// quorum its manifest is enough; without one it has been read and hashed.
	// When the verdict names a backup, it is that one.
	Backup cluster.Fact[cluster.Backup] `json:"backup"`
	// Unread says that only Backup's manifest was read, when this node led or took
	// it: nobody knows here that it is good, nor how far the log behind it goes.
	Unread bool `json:"unread,omitempty"`
	// Outdone says the same, and that nothing in the store reaches farther than the
	// log on our disk does: enough as long as that log is there.
	Outdone bool `json:"outdone,omitempty"`
	// FullWanted says that the raft log in the store has to go on from a newer
	// snapshot, or that too much of it has come since the newest.
	FullWanted bool `json:"full_wanted,omitempty"`
	// BackupTried is when a backup was last attempted.
	BackupTried time.Time                     `json:"backup_tried,omitzero"`
	Grant       cluster.Fact[cluster.Charter] `json:"grant"` // our own, persisted; without a store
}

// Probe is the keeper's own look at a member's etcd.
type Probe struct {
	State          cluster.EtcdState `json:"state"`
	Healthy        bool              `json:"healthy"`                  // answers, as this very member, and follows our leader
	FirstSeen      time.Time         `json:"first_seen"`               // when this agent first saw the entry
	UnhealthySince time.Time         `json:"unhealthy_since,omitzero"` // zero when healthy
	ProgressAt     time.Time         `json:"progress_at"`              // when its applied index last grew
	// Silent is for how long altogether, since the last sign of its life, everybody
	// who could tell has found none; Ailed is what was the matter at that sign (Listen).
	Silent time.Duration   `json:"silent,omitempty"`
	Ailed  cluster.Ailment `json:"ailed,omitzero"`
}

// epoch is that of the charter in force, 0 when there is none or none is known.
func (o Observation) epoch() cluster.Epoch { return o.Ledger.Charter.Value().Epoch }

// Size is how many voters are wanted: 0 means as many as come. While the source
// of an automatic size does not answer it is 0 too; then nobody is let in, and
// nobody is too many.
func (o Observation) Size() int {
	if o.Settings.AutoSize {
		return o.View.Value().Size
	}
	return o.Settings.Size
}

func (o Observation) size() int { return o.Size() }

// foundingSize is how many founders a first charter needs; 0 when nobody knows.
func (o Observation) foundingSize() int {
	if o.Settings.Size > 0 {
		return o.Settings.Size
	}
	return o.View.Value().Size
}

// reportAt is the report of the agent at that peer URL.
func (o Observation) reportAt(peerURL string) (cluster.Report, bool) {
	for _, r := range o.Reports {
		if r.PeerURL == peerURL && r.Cluster == o.Settings.Cluster {
			return r, true
		}
	}
	return cluster.Report{}, false
}

// peer is our own entry in the view.
func (o Observation) peer() (cluster.Peer, bool) {
	return o.View.Value().PeerAt(o.Self.Scheme, o.Self.PeerURL)
}

// me is this node as the others see it, for counting itself among them.
func (o Observation) me() cluster.Report {
	c := Claim(o)
	return cluster.Report{Cluster: o.Settings.Cluster, Name: o.Self.Name, PeerURL: o.Self.PeerURL, Disk: o.Disk, Local: o.Local, Etcd: o.Etcd.Value(),
		Lost: c.Lost, SeedFailed: c.SeedFailed, Disowns: c.Disowns, Moved: c.Moved, Leaving: o.Self.Leaving}
}

// answers are all reports of this cluster, our own included.
func (o Observation) answers() []cluster.Report {
	out := []cluster.Report{o.me()}
	for _, r := range o.Reports {
		if r.Cluster == o.Settings.Cluster {
			out = append(out, r)
		}
	}
	return out
}

// keeper is the agent beside the leader of the newest term that answers, if
// exactly one cluster is spoken for.
func (o Observation) keeper() (k cluster.Report, found, torn bool) {
	for _, r := range o.Reports {
		if !r.Keeper || r.Cluster != o.Settings.Cluster || r.Members == nil || !r.Etcd.Healthy {
			continue
		}
		if r.Charter != nil && r.Charter.Epoch < o.epoch() || r.Disk.Stamp != nil && r.Disk.Epoch() < o.epoch() {
			continue // of an epoch that is over; its own agent will fence it
		}
		if found && k.Etcd.ClusterID != r.Etcd.ClusterID {
			return cluster.Report{}, false, true
		}
		if !found || r.Etcd.Term > k.Etcd.Term {
			k, found = r, true
		}
	}
	return k, found, false
}

// OfAnother says that our data is another cluster's, by its stamp.
func (o Observation) OfAnother() bool {
	s := o.Disk.Stamp
	return s != nil && s.Cluster != o.Settings.Cluster
}

// IsKeeper says that our own etcd leads, and has proved it by a linearizable read.
func (o Observation) IsKeeper() bool {
	e := o.Etcd.Value()
	return e.Healthy && e.Leader != 0 && e.Leader == e.MemberID && o.Members.Known() && !o.OfAnother()
}
