package plan

import (
	"testing"
	"time"

	"github.com/quorate/quorate/internal/cluster"
)

func TestSpace(t *testing.T) { check(t, spaceRows()) }

func TestDefragStale(t *testing.T) { checkAs(t, defragRows(), askDefrag) }

func askDefrag(o Observation) string {
	if DefragStale(o) {
		return StaleDefrag
	}
	return ""
}

const mega = 1 << 20

// db has a member's database be that large, with so much in use, in megabytes,
// of a quota of 1,000.
func db(name string, size, inUse int64) opt {
	set := func(e *cluster.EtcdState) { e.DBSize, e.DBInUse, e.Quota = size*mega, inUse*mega, 1000*mega }
	if name == "a" {
		return func(o *Observation) {
			e := o.Etcd.Value()
			set(&e)
			o.Etcd = cluster.Known(e)
		}
	}
	return probe(name, func(_ *Observation, p *Probe) { set(&p.State) })
}

func noSpace(name string) opt {
	return func(o *Observation) {
		e := o.Etcd.Value()
		e.Alarms = append(e.Alarms, cluster.Alarm{Member: id(name), Kind: cluster.NoSpace})
		o.Etcd = cluster.Known(e)
	}
}

// was has the cluster have come to a revision so long ago; keeps has it forget
// what is older than an hour, or so.
func was(rev int64, ago time.Duration) opt {
	return func(o *Observation) {
		o.Care.Moments = append(o.Care.Moments, Moment{o.Now.Add(-ago), rev})
	}
}
func keepsAnHour(o *Observation) { o.Settings.Care.CompactKeep = time.Hour }
func compacted(rev int64, ago time.Duration) opt {
	return func(o *Observation) { o.Care.Compacted = Moment{o.Now.Add(-ago), rev} }
}

// freed has the keeper have had these members defragmented so long ago.
func freed(ago time.Duration, names ...string) opt {
	return func(o *Observation) {
		o.Care.Freed = map[cluster.MemberID]time.Time{}
		for _, n := range names {
			o.Care.Freed[id(n)] = o.Now.Add(-ago)
		}
	}
}
func busy(o *Observation) { o.Care.Busy = "defragmenting b" }

func spaceRows() map[string]row {
	const (
		calm   = "keep: all is well (3 of 3 voters healthy)"
		hour   = time.Hour
		minute = time.Minute
		tryC   = "keep: etcd has no space: a database is defragmented (c: 990.0 MB used of 999.0 MB): Defragment{c}"
	)
	roomy := and(db("a", 100, 90), db("b", 100, 90), db("c", 899, 890))
	return map[string]row{
		"nothing is old enough":         {house3(keepsAnHour, was(5, hour-1), was(9, 0)), calm},
		"something is old":              {house3(keepsAnHour, was(3, 2*hour), was(5, hour), was(9, minute)), "keep: old revisions are forgotten (up to 5): Compact{5}"},
		"nothing is to be forgotten":    {house3(was(5, hour)), calm},
		"forgotten already":             {house3(keepsAnHour, was(5, hour), compacted(5, hour)), calm},
		"forgotten a moment ago":        {house3(keepsAnHour, was(5, hour), compacted(3, 6*minute-1)), calm},
		"forgotten six minutes ago":     {house3(keepsAnHour, was(5, hour), compacted(3, 6*minute)), "keep: old revisions are forgotten (up to 5): Compact{5}"},
		"space is being freed":          {house3(keepsAnHour, was(5, hour), busy), calm},
		"paused":                        {house3(paused, noSpace("b"), db("b", 999, 100)), "keep: housekeeping is paused (ann: upgrade)"},
		"no space: policy first":        {house3(keepsAnHour, was(5, hour), noSpace("b"), db("b", 999, 100)), "keep: etcd has no space: old revisions are forgotten (up to 5): Compact{5}"},
		"no space: being freed":         {house3(keepsAnHour, was(5, hour), busy, noSpace("b"), db("b", 999, 100)), "keep: etcd has no space, and takes no writes: it is being freed (defragmenting b)"},
		"no space: followers first":     {house3(roomy, noSpace("a"), db("a", 999, 100), db("c", 999, 100)), "keep: etcd has no space: a database is defragmented (c: 100.0 MB used of 999.0 MB): Defragment{c}"},
		"no space: the leader last":     {house3(roomy, noSpace("a"), db("a", 999, 100)), "keep: etcd has no space: a database is defragmented (a: 100.0 MB used of 999.0 MB): Defragment{a}"},
		"no space: nothing to free":     {house3(roomy, noSpace("c"), db("c", 999, 990), freed(minute, "c")), "keep: etcd has no space, and nothing more to forget: delete keys, or give it a larger quota (c uses 990.0 MB of 1000.0 MB)"},
		"no space: one full, one to do": {house3(roomy, noSpace("b"), db("b", 999, 990), db("c", 999, 100), freed(minute, "b")), "keep: etcd has no space: a database is defragmented (c: 100.0 MB used of 999.0 MB): Defragment{c}"},
		"no space: proven to be free":   {house3(roomy, noSpace("c")), "keep: etcd has space again, on every member: DisarmAlarm{NOSPACE of c}"},
		"no space: hardly any room":     {house3(roomy, noSpace("c"), db("c", 900, 899), freed(hour-1, "c")), "keep: etcd has no space, and nothing more to forget: delete keys, or give it a larger quota (c uses 899.0 MB of 1000.0 MB)"},
		"no space: one is not seen":     {house3(roomy, noSpace("c"), down("b", 0)), "keep: etcd had no space, and not every member's size is known: the alarm stays (b)"},
		// A follower that was compacted and gets no writes tells what was in use before:
		// writes were refused for ever after the keys had gone.
		"no space: not tried":            {house3(roomy, noSpace("c"), db("c", 999, 990), freed(0, "a", "b")), tryC},
		"no space: tried an hour ago":    {house3(roomy, noSpace("c"), db("c", 999, 990), freed(hour, "c")), tryC},
		"no space: compacted since":      {house3(roomy, noSpace("c"), db("c", 999, 990), freed(minute, "c"), compacted(5, minute-1)), tryC},
		"no space: freed, and more is":   {house3(roomy, noSpace("c"), db("c", 999, 100), freed(minute, "c")), "keep: etcd has no space: a database is defragmented (c: 100.0 MB used of 999.0 MB): Defragment{c}"},
		"no space: compacted before":     {house3(roomy, noSpace("c"), db("c", 999, 990), freed(minute, "c"), compacted(5, minute)), "keep: etcd has no space, and nothing more to forget: delete keys, or give it a larger quota (c uses 990.0 MB of 1000.0 MB)"},
		"no space: use is not told":      {house3(roomy, noSpace("c"), db("c", 999, 0), freed(minute, "c")), "keep: etcd has no space, and nothing more to forget: delete keys, or give it a larger quota (c uses 0.0 MB of 1000.0 MB)"},
		"no space: one does not tell":    {house3(roomy, noSpace("c"), db("b", 0, 0)), "keep: etcd had no space, and not every member's size is known: the alarm stays (b)"},
		"no space, in a corrupt cluster": {house3(roomy, noSpace("c"), alarmed(id("b"))), "keep: etcd says that data is corrupt: the members' keys are being compared (b): CompareHashes{}"},
		"a turn to defragment":           {ring("b", func(o *Observation) { o.Process.Stale.Why = StaleDefrag }), "turn: etcd restarts in its turn (its database is to be defragmented): StopEtcd{}, DefragmentData{}"},
	}
}

