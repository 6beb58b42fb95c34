package firewall

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"github.com/quorate/quorate/internal/cluster"
)

// Rule lets one address range in, by TCP, on the ports From to To.
type Rule struct {
	Source      netip.Prefix
	From, To    int
	Description string
}

// opens is what a rule does: EC2 takes two that open the same for duplicates,
// whatever their descriptions.
type opens struct {
	source   netip.Prefix
	from, to int
}

func (r Rule) opens() opens { return opens{r.Source, r.From, r.To} }

// owner is how the descriptions of a cluster's rules begin.
func owner(clusterName string) string { return "quorate:" + clusterName + ":" }

// owned says that the rule is that cluster's. A cluster named a does not own
// the rules of one named a:b.
func (r Rule) owned(clusterName string) bool {
	peer, ours := strings.CutPrefix(r.Description, owner(clusterName))
	return ours && peer != "" && !strings.Contains(peer, ":")
}

// Addresses is the kind by which machines of different regions reach each
// other.
type Addresses int

// The kinds. The zero value opens nothing to a private address.
const (
	Public  Addresses = iota
	Private           // by peered networks
)

// Wanted are the rules for the peers, as region needs them: of those that
// live, and of those that go and still talk. A peer without an address of the
// right kind has none.
//
// Where the addresses are public, neighbours have rules too: what comes to a
// public address comes from one, and a rule that names the group itself lets
// in private addresses alone.
func Wanted(v cluster.View, clusterName, region string, kind Addresses) []Rule {
	var rules []Rule
	for _, p := range v.Peers {
		addr, good := kind.read(p.Host)
		neighbour := p.Region == region && kind == Private
		if !good || p.Region == "" || neighbour || !(p.Alive() || p.State == cluster.Terminating) {
			continue
		}
		id := cmp.Or(p.ID, p.Name)
		for _, ports := range spans(p.AgentPort, p.ClientPort, p.PeerPort) {
			rules = append(rules, Rule{Source: netip.PrefixFrom(addr, addr.BitLen()), From: ports[0], To: ports[1],
				Description: owner(clusterName) + strings.ReplaceAll(id, ":", "-")})
		}
	}
	return rules
}

// spans are the ports in as few ranges as they fit in: EC2 counts rules.
func spans(ports ...int) [][2]int {
	slices.Sort(ports)
	var out [][2]int
	for _, p := range slices.Compact(ports) {
		switch last := len(out) - 1; {
		case p < 1 || p > 65535:
		case last >= 0 && out[last][1] == p-1:
			out[last][1] = p
		default:
			out = append(out, [2]int{p, p})
		}
	}
	return out
}

// reserved are the addresses that look public and are no machine's.
var reserved = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("198.51.100.0/24"),
	netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("64:ff9b::/96"), netip.MustParsePrefix("2001:db8::/32"), netip.MustParsePrefix("2002::/16"),
}

// read is the address in a peer's host, when it is one of this kind. A name is
// none: what it resolves to may change after the rule was made.
func (k Addresses) read(host string) (netip.Addr, bool) {
	addr, err := netip.ParseAddr(host)
	if err != nil || addr.Zone() != "" {
		return netip.Addr{}, false
	}
	addr = addr.Unmap()
	odd := slices.ContainsFunc(reserved, func(p netip.Prefix) bool { return p.Contains(addr) })
	return addr, addr.IsGlobalUnicast() && !odd && addr.IsPrivate() == (k == Private)
}

// Diff is what leads from the rules that a group has to those wanted. It opens
// nothing twice, and removes only what the cluster owns.
func Diff(clusterName string, wanted, found []Rule) (add, remove []Rule) {
	want, have := map[opens]bool{}, map[opens]bool{}
	for _, f := range found {
		have[f.opens()] = true
	}
	for _, w := range wanted {
		want[w.opens()] = true
		if !have[w.opens()] {
			have[w.opens()] = true
			add = append(add, w)
		}
	}
	for _, f := range found {
		if f.owned(clusterName) && !want[f.opens()] {
			remove = append(remove, f)
		}
	}
	return add, remove
}
