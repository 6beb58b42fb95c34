package plan

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/quorate/quorate/internal/cluster"
)

var retainNow = time.Date(2026, 3, 10, 12, 30, 0, 0, time.UTC)

// bk names a backup by its key; ago is its age at retainNow.
func bk(key string, epoch cluster.Epoch, revision int64, ago time.Duration) cluster.Backup {
	return cluster.Backup{Key: key, Epoch: epoch, Revision: revision, At: retainNow.Add(-ago)}
}

func TestRetain(t *testing.T) {
	const day = 24 * time.Hour
	tests := map[string]struct {
		policy  Retention
		backups []cluster.Backup
		want    string // the keys removed, oldest first
	}{
		"nothing": {policy: Retention{Last: 1}},
		"no policy keeps all": {
			backups: []cluster.Backup{bk("a", 1, 1, 2*time.Hour), bk("b", 1, 2, time.Hour)},
		},
		"the only one stays, however old": {
			policy:  Retention{Last: 1, Hourly: 1, Daily: 1},
			backups: []cluster.Backup{bk("a", 1, 1, 4000*day)},
		},
		"the last two": {
			policy:  Retention{Last: 2},
			backups: []cluster.Backup{bk("a", 1, 1, 3), bk("c", 1, 3, 1), bk("b", 1, 2, 2)},
			want:    "a",
		},
		"a negative class counts as none": {
			policy:  Retention{Last: -3, Hourly: 1, Daily: -1},
			backups: []cluster.Backup{bk("a", 1, 1, 2*time.Hour), bk("b", 1, 2, time.Hour)},
			want:    "a",
		},
		"the newest of each hour": {
			policy: Retention{Last: 1, Hourly: 2},
			backups: []cluster.Backup{
				bk("a", 1, 1, 130*time.Minute), bk("b", 1, 2, 80*time.Minute), bk("c", 1, 3, 40*time.Minute), bk("d", 1, 4, 0),
			},
			want: "a b",
		},
		"hours without a backup do not count": {
			policy:  Retention{Last: 1, Hourly: 3},
			backups: []cluster.Backup{bk("a", 1, 1, 400*day), bk("b", 1, 2, 200*day), bk("c", 1, 3, 100*day)},
		},
		"days": {
			policy: Retention{Last: 1, Daily: 2},
			backups: []cluster.Backup{
				bk("a", 1, 1, 2*day), bk("b", 1, 2, day+time.Hour), bk("c", 1, 3, day), bk("d", 1, 4, time.Hour), bk("e", 1, 5, 0),
			},
			want: "a b d",
		},
		"weeks begin on Monday": { // retainNow is a Tuesday
			policy: Retention{Last: 1, Weekly: 2},
			backups: []cluster.Backup{
				bk("a", 1, 1, 9*day), bk("b", 1, 2, 3*day), bk("c", 1, 3, 2*day), bk("d", 1, 4, day), bk("e", 1, 5, 0),
			},
			want: "a b d",
		},
		"months have their own lengths": { // the 10th of March
			policy: Retention{Last: 1, Monthly: 3},
			backups: []cluster.Backup{
				bk("a", 1, 1, 70*day), bk("b", 1, 2, 38*day), bk("c", 1, 3, 37*day), bk("d", 1, 4, 10*day), bk("e", 1, 5, 9*day), bk("f", 1, 6, 0),
			},
			want: "a c e",
		},
		"history, not the clock, says which is newest": {
			policy:  Retention{Last: 1},
			backups: []cluster.Backup{bk("a", 1, 9, -1000*day), bk("b", 2, 3, 1000*day)},
			want:    "", // a is the newest of the epoch before
		},
		"the newest of the epoch before stays, the rest of it goes": {
			policy:  Retention{Last: 1},
			backups: []cluster.Backup{bk("a", 1, 1, 5), bk("b", 2, 1, 4), bk("c", 2, 2, 3), bk("d", 3, 1, 2)},
			want:    "a b",
		},
		"a clock once ahead does not push the true hours out": {
			policy: Retention{Last: 1, Hourly: 2},
			backups: []cluster.Backup{
				bk("x", 1, 1, -900*day), bk("y", 1, 2, -901*day), bk("z", 1, 3, -902*day),
				bk("a", 1, 4, 2*time.Hour), bk("b", 1, 5, time.Hour), bk("c", 1, 6, time.Minute),
			},
			want: "x a",
		},
		"a backup listed twice takes one place": {
			policy:  Retention{Last: 2},
			backups: []cluster.Backup{bk("a", 1, 1, 2), bk("b", 1, 2, 1), bk("b", 1, 2, 1)},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := keysOf(Retain(tt.backups, tt.policy, retainNow)); got != tt.want {
				t.Errorf("removed %q, want %q", got, tt.want)
			}
		})
	}
}

// A clock that has fallen back to 1970 must not empty the store.
func TestRetainWithAClockFarBehind(t *testing.T) {
	policy := Retention{Last: 2, Hourly: 24, Daily: 7}
	var all []cluster.Backup
	for i := range 400 {
		all = append(all, bk(fmt.Sprintf("k%03d", i), 1, int64(i), time.Duration(400-i)*15*time.Minute))
	}
	right := keysOf(Retain(all, policy, retainNow))
	if behind := keysOf(Retain(all, policy, time.Unix(0, 0))); behind != right {
		t.Errorf("a clock at 1970 removes\n%s\na right one\n%s", behind, right)
	}
}

func TestRetainProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := drawBackups(t)
		policy := Retention{
			Last:   rapid.IntRange(-1, 5).Draw(t, "last"),
			Hourly: rapid.IntRange(-1, 5).Draw(t, "hourly"),
			Daily:  rapid.IntRange(-1, 5).Draw(t, "daily"),
			Weekly: rapid.IntRange(-1, 5).Draw(t, "weekly"), Monthly: rapid.IntRange(-1, 5).Draw(t, "monthly"),
		}
		now := drawTime(t, "now")
		input := slices.Clone(all)
		removed := Retain(all, policy, now)
		kept := without(all, removed)
		checkProven(t, all, policy, now)

		if !slices.Equal(all, input) {
			t.Fatal("the input was changed")
		}
		if len(removed)+len(kept) != len(all) {
			t.Fatalf("%d removed + %d kept of %d", len(removed), len(kept), len(all))
		}
		if len(all) > 0 && !slices.ContainsFunc(kept, func(b cluster.Backup) bool { return b == newest(all) }) {
			t.Fatalf("the newest went: %v", newest(all))
		}
		if want := min(len(all), max(policy.Last, 1)); len(kept) < want {
			t.Fatalf("%d kept, want at least %d", len(kept), want)
		}
		if again := Retain(kept, policy, now); len(again) > 0 {
			t.Fatalf("asked again, it removes %s more", keysOf(again))
		}
		shuffled := slices.Clone(all)
		rand.New(rand.NewPCG(1, uint64(len(all)))).Shuffle(len(all), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		if got, want := keysOf(Retain(shuffled, policy, now)), keysOf(removed); got != want {
			t.Fatalf("order matters: %q, else %q", got, want)
		}
		checkMonotone(t, all, removed, policy, now)
	})
}

// checkMonotone holds that a richer history and a meaner policy only remove more.
func checkMonotone(t *rapid.T, all, removed []cluster.Backup, policy Retention, now time.Time) {
	more := append(slices.Clone(all), drawBackup(t, len(all)))
	if left := without(removed, Retain(more, policy, now)); len(left) > 0 {
		t.Fatalf("one more backup brings back %s", keysOf(left))
	}
	richer := Retention{Last: max(policy.Last, 1) + 1, Hourly: policy.Hourly + 1, Daily: policy.Daily + 1, Weekly: policy.Weekly + 1, Monthly: policy.Monthly + 1}
	if extra := without(Retain(all, richer, now), removed); len(extra) > 0 && removed != nil {
		t.Fatalf("a richer policy removes %s too", keysOf(extra))
	}
}

// checkProven: whatever the clock and the policy say, what was restored last for
// a proof stays, and so does what would stay without it.
func checkProven(t *rapid.T, all []cluster.Backup, policy Retention, now time.Time) {
	if len(all) == 0 {
		return
	}
	proven := all[rapid.IntRange(0, len(all)-1).Draw(t, "proven")]
	removed := Retain(all, policy, now, proven.Key)
	if slices.ContainsFunc(removed, func(b cluster.Backup) bool { return b.Key == proven.Key }) {
		t.Fatalf("the proven %s went", proven.Key)
	}
	if extra := without(removed, Retain(all, policy, now)); len(extra) > 0 {
		t.Fatalf("because one is proven, %s goes", keysOf(extra))
	}
}

func drawBackups(t *rapid.T) []cluster.Backup {
	all := make([]cluster.Backup, rapid.IntRange(0, 30).Draw(t, "n"))
	for i := range all {
		all[i] = drawBackup(t, i)
	}
	return all
}

func drawBackup(t *rapid.T, i int) cluster.Backup {
	return cluster.Backup{
		Key:      fmt.Sprintf("k%03d", i),
		Epoch:    cluster.Epoch(rapid.Uint64Range(1, 4).Draw(t, "epoch")),
		Revision: rapid.Int64Range(0, 6).Draw(t, "revision"),
		At:       drawTime(t, "at"),
	}
}

// drawTime draws near times, equal ones, and ones of a clock gone mad.
func drawTime(t *rapid.T, label string) time.Time {
	return rapid.OneOf(
		rapid.Map(rapid.IntRange(-400, 400), func(n int) time.Time { return retainNow.Add(time.Duration(n) * 15 * time.Minute) }),
		rapid.Just(retainNow),
		rapid.Just(time.Time{}),
		rapid.Just(time.Unix(0, 0)),
		rapid.Just(time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)),
		rapid.Map(rapid.Int64Range(-1<<40, 1<<40), func(s int64) time.Time { return time.Unix(s, 0) }),
	).Draw(t, label)
}

// newest is the oracle: a plain scan by (epoch, revision), then time, then key.
func newest(all []cluster.Backup) cluster.Backup {
	best := all[0]
	for _, b := range all[1:] {
		switch {
		case b.Epoch != best.Epoch:
			if b.Epoch > best.Epoch {
				best = b
			}
		case b.Revision != best.Revision:
			if b.Revision > best.Revision {
				best = b
			}
		case !b.At.Equal(best.At):
			if b.At.After(best.At) {
				best = b
			}
		case b.Key > best.Key:
			best = b
		}
	}
	return best
}

func without(all, gone []cluster.Backup) []cluster.Backup {
	keys := map[string]bool{}
	for _, b := range gone {
		keys[b.Key] = true
	}
	return slices.DeleteFunc(slices.Clone(all), func(b cluster.Backup) bool { return keys[b.Key] })
}

func keysOf(all []cluster.Backup) string {
	keys := make([]string, len(all))
	for i, b := range all {
		keys[i] = b.Key
	}
	return strings.Join(keys, " ")
}