func defragRows() map[string]row {
	half := func(o *Observation) { o.Settings.Care.DefragBelow = 0.5 }
	see := func(size, inUse int64, opts ...opt) Observation {
		return house3(append([]opt{half, db("a", size, inUse)}, opts...)...)
	}
	return map[string]row{
		"mostly empty":                {see(100, 49), StaleDefrag},
		"half full":                   {see(100, 50), ""},
		"small":                       {see(99, 10), ""},
		"near its quota":              {see(800, 720), StaleDefrag},
		"near its quota, and full":    {see(800, 721), ""},
		"not near its quota":          {see(799, 700), ""},
		"near etcd's own quota":       {see(1639, 1000, func(o *Observation) { e := o.Etcd.Value(); e.Quota = 0; o.Etcd = cluster.Known(e) }), StaleDefrag},
		"not near etcd's own quota":   {see(1638, 1000, func(o *Observation) { e := o.Etcd.Value(); e.Quota = 0; o.Etcd = cluster.Known(e) }), ""},
		"nobody wants it":             {house3(db("a", 100, 1)), ""},
		"nobody wants it, it is full": {house3(db("a", 900, 1)), ""},
		"what is in use is not told":  {see(900, 0), ""},
		"etcd does not tell":          {see(900, 0, func(o *Observation) { o.Settings.Care.DefragBelow = 0 }), ""},
		"unhealthy":                   {see(100, 10, sick(time.Hour)), ""},
		"a learner":                   {see(100, 10, func(o *Observation) { e := o.Etcd.Value(); e.Learner = true; o.Etcd = cluster.Known(e) }), ""},
		"not ours to stop":            {see(100, 10, foreign), ""},
		"not running":                 {see(100, 10, func(o *Observation) { o.Process.Running = false }), ""},
		"done a while ago":            {see(100, 10, func(o *Observation) { o.Care.Defragged = o.Now.Add(-time.Hour + 1) }), ""},
		"done an hour ago":            {see(100, 10, func(o *Observation) { o.Care.Defragged = o.Now.Add(-time.Hour) }), StaleDefrag},
		"etcd has no space":           {see(999, 10, noSpace("b")), ""}, // the keeper frees it at once
		"a roll is open":              {see(100, 10, func(o *Observation) { o.Ledger.Roll = cluster.Known(cluster.Roll{Number: 1, State: cluster.RollOpen}) }), ""},
		"whether one is, is unknown":  {see(100, 10, func(o *Observation) { o.Ledger.Roll = cluster.Unknown[cluster.Roll]() }), ""},
		"etcd says something else":    {see(100, 10, alarmed(id("b"))), StaleDefrag},
	}
}
