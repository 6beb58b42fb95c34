package plan

import (
	"time"

	"github.com/quorate/quorate/internal/cluster"
)

// admit lets a newcomer in, by its own join strategy: where there is room, in
// place of a dead voter, or ahead of one that departs.
func admit(o Observation, h house) (Decision, bool) {
	waiting := joiners(o, h)
	if len(waiting) == 0 || len(h.learners) > 0 {
		return Decision{}, false
	}
	dead, anyDead := h.find(func(s standing) bool { return s.unfit })
	_, anyDeparts := h.find(standing.departing)
	full := o.size() > 0 && len(h.voters) >= o.size()
	j, why, hopeless := o.readiest(waiting)
	if hopeless {
		return do("keep", "a newcomer waits: no etcd that it has may join", []any{j.Name, ": ", why}), anyDead || !full
	}
	switch {
	case anyDead && (j.Join == cluster.JoinPrune || j.Join == cluster.JoinReplace && (full || !h.mayAdd())):
		if !h.mayGo(dead) {
			return do("keep", "a newcomer would replace a dead voter, but the rest would not be a quorum", []any{dead.Label()}), true
		}
		return do("keep", "a newcomer replaces a dead voter", []any{j.Name, " for ", dead.Label()}, RemoveMember{dead.ID, dead.Label()}), true
	case full && !anyDeparts:
		return Decision{}, false // a spare
	case why != "":
		return do("keep", "a newcomer waits: the members have yet to agree on a version that its etcd may join", []any{j.Name, ": ", why}), true
	case !h.mayAdd():
		return do("keep", "a newcomer waits: etcd adds none while too few voters are healthy", []any{j.Name}), true
	case o.Settings.HasStore && o.Ledger.Checkpoint.Unknown():
		return do("keep", "a newcomer waits: the store's member list is unreadable", []any{j.Name}), true
	}
	// The store's list must hold the newcomer before etcd's does: a list that
	// lacks a member could one day prove a loss that is none.
	members := append(append([]cluster.Member(nil), o.Members.Value()...), cluster.Member{PeerURLs: []string{j.PeerURL}, Learner: true})
	return do("keep", "a newcomer joins", []any{j.Name}, WriteCheckpoint{members}, AddLearner{j.Name, j.PeerURL, j.Disk.ID}), true
}

// readiest is the first newcomer that may join now; else the first that may once the
// members have agreed on the version that they all run, which a dead one keeps them
// from; else the first, and it is hopeless. why says what it lacks.
func (o Observation) readiest(waiting []cluster.Report) (j cluster.Report, why string, hopeless bool) {
	now := o.runningVersion()
	soon, _ := o.oldestRun()
	for _, running := range []cluster.Version{now, soon} {
		for _, j := range waiting {
			if o.unready(j, running) == "" {
				return j, o.unready(j, now), false
			}
		}
	}
	return waiting[0], o.unready(waiting[0], now), true
}

// backUp has a follower take the snapshot that is due.
func backUp(o Observation, _ house) (Decision, bool) {
	every := o.Settings.BackupEvery
	if every <= 0 || !o.Settings.HasStore || !o.Ledger.Ready.Known() || o.Ledger.Backup.Unknown() {
		return Decision{}, false
	}
	due := o.Ledger.FullWanted || o.Ledger.Backup.Value().Epoch < o.epoch() || !within(o.Now.Sub(o.Ledger.Backup.Value().At), every)
	// After a failure the next attempt waits a tenth of the interval; while the
	// log waits for one, half a minute.
	pause := every / 10
	if o.Ledger.FullWanted {
		pause = min(pause, 30*time.Second)
	}
	tried := within(o.Now.Sub(o.Ledger.BackupTried), pause)
	if !due || tried {
		return Decision{}, false
	}
	by := BackupBy(o)
	return do("keep", "a backup is due", []any{"by ", by}, TakeBackup{by}), true
}

// backUpWanted is all of it that a roll does not put off: the log in the store has
// come to an end, or is too long.
func backUpWanted(o Observation, h house) (Decision, bool) {
	if !o.Ledger.FullWanted {
		return Decision{}, false
	}
	return backUp(o, h)
}

// within says that an age lies in the span. One far in the future tells of a
// clock that has jumped: it must not put the next backup off for years.
func within(age, span time.Duration) bool { return age < span && age > -span }

// BackupBy is who takes a backup: a healthy follower that stays, else the leader.
func BackupBy(o Observation) string {
	for _, s := range survey(o).voters {
		r, ok := o.reportOf(s.Member)
		if ok && s.healthy && !s.departing() && r.Etcd.Healthy && s.ID != o.Etcd.Value().MemberID {
			return r.Name
		}
	}
	return o.Self.Name
}
