// Package publishtest is what every DNS provider must do alike: the contract
// of publish.Zone as tests.
package publishtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/publish"
)

// Conformance runs the contract on a zone of that name, in which nothing is at
// or below c.NAME. Each part works below a domain of its own.
func Conformance(t *testing.T, name string, zone publish.Zone) {
	for _, part := range []struct {
		name string
		run  func(*testing.T, publish.Zone, string)
	}{
		{"records", testRecords}, {"one-target", testOneTarget}, {"again", testAgain}, {"stale", testStale}, {"twice", testTwice},
		{"pages", testPages}, {"cancelled", testCancelled}, {"reconcile", testReconcile}, {"hand", testHand}, {"rivals", testRivals},
	} {
		t.Run(part.name, func(t *testing.T) { part.run(t, zone, part.name+".c."+name) })
	}
}

func set(name, kind string, values ...string) *publish.Set {
	slices.Sort(values)
	return &publish.Set{Name: name, Type: kind, TTL: 60 * time.Second, Values: values}
}

func apply(t *testing.T, z publish.Zone, changes ...publish.Change) {
	t.Helper()
	if err := z.Apply(t.Context(), changes); err != nil {
		t.Fatalf("applying %v: %v", changes, err)
	}
}

// listed waits until exactly these sets are at or below the domain.
func listed(t *testing.T, z publish.Zone, domain string, want ...*publish.Set) {
	t.Helper()
	all, err := z.List(t.Context(), domain)
	if err != nil {
		t.Fatalf("listing %s: %v", domain, err)
	}
	var got, wanted []string
	for _, s := range all {
		if publish.Below(s.Name, domain) {
			got = append(got, fmt.Sprint(s))
		}
	}
	for _, s := range want {
		wanted = append(wanted, fmt.Sprint(*s))
	}
	slices.Sort(got)
	slices.Sort(wanted)
	if !slices.Equal(got, wanted) {
		t.Errorf("%s holds\n %s\nwant\n %s", domain, strings.Join(got, "\n "), strings.Join(wanted, "\n "))
	}
}

const claim = `"heritage=quorate,cluster=test,epoch=1,id=abc"`

func testRecords(t *testing.T, z publish.Zone, domain string) {
	listed(t, z, domain)
	four := set("a."+domain, "A", "10.0.0.1", "10.0.0.2")
	six := set("a."+domain, "AAAA", "fd00::1")
	srv := set("_etcd-server._tcp."+domain, "SRV", "0 0 2380 a."+domain+".", "1 1 2380 b."+domain+".")
	owner := set("quorate-owner._etcd-server._tcp."+domain, "TXT", claim)
	apply(t, z, publish.Change{After: owner}, publish.Change{After: four}, publish.Change{After: six}, publish.Change{After: srv})
	listed(t, z, domain, owner, four, six, srv)
	slow := *four
	slow.TTL = 120 * time.Second
	apply(t, z, publish.Change{Before: four, After: &slow}, publish.Change{Before: six})
	listed(t, z, domain, owner, &slow, srv)
	apply(t, z, publish.Change{Before: srv}, publish.Change{Before: &slow}, publish.Change{Before: owner})
	listed(t, z, domain)
}

// testOneTarget: TRAPS 17.
func testOneTarget(t *testing.T, z publish.Zone, domain string) {
	name := "_etcd-client._tcp." + domain
	three := set(name, "SRV", "0 0 2379 a."+domain+".", "0 0 2379 b."+domain+".", "0 0 2379 c."+domain+".")
	two := set(name, "SRV", "0 0 2379 a."+domain+".", "0 0 2379 c."+domain+".")
	apply(t, z, publish.Change{After: three})
	apply(t, z, publish.Change{Before: three, After: two})
	listed(t, z, domain, two)
	apply(t, z, publish.Change{Before: two})
	listed(t, z, domain)
}

// testAgain: a set that was there before comes again, and a member's that had gone.
func testAgain(t *testing.T, z publish.Zone, domain string) {
	a, later := set("a."+domain, "A", "10.0.0.1"), set("z."+domain, "A", "10.0.0.9")
	two, one := set("etcd."+domain, "A", "10.0.0.1", "10.0.0.2"), set("etcd."+domain, "A", "10.0.0.2")
	apply(t, z, publish.Change{After: a}, publish.Change{After: two}, publish.Change{After: later})
	for range 2 {
		apply(t, z, publish.Change{Before: a}, publish.Change{Before: two, After: one})
		listed(t, z, domain, one, later)
		apply(t, z, publish.Change{After: a}, publish.Change{Before: one, After: two})
		listed(t, z, domain, a, two, later)
	}
}

// testStale: nothing is changed from what is no longer so.
func testStale(t *testing.T, z publish.Zone, domain string) {
	old, now, next := set("a."+domain, "A", "10.0.0.1"), set("a."+domain, "A", "10.0.0.2"), set("a."+domain, "A", "10.0.0.3")
	other := set("b."+domain, "A", "10.0.0.9")
	apply(t, z, publish.Change{After: now})
	for _, stale := range []publish.Change{{Before: old, After: next}, {Before: old}, {After: next}} {
		err := z.Apply(t.Context(), []publish.Change{{After: other}, stale})
		if !errors.Is(err, publish.ErrChanged) {
			t.Errorf("applying %v to %v: %v, want ErrChanged", stale, *now, err)
		}
		if _, ok := z.(publish.Transactional); ok || err == nil {
			listed(t, z, domain, now)
		}
	}
	if _, ok := z.(publish.Transactional); ok {
		apply(t, z, publish.Change{Before: now})
		listed(t, z, domain)
	}
}

