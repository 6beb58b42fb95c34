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

// Server is one name server: its addresses, host:port, each as good as any
// other. A machine may reach only some of them.
type Server []string

func (s Server) String() string { return strings.Join(s, " or ") }

// Authoritative are the zone's own servers, as the resolver knows them.
func Authoritative(ctx context.Context, resolver, zone string) ([]Server, error) {
	answer, err := ask(ctx, resolver, zone, dns.TypeNS, true)
	if err != nil {
		return nil, fmt.Errorf("looking for the name servers of %s: %w", zone, err)
	}
	var out []Server
	for _, rr := range answer {
		if ns, ok := rr.(*dns.NS); ok {
			if s := addresses(ctx, resolver, ns.Ns); len(s) > 0 { // of a name without any, another serves
				out = append(out, s)
			}
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("looking for the name servers of %s: %w", zone, ErrNoServers)
	}
	slices.SortFunc(out, slices.Compare)
	return slices.CompactFunc(out, slices.Equal), nil
}

// addresses are a name server's by its name.
func addresses(ctx context.Context, resolver, name string) (out Server) {
	for _, kind := range []uint16{dns.TypeA, dns.TypeAAAA} {
		answer, _ := ask(ctx, resolver, name, kind, true) // without one of that kind, another serves
		for _, value := range values(answer, kind) {
			out = append(out, net.JoinHostPort(value, "53"))
		}
	}
	slices.Sort(out)
	return out
}

// Missing asks the server for each name and type of the records, and tells what
// it does not show or shows too much. Nothing is missing when every set is as
// wanted. recursive asks a resolver, else a zone's own server.
func Missing(ctx context.Context, server Server, wanted []cluster.Record, recursive bool) ([]string, error) {
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
		kind := dns.StringToType[k.kind]
		var answer []dns.RR
		var err error
		if answer, server, err = askAny(ctx, server, k.name, kind, recursive); err != nil {
			return nil, fmt.Errorf("asking for %s %s: %w", k.name, k.kind, err)
		}
		missing = append(missing, compare(k.name+" "+k.kind, sets[k], values(answer, kind))...)
	}
	return missing, nil
}

// askAny asks a server's addresses until one answers, whatever it says, and is
// the server as that one alone: the next question goes there. The server is
// silent when none answers.
func askAny(ctx context.Context, server Server, name string, kind uint16, recursive bool) ([]dns.RR, Server, error) {
	var silent []string
	for _, address := range server {
		answer, err := ask(ctx, address, name, kind, recursive)
		if err == nil {
			return answer, Server{address}, nil
		}
		silent = append(silent, address+": "+err.Error())
		if errors.As(err, new(refusal)) {
			return nil, nil, errors.New(silent[len(silent)-1])
		}
	}
	return nil, nil, errors.New(strings.Join(silent, "; "))
}

// refusal is an answer, but none to the question.
type refusal int

func (r refusal) Error() string { return "it answers " + dns.RcodeToString[int(r)] }

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
		return nil, refusal(answer.Rcode)
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
