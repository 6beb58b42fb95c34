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
	Last    int `json:"last"`    // the newest so many
	Hourly  int `json:"hourly"`  // the newest of each of the last so many hours that have a backup
	Daily   int `json:"daily"`   // likewise of days, in UTC
	Weekly  int `json:"weekly"`  // of weeks from Monday on, in UTC
	Monthly int `json:"monthly"` // of months, in UTC
}

func (r Retention) empty() bool {
	return max(r.Last, r.Hourly, r.Daily, r.Weekly, r.Monthly) <= 0
}

// Retain names the backups that the policy lets go, oldest first. Whatever the
// policy and the clocks say:
//
//  1. the newest backup stays, by (epoch, revision, time): history decides
//     which is newest, and no clock does;
//  2. the newest of the epoch before it stays too, because an epoch may have
//     been founded by mistake;
//  3. hours, days, weeks and months are counted by those that have a backup, so an idle or a
//     stopped cluster does not age its backups away;
//  4. backups dated after now fill classes of their own. A clock that was once
//     years ahead cannot push the true hours out, and a clock that is now
//     years behind removes nothing that a right one would keep;
//  5. those named as proven stay: what was last restored and compared is worth
//     more than a newer one that nobody has tried.
//
// The caller passes only good backups: one that cannot be read must not count
// as the newest. Retain is deterministic whatever the order of its input,
// removes nothing more when it is asked again about what it kept, and never
// takes a removal back when newer backups are added.
func Retain(backups []cluster.Backup, policy Retention, now time.Time, proven ...string) (remove []cluster.Backup) {
	if policy.empty() {
		return nil
	}
	all := newestFirst(backups)
	keep := keepers{}
	for _, key := range proven {
		keep[key] = true
	}
	keep.first(all, max(policy.Last, 1))
	keep.slots(all, 2, func(b cluster.Backup) slot { return slot{epoch: b.Epoch} })
	past, future := splitAt(all, now)
	for _, side := range [][]cluster.Backup{past, future} {
		keep.slots(side, policy.Hourly, inSpan(time.Hour))
		keep.slots(side, policy.Daily, inSpan(24*time.Hour))
		keep.slots(side, policy.Weekly, inSpan(7*24*time.Hour)) // the zero time was a Monday
		keep.slots(side, policy.Monthly, inMonth)
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
// of a span of time.
type slot struct {
	epoch cluster.Epoch
	start time.Time
}

// inMonth puts a backup into the month, in UTC, of its own time.
func inMonth(b cluster.Backup) slot {
	year, month, _ := b.At.UTC().Date()
	return slot{start: time.Date(year, month, 1, 0, 0, 0, 0, time.UTC)}
}

// inSpan puts a backup into the hour, day or week, in UTC, of its own time.
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
