package plan

import (
	"github.com/quorate/quorate/internal/cluster"
)

// LogRetention says which part of the stored log stays. An epoch that is in
// From keeps what comes after that raft index; one below Drop goes whole; any
// other keeps all.
type LogRetention struct {
	From map[cluster.Epoch]uint64
	Drop cluster.Epoch
}

// RetainLog decides how much of the log stays, given the backups that stay. The
// log from the oldest of the newest policy.Last on is kept, so that any moment
// since then can be restored, and from every proven one on. Of an epoch before
// the newest its last backup keeps its log. Without a backup nothing goes; and
// what is kept depends on no clock.
func RetainLog(kept []cluster.Backup, policy Retention, proven ...string) LogRetention {
	all := newestFirst(kept)
	r := LogRetention{From: map[cluster.Epoch]uint64{}}
	isProven := keepers{}
	for _, key := range proven {
		isProven[key] = true
	}
	for i, b := range all {
		index, seen := r.From[b.Epoch]
		if !seen || (i < max(policy.Last, 1) || isProven[b.Key]) && b.Index < index {
			r.From[b.Epoch] = b.Index
		}
		r.Drop = b.Epoch // ends with the oldest that is kept
	}
	return r
}
