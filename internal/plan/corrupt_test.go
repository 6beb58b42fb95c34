package plan

import (
	"testing"
	"time"

	"github.com/quorate/quorate/internal/cluster"
)

func TestCorrupt(t *testing.T) { check(t, corruptRows()) }

// hashes is a comparison of so long ago, in two rounds if the letters differ:
// "aab" are the hashes of a, b and c; a dot is a member that did not answer.
func hashes(ago time.Duration, rounds ...string) opt {
	return func(o *Observation) {
		c := cluster.HashCheck{At: o.Now.Add(-ago), By: "a", Alarms: o.Etcd.Value().Alarms}
		for i, letters := range rounds {
			r := cluster.HashRound{Revision: int64(7 + i), Hashes: map[cluster.MemberID]uint32{}}
			for j, l := range letters {
				if l != '.' {
					r.Hashes[id(string(rune('a'+j)))] = uint32(l)
				}
			}
			c.Rounds = append(c.Rounds, r)
		}
		o.Care.Hashes = &c
	}
}

// alarmed has etcd raise CORRUPT for a member; zero is for none.
func alarmed(m cluster.MemberID) opt {
	return func(o *Observation) {
		e := o.Etcd.Value()
		e.Alarms = append(e.Alarms, cluster.Alarm{Member: m, Kind: cluster.Corrupt})
		o.Etcd = cluster.Known(e)
	}
}

// hourly has the keeper compare the members' keys each hour.
func hourly(o *Observation) { o.Settings.Care.HashEvery = time.Hour }

func comparedAgo(ago time.Duration) opt {
	return func(o *Observation) { o.Care.HashTried = o.Now.Add(-ago) }
}

// runsEtcd has a member run that etcd.
func runsEtcd(name, version string) opt {
	return func(o *Observation) {
		if name == "a" {
			e := o.Etcd.Value()
			e.Version = version
			o.Etcd = cluster.Known(e)
			return
		}
		probe(name, func(_ *Observation, p *Probe) { p.State.Version = version })(o)
	}
}

// corruption is a keeper whose members' keys have been compared.
func corruption() space {
	member := func(n string) axis {
		return axis{n, []opt{asIs, down(n, 0), state(n, cluster.Terminating), and(down(n, 0), without1(n)), says(n, func(r *cluster.Report) { r.Leaving = true })}}
	}
	alarm := axis{"alarm", []opt{asIs, alarmed(id("c")), alarmed(id("b")), alarmed(id("x")), alarmed(0)}}
	return space{name: "corruption", base: func() Observation { return see(peers("a", "b", "c", "d"), hourly) }, axes: []axis{
		{"members", []opt{keeping(voters("a", "b", "c")...), keeping(voters("a", "b")...), keeping(voters("a")...), keeping(of(voters("a", "b", "c"), learner("d"))...), keeping(voters("a", "b", "c", "d")...)}},
		alarm,
		{"hashes", []opt{asIs, hashes(0, "aaaa"), hashes(0, "aab"), hashes(0, "aab", "aab"), hashes(0, "aba", "aab"), hashes(0, "baa", "baa"), hashes(0, "abc", "abc"), hashes(0, "ab.", "ab."), hashes(0, "aa.", "aa."),
			hashes(0, "aabb", "aabb"), hashes(0, "abcd", "aabb"), hashes(0, "abbb", "accc")}},
		alarm, // that nobody has compared for
		member("b"), member("c"),
		{"d", []opt{asIs, asks("d"), down("d", time.Hour)}},
		{"self", []opt{asIs, leaving, newCA(time.Hour), comparedAgo(0)}},
		{"lock", []opt{asIs, paused, unknownLock}},
		{"size", []opt{asIs, size(1)}},
	}}
}

