package dns

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// errNone says that a server knows for sure that there is no such record.
var errNone = errors.New("no record")

// resolver asks servers that answer for the whole of DNS.
type resolver struct {
	mu        sync.Mutex
	servers   []string // host:port, each asked in turn; one that has answered comes first
	authority string   // the port of a zone's own servers, asked after a "no record"; empty: never
}

// limit is how long one server may take to answer one question, asked once.
const limit = time.Second

func (r *resolver) inTurn() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.servers)
}

// prefer puts a server that has answered first: the dead one before it costs
// its time only once a look.
func (r *resolver) prefer(server string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if i := slices.Index(r.servers, server); i > 0 {
		r.servers = slices.Insert(slices.Delete(r.servers, i, i+1), 0, server)
	}
}

// lookup is the records of that kind, aliases followed; never none without an
// error, which is errNone when the servers say so.
func (r *resolver) lookup(ctx context.Context, name string, kind uint16) ([]dns.RR, error) {
	records, reply, err := r.ask(ctx, r.inTurn(), name, kind, true)
	if errors.Is(err, errNone) && r.authority != "" {
		if fresh, err := r.atZone(ctx, reply, name, kind); err == nil {
			return fresh, nil
		}
	}
	return records, err
}

// ask puts one question to each server in turn, until one answers it.
func (r *resolver) ask(ctx context.Context, servers []string, name string, kind uint16, recurse bool) ([]dns.RR, *dns.Msg, error) {
	what := dns.TypeToString[kind] + " " + strings.TrimSuffix(name, ".")
	if len(servers) == 0 {
		return nil, nil, fmt.Errorf("%s: no name server is known", what)
	}
	var problems []string
	for _, server := range servers {
		reply, err := exchange(ctx, server, name, kind, recurse)
		if err != nil {
			problems = append(problems, err.Error())
			continue
		}
		records, err := answers(reply, name, kind)
		if err == nil || errors.Is(err, errNone) {
			r.prefer(server)
			return records, reply, wrap(what, err)
		}
		problems = append(problems, fmt.Sprintf("%s says %v", server, err))
	}
	return nil, nil, fmt.Errorf("%s: %s", what, strings.Join(problems, "; "))
}

func wrap(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", what, err)
}

// exchange asks by UDP, twice when nothing comes, and by TCP what does not fit.
func exchange(ctx context.Context, server, name string, kind uint16, recurse bool) (*dns.Msg, error) {
	m := new(dns.Msg).SetQuestion(name, kind)
	m.RecursionDesired = recurse
	m.SetEdns0(1232, false)
	by := func(network string) (*dns.Msg, error) {
		c := &dns.Client{Net: network, Timeout: limit, UDPSize: 1232}
		reply, _, err := c.ExchangeContext(ctx, m, server)
		return reply, err
	}
	reply, err := by("udp")
	var slow net.Error
	if errors.As(err, &slow) && slow.Timeout() {
		reply, err = by("udp")
	}
	if err == nil && reply.Truncated {
		reply, err = by("tcp")
	}
	if err != nil {
		return nil, fmt.Errorf("asking %s: %w", server, err)
	}
	return reply, nil
}

// atZone asks the servers of the zone itself, which the SOA record of a
// negative answer names: they remember no old absence.
func (r *resolver) atZone(ctx context.Context, negative *dns.Msg, name string, kind uint16) ([]dns.RR, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*limit)
	defer cancel()
	zone, ok := zoneOf(negative, name)
	if !ok {
		return nil, errNone
	}
	hosts, _, err := r.ask(ctx, r.inTurn(), zone, dns.TypeNS, true)
	if err != nil {
		return nil, err
	}
	var servers []string
	for _, h := range hosts {
		addrs, _, _ := r.ask(ctx, r.inTurn(), h.(*dns.NS).Ns, dns.TypeA, true) // of the others, then
		for _, a := range addrs {
			servers = append(servers, net.JoinHostPort(a.(*dns.A).A.String(), r.authority))
		}
	}
	records, _, err := r.ask(ctx, servers, name, kind, false)
	return records, err
}

// zoneOf is the zone that a negative answer is from.
func zoneOf(m *dns.Msg, name string) (string, bool) {
	for _, rr := range m.Ns {
		if soa, ok := rr.(*dns.SOA); ok && dns.IsSubDomain(soa.Hdr.Name, name) && soa.Hdr.Name != "." {
			return soa.Hdr.Name, true
		}
	}
	return "", false
}
