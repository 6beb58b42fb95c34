package plan

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/cluster"
)

// addressed puts the members on 10.0.0.1, .2, … by their letters.
func addressed(o *Observation) {
	swap := func(u string) string {
		e := split([]string{u})[0]
		scheme, _, _ := strings.Cut(u, "://")
		return fmt.Sprintf("%s://10.0.0.%d:%s", scheme, e.host[0]-'a'+1, e.port)
	}
	members := slices.Clone(o.Members.Value())
	for i, m := range members {
		members[i].PeerURLs = []string{swap(m.PeerURLs[0])}
		if len(m.ClientURLs) > 0 {
			members[i].ClientURLs = []string{swap(m.ClientURLs[0])}
		}
	}
	o.Members = cluster.Known(members)
	v := o.View.Value()
	v.Peers = slices.Clone(v.Peers)
	for i, p := range v.Peers {
		v.Peers[i].Host = fmt.Sprintf("10.0.0.%d", p.Name[0]-'a'+1)
	}
	o.View = cluster.Known(v)
}

func asked(ago, confirmed time.Duration, names ...string) opt {
	return func(o *Observation) {
		o.Publishing = Publishing{TTL: time.Minute, Withdrawals: map[cluster.MemberID]Withdrawal{}}
		for _, n := range names {
			w := Withdrawal{Asked: o.Now.Add(-ago)}
			if confirmed >= 0 {
				w.Confirmed = o.Now.Add(-confirmed)
			}
			o.Publishing.Withdrawals[id(n)] = w
		}
	}
}

// publishing, and nobody is known to go yet.
func publishing(o *Observation) { asked(0, -1)(o) }

func etcdNames() Naming { return Naming{Style: StyleEtcd, Zone: "example.org", TTL: time.Minute} }

// askWho prints whose records are wanted, and in brackets whose are in doubt.
func askWho(o Observation) string {
	addressed(&o)
	p := Records(o, etcdNames())
	if p.Leave != "" {
		return "leave: " + p.Leave
	}
	who := func(records []cluster.Record) (names []string) {
		for _, r := range records {
			if label, ok := strings.CutSuffix(r.Name, ".example.org"); ok && r.Type == "A" && label != "etcd" {
				names = append(names, label)
			}
		}
		return names
	}
	s := strings.Join(who(p.Records), " ")
	if doubt := who(p.Tolerated); len(doubt) > 0 {
		s += " [" + strings.Join(doubt, " ") + "]"
	}
	return s
}

func TestWhoIsPublished(t *testing.T) { checkAs(t, whoRows(), askWho) }

func whoRows() map[string]row {
	leavingB := says("b", func(r *cluster.Report) { r.Leaving = true })
	return map[string]row{
		"all well":                         {house3(), "a b c"},
		"nothing known":                    {Observation{}, "leave: this node's etcd does not lead"},
		"a follower":                       {see(data(1), following), "leave: this node's etcd does not lead"},
		"another cluster's data":           {house3(disk(func(d *cluster.Disk) { d.Stamp.Cluster = "x" })), "leave: this node's etcd does not lead"},
		"before the ready mark":            {house3(ledger(func(l *Ledger) { l.Ready = cluster.Absent[cluster.ReadyMark]() })), "leave: the epoch is not known to be ready"},
		"the ready mark is unread":         {house3(ledger(func(l *Ledger) { l.Ready = cluster.Unknown[cluster.ReadyMark]() })), "leave: the epoch is not known to be ready"},
		"not of the charter in force":      {house3(refounded), "leave: the etcd that runs here is not of the charter in force"},
		"one is down for long":             {house3(down("c", time.Hour)), "a b"},
		"one is down since a moment":       {house3(down("c", 9*time.Second)), "a b [c]"},
		"down for ten seconds":             {house3(down("c", 10*time.Second)), "a b"},
		"a total outage withdraws nothing": {house3(down("b", time.Hour), down("c", time.Hour)), "leave: no quorum of the voters is seen to be healthy"},
		"a learner is not published":       {see(keeping(of(voters("a", "b"), learner("c"))...)), "a b"},
		"an unstarted voter":               {see(keeping(of(voters("a", "b"), unstarted(voter("c")))...)), "a b"},
		"one leaves":                       {house3(leavingB), "a c"},
		"one is being terminated":          {house3(state("b", cluster.Terminating)), "a c"},
		"one is gone from the source":      {house3(peers("a", "b")), "a b"},
		"more than a minority is gone":     {house3(peers("a")), "a b c"},
		"the source is silent":             {house3(sourceDown), "a b c"},
		"down, and it leaves":              {house3(leavingB, probe("b", func(o *Observation, p *Probe) { p.Healthy, p.UnhealthySince = false, o.Now })), "a c"},
		"down, and it is terminated":       {house3(down("b", 0), state("b", cluster.Terminating)), "a c"},
		"down, and it is gone":             {house3(down("b", 0), peers("a", "c")), "a c"},
		"the leader itself leaves":         {house3(leaving), "b c"},
		"the last one leaves":              {see(keeping(voters("a")...), leaving), "leave: no healthy voter stays"},
		"one more than wanted":             {house3(size(2)), "a b"},
		"one more than wanted, paused":     {house3(size(2), paused), "a b c"},
		"a pause hides no leaver":          {house3(paused, leavingB), "a c"},
	}
}