func corruptRows() map[string]row {
	const (
		calm     = "keep: all is well (3 of 3 voters healthy)"
		due      = "keep: the members' keys are to be compared: CompareHashes{}"
		tears    = "refuse: " + tearing
		replaces = "keep: a member's keys differ from the majority's: it is replaced, its data kept"
		asked    = "etcd says that data is corrupt: the members' keys are being compared"
	)
	const lately = 59 * time.Second
	twoAnswer := and(hashes(lately, "aa.", "aa."), down("c", 0))
	return map[string]row{
		"never compared":                         {house3(hourly), due},
		"compared lately":                        {house3(hourly, hashes(lately, "aaa")), calm},
		"compared an hour ago":                   {house3(hourly, hashes(time.Hour, "aaa")), due},
		"compared in a year to come":             {house3(hourly, hashes(-9000*time.Hour, "aaa")), due},
		"compared by another keeper's word":      {house3(hourly, hashes(lately, "bbb")), calm},
		"tried just now":                         {house3(hourly, comparedAgo(time.Second)), calm},
		"tried a minute ago":                     {house3(hourly, comparedAgo(time.Minute)), due},
		"nobody wants it":                        {house3(), calm},
		"they agreed two minutes ago":            {house3(hourly, hashes(2*time.Minute, "aaa")), calm},
		"alone":                                  {see(size(1), peers("a"), keeping(voters("a")...), hourly), "keep: all is well (1 of 1 voters healthy)"},
		"without a quorum in sight":              {house3(hourly, down("b", 0), down("c", 0)), "keep: a voter is unhealthy, and nothing proves that it is lost (1 of 3 voters healthy)"},
		"two etcd lines":                         {house3(hourly, runsEtcd("a", "3.6.1"), runsEtcd("b", "3.6.14"), runsEtcd("c", "3.7.3")), calm},
		"two etcd lines, by the leader":          {house3(hourly, runsEtcd("a", "3.7.1"), runsEtcd("b", "3.6.14"), runsEtcd("c", "3.6.14")), calm},
		"one etcd line":                          {house3(hourly, runsEtcd("a", "3.6.1"), runsEtcd("b", "3.6.14"), runsEtcd("c", "3.6.2")), due},
		"another line, of one that is down":      {house3(hourly, runsEtcd("a", "3.6.1"), runsEtcd("b", "3.6.14"), runsEtcd("c", "3.7.3"), down("c", 0)), due},
		"paused":                                 {house3(hourly, paused), "keep: housekeeping is paused (ann: upgrade)"},
		"a backup waits for it":                  {house3(hourly, snapshot("k", time.Hour)), due},
		"silent and accused, the others differ":  {house3(alarmed(id("c")), hashes(lately, "ab."), down("c", 0)), "refuse: etcd says that a member's data is corrupt, and its keys are the others': look at it, and remove it or disarm the alarm by hand (c)"},
		"accused, and not all were compared":     {house3(alarmed(id("c")), hashes(lately, ".aa")), "keep: etcd says that data is corrupt: the members' keys are being compared (c): CompareHashes{}"},
		"one differs, long out of use":           {house3(hashes(lately, "aab", "aab"), func(o *Observation) { o.Publishing.TTL = time.Minute }, probe("c", func(o *Observation, p *Probe) { p.Healthy, p.UnhealthySince = false, o.Now.Add(-time.Hour) })), "keep: a member's keys differ from the majority's: it is replaced, its data kept (c; at revision 8: a 00000061, b 00000061, c 00000062): RemoveMember{c}"},
		"one differs once":                       {house3(hashes(lately, "aab")), calm},
		"one differs twice":                      {house3(hashes(lately, "aab", "ccd")), replaces + " (c; at revision 8: a 00000063, b 00000063, c 00000064): RemoveMember{c}"},
		"another one differs the second time":    {house3(hashes(lately, "aab", "aba")), calm},
		"a difference is looked at again soon":   {house3(hourly, hashes(time.Minute, "aab", "aba")), due},
		"paused, and one differs":                {house3(paused, hashes(lately, "aab", "aab")), "keep: housekeeping is paused (ann: upgrade)"},
		"one differs, another is down":           {house3(hashes(lately, "aab", "aab"), down("b", 0)), "keep: a member's keys differ from the majority's, but the rest would not be a quorum (c; at revision 8: a 00000061, b 00000061, c 00000062)"},
		"one differs, and is in DNS":             {house3(hashes(lately, "aab", "aab"), func(o *Observation) { o.Publishing.TTL = time.Minute }), "keep: a voter goes once its DNS records have been withdrawn for their TTL (c; at revision 8: a 00000061, b 00000061, c 00000062)"},
		"the leader differs":                     {house3(hashes(lately, "baa", "baa")), "keep: the leader's keys differ from the majority's: it hands over, to be replaced (a; at revision 8: a 00000062, b 00000061, c 00000061): TransferLeadership{b}"},
		"the leader and another differ, of five": {house5(hashes(lately, "bbaaa", "bbaaa"), probe("c", lagging)), "keep: the leader's keys differ from the majority's: it hands over, to be replaced (a; at revision 8: a 00000062, b 00000062, c 00000061, d 00000061, e 00000061): TransferLeadership{d}"},
		"the leader differs, the rest departs":   {house3(hashes(lately, "baa", "baa"), state("b", cluster.Terminating), state("c", cluster.Terminating)), "keep: the leader's keys differ from the majority's, and no other voter is fit to lead (a; at revision 8: a 00000062, b 00000061, c 00000061)"},
		"two of five differ":                     {house5(hashes(lately, "aaabc", "aaabc")), replaces + " (d; at revision 8: a 00000061, b 00000061, c 00000061, d 00000062, e 00000063): RemoveMember{d}"},
		"three differ":                           {house3(hashes(lately, "abc", "abc")), tears + " (at revision 8: a 00000061, b 00000062, c 00000063)"},
		"three differ, and nothing is replaced":  {house3(hashes(lately, "abc", "abc"), peers("a", "b"), down("c", 0)), tears + " (at revision 8: a 00000061, b 00000062, c 00000063)"},
		"three differ, paused":                   {house3(paused, hashes(lately, "abc", "abc")), tears + " (at revision 8: a 00000061, b 00000062, c 00000063)"},
		"three differ, and it is not compared":   {house3(hourly, comparedAgo(time.Second), hashes(lately, "abc", "abc")), tears + " (at revision 8: a 00000061, b 00000062, c 00000063)"},
		"three differ, and it is compared again": {house3(hourly, hashes(time.Minute, "abc", "abc")), tears + " (at revision 8: a 00000061, b 00000062, c 00000063): CompareHashes{}"},
		"two differ, the third is silent":        {house3(hashes(lately, "ab.", "ab."), down("c", 0)), tears + " (at revision 8: a 00000061, b 00000062)"},
		"two against two of five":                {house5(hashes(lately, "aabb.", "aabb."), down("e", 0)), tears + " (at revision 8: a 00000061, b 00000061, c 00000062, d 00000062)"},
		"two against one of five":                {house5(hashes(lately, "aab..", "aab..")), tears + " (at revision 8: a 00000061, b 00000061, c 00000062)"},
		"two voters differ":                      {see(size(2), peers("a", "b"), keeping(voters("a", "b")...), hashes(lately, "ab", "ab")), tears + " (at revision 8: a 00000061, b 00000062)"},
		"two of five agree, the rest is silent":  {house5(hashes(lately, "aa...", "aa...")), "keep: all is well (5 of 5 voters healthy)"},
		"the odd one has gone":                   {see(peers("a", "b"), keeping(voters("a", "b")...), hashes(lately, "aab", "aab")), "keep: fewer voters than wanted, and no machine to add (2 of 2 voters healthy)"},

		"an alarm": {house3(hashes(lately, "aaa"), alarmed(id("c"))), "keep: " + asked + " (c): CompareHashes{}"},
		"an alarm, and nothing was ever compared":     {house3(alarmed(id("c"))), "keep: " + asked + " (c): CompareHashes{}"},
		"an alarm, being compared":                    {house3(alarmed(id("c")), comparedAgo(time.Second), peers("a", "b"), down("c", 0)), "wait: " + asked + " (c)"},
		"an alarm, and one differs":                   {house3(alarmed(id("c")), hashes(lately, "aab", "aab")), replaces + " (c; at revision 8: a 00000061, b 00000061, c 00000062): RemoveMember{c}"},
		"an alarm, and another one differs":           {house3(alarmed(id("b")), hashes(lately, "aab", "aab")), replaces + " (c; at revision 8: a 00000061, b 00000061, c 00000062): RemoveMember{c}"},
		"an alarm, and all are the same":              {house3(alarmed(id("c")), hashes(lately, "aaa")), "refuse: etcd says that a member's data is corrupt, and its keys are the others': look at it, and remove it or disarm the alarm by hand (c)"},
		"an alarm, and it is down":                    {house3(alarmed(id("c")), twoAnswer), replaces + " (c; at revision 8: a 00000061, b 00000061): RemoveMember{c}"},
		"an alarm, and it is silent, compared before": {house3(twoAnswer, alarmed(id("c"))), "keep: " + asked + " (c): CompareHashes{}"},
		"an alarm, and another is down":               {house3(alarmed(id("b")), twoAnswer), "keep: " + asked + " (b): CompareHashes{}"},
		"an alarm of five, two of three left differ":  {house5(alarmed(id("e")), hashes(lately, "aab..", "aab..")), tears + " (at revision 8: a 00000061, b 00000061, c 00000062)"},
		"an alarm of five, few answer":                {house5(alarmed(id("c")), alarmed(id("d")), alarmed(id("e")), hashes(lately, "aa...", "aa...")), "refuse: etcd says that a member's data is corrupt, and its keys are the others': look at it, and remove it or disarm the alarm by hand (c)"},
		"an alarm of one that has gone":               {see(peers("a", "b", "c"), keeping(voters("a", "b")...), alarmed(id("c")), hashes(lately, "aab", "aab"), asks("c")), "keep: the member whose data was corrupt has gone, and the others agree (c): DisarmAlarm{CORRUPT of c}"},
		"an alarm of one that has gone, not compared": {see(peers("a", "b", "c"), keeping(voters("a", "b")...), hashes(lately, "aab", "aab"), alarmed(id("c")), asks("c")), "keep: " + asked + " (c): CompareHashes{}"},
		"an alarm of one that has gone, a new voter":  {see(peers("a", "b", "d"), keeping(voters("a", "b", "d")...), alarmed(id("c")), hashes(lately, "aab", "aab")), "keep: " + asked + " (c): CompareHashes{}"},
		"an alarm of nobody, all are the same":        {house3(alarmed(0), hashes(lately, "aaa")), "keep: the member whose data was corrupt has gone, and the others agree (0): DisarmAlarm{CORRUPT of 0}"},
		"an alarm of nobody, and three differ":        {house3(alarmed(0), hashes(lately, "abc", "abc")), tears + " (at revision 8: a 00000061, b 00000062, c 00000063)"},
		"another alarm": {house3(func(o *Observation) {
			e := o.Etcd.Value()
			e.Alarms = []cluster.Alarm{{Member: 0xc, Kind: "OTHER"}}
			o.Etcd = cluster.Known(e)
		}), calm},
		"an alarm while a machine is to be let go":    {house3(alarmed(id("c")), comparedAgo(time.Second), size(1)), "wait: " + asked + " (c)"},
		"three differ, and an ending machine is held": {house3(peers("a", "b", "c", "x"), cloud, ending("x"), hashes(lately, "abc", "abc")), "keep: a machine's lifecycle hook is kept from running out: HoldMachine{x}"},
	}
}
