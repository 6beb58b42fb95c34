package publishtest

import (
	"testing"

	"github.com/quorate/quorate/internal/publish"
)

// LostReply is the contract for a change that is made and whose answer is lost:
// it may be an error, and the next round finishes it. lose arms the provider in
// front of the zone: the next change is such a one.
func LostReply(t *testing.T, name string, zone publish.Zone, lose func()) {
	domain := "lost.c." + name
	p := publish.New(zone, domain)
	for _, hosts := range [][]string{{"a", "b", "c"}, {"a", "c"}, nil} {
		lose()
		_, err := p.Reconcile(t.Context(), wish(domain, "test", hosts...))
		t.Logf("the answer is lost: %v", err)
		if r := reconcile(t, p, wish(domain, "test", hosts...)); len(r.Refused) > 0 {
			t.Errorf("then refused: %v", r.Refused)
		}
		if r := reconcile(t, p, wish(domain, "test", hosts...)); len(r.Changes) > 0 {
			t.Errorf("not at rest: %v", r.Changes)
		}
		want := []*publish.Set{}
		targets := []string{}
		for i, h := range hosts {
			want = append(want, set(h+"."+domain, "A", []string{"10.0.0.1", "10.0.0.2", "10.0.0.3"}[i]), own(domain, h))
			targets = append(targets, "0 0 2379 "+h+"."+domain+".")
		}
		if len(hosts) > 0 {
			want = append(want, set("_etcd-client._tcp."+domain, "SRV", targets...), own(domain, "_etcd-client._tcp"))
		}
		listed(t, zone, domain, want...)
	}
}
