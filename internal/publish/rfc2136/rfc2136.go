// Package rfc2136 is publish.Zone on any name server that takes signed dynamic
// updates (RFC 2136 with TSIG) and transfers its zone: BIND, Knot, PowerDNS,
// Windows. One update message makes all changes or none, and its prerequisites
// make each only from what was listed.
package rfc2136

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/quorate/quorate/internal/publish"
)

// callLimit bounds each request, a whole transfer included.
const callLimit = 30 * time.Second

// Zone is a zone at its primary server.
type Zone struct {
	zone   string // with its last dot
	server string // host:port
	key    func() (Key, error)
}

// Open asks nobody yet. The key is asked for before each request, because its
// file may change.
func Open(zone, server string, key func() (Key, error)) *Zone {
	return &Zone{dns.Fqdn(publish.CleanName(zone)), server, key}
}

// Transactional: an update message is.
func (z *Zone) Transactional() {}

// List transfers the zone: there is no other way to see names that nobody
// knows any more.
func (z *Zone) List(ctx context.Context, domain string) ([]publish.Set, error) {
	key, err := z.key()
	if err != nil {
		return nil, err
	}
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	conn, err := z.dial(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })() // the transfer sets deadlines of its own
	m := new(dns.Msg).SetAxfr(z.zone)
	key.sign(m)
	transfer := &dns.Transfer{Conn: &dns.Conn{Conn: conn}, TsigSecret: key.secrets(), ReadTimeout: callLimit}
	parts, err := transfer.In(m, z.server)
	if err != nil {
		return nil, fmt.Errorf("transferring %s from %s: %w", z.zone, z.server, unanswered(ctx, began, err))
	}
	var sets collection
	for part := range parts {
		if part.Error != nil && err == nil {
			err = part.Error
		}
		for _, rr := range part.RR {
			sets.add(rr, domain)
		}
	}
	switch {
	case ctx.Err() != nil:
		return nil, fmt.Errorf("transferring %s from %s: %w", z.zone, z.server, unanswered(ctx, began, err))
	case err != nil:
		return nil, fmt.Errorf("transferring %s from %s, which must be its primary and let the key transfer it: %w", z.zone, z.server, refusal(err))
	}
	return sets.all, nil
}

// unanswered is a request's error; where its time is over, that, and not what
// became of the connection then.
func unanswered(ctx context.Context, began time.Time, err error) error {
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return ctx.Err()
	case ctx.Err() != nil || errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("no answer within %s", time.Since(began).Round(100*time.Millisecond))
	}
	return err
}

// refusal is a transfer's error in the words of an update's.
func refusal(err error) error {
	var rcode int
	if errors.Is(err, dns.ErrAuth) {
		return fmt.Errorf("it answers NOTAUTH%s", hints[dns.RcodeNotAuth])
	}
	if _, other := fmt.Sscanf(err.Error(), "dns: bad xfr rcode: %d", &rcode); other == nil {
		return fmt.Errorf("it answers %s", dns.RcodeToString[rcode])
	}
	return err
}

// Apply sends one update.
func (z *Zone) Apply(ctx context.Context, changes []publish.Change) error {
	m := new(dns.Msg).SetUpdate(z.zone)
	for _, c := range changes {
		if err := put(m, c); err != nil {
			return err
		}
	}
	key, err := z.key()
	if err != nil {
		return err
	}
	key.sign(m)
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	conn, err := z.dial(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	client := &dns.Client{Net: "tcp", TsigSecret: key.secrets(), Timeout: callLimit}
	reply, _, err := client.ExchangeWithConnContext(ctx, m, &dns.Conn{Conn: conn, TsigSecret: key.secrets()})
	switch {
	case errors.Is(err, dns.ErrAuth):
		return fmt.Errorf("updating %s at %s: it answers NOTAUTH%s", z.zone, z.server, hints[dns.RcodeNotAuth])
	case err != nil:
		return fmt.Errorf("updating %s at %s: %w", z.zone, z.server, unanswered(ctx, began, err))
	case slices.Contains([]int{dns.RcodeNXRrset, dns.RcodeYXRrset, dns.RcodeYXDomain, dns.RcodeNameError}, reply.Rcode):
		return fmt.Errorf("updating %s at %s: %w (%s)", z.zone, z.server, publish.ErrChanged, dns.RcodeToString[reply.Rcode])
	case reply.Rcode != dns.RcodeSuccess:
		return fmt.Errorf("updating %s at %s: it answers %s%s", z.zone, z.server, dns.RcodeToString[reply.Rcode], hints[reply.Rcode])
	}
	return nil
}

// hints say what an operator can do about an answer.
var hints = map[int]string{
	dns.RcodeRefused: ": does it allow updates by this key?",
	dns.RcodeNotAuth: ": it has no zone of exactly this name, or does not know the key",
	dns.RcodeNotZone: ": a name is not in this zone",
}

// put adds a change: what must be so, and what shall be.
func put(m *dns.Msg, c publish.Change) error {
	before, err := rrs(c.Before)
	if err != nil {
		return err
	}
	after, err := rrs(c.After)
	if err != nil {
		return err
	}
	if c.Before == nil {
		m.RRsetNotUsed(after)
	} else {
		m.Used(copies(before))
		m.RemoveRRset(before[:1])
	}
	m.Insert(after)
	return nil
}

// copies, because a prerequisite clears the TTLs of what it is given.
func copies(in []dns.RR) (out []dns.RR) {
	for _, rr := range in {
		out = append(out, dns.Copy(rr))
	}
	return out
}

func rrs(s *publish.Set) (out []dns.RR, err error) {
	if s == nil {
		return nil, nil
	}
	for _, v := range s.Values {
		rr, err := dns.NewRR(fmt.Sprintf("%s. %d IN %s %s", s.Name, int(s.TTL/time.Second), s.Type, v))
		if err != nil || rr == nil {
			return nil, fmt.Errorf("writing %s %s %q: %w", s.Name, s.Type, v, errors.Join(err))
		}
		out = append(out, rr)
	}
	return out, nil
}

func (z *Zone) dial(ctx context.Context) (net.Conn, error) {
	conn, err := (&net.Dialer{Timeout: 10 * time.Second}).DialContext(ctx, "tcp", z.server)
	if err != nil {
		return nil, fmt.Errorf("reaching name server %s: %w", z.server, err)
	}
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(deadline)
	}
	return conn, nil
}

// collection puts single records together to sets.
type collection struct {
	all []publish.Set
	at  map[string]int
}

func (c *collection) add(rr dns.RR, domain string) {
	h := rr.Header()
	name, kind := publish.CleanName(h.Name), dns.TypeToString[h.Rrtype]
	if !publish.Below(name, domain) || h.Rrtype == dns.TypeSOA {
		return // a transfer begins and ends with the SOA
	}
	if c.at == nil {
		c.at = map[string]int{}
	}
	i, ok := c.at[name+" "+kind]
	if !ok {
		i = len(c.all)
		c.at[name+" "+kind] = i
		c.all = append(c.all, publish.Set{Name: name, Type: kind, TTL: time.Duration(h.Ttl) * time.Second})
	}
	value := publish.CleanValue(kind, strings.TrimPrefix(rr.String(), h.String()))
	c.all[i].Values = append(c.all[i].Values, value)
	slices.Sort(c.all[i].Values)
}
