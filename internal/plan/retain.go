package plan

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/quorate/quorate/internal/cluster"
)

// Retention says how many backups to keep. The classes add up: a backup that
// any class wants stays. The zero value keeps everything.
type Retention struct {
	Last   int `json:"last"`   // the newest so many
	Hourly int `json:"hourly"` // the newest of each of the last so many hours that have a backup
	Daily  int `json:"daily"`  // likewise of days, in UTC
}

// Retain names the backups that the policy lets go, oldest first. Whatever the
// policy and the clocks say:
//
//  1. the newest backup stays, by (epoch, revision, time): history decides
//     which is newest, and no clock does;
//  2. the newest of the epoch before it stays too, because an epoch may have
//     been founded by mistake;
//  3. hours and days are counted by those that have a backup, so an idle or a
//     stopped cluster does not age its backups away;
//  4. backups dated after now fill classes of their own. A clock that was once
//     years ahead cannot push the true hours out, and a clock that is now
//     years behind removes nothing that a right one would keep.
//
// The caller passes only good backups: one that cannot be read must not count
// as the newest. Retain is deterministic whatever the order of its input,
// removes nothing more when it is asked again about what it kept, and never
// takes a removal back when newer backups are added.
func Retain(backups []cluster.Backup, policy Retention, now time.Time) (remove []cluster.Backup) {
	if policy.Last <= 0 && policy.Hourly <= 0 && policy.Daily <= 0 {
		return nil
	}
	all := newestFirst(backups)
	keep := keepers{}
	keep.first(all, max(policy.Last, 1))
	keep.slots(all, 2, func(b cluster.Backup) slot { return slot{epoch: b.Epoch} })
	past, future := splitAt(all, now)
	for _, side := range [][]cluster.Backup{past, future} {
		keep.slots(side, policy.Hourly, inSpan(time.Hour))
		keep.slots(side, policy.Daily, inSpan(24*time.Hour))
	}
	for _, b := range slices.Backward(all) {
		if !keep[b.Key] {
			remove = append(remove, b)
		}
	}
	return remove
}

// newestFirst sorts a copy by history and drops repeated keys, so that one
// backup listed twice never takes two places.
func newestFirst(backups []cluster.Backup) []cluster.Backup {
	all := slices.Clone(backups)
	slices.SortStableFunc(all, func(a, b cluster.Backup) int {
		return cmp.Or(
			cmp.Compare(b.Epoch, a.Epoch),
			cmp.Compare(b.Revision, a.Revision),
			b.At.Compare(a.At),
			strings.Compare(b.Key, a.Key),
		)
	})
	seen := map[string]bool{}
	return slices.DeleteFunc(all, func(b cluster.Backup) bool {
		again := seen[b.Key]
		seen[b.Key] = true
		return again
	})
}

// splitAt parts the backups by their own times, keeping their order.
func splitAt(all []cluster.Backup, now time.Time) (past, future []cluster.Backup) {
	for _, b := range all {
		if b.At.After(now) {
			future = append(future, b)
		} else {
			past = append(past, b)
		}
	}
	return past, future
}

// slot is a place that one backup of a class can take: an epoch, or the start
// of an hour or a day.
type slot struct {
	epoch cluster.Epoch
	start time.Time
}

// inSpan puts a backup into the hour or day, in UTC, of its own time.
func inSpan(span time.Duration) func(cluster.Backup) slot {
	return func(b cluster.Backup) slot { return slot{start: b.At.UTC().Truncate(span)} }
}

// keepers are the keys of the backups that stay.
type keepers map[string]bool

func (k keepers) first(all []cluster.Backup, n int) {
	for _, b := range all[:min(n, len(all))] {
		k[b.Key] = true
	}
}

// slots keeps the newest backup of each of the n last slots. all is sorted
// newest first, so the first one seen in a slot is the newest of it.
func (k keepers) slots(all []cluster.Backup, n int, of func(cluster.Backup) slot) {
	newest := map[slot]cluster.Backup{}
	var taken []slot
	for _, b := range all {
		s := of(b)
		if _, ok := newest[s]; !ok {
			newest[s] = b
			taken = append(taken, s)
		}
	}
	slices.SortFunc(taken, func(a, b slot) int {
		return cmp.Or(cmp.Compare(b.epoch, a.epoch), b.start.Compare(a.start))
	})
	for _, s := range taken[:min(max(n, 0), len(taken))] {
		k[newest[s].Key] = true
	}
}
