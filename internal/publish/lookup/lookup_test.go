package lookup_test

import (
	"slices"
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
		got, err := lookup.Missing(t.Context(), server, wanted, recursive)
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
	if _, err := lookup.Missing(t.Context(), s.Addr, []cluster.Record{{Name: "a.example.com", Type: "A"}}, false); err == nil || !strings.Contains(err.Error(), "REFUSED") {
		t.Errorf("a server of another zone: %v", err)
	}
}

func TestAuthoritative(t *testing.T) {
	s := named.Start(t, "example.org")
	got, err := lookup.Authoritative(t.Context(), s.Addr, "example.org")
	if err != nil || !slices.Equal(got, []string{"127.0.0.1:53"}) {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := lookup.Authoritative(t.Context(), s.Addr, "sub.example.org"); err == nil {
		t.Errorf("a name without servers: %v", got)
	}
}