func askGone(o Observation) string { return fmt.Sprint(Goers(o), " ", Decide(o)) }

func TestWithdrawnBeforeRemoved(t *testing.T) { checkAs(t, withdrawRows(), askGone) }

func withdrawRows() map[string]row {
	leavingB := says("b", func(r *cluster.Report) { r.Leaving = true })
	const still = "[b] keep: a voter goes once its DNS records have been withdrawn for their TTL (b)"
	const gone = "[b] keep: a voter leaves: RemoveMember{b}"
	unwell := func(ago time.Duration) opt {
		return probe("b", func(o *Observation, p *Probe) { p.Healthy, p.UnhealthySince = false, o.Now.Add(-ago) })
	}
	return map[string]row{
		"no DNS":                            {house3(leavingB), gone},
		"not yet asked":                     {house3(leavingB, publishing), still},
		"asked":                             {house3(leavingB, asked(time.Second, -1, "b")), still},
		"confirmed":                         {house3(leavingB, asked(time.Minute, 59*time.Second, "b")), still},
		"confirmed a TTL ago":               {house3(leavingB, asked(time.Minute, time.Minute, "b")), gone},
		"DNS fails, for 2 TTL and a bit":    {house3(leavingB, asked(149*time.Second, -1, "b")), still},
		"DNS fails, and removal goes on":    {house3(leavingB, asked(150*time.Second, -1, "b")), gone},
		"another's withdrawal":              {house3(leavingB, asked(time.Hour, time.Hour, "c")), still},
		"a dead voter waits for no records": {house3(peers("a", "b"), down("c", 0), publishing), "[] keep: a voter's machine is gone: RemoveMember{c}"},
		"one too many":                      {house3(size(2), publishing), "[c] keep: a voter goes once its DNS records have been withdrawn for their TTL (c)"},
		"one too many, withdrawn":           {house3(size(2), asked(time.Hour, time.Minute, "c")), "[c] keep: more voters than wanted (3 of 2): RemoveMember{c}"},
		"one too many, and dead":            {house3(size(2), down("b", healthDoubt), publishing), "[] keep: more voters than wanted (3 of 2): RemoveMember{b}"},
		"one too many, silent a moment":     {house3(size(2), down("b", healthDoubt-1), publishing), still},
		"it leaves, silent a moment":        {house3(leavingB, unwell(healthDoubt-1), publishing), still},
		"it leaves, silent for long":        {house3(leavingB, unwell(healthDoubt), publishing), strings.Replace(gone, "[b]", "[]", 1)},
		"it leaves, well again":             {house3(leavingB, probe("b", func(o *Observation, p *Probe) { p.UnhealthySince = o.Now.Add(-time.Hour) }), publishing), still},
		"it leaves, the keeper is new":      {house3(leavingB, probe("b", func(_ *Observation, p *Probe) { *p = Probe{} }), publishing), still},
		"a follower knows of nobody":        {see(data(1), following), "[] serve: voter: following the leader"},
		"a follower withdraws nobody":       {house3(following, leaving), "[] serve: voter: following the leader"},
		"while it goes, the house is kept":  {house3(leavingB, publishing, snapshot("k", time.Hour)), "[b] keep: a backup is due (by c): TakeBackup{c}"},
	}
}

func secure(o *Observation) {
	members := slices.Clone(o.Members.Value())
	for i := range members {
		members[i].PeerURLs = []string{strings.Replace(members[i].PeerURLs[0], "http:", "https:", 1)}
		members[i].ClientURLs = []string{strings.Replace(members[i].ClientURLs[0], "http:", "https:", 1)}
	}
	o.Members = cluster.Known(members)
}

func renamed(from, to string) opt {
	return func(o *Observation) {
		members := slices.Clone(o.Members.Value())
		for i := range members {
			if members[i].Name == from {
				members[i].Name = to
			}
		}
		o.Members = cluster.Known(members)
	}
}

func askRecords(n Naming) func(Observation) string {
	return func(o Observation) string {
		var b strings.Builder
		for _, r := range Records(o, n).Records {
			fmt.Fprintf(&b, "%s %d %s %s\n", r.Name, int(r.TTL.Seconds()), r.Type, r.Data)
		}
		return b.String()
	}
}

