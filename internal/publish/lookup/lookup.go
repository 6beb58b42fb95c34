// Package lookup asks name servers what they show, one by one and without a
// cache between: whether a published record has arrived.
package lookup

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/quorate/quorate/internal/cluster"
)

// askLimit bounds one question, over UDP and, if truncated, over TCP.
const askLimit = 3 * time.Second

// ErrNoServers says that a zone's name servers are not known.
var ErrNoServers = errors.New("no name server is known")

// Resolver is this machine's first resolver, host:port.
func Resolver() (string, error) {
	c, err := dns.ClientConfigFromFile("/etc/resolv.conf")
	if err != nil {
		return "", fmt.Errorf("reading /etc/resolv.conf: %w", err)
	}
	if len(c.Servers) == 0 {
		return "", fmt.Errorf("reading /etc/resolv.conf: %w", ErrNoServers)
	}
	return net.JoinHostPort(c.Servers[0], c.Port), nil
}

// Authoritative are the zone's own servers, host:port, as the resolver knows them.
func Authoritative(ctx context.Context, resolver, zone string) ([]string, error) {
	answer, err := ask(ctx, resolver, zone, dns.TypeNS, true)
	if err != nil {
		return nil, fmt.Errorf("looking for the name servers of %s: %w", zone, err)
	}
	var out []string
	for _, rr := range answer {
		ns, ok := rr.(*dns.NS)
		if !ok {
			continue
		}
		for _, kind := range []uint16{dns.TypeA, dns.TypeAAAA} {
			addresses, _ := ask(ctx, resolver, ns.Ns, kind, true) // without one of that kind, another serves
			for _, a := range addresses {
				if value := text(a); a.Header().Rrtype == kind {
					out = append(out, net.JoinHostPort(value, "53"))
				}
			}
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("looking for the name servers of %s: %w", zone, ErrNoServers)
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// Missing asks the server, host:port, for each name and type of the records,
// and tells what it does not show or shows too much. Nothing is missing when
// every set is as wanted. recursive asks a resolver, else a zone's own server.
func Missing(ctx context.Context, server string, wanted []cluster.Record, recursive bool) ([]string, error) {
	type key struct{ name, kind string }
	sets := map[key][]string{}
	var order []key
	for _, r := range wanted {
		k := key{r.Name, r.Type}
		if sets[k] == nil {
			order = append(order, k)
		}
		sets[k] = append(sets[k], r.Data)
	}
	var missing []string
	for _, k := range order {
		answer, err := ask(ctx, server, k.name, dns.StringToType[k.kind], recursive)
		if err != nil {
			return nil, fmt.Errorf("asking %s for %s %s: %w", server, k.name, k.kind, err)
		}
		missing = append(missing, compare(k.name+" "+k.kind, sets[k], values(answer, dns.StringToType[k.kind]))...)
	}
	return missing, nil
}

func compare(what string, want, got []string) (out []string) {
	for _, v := range want {
		if !slices.Contains(got, v) {
			out = append(out, what+" "+v)
		}
	}
	for _, v := range got {
		if !slices.Contains(want, v) {
			out = append(out, "still "+what+" "+v)
		}
	}
	return out
}

// ask is one question. A name that does not exist is an empty answer.
func ask(ctx context.Context, server, name string, kind uint16, recursive bool) ([]dns.RR, error) {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	q := new(dns.Msg).SetQuestion(dns.Fqdn(name), kind)
	q.RecursionDesired = recursive
	q.SetEdns0(1232, false)
	answer, _, err := (&dns.Client{}).ExchangeContext(ctx, q, server)
	if err == nil && answer.Truncated {
		answer, _, err = (&dns.Client{Net: "tcp"}).ExchangeContext(ctx, q, server)
	}
	switch {
	case err != nil:
		return nil, err
	case answer.Rcode == dns.RcodeNameError:
		return nil, nil
	case answer.Rcode != dns.RcodeSuccess:
		return nil, fmt.Errorf("it answers %s", dns.RcodeToString[answer.Rcode])
	}
	return answer.Answer, nil
}

func values(answer []dns.RR, kind uint16) (out []string) {
	for _, rr := range answer {
		if rr.Header().Rrtype == kind {
			out = append(out, text(rr))
		}
	}
	return out
}

// text is a record's value as cluster.Record has it.
func text(rr dns.RR) string {
	return strings.ToLower(strings.TrimPrefix(rr.String(), rr.Header().String()))
}
