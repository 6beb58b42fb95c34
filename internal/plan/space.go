package plan

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/quorate/quorate/internal/cluster"
)

// StaleDefrag is why an etcd takes a turn whose database holds mostly nothing.
const StaleDefrag = "its database is to be defragmented"

const (
	defragLeast  = 100 << 20 // bytes: a smaller database is not worth a restart
	defragAgain  = time.Hour // between two of one node, done or failed
	quotaUnknown = 2 << 30   // etcd's own default, where it does not tell
	// A database is near its quota at eight tenths, and has room again below
	// nine: what is freed while it grows must not be taken for enough.
	nearFull, roomBelow = 0.8, 0.9
)

// Moment is a revision that the cluster had come to at a time.
type Moment struct {
	At       time.Time `json:"at"`
	Revision int64     `json:"revision"`
}

// quota is what the database may grow to.
func quota(e cluster.EtcdState) int64 {
	if e.Quota > 0 {
		return e.Quota
	}
	return quotaUnknown
}

// freeable says that defragmenting would make the file smaller by a tenth.
func freeable(e cluster.EtcdState) bool { return e.DBSize-e.DBInUse >= e.DBSize/10 && e.DBInUse > 0 }

// DefragStale says that our own database is to be defragmented in a turn: it is
// large and mostly empty, or near its quota with something to free. While etcd
// has no space the keeper does it without turns (relieve).
func DefragStale(o Observation) bool {
	e, below := o.Etcd.Value(), o.Settings.Care.DefragBelow
	switch {
	case !e.Healthy || e.Learner || below <= 0 || o.Process.Foreign || !o.Process.Running:
		return false
	case e.DBInUse <= 0: // this etcd does not tell
		return false
	case o.Ledger.Roll.Unknown() || o.Ledger.Roll.Value().Open() || len(o.alarms(cluster.NoSpace)) > 0:
		return false
	case within(o.Now.Sub(o.Care.Defragged), defragAgain):
		return false
	case e.DBSize >= defragLeast && float64(e.DBInUse) < below*float64(e.DBSize):
		return true
	}
	return float64(e.DBSize) >= nearFull*float64(quota(e)) && freeable(e)
}

// alarms are etcd's own of that kind, as our member knows them.
func (o Observation) alarms(kind cluster.AlarmKind) []cluster.Alarm {
	return slices.DeleteFunc(slices.Clone(o.Etcd.Value().Alarms), func(a cluster.Alarm) bool { return a.Kind != kind })
}

// compactTo is the revision whose predecessors may be forgotten: the newest that
// is known to be as old as --compaction-keep; 0: none.
func (o Observation) compactTo() int64 {
	keep := o.Settings.Care.CompactKeep
	if keep <= 0 {
		return 0
	}
	rev := int64(0)
	for _, m := range o.Care.Moments {
		if o.Now.Sub(m.At) >= keep {
			rev = max(rev, m.Revision)
		}
	}
	return rev
}

// compaction forgets old revisions, by policy: ten times in --compaction-keep.
func compaction(o Observation, _ house) (Decision, bool) {
	to, every := o.compactTo(), o.Settings.Care.CompactKeep/10
	if to <= o.Care.Compacted.Revision || within(o.Now.Sub(o.Care.Compacted.At), every) || o.Care.Busy != "" {
		return Decision{}, false
	}
	return do("keep", "old revisions are forgotten", []any{"up to ", to}, Compact{to}), true
}

// relieve ends a lack of space, in which etcd takes no writes: old revisions are
// forgotten by policy, the members defragment one after the other, followers
// first, and the alarm goes only once every voter's file is seen to be below its
// quota, with room. Nobody writes meanwhile, so that the members need not leave
// their clients one by one: each serves reads again after the moment that its own
// database takes.
func relieve(o Observation, h house) (Decision, bool) {
	alarms := o.alarms(cluster.NoSpace)
	if len(alarms) == 0 {
		return Decision{}, false
	}
	if o.Care.Busy != "" {
		return do("keep", "etcd has no space, and takes no writes: it is being freed", []any{o.Care.Busy}), true
	}
	if to := o.compactTo(); to > o.Care.Compacted.Revision {
		return do("keep", "etcd has no space: old revisions are forgotten", []any{"up to ", to}, Compact{to}), true
	}
	var full, unseen []string
	for _, s := range h.followersFirst(o) {
		e := s.probe.State
		if s.ID == o.Etcd.Value().MemberID {
			e = o.Etcd.Value()
		}
		switch {
		case !s.healthy || e.DBSize == 0:
			unseen = append(unseen, s.Label())
		case float64(e.DBSize) < roomBelow*float64(quota(e)):
		case freeable(e) || o.mayFree(s.ID):
			return do("keep", "etcd has no space: a database is defragmented", []any{s.Label(), ": ", mb(e.DBInUse), " used of ", mb(e.DBSize)}, Defragment{s.ID, s.Label()}), true
		default:
			full = append(full, fmt.Sprintf("%s uses %s of %s", s.Label(), mb(e.DBInUse), mb(quota(e))))
		}
	}
	switch {
	case len(full) > 0:
		return do("keep", "etcd has no space, and nothing more to forget: delete keys, or give it a larger quota", []any{strings.Join(full, ", ")}), true
	case len(unseen) > 0:
		return do("keep", "etcd had no space, and not every member's size is known: the alarm stays", []any{strings.Join(unseen, ", ")}), true
	}
	return do("keep", "etcd has space again, on every member", nil, DisarmAlarm{alarms[0]}), true
}

// mayFree says that a member may have more to free than it tells. What a
// compaction has freed its figures show only with the next write after it, and
// under the alarm there is none: where nobody writes, a follower goes on telling
// what was in use before. So each is defragmented once after a compaction of ours,
// whatever it tells, and for one that we do not know of again after a while.
func (o Observation) mayFree(id cluster.MemberID) bool {
	at := o.Care.Freed[id] // never: the zero time, long ago
	return at.Before(o.Care.Compacted.At) || !within(o.Now.Sub(at), defragAgain)
}

// followersFirst are the voters, the leader last.
func (h house) followersFirst(o Observation) []standing {
	out := slices.Clone(h.voters)
	slices.SortStableFunc(out, func(a, b standing) int {
		leads := func(s standing) int {
			if s.ID == o.Etcd.Value().MemberID {
				return 1
			}
			return 0
		}
		return leads(a) - leads(b)
	})
	return out
}

func mb(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/(1<<20)) }