func TestNames(t *testing.T) {
	for _, table := range nameTables() {
		checkAs(t, table.rows, table.ask)
	}
}

func nameTables() []table {
	alone := func(opts ...opt) Observation {
		return see(append([]opt{keeping(voters("a")...), addressed}, opts...)...)
	}
	stups := Naming{Style: StyleStups, Zone: "example.org", TTL: time.Minute}
	readme := Naming{Style: StyleStupsReadme, Zone: "example.org", Prefix: "v1", TTL: time.Minute}
	secured := Naming{Style: StyleEtcd, Zone: "Example.org", Prefix: "Prod.eu", Service: "main", TTL: time.Second}
	long := strings.Repeat("x", 63)
	return []table{
		{map[string]row{
			"etcd": {see(keeping(voters("a", "b")...), addressed), `_etcd-client._tcp.example.org 60 SRV 0 0 2379 a.example.org.
_etcd-client._tcp.example.org 60 SRV 0 0 2379 b.example.org.
_etcd-server._tcp.example.org 60 SRV 0 0 2380 a.example.org.
_etcd-server._tcp.example.org 60 SRV 0 0 2380 b.example.org.
a.example.org 60 A 10.0.0.1
b.example.org 60 A 10.0.0.2
etcd.example.org 60 A 10.0.0.1
etcd.example.org 60 A 10.0.0.2
`},
			"a host with a name of its own: an SRV target is no alias": {see(keeping(voters("a")...)), `_etcd-client._tcp.example.org 60 SRV 0 0 2379 a.
_etcd-server._tcp.example.org 60 SRV 0 0 2380 a.
`},
			"IPv6, and a URL that says no port": {see(keeping(cluster.Member{ID: id("a"), Name: "a", PeerURLs: []string{"http://x", "http://[fd00::1]:12380"}})),
				`_etcd-server._tcp.example.org 60 SRV 0 0 12380 a.example.org.
a.example.org 60 AAAA fd00::1
etcd.example.org 60 AAAA fd00::1
`},
		}, askRecords(etcdNames())},
		{map[string]row{"TLS, a prefix and a service": {alone(secure), `_etcd-client-ssl-main._tcp.prod.eu.example.org 1 SRV 0 0 2379 a.prod.eu.example.org.
_etcd-server-ssl-main._tcp.prod.eu.example.org 1 SRV 0 0 2380 a.prod.eu.example.org.
a.prod.eu.example.org 1 A 10.0.0.1
etcd.prod.eu.example.org 1 A 10.0.0.1
`}}, askRecords(secured)},
		{map[string]row{"stups's source": {alone(), `_etcd-client._tcp.test.example.org 60 SRV 1 1 2379 a.test.example.org.
_etcd-server._tcp.test.example.org 60 SRV 1 1 2380 a.test.example.org.
a.test.example.org 60 A 10.0.0.1
etcd-server.test.example.org 60 A 10.0.0.1
`}}, askRecords(stups)},
		{map[string]row{"stups's README": {alone(secure), `_etcd-server._tcp.v1.example.org 60 SRV 1 1 2380 a.v1.example.org.
_etcd._tcp.v1.example.org 60 SRV 1 1 2379 a.v1.example.org.
a.v1.example.org 60 A 10.0.0.1
v1.example.org 60 A 10.0.0.1
`}}, askRecords(readme)}, // TRAPS 17
		{map[string]row{
			"a name that DNS takes":     {alone(renamed("a", "IP-10.eu-1")), "ip-10.eu-1"},
			"an underscore":             {alone(renamed("a", "node_1")), "member-a"},
			"two dots":                  {alone(renamed("a", "a..b")), "member-a"},
			"a dash in front":           {alone(renamed("a", "a.-b")), "member-a"},
			"a dash at the end":         {alone(renamed("a", "a-")), "member-a"},
			"a long label":              {alone(renamed("a", long)), long},
			"too long a label":          {alone(renamed("a", long+"x")), "member-a"},
			"too long a name":           {alone(renamed("a", long+"."+long+".x")), "member-a"},
			"the name of all addresses": {alone(renamed("a", "ETCD")), "member-a"},
		}, askLabel},
	}
}

func askLabel(o Observation) string {
	for _, r := range Records(o, etcdNames()).Records {
		if label, _ := strings.CutSuffix(r.Name, ".example.org"); r.Type == "A" && label != "etcd" {
			return label
		}
	}
	return ""
}

// recordTables are this file's part of the specification.
func recordTables() []table {
	return append(nameTables(), table{whoRows(), askWho}, table{withdrawRows(), askGone})
}
