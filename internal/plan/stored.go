package plan

import (
	"fmt"
	"time"

	"github.com/quorate/quorate/internal/cluster"
)

// holding is what the store holds, held against a survivor's log.
type holding int

const (
	storedLess  holding = iota // nothing that the log lacks
	storedMore                 // every committed entry of the log, and as a rule later ones
	storedOther                // each may hold what the other lacks
)

// stored is the longest history of the epoch in force that the store can give
// back, a full snapshot and the log behind it, and whether the survivor's log
// lacks some of it.
func stored(o Observation, survivor cluster.Disk) (cluster.Backup, holding) {
	b := o.Ledger.Backup.Value()
	if b.Epoch != o.epoch() { // nor is there one
		return cluster.Backup{}, storedLess
	}
	return b, compareStored(b, survivor)
}

// compareStored holds a backup against a log of its epoch. The backup is the first
// b.Index committed entries, made in raft term b.Term, which is the member's and
// not the last entry's; the log's last entry is (d.Term, d.Index), committed or
// not.
//
// A log that reaches as far has them all, if its last entry is of that term or a
// later one: whoever led then had every entry committed before, and the log is a
// prefix of the leader's. A log that does not reach as far has no committed entry
// that the backup lacks: there is one sequence of these. An older log that
// reaches farther may have a tail that nobody has committed, in place of what
// the backup holds; or the backup was made in the moment of an election, and its
// tail is committed. The numbers do not tell.
//
// With the log behind it a backup ends with a committed entry whose own term is
// known: a survivor whose log ends in an older term lacks that entry, and has
// nothing behind it that anybody has committed.
func compareStored(b cluster.Backup, d cluster.Disk) holding {
	term, index, logged := reach(b)
	switch {
	case index > d.Index || index == d.Index && term > d.Term, logged && term > d.Term:
		return storedMore
	case term > d.Term:
		return storedOther
	}
	return storedLess
}

// reach is the last committed entry that a backup surely gives back. Logged says
// that the term is the entry's own.
func reach(b cluster.Backup) (term, index uint64, logged bool) {
	if b.Log.Index > b.Index {
		return b.Log.Term, b.Log.Index, true
	}
	return b.Term, b.Index, false
}

// missed says that more was once stored than the store gives back now, best, and than
// the log of a disk has: some node that answers remembers it. An old copy of the
// store may be in its place; if the ledger is of an epoch before, it surely is.
func missed(o Observation, best cluster.Backup, d cluster.Disk) bool {
	far := o.Stored
	for _, r := range o.answers() {
		far = far.Farther(r.Stored)
	}
	now := best.Stored()
	switch {
	case far.Epoch < o.epoch():
		return false
	case far.Epoch > o.epoch():
		return true
	case now.Farther(far) == now:
		return false
	}
	was := cluster.Backup{Epoch: far.Epoch, Index: far.Index, Term: far.Term}
	if far.Logged {
		was = cluster.Backup{Epoch: far.Epoch, Log: cluster.LogEnd{Index: far.Index, Term: far.Term}}
	}
	return compareStored(was, d) == storedMore
}

// MayOutrun says that a backup may hold what the log of this disk lacks: then it is
// worth reading and hashing.
func MayOutrun(b cluster.Backup, d cluster.Disk) bool {
	return b.Epoch > d.Epoch() || b.Epoch == d.Epoch() && compareStored(b, d) != storedLess
}

// longerHistory is asked by the survivor with the newest log: does that log seed
// the next epoch, or what the store holds? A store that is unread stops a
// recovery, until an operator says that nothing in it counts (Verdict.Empty). So
// does one of which nobody can say whether it holds more: there an operator's
// word lets the log win, or the backup that it names.
func longerHistory(o Observation) (seed cluster.Seed, reason string, d Decision, ok bool) {
	log := cluster.Seed{Kind: cluster.SeedSurvivor, Survivor: o.Self.Name, Member: o.Disk.MemberID,
		Term: o.Disk.Term, Index: o.Disk.Index, Bump: revisionBump}
	b, holds := stored(o, o.Disk)
	term, index, _ := reach(b)
	backup := cluster.Seed{Kind: cluster.SeedBackup, Backup: b.Key, SHA256: b.SHA256, Log: b.Log, Over: o.Self.Name,
		Term: term, Index: index, Bump: revisionBump}
	v, told := o.Ledger.Verdict, o.toldWhatIsLost()
	switch {
	case (o.Ledger.Backup.Unknown() || o.Ledger.Unread) && o.Settings.HasStore && !v.Value().Empty:
		return cluster.Seed{}, "", wait("a majority is proven lost, and whether a backup is newer than this survivor's log is unread: `quorate recover --empty` goes on without backups"), false
	case !told && missed(o, b, o.Disk):
		return cluster.Seed{}, "", refuse("the store once held more than it does now, and than this survivor's log: use `quorate recover`", positions(o)), false
	case holds == storedMore, holds == storedOther && v.Value().Backup == b.Key:
		return backup, "a majority is proven lost, and a backup is newer than any survivor's log", Decision{}, true
	case holds == storedOther && !told:
		return cluster.Seed{}, "", refuse("a majority is proven lost, and which is newer is not known, this survivor's log or a backup: use `quorate recover`", positions(o)), false
	}
	return log, "a majority is proven lost, and this survivor's log is the newest", Decision{}, true
}

// positions says how far this disk's log and the store go: people read it in
// the charter and in the journal.
func positions(o Observation) string {
	b, _ := stored(o, o.Disk)
	term, index, _ := reach(b)
	text := fmt.Sprint("term ", o.Disk.Term, " index ", o.Disk.Index, "; in the store ")
	switch {
	case b.Key != "":
		return text + fmt.Sprint(b.Key, ", term ", term, " index ", index)
	case o.Ledger.Backup.Unknown():
		return text + "nobody knows what"
	}
	return text + "nothing of this epoch"
}

// How long a keeper waits before it looks whether what it knew to be in the store
// is there yet: soon while more is being stored, because what comes behind a gap
// cannot be replayed; and not so soon while nothing is.
const (
	lookBusy = time.Minute
	lookIdle = 2 * time.Minute
)

// Witness is an object that was in the store: what is farthest of the log's newest
// segment and the newest full snapshot's manifest. An old copy of the store, which
// somebody puts in its place, lacks it.
type Witness struct {
	Key string // "": none
	cluster.Stored
	Log cluster.LogEnd // where the log ended then; Number 0: none of it was stored
}

// Gap are the numbers of the segments that were stored after w and not after newest:
// all of them must be there, for an old copy that is younger than w lacks some. It is
// empty, from > to, where nothing was. A chain that has begun meanwhile counts whole.
func (w Witness) Gap(newest Witness) (from, to uint64) {
	if w.Log.Epoch != newest.Log.Epoch || w.Log.Chain != newest.Log.Chain {
		return 1, newest.Log.Number
	}
	return w.Log.Number + 1, newest.Log.Number
}

// LooksForWitness says that the keeper reads the witness now, which it last did, or
// made it the witness, ago; newest is what would be the next one.
func LooksForWitness(w, newest Witness, ago time.Duration) bool {
	switch {
	case w.Key == "":
		return newest.Key != ""
	case w.Key == newest.Key:
		return ago >= lookIdle
	}
	return ago >= lookBusy
}

// Outlived says that a witness that has gone is no loss: a full snapshot that the
// store holds reaches as far.
func (w Witness) Outlived(full cluster.Stored) bool { return full.Farther(w.Stored) == full }
