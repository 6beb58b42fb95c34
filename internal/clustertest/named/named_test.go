package named

import (
	"slices"
	"testing"
	"time"

	"github.com/miekg/dns"
)

func TestServes(t *testing.T) {
	s := Start(t, "example.org", "other.test")
	a, txt := "a.example.org.\t60\tIN\tA\t127.0.0.11", "a.example.org.\t60\tIN\tTXT\t\"x y\""
	s.Add(t, "example.org", a, txt)
	if got := s.Records(t, "example.org"); !slices.Equal(got, []string{a, txt}) {
		t.Errorf("%q", got)
	}
	if got := s.Records(t, "other.test"); len(got) != 0 {
		t.Errorf("%q", got)
	}
	s.Remove(t, "example.org", txt)
	if got := s.Records(t, "example.org"); !slices.Equal(got, []string{a}) {
		t.Errorf("%q", got)
	}
	for _, server := range []*Server{s, StartResolver(t, s)} {
		m, _, err := (&dns.Client{Timeout: 5 * time.Second}).Exchange(new(dns.Msg).SetQuestion("a.example.org.", dns.TypeA), server.Addr)
		if err != nil || len(m.Answer) != 1 || m.Answer[0].(*dns.A).A.String() != "127.0.0.11" {
			t.Errorf("%v, %v", m, err)
		}
	}
	s.Pause(t)
	if err := s.answers(); err == nil {
		t.Error("answers while it is paused")
	}
	s.Resume(t)
	if err := s.answers(); err != nil {
		t.Error(err)
	}
}

// TestUnsigned: without the key nobody changes anything.
func TestUnsigned(t *testing.T) {
	s := Start(t, "example.org")
	m := new(dns.Msg).SetUpdate("example.org.")
	m.Insert(parse(t, []string{"a.example.org. 60 IN A 127.0.0.11"}))
	reply, _, err := (&dns.Client{Net: "tcp", Timeout: 5 * time.Second}).Exchange(m, s.Addr)
	if err != nil || reply.Rcode != dns.RcodeRefused {
		t.Errorf("%v, %v", reply, err)
	}
}
