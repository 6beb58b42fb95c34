package named

import (
	"slices"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// Add puts records, in the form of a zone file ("a.example.org. 60 IN A
// 127.0.0.11"), into a zone, all at once.
func (s *Server) Add(t testing.TB, zone string, records ...string) {
	t.Helper()
	s.update(t, zone, func(m *dns.Msg) { m.Insert(parse(t, records)) })
}

// Remove takes exactly these records out of a zone, all at once.
func (s *Server) Remove(t testing.TB, zone string, records ...string) {
	t.Helper()
	s.update(t, zone, func(m *dns.Msg) { m.Remove(parse(t, records)) })
}

// Records are all that is in a zone, by zone transfer, sorted, but its SOA, NS
// and the address of that.
func (s *Server) Records(t testing.TB, zone string) []string {
	t.Helper()
	all, err := new(dns.Transfer).In(new(dns.Msg).SetAxfr(dns.Fqdn(zone)), s.Addr)
	if err != nil {
		t.Fatalf("transferring %s: %v", zone, err)
	}
	var out []string
	for part := range all {
		if part.Error != nil {
			t.Fatalf("transferring %s: %v", zone, part.Error)
		}
		for _, rr := range part.RR {
			name, kind := rr.Header().Name, rr.Header().Rrtype
			if kind != dns.TypeSOA && name != "ns."+dns.Fqdn(zone) && (kind != dns.TypeNS || name != dns.Fqdn(zone)) {
				out = append(out, rr.String())
			}
		}
	}
	slices.Sort(out)
	return out
}

func (s *Server) update(t testing.TB, zone string, change func(*dns.Msg)) {
	t.Helper()
	m := new(dns.Msg).SetUpdate(dns.Fqdn(zone))
	change(m)
	m.SetTsig(s.KeyName, s.KeyAlgorithm, 300, time.Now().Unix())
	c := &dns.Client{Net: "tcp", Timeout: 10 * time.Second, TsigSecret: map[string]string{s.KeyName: s.KeySecret}}
	reply, _, err := c.Exchange(m, s.Addr)
	if err != nil {
		t.Fatalf("updating %s: %v", zone, err)
	}
	if reply.Rcode != dns.RcodeSuccess {
		t.Fatalf("updating %s: %s", zone, dns.RcodeToString[reply.Rcode])
	}
}

func parse(t testing.TB, records []string) []dns.RR {
	t.Helper()
	var out []dns.RR
	for _, text := range records {
		rr, err := dns.NewRR(text)
		if err != nil || rr == nil {
			t.Fatalf("record %q: %v", text, err)
		}
		out = append(out, rr)
	}
	return out
}
