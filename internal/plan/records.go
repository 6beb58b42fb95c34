package plan

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/quorate/quorate/internal/cluster"
)

// The naming styles: etcd's own discovery, and those that stups had in its
// source and in its README.
const (
	StyleEtcd        = "etcd"
	StyleStups       = "stups"
	StyleStupsReadme = "stups-readme"
)

// Naming says which DNS names a cluster has.
type Naming struct {
	Style   string        `json:"style"`
	Zone    string        `json:"zone"`
	Prefix  string        `json:"prefix,omitempty"`  // labels before the zone; for stups the cluster's name when empty
	Service string        `json:"service,omitempty"` // etcd's --discovery-srv-name
	TTL     time.Duration `json:"ttl"`
}

// Domain is the name that all of the cluster's names are at or below: what
// --discovery-srv takes.
func (n Naming) Domain(clusterName string) string {
	prefix := n.Prefix
	if prefix == "" && n.Style != StyleEtcd {
		prefix = clusterName
	}
	return strings.ToLower(strings.Trim(prefix+"."+n.Zone, "."))
}

// Publication is what the zone should show.
type Publication struct {
	// Leave says why nothing in the zone is to change; else it is empty.
	Leave   string           `json:"leave,omitempty"`
	Records []cluster.Record `json:"records,omitempty"` // sorted, none twice
	// Tolerated records stay where they are and are not added where they are
	// not: those of members whose health is in doubt for a moment.
	Tolerated []cluster.Record `json:"tolerated,omitempty"`
}

// healthDoubt is how long an unhealthy member's records stay as they are. A
// new keeper has not looked at the members yet, and a pause of a second is not
// worth a change that resolvers keep for a TTL.
const healthDoubt = 10 * time.Second

// Records says what the zone should show: the healthy voters that stay. What
// is in doubt is left as it is; so is everything while there is no quorum, for
// clients that find nothing cannot even wait.
func Records(o Observation, n Naming) Publication {
	h := survey(o)
	leave := func(why string) Publication { return Publication{Leave: why} }
	switch {
	case !o.IsKeeper():
		return leave("this node's etcd does not lead")
	case !inForce(o):
		return leave("the etcd that runs here is not of the charter in force")
	case !o.Ledger.Ready.Known():
		return leave("the epoch is not known to be ready")
	case h.healthy < cluster.Quorum(len(h.voters)):
		return leave("no quorum of the voters is seen to be healthy")
	}
	var in, doubtful []standing
	for _, s := range h.voters {
		switch {
		case !s.Started() || s.goes(o, h):
		case s.healthy:
			in = append(in, s)
		case o.Now.Sub(s.probe.UnhealthySince) < healthDoubt:
			doubtful = append(doubtful, s)
		}
	}
	if len(in) == 0 {
		return leave("no healthy voter stays")
	}
	domain := n.Domain(o.Settings.Cluster)
	return Publication{Records: n.records(domain, in), Tolerated: n.records(domain, doubtful)}
}

// goes says that the keeper is about to remove the voter.
func (s standing) goes(o Observation, h house) bool {
	extra, _ := surplus(o, h)
	resting := o.Ledger.Lock.Value().Held(o.Now)
	return s.leaving || s.leavesSoon || s.gone || !resting && (extra.ID == s.ID || slices.Contains(o.integrity(h).odd, s.ID))
}

// records are those of the members: for each an address and its SRV records,
// and the addresses of all below one name.
func (n Naming) records(domain string, members []standing) []cluster.Record {
	names := n.names()
	var out []cluster.Record
	add := func(prefix, kind, data string) {
		out = append(out, cluster.Record{Name: strings.Trim(prefix+"."+domain, "."), Type: kind, Data: data, TTL: n.TTL})
	}
	for _, m := range members {
		for _, peer := range split(m.PeerURLs) {
			target := strings.ToLower(peer.host)
			if ip, err := netip.ParseAddr(peer.host); err == nil {
				label := memberLabel(m.Member, names)
				target = label + "." + domain
				add(label, addressType(ip), ip.String())
				add(names.all, addressType(ip), ip.String())
			}
			add(names.server(peer.tls), "SRV", names.weight+" "+peer.port+" "+target+".")
			for _, client := range split(m.ClientURLs) {
				add(names.client(client.tls), "SRV", names.weight+" "+client.port+" "+target+".")
			}
		}
	}
	slices.SortFunc(out, compareRecords)
	return slices.Compact(out)
}

func compareRecords(a, b cluster.Record) int {
	return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Type, b.Type), cmp.Compare(a.Data, b.Data))
}

func addressType(ip netip.Addr) string {
	if ip.Is4() {
		return "A"
	}
	return "AAAA"
}

// endpoint is a URL taken apart.
type endpoint struct {
	host, port string
	tls        bool
}

// split takes the first of the URLs apart; it is empty when there is none.
func split(urls []string) []endpoint {
	for _, raw := range urls {
		scheme, address, _ := strings.Cut(raw, "://")
		if i := strings.LastIndexByte(address, ':'); i > 0 {
			return []endpoint{{host: strings.Trim(address[:i], "[]"), port: address[i+1:], tls: scheme == "https"}}
		}
	}
	return nil
}
