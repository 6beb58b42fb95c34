package dns

import (
	"errors"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/quorate/quorate/internal/peers/entry"
)

// FuzzAnswer: whatever a server sends makes a good view or an error.
func FuzzAnswer(f *testing.F) {
	const service = "_etcd-server._tcp.example.org."
	seed := func(rcode int, records ...string) {
		m := new(dns.Msg).SetQuestion(service, dns.TypeSRV)
		m.Response, m.Rcode = true, rcode
		for _, text := range records {
			rr, err := dns.NewRR(text)
			if err != nil {
				f.Fatal(err)
			}
			m.Answer = append(m.Answer, rr)
		}
		raw, err := m.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	seed(dns.RcodeSuccess)
	seed(dns.RcodeNameError)
	seed(dns.RcodeServerFailure)
	seed(dns.RcodeSuccess, service+" 60 IN SRV 0 0 2380 a.example.org.", service+" 60 IN SRV 0 0 2380 B.elsewhere.test.")
	seed(dns.RcodeSuccess, service+" 60 IN SRV 0 0 2380 .")
	seed(dns.RcodeSuccess, service+" 60 IN SRV 0 0 2380 10.0.0.1.")
	seed(dns.RcodeSuccess, service+` 60 IN SRV 0 0 2380 a\000b.example.org.`)
	seed(dns.RcodeSuccess, service+" 60 IN CNAME x.test.", "x.test. 60 IN SRV 0 0 2380 example.org.")
	seed(dns.RcodeSuccess, service+" 60 IN CNAME "+service)
	s := &Source{domain: "example.org.", ports: usual}
	f.Fuzz(func(t *testing.T, raw []byte) {
		m := new(dns.Msg)
		if m.Unpack(raw) != nil {
			return
		}
		zoneOf(m, service)
		addresses(m.Answer)
		records, err := answers(m, service, dns.TypeSRV)
		if err != nil {
			return
		}
		targets, err := targetsOf(records)
		if err != nil {
			return
		}
		v, err := s.view(targets)
		if err != nil {
			return
		}
		problems := []error{entry.Unique(v.Peers)}
		for _, p := range v.Peers {
			problems = append(problems, entry.Check(p))
			if p.Host != strings.ToLower(p.Host) || strings.HasSuffix(p.Host, ".") || !strings.HasPrefix(p.Host, p.Name) {
				t.Fatalf("%v: %+v", m, p)
			}
		}
		if !v.Gathers || v.Authoritative {
			t.Fatalf("DNS proves nothing: %+v", v)
		}
		if err := errors.Join(problems...); err != nil || len(v.Peers) == 0 {
			t.Fatalf("%v: %+v, %v", m, v, err)
		}
	})
}
