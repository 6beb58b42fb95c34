package firewall

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/quorate/quorate/internal/cluster"
)

func peer(name, region, host string, state cluster.PeerState) cluster.Peer {
	return cluster.Peer{ID: "i-" + name, Name: name, Host: host, Region: region, State: state, ClientPort: 2379, PeerPort: 2380, AgentPort: 2378}
}

func text(rules []Rule) string {
	var out []string
	for _, r := range rules {
		out = append(out, r.Description+" "+sources([]Rule{r})[0])
	}
	return strings.Join(out, "; ")
}

func TestWanted(t *testing.T) {
	away := func(host string, state cluster.PeerState) cluster.Peer { return peer("b", "west", host, state) }
	for name, c := range map[string]struct {
		peer cluster.Peer
		kind Addresses
		want string
	}{
		"a machine elsewhere":       {away("3.120.0.1", cluster.Running), Public, "quorate:alpha:i-b 3.120.0.1/32:2378-2380"},
		"one that comes":            {away("3.120.0.1", cluster.Pending), Public, "quorate:alpha:i-b 3.120.0.1/32:2378-2380"},
		"one that goes still talks": {away("3.120.0.1", cluster.Terminating), Public, "quorate:alpha:i-b 3.120.0.1/32:2378-2380"},
		"one that is gone":          {away("3.120.0.1", cluster.Terminated), Public, ""},
		"a neighbour, in public":    {peer("b", "here", "3.120.0.1", cluster.Running), Public, "quorate:alpha:i-b 3.120.0.1/32:2378-2380"},
		"a neighbour, in private":   {peer("b", "here", "10.0.0.1", cluster.Running), Private, ""},
		"nobody knows where":        {peer("b", "", "3.120.0.1", cluster.Running), Public, ""},
		"IPv6":                      {away("2a05:d014::1", cluster.Running), Public, "quorate:alpha:i-b 2a05:d014::1/128:2378-2380"},
		"IPv4 in IPv6":              {away("::ffff:3.120.0.1", cluster.Running), Public, "quorate:alpha:i-b 3.120.0.1/32:2378-2380"},
		"no address yet":            {away("", cluster.Running), Public, ""},
		"None":                      {away("None", cluster.Running), Public, ""},
		"a name":                    {away("b.example.com", cluster.Running), Public, ""},
		"a range":                   {away("0.0.0.0/0", cluster.Running), Public, ""},
		"all":                       {away("0.0.0.0", cluster.Running), Public, ""},
		"all of IPv6":               {away("::", cluster.Running), Public, ""},
		"loopback":                  {away("127.0.0.1", cluster.Running), Public, ""},
		"link-local":                {away("169.254.169.254", cluster.Running), Public, ""},
		"with a zone":               {away("fe80::1%eth0", cluster.Running), Public, ""},
		"multicast":                 {away("224.0.0.1", cluster.Running), Public, ""},
		"carrier's":                 {away("100.64.0.1", cluster.Running), Public, ""},
		"for documents":             {away("203.0.113.9", cluster.Running), Public, ""},
		"private by mistake":        {away("10.0.0.1", cluster.Running), Public, ""},
		"unique local by mistake":   {away("fd00::1", cluster.Running), Public, ""},
		"peered":                    {away("10.0.0.1", cluster.Running), Private, "quorate:alpha:i-b 10.0.0.1/32:2378-2380"},
		"public though peered":      {away("3.120.0.1", cluster.Running), Private, ""},
		"loopback though peered":    {away("127.0.0.1", cluster.Running), Private, ""},
	} {
		v := cluster.View{Peers: []cluster.Peer{c.peer}}
		if got := text(Wanted(v, "alpha", "here", c.kind)); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestSpans(t *testing.T) {
	for _, c := range []struct {
		ports []int
		want  [][2]int
	}{
		{[]int{2378, 2379, 2380}, [][2]int{{2378, 2380}}},
		{[]int{2380, 2378, 2380}, [][2]int{{2378, 2378}, {2380, 2380}}},
		{[]int{9000, 2380, 2379}, [][2]int{{2379, 2380}, {9000, 9000}}},
		{[]int{0, 65536, -1}, nil},
	} {
		if got := spans(c.ports...); !slices.Equal(got, c.want) {
			t.Errorf("%v: %v, want %v", c.ports, got, c.want)
		}
	}
}

func rule(source, description string) Rule {
	return Rule{netip.MustParsePrefix(source), 2378, 2380, description}
}

func TestDiff(t *testing.T) {
	b, c := rule("3.120.0.1/32", "quorate:alpha:i-b"), rule("3.120.0.2/32", "quorate:alpha:i-c")
	for name, d := range map[string]struct {
		wanted, found []Rule
		add, remove   string
	}{
		"nothing yet":              {[]Rule{b}, nil, text([]Rule{b}), ""},
		"all is there":             {[]Rule{b, c}, []Rule{c, b}, "", ""},
		"one is stale":             {[]Rule{b}, []Rule{b, c}, "", text([]Rule{c})},
		"two peers, one address":   {[]Rule{b, rule("3.120.0.1/32", "quorate:alpha:i-d")}, nil, text([]Rule{b}), ""},
		"an address passed on":     {[]Rule{rule("3.120.0.1/32", "quorate:alpha:i-d")}, []Rule{b}, "", ""},
		"somebody else's is there": {[]Rule{b}, []Rule{rule("3.120.0.1/32", "by hand")}, "", ""},
		"somebody else's stays":    {nil, []Rule{rule("9.9.9.9/32", "by hand"), rule("9.9.9.8/32", ""), rule("0.0.0.0/0", "quorate")}, "", ""},
		"another cluster's stays":  {nil, []Rule{rule("9.9.9.9/32", "quorate:beta:i-b"), rule("9.9.9.8/32", "quorate:alpha:b:i-c"), rule("9.9.9.7/32", "quorate:alpha:")}, "", ""},
		"ours for all must go":     {nil, []Rule{rule("0.0.0.0/0", "quorate:alpha:i-b")}, "", "quorate:alpha:i-b 0.0.0.0/0:2378-2380"},
		"other ports":              {[]Rule{b}, []Rule{{b.Source, 2379, 2380, b.Description}}, text([]Rule{b}), "quorate:alpha:i-b 3.120.0.1/32:2379-2380"},
	} {
		add, remove := Diff("alpha", d.wanted, d.found)
		if text(add) != d.add || text(remove) != d.remove {
			t.Errorf("%s: add %q, want %q; remove %q, want %q", name, text(add), d.add, text(remove), d.remove)
		}
	}
}

// Whatever the view and the group: after one round nothing is left to do, no
// rule of others is gone, and what was opened is one good address each.
func TestDiffSettles(t *testing.T) {
	hosts := []string{"3.120.0.1", "3.120.0.2", "None", "", "0.0.0.0", "10.1.2.3", "2a05:d014::1", "x.example"}
	words := []string{"quorate:alpha:i-1", "quorate:alpha:i-2", "quorate:beta:i-1", "by hand", "quorate:alpha:"}
	rapid.Check(t, func(t *rapid.T) {
		var v cluster.View
		for i := range rapid.IntRange(0, 6).Draw(t, "peers") {
			p := peer(string(rune('a'+i)), rapid.SampledFrom([]string{"here", "west", ""}).Draw(t, "region"), rapid.SampledFrom(hosts).Draw(t, "host"),
				rapid.SampledFrom([]cluster.PeerState{cluster.Pending, cluster.Running, cluster.Terminating, cluster.Terminated}).Draw(t, "state"))
			p.PeerPort = rapid.SampledFrom([]int{2380, 7000}).Draw(t, "port")
			v.Peers = append(v.Peers, p)
		}
		found := map[opens]Rule{}
		for range rapid.IntRange(0, 6).Draw(t, "rules") {
			r := rule(rapid.SampledFrom([]string{"3.120.0.1/32", "3.120.0.2/32", "0.0.0.0/0", "9.0.0.0/8"}).Draw(t, "source"), rapid.SampledFrom(words).Draw(t, "word"))
			found[r.opens()] = r
		}
		all := func() (rules []Rule) {
			for _, r := range found {
				rules = append(rules, r)
			}
			return rules
		}
		wanted := Wanted(v, "alpha", "here", Public)
		add, remove := Diff("alpha", wanted, all())
		for _, r := range remove {
			if !strings.HasPrefix(r.Description, "quorate:alpha:i-") {
				t.Fatalf("removes %v, which is not ours", r)
			}
			delete(found, r.opens())
		}
		for _, r := range add {
			if _, there := found[r.opens()]; there || !r.Source.IsSingleIP() || r.Source.Addr().IsPrivate() || r.Source.Addr().IsUnspecified() {
				t.Fatalf("adds %v to %v", r, found)
			}
			found[r.opens()] = r
		}
		if add, remove := Diff("alpha", wanted, all()); len(add)+len(remove) > 0 {
			t.Fatalf("is not settled: add %v, remove %v", add, remove)
		}
		for _, w := range wanted {
			if _, there := found[w.opens()]; !there {
				t.Fatalf("%v is not open", w)
			}
		}
	})
}

func TestTurn(t *testing.T) {
	at := func(p cluster.Peer, minute int) cluster.Peer {
		p.Launched = time.Unix(int64(60*minute), 0)
		return p
	}
	v := cluster.View{Peers: []cluster.Peer{
		at(peer("dying", "here", "3.0.0.1", cluster.Terminating), 1), at(peer("old", "here", "3.0.0.2", cluster.Pending), 2),
		at(peer("young", "here", "3.0.0.3", cluster.Running), 3), at(peer("far", "west", "3.0.0.4", cluster.Running), 0),
		at(peer("lost", "", "3.0.0.5", cluster.Running), 0),
	}}
	for _, c := range []struct {
		self   string
		round  int
		region string
		turn   bool
	}{
		{"old", 0, "here", true}, {"old", 1, "here", true}, {"young", 0, "here", true}, {"young", 1, "here", false}, {"far", 1, "west", true}, {"dying", 0, "", false}, {"lost", 0, "", false},
		{"stranger", 0, "", false}, {"young", deputyEvery, "here", true}, {"dying", deputyEvery, "", false}, {"young", deputyEvery + 1, "here", false},
	} {
		if region, turn := Turn(v, c.self, c.round); region != c.region || turn != c.turn {
			t.Errorf("%s in round %d: %q %t, want %q %t", c.self, c.round, region, turn, c.region, c.turn)
		}
	}
}

func TestParse(t *testing.T) {
	for raw, want := range map[string]Which{"sg-12": {ID: "sg-12"}, "quorate:firewall=alpha": {Key: "quorate:firewall", Value: "alpha"}, "k=a=b": {Key: "k", Value: "a=b"}} {
		if got, err := Parse(raw); got != want || err != nil {
			t.Errorf("%s: %+v, %v", raw, got, err)
		}
	}
	for _, raw := range []string{"", "sg-", "auto", "=v", "k=", "vpc-1"} {
		if got, err := Parse(raw); err == nil || !strings.Contains(err.Error(), "sg-…") {
			t.Errorf("%q: %+v, %v", raw, got, err)
		}
	}
}
