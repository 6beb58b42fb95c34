package dns

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/peers/entry"
)

// target is one SRV record's, each host and port once.
type target struct {
	host  string // in lower case, without the last dot
	port  int
	addrs []netip.Addr // sorted; none for a stale name
}

// most is far above any group's size.
const most = 200

// answers are the records of that kind that reply has for name, aliases
// followed. errNone: the server says that there is none.
func answers(reply *dns.Msg, name string, kind uint16) ([]dns.RR, error) {
	switch {
	case len(reply.Question) != 1 || !strings.EqualFold(reply.Question[0].Name, name) || reply.Question[0].Qtype != kind:
		return nil, errors.New("an answer to another question")
	case reply.Rcode == dns.RcodeNameError:
		return nil, fmt.Errorf("%w (NXDOMAIN)", errNone)
	case reply.Rcode != dns.RcodeSuccess:
		return nil, errors.New(cmp.Or(dns.RcodeToString[reply.Rcode], "an error"))
	}
	for range 8 { // aliases
		var found []dns.RR
		next := ""
		for _, rr := range reply.Answer {
			if !strings.EqualFold(rr.Header().Name, name) {
				continue
			}
			if rr.Header().Rrtype == kind {
				found = append(found, rr)
			}
			if alias, ok := rr.(*dns.CNAME); ok {
				next = alias.Target
			}
		}
		switch {
		case len(found) > 0:
			return found, nil
		case next == "" && (len(reply.Answer) > 0 || reply.Authoritative || reply.RecursionAvailable):
			return nil, errNone
		case next == "":
			return nil, errors.New("ask others") // a referral
		}
		name = next
	}
	return nil, errors.New("aliases that do not end")
}

// srv are the targets of a set; errNone when there is none.
func (r *resolver) srv(ctx context.Context, service string) ([]target, error) {
	records, err := r.lookup(ctx, service, dns.TypeSRV)
	if err != nil {
		return nil, err
	}
	targets, err := targetsOf(records)
	return targets, wrap("SRV "+strings.TrimSuffix(service, "."), err)
}

// targetsOf reads a set. Weights and priorities do not count: all are members.
func targetsOf(records []dns.RR) ([]target, error) {
	var out []target
	for _, rr := range records {
		srv, ok := rr.(*dns.SRV)
		if !ok || srv.Target == "." { // RFC 2782: decidedly not available
			continue
		}
		host, err := entry.Host(strings.ToLower(strings.TrimSuffix(srv.Target, ".")))
		switch {
		case err != nil:
			return nil, err
		case srv.Port == 0:
			return nil, fmt.Errorf("%s has port 0", host)
		}
		t := target{host: host, port: int(srv.Port)}
		if !slices.ContainsFunc(out, func(o target) bool { return o.host == t.host && o.port == t.port }) {
			out = append(out, t)
		}
	}
	switch {
	case len(out) == 0:
		return nil, errNone
	case len(out) > most:
		return nil, fmt.Errorf("%d targets: want %d at most", len(out), most)
	}
	return out, nil
}

// locate finds the addresses of a target; none where the servers say that there
// is none: its record is still to come, or the machine has gone.
func (r *resolver) locate(ctx context.Context, t *target) error {
	if addr, err := netip.ParseAddr(t.host); err == nil { // not a name, and yet seen
		t.addrs = []netip.Addr{addr.Unmap()}
		return nil
	}
	for _, kind := range []uint16{dns.TypeA, dns.TypeAAAA} {
		records, err := r.lookup(ctx, dns.Fqdn(t.host), kind)
		if err != nil && !errors.Is(err, errNone) {
			return err
		}
		t.addrs = append(t.addrs, addresses(records)...)
	}
	return nil
}

// anywhere wants one target that has an address: where all names are stale, the
// records are not of this group any more, or not yet.
func anywhere(targets []target) error {
	if slices.ContainsFunc(targets, func(t target) bool { return len(t.addrs) > 0 }) {
		return nil
	}
	return fmt.Errorf("target %s has no address, nor has any other", targets[0].host)
}

func addresses(records []dns.RR) []netip.Addr {
	var out []netip.Addr
	for _, rr := range records {
		switch rr := rr.(type) {
		case *dns.A:
			if a, ok := netip.AddrFromSlice(rr.A); ok {
				out = append(out, a.Unmap())
			}
		case *dns.AAAA:
			if a, ok := netip.AddrFromSlice(rr.AAAA); ok {
				out = append(out, a.Unmap())
			}
		}
	}
	slices.SortFunc(out, netip.Addr.Compare)
	return slices.Compact(out)
}

// view makes peers of located targets. A stale name is a peer that does not
// answer; of one that has to have an address and has none nothing is known, and
// the view is smaller.
func (s *Source) view(targets []target) (cluster.View, error) {
	var peers []cluster.Peer
	var problems []error
	for _, t := range targets {
		if s.address && len(t.addrs) == 0 {
			continue
		}
		p, err := s.peer(t)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		peers = append(peers, p)
	}
	if err := errors.Join(append(problems, entry.Unique(peers))...); err != nil {
		return cluster.View{}, err
	}
	cluster.SortPeers(peers)
	return cluster.View{Peers: peers, Gathers: true, Size: s.size}, nil
}

func (s *Source) peer(t target) (cluster.Peer, error) {
	p := cluster.Peer{Name: t.host, Host: t.host, State: cluster.Running, PeerPort: t.port}
	if short, ok := strings.CutSuffix(t.host, "."+strings.TrimSuffix(s.domain, ".")); ok {
		p.Name = short
	}
	if s.address {
		one, err := single(t)
		if err != nil {
			return p, err
		}
		p.Host = one.String()
	}
	p = s.ports.Fill(p)
	if err := entry.Check(p); err != nil {
		return p, fmt.Errorf("target %s: %w", t.host, err)
	}
	return p, nil
}

// single is a target's one address: of the fourth version where it has both.
func single(t target) (netip.Addr, error) {
	of := func(is func(netip.Addr) bool) []netip.Addr {
		return slices.DeleteFunc(slices.Clone(t.addrs), func(a netip.Addr) bool { return !is(a) })
	}
	found := of(netip.Addr.Is4)
	if len(found) == 0 {
		found = of(netip.Addr.Is6)
	}
	if len(found) != 1 {
		return netip.Addr{}, fmt.Errorf("target %s has %d addresses, and host=address wants one", t.host, len(found))
	}
	return found[0], nil
}
