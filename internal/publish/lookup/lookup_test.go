package lookup_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/clustertest/named"
	"github.com/quorate/quorate/internal/publish/lookup"
)

func TestMissing(t *testing.T) {
	s := named.Start(t, "example.org")
	s.Add(t, "example.org", "a.example.org. 60 IN A 10.0.0.1",
		"_s._tcp.example.org. 60 IN SRV 0 0 2380 A.Example.org.", "_s._tcp.example.org. 60 IN SRV 0 0 2380 b.example.org.")
	rec := func(name, kind, data string) cluster.Record {
		return cluster.Record{Name: name + ".example.org", Type: kind, Data: data, TTL: time.Minute}
	}
	missing := func(server string, recursive bool, wanted ...cluster.Record) string {
		t.Helper()
		got, err := lookup.Missing(t.Context(), lookup.Server{server}, wanted, recursive)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(got, "; ")
	}
	a, both := rec("a", "A", "10.0.0.1"), []cluster.Record{rec("_s._tcp", "SRV", "0 0 2380 a.example.org."), rec("_s._tcp", "SRV", "0 0 2380 b.example.org.")}
	for _, row := range []struct{ got, want string }{
		{missing(s.Addr, false, append(both, a)...), ""},
		{missing(s.Addr, false, rec("x", "A", "10.0.0.9")), "x.example.org A 10.0.0.9"},
		{missing(s.Addr, false, rec("a", "A", "10.0.0.2")), "a.example.org A 10.0.0.2; still a.example.org A 10.0.0.1"},
		{missing(s.Addr, false, both[0]), "still _s._tcp.example.org SRV 0 0 2380 b.example.org."},
		{missing(named.StartResolver(t, s).Addr, true, append(both, a)...), ""},
	} {
		if row.got != row.want {
			t.Errorf("missing %q, want %q", row.got, row.want)
		}
	}
	if _, err := lookup.Missing(t.Context(), lookup.Server{s.Addr}, []cluster.Record{{Name: "a.example.com", Type: "A"}}, false); err == nil || !strings.Contains(err.Error(), "REFUSED") {
		t.Errorf("a server of another zone: %v", err)
	}
}

// TestAnyAddress: of a name server's addresses one is enough, as on a machine
// without IPv6 where nearly every name server has an AAAA record too.
func TestAnyAddress(t *testing.T) {
	s, other := named.Start(t, "example.org"), named.Start(t, "example.com")
	s.Add(t, "example.org", "a.example.org. 60 IN A 10.0.0.1")
	wanted := []cluster.Record{{Name: "a.example.org", Type: "A", Data: "10.0.0.1"}, {Name: "a.example.org", Type: "AAAA", Data: "fd00::1"}}
	const unreachable, closed = "[2001:db8::53]:53", "127.0.0.1:1"
	for _, row := range []struct {
		server lookup.Server
		want   string
	}{
		{lookup.Server{unreachable, s.Addr}, "[a.example.org AAAA fd00::1]"},
		{lookup.Server{s.Addr, unreachable}, "[a.example.org AAAA fd00::1]"},
		{lookup.Server{closed, unreachable}, "asking for a.example.org A: " + closed},
		{lookup.Server{other.Addr, s.Addr}, "asking for a.example.org A: " + other.Addr + ": it answers REFUSED"}, // which is an answer
	} {
		got, err := lookup.Missing(t.Context(), row.server, wanted, false)
		if said := fmt.Sprint(got, err); !strings.Contains(said, row.want) {
			t.Errorf("%s: %s, want %s", row.server, said, row.want)
		}
		if err != nil && len(row.server) == 2 && row.server[0] == closed && !strings.Contains(err.Error(), unreachable) {
			t.Errorf("%s: %v, which does not tell of both", row.server, err)
		}
	}
}

func TestAuthoritative(t *testing.T) {
	s := named.Start(t, "example.org")
	got, err := lookup.Authoritative(t.Context(), s.Addr, "example.org")
	if err != nil || fmt.Sprint(got) != "[127.0.0.1:53]" {
		t.Errorf("%v, %v", got, err)
	}
	s.Add(t, "example.org", "ns2.example.org. 60 IN A 192.0.2.2", "ns2.example.org. 60 IN AAAA 2001:db8::53",
		"example.org. 60 IN NS ns2.example.org.", "example.org. 60 IN NS ns3.example.net.") // which has no address
	got, err = lookup.Authoritative(t.Context(), s.Addr, "example.org")
	if err != nil || fmt.Sprint(got) != "[127.0.0.1:53 192.0.2.2:53 or [2001:db8::53]:53]" || len(got) != 2 {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := lookup.Authoritative(t.Context(), s.Addr, "sub.example.org"); err == nil {
		t.Errorf("a name without servers: %v", got)
	}
}
