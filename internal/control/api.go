package control

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/plan"
)

// Status is what one agent knows of the whole cluster (GET /v1/status).
type Status struct {
	Cluster   string        `json:"cluster"`
	State     State         `json:"state"`
	Reason    string        `json:"reason"` // why it is not healthy
	Epoch     cluster.Epoch `json:"epoch"`
	Size      int           `json:"size"`
	Voters    int           `json:"voters"`
	Healthy   int           `json:"healthy_voters"`    // by the word of their own agents
	Vouched   int           `json:"vouched_voters"`    // more: their agents are silent, and their etcds are proven to be well
	Tolerance int           `json:"failure_tolerance"` // voters that may fail now; negative without a quorum
	Leader    string        `json:"leader,omitempty"`
	Lock      *cluster.Lock `json:"lock,omitempty"`
	// Proven says that a fresh report proves a quorum, whoever else is silent.
	Proven bool `json:"quorum_proven"`
	// Starting says that the agent that tells this has just started, and may not
	// have heard the others yet.
	Starting bool `json:"starting,omitempty"`
	// Roll is the newest roll's newest entry, if it is open or has failed.
	Roll      *cluster.Roll   `json:"roll,omitempty"`
	Backup    *cluster.Backup `json:"backup,omitempty"`
	BackupAge time.Duration   `json:"backup_age,omitempty"` // nanoseconds
	// Lacks is what the store once held and lacks now, in the keeper's words.
	Lacks string `json:"lacks,omitempty"`
	// Store is that the store does not answer, since when, and who says so.
	Store string `json:"store,omitempty"`
	// Log is how far the raft log is stored, if it is shipped: what came after
	// Backup, up to there, is not lost with the disks.
	Log   *cluster.LogEnd `json:"log,omitempty"`
	Nodes []Node          `json:"nodes"`
	At    time.Time       `json:"at"`
}

// State is a cluster's health in one word; the exit code of `quorate status`.
type State string

// The states.
const (
	Healthy  State = "healthy"
	Degraded State = "degraded"
	NoQuorum State = "no quorum"
)

// ExitCode is 0 healthy, 1 degraded, 2 no quorum.
func (s State) ExitCode() int {
	switch s {
	case Healthy:
		return 0
	case Degraded:
		return 1
	}
	return 2
}

// Node is one machine in a Status: a member, a newcomer or a spare.
type Node struct {
	Name     string           `json:"name"`
	Host     string           `json:"host"`
	Role     string           `json:"role"` // leader, voter, learner, spare, joining, gone
	Health   string           `json:"health"`
	MemberID cluster.MemberID `json:"member_id,omitempty"`
	Epoch    cluster.Epoch    `json:"epoch,omitempty"`
	Lag      uint64           `json:"raft_index_lag"` // entries behind the leader
	DBSize   int64            `json:"db_size"`        // bytes
	Etcd     string           `json:"etcd_version,omitempty"`
	Quorate  string           `json:"quorate_version,omitempty"`
	PID      int              `json:"pid,omitempty"`
	Restarts int              `json:"etcd_restarts"`
	Foreign  bool             `json:"foreign,omitempty"` // its etcd was not started by quorate, which does not stop it
	Doing    string           `json:"doing"`             // its agent's last decision
	Since    time.Time        `json:"since,omitzero"`
	Error    string           `json:"last_error,omitempty"`
	Client   string           `json:"client_url,omitempty"`
	Agent    string           `json:"agent_url,omitempty"`
	Alarms   []string         `json:"alarms,omitempty"`
	Ails     string           `json:"ails,omitempty"` // what is the matter with it, in the keeper's words
	Turn     Turn             `json:"turn,omitempty"` // how far it is with an open roll
}

// Explanation is what a node would do now, and why not something else
// (GET /v1/explain).
type Explanation struct {
	Decision     plan.Decision      `json:"decision"`
	Line         string             `json:"line"` // the decision as people read it
	Alternatives []plan.Alternative `json:"alternatives"`
	Observation  plan.Observation   `json:"observation"`
}

// PauseRequest asks for the maintenance lock (POST /v1/pause).
type PauseRequest struct {
	For    time.Duration `json:"for"` // nanoseconds
	Reason string        `json:"reason"`
	Holder string        `json:"holder"`
}

// longestPause bounds a pause: one that is forgotten must end by itself.
const longestPause = 7 * 24 * time.Hour

// CheckPause says all that is wrong with a pause that somebody asks for.
func CheckPause(length time.Duration, reason string) error {
	var errs []error
	if length < time.Second || length > longestPause {
		errs = append(errs, fmt.Errorf("for: %s: want a time between 1s and %s", length, longestPause))
	}
	if strings.TrimSpace(reason) == "" {
		errs = append(errs, errors.New("reason: say why: it is what others read while housekeeping rests"))
	}
	return errors.Join(append(errs, CheckReason(reason))...)
}

// longestReason is in bytes: a reason is shown with every decision.
const longestReason = 500

// CheckReason says what keeps a reason from being shown: it is one line on many
// terminals, and must not look like more, nor command them.
func CheckReason(reason string) error {
	switch {
	case len(reason) > longestReason:
		return fmt.Errorf("reason: %d bytes: want %d at most", len(reason), longestReason)
	case !utf8.ValidString(reason) || strings.ContainsFunc(reason, func(r rune) bool { return !unicode.IsPrint(r) }):
		return errors.New("reason: want one line of text, without control characters")
	}
	return nil
}

// RecoverRequest is the operator's word (POST /v1/recover).
type RecoverRequest struct {
	Lost   []string `json:"lost,omitempty"` // members whose disks never come back: names, or the peer URL of one without a name
	Empty  bool     `json:"empty,omitempty"`
	GiveUp []string `json:"give_up,omitempty"` // nodes whose disks hold data that an empty cluster passes over
	Backup string   `json:"backup,omitempty"`  // key of the one to restore, if no disk survives; else the newest good one
	NoLog  bool     `json:"no_log,omitempty"`  // restore it as it is, without the log behind it
	Reason string   `json:"reason,omitempty"`
	By     string   `json:"by,omitempty"`
}

// HoldRequest is the leader's agent asking another to hold back what clients
// propose to its etcd (POST /v1/hold), while Leader leads and about to hand over.
// It is answered once nothing is under way there; the hold ends by itself.
type HoldRequest struct {
	Leader cluster.MemberID `json:"leader"`
}

// LeaveRequest asks this node to leave the cluster for good, or to come back.
type LeaveRequest struct {
	Undo bool `json:"undo,omitempty"`
}

// BackupRequest asks for a backup (POST /v1/backup). Here says that this very
// node takes it; otherwise the keeper chooses who. PassedOn says that an agent
// takes the asked one for the keeper: it passes the request on no more (ErrMoved).
type BackupRequest struct {
	Here     bool `json:"here,omitempty"`
	PassedOn bool `json:"passed_on,omitempty"`
}

// Error is the body of every answer that is not 2xx.
type Error struct {
	Message string `json:"message"`
}