// testTwice: a claim is made once.
func testTwice(t *testing.T, z publish.Zone, domain string) {
	first := set("quorate-owner.a."+domain, "TXT", claim)
	apply(t, z, publish.Change{After: first})
	second := set("quorate-owner.a."+domain, "TXT", strings.Replace(claim, "test", "rival", 1))
	if err := z.Apply(t.Context(), []publish.Change{{After: second}}); !errors.Is(err, publish.ErrChanged) {
		t.Errorf("claiming a claimed name: %v, want ErrChanged", err)
	}
	listed(t, z, domain, first)
}

func testPages(t *testing.T, z publish.Zone, domain string) {
	var changes []publish.Change
	var want []*publish.Set
	for i := range 350 {
		s := set(fmt.Sprintf("n%03d.%s", i, domain), "A", fmt.Sprintf("10.0.%d.%d", i/250, i%250+1))
		want, changes = append(want, s), append(changes, publish.Change{After: s})
	}
	for chunk := range slices.Chunk(changes, 50) {
		apply(t, z, chunk...)
	}
	listed(t, z, domain, want...)
}

func testCancelled(t *testing.T, z publish.Zone, domain string) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := z.List(ctx, domain); err == nil {
		t.Error("List does not mind a context that has ended")
	}
	if err := z.Apply(ctx, []publish.Change{{After: set("a."+domain, "A", "10.0.0.1")}}); err == nil {
		t.Error("Apply does not mind a context that has ended")
	}
	listed(t, z, domain)
}

func wish(domain, who string, hosts ...string) publish.Wish {
	w := publish.Wish{Owner: publish.Owner{Cluster: who, Epoch: 1, ID: 7}}
	for i, h := range hosts {
		w.Records = append(w.Records,
			cluster.Record{Name: h + "." + domain, Type: "A", Data: fmt.Sprintf("10.0.0.%d", i+1), TTL: time.Minute},
			cluster.Record{Name: "_etcd-client._tcp." + domain, Type: "SRV", Data: "0 0 2379 " + h + "." + domain + ".", TTL: time.Minute})
	}
	return w
}

func reconcile(t *testing.T, p *publish.Publisher, w publish.Wish) publish.Result {
	t.Helper()
	r, err := p.Reconcile(t.Context(), w)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// testReconcile is a cluster's life: founded, changed, edited by hand, ended.
func testReconcile(t *testing.T, z publish.Zone, domain string) {
	p := publish.New(z, domain)
	if r := reconcile(t, p, wish(domain, "test", "a", "b", "c")); len(r.Changes) != 8 || len(r.Refused) != 0 {
		t.Errorf("publishing: %v", r)
	}
	if r := reconcile(t, p, wish(domain, "test", "a", "b", "c")); len(r.Changes) != 0 {
		t.Errorf("publishing again: %v", r.Changes)
	}
	srv := "_etcd-client._tcp." + domain
	full := set(srv, "SRV", "0 0 2379 a."+domain+".", "0 0 2379 b."+domain+".", "0 0 2379 c."+domain+".")
	apply(t, z, publish.Change{Before: full, After: set(srv, "SRV", "0 0 2379 evil.example.")})
	if r := reconcile(t, p, wish(domain, "test", "a", "b")); len(r.Changes) != 3 {
		t.Errorf("withdrawing c, and repairing: %v", r.Changes)
	}
	listed(t, z, domain, set("a."+domain, "A", "10.0.0.1"), set("b."+domain, "A", "10.0.0.2"),
		set(srv, "SRV", "0 0 2379 a."+domain+".", "0 0 2379 b."+domain+"."), own(domain, "a"), own(domain, "b"), own(domain, "_etcd-client._tcp"))
	reconcile(t, p, wish(domain, "test"))
	listed(t, z, domain)
}

func own(domain, name string) *publish.Set {
	return set("quorate-owner."+name+"."+domain, "TXT", `"heritage=quorate,cluster=test,epoch=1,id=7"`)
}

// testHand: a value that somebody has put beside our claim is taken away again.
func testHand(t *testing.T, z publish.Zone, domain string) {
	apply(t, z, publish.Change{After: set("quorate-owner.a."+domain, "TXT", own(domain, "a").Values[0], `"by hand"`)})
	if r := reconcile(t, publish.New(z, domain), wish(domain, "test", "a")); len(r.Refused) != 0 {
		t.Errorf("refused: %v", r.Refused)
	}
	listed(t, z, domain, own(domain, "a"), set("a."+domain, "A", "10.0.0.1"),
		own(domain, "_etcd-client._tcp"), set("_etcd-client._tcp."+domain, "SRV", "0 0 2379 a."+domain+"."))
}

// testRivals: two clusters in one domain never change each other's names.
func testRivals(t *testing.T, z publish.Zone, domain string) {
	p := publish.New(z, domain)
	reconcile(t, p, wish(domain, "test", "a"))
	r := reconcile(t, p, wish(domain, "rival", "x"))
	if len(r.Refused) != 1 || r.Refused[0].Name != "_etcd-client._tcp."+domain || !strings.Contains(r.Refused[0].Why, "cluster test") {
		t.Errorf("a rival is refused %v", r.Refused)
	}
	if r := reconcile(t, p, wish(domain, "test", "a")); len(r.Changes) != 0 {
		t.Errorf("after the rival: %v", r.Changes)
	}
	if r := reconcile(t, p, wish(domain, "rival")); len(r.Changes) != 2 {
		t.Errorf("cleaning up after the rival: %v", r.Changes)
	}
	reconcile(t, p, wish(domain, "test"))
	listed(t, z, domain)
}
