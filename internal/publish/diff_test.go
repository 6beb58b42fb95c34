package publish

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/cluster"
)

var us = Owner{Cluster: "test", Epoch: 2, ID: 0xc2}

const domain = "example.org"

// rec reads "a A 10.0.0.1": names are below the domain.
func rec(line string) cluster.Record {
	f := strings.SplitN(line, " ", 3)
	return cluster.Record{Name: strings.TrimPrefix(f[0]+"."+domain, "@."), Type: f[1], Data: f[2], TTL: time.Minute}
}

func records(lines ...string) (out []cluster.Record) {
	for _, l := range lines {
		out = append(out, rec(l))
	}
	return out
}

// zone makes sets of such lines; "a CLAIM test 2 c2" is a claim to a.
func zone(lines ...string) []Set {
	var out []Set
	for _, l := range lines {
		r := rec(l)
		special := ""
		switch r.Type {
		case "CLAIM":
			var o Owner
			fmt.Sscanf(r.Data, "%s %d %x", &o.Cluster, &o.Epoch, &o.ID)
			r.Name, r.Type, r.Data = ownerName(r.Name), "TXT", o.text()
		case "ALIAS":
			r.Type, special = "A", "an alias"
		}
		i := slices.IndexFunc(out, func(s Set) bool { return s.Name == r.Name && s.Type == r.Type })
		if i < 0 {
			out = append(out, Set{Name: r.Name, Type: r.Type, TTL: r.TTL, Special: special})
			i = len(out) - 1
		}
		out[i].Values = append(out[i].Values, r.Data)
		slices.Sort(out[i].Values)
	}
	return out
}

func slow(sets []Set) []Set {
	for i := range sets {
		sets[i].TTL = time.Hour
	}
	return sets
}

// printed is a plan as lines, claims shortened.
func printed(p Plan) string {
	var b strings.Builder
	for _, c := range p.Changes {
		b.WriteString(strings.ReplaceAll(strings.ReplaceAll(c.String(), `"heritage=quorate,cluster=`, "<"), "."+domain, "") + "\n")
	}
	for _, r := range p.Refused {
		b.WriteString("refused " + strings.ReplaceAll(r.String(), "."+domain, "") + "\n")
	}
	return strings.ReplaceAll(b.String(), `"`, ">")
}

func TestDiff(t *testing.T) {
	mine := func(names ...string) (out []string) {
		for _, n := range names {
			out = append(out, n+" CLAIM test 2 c2")
		}
		return out
	}
	srv := func(n string) string { return "_s SRV 0 0 2380 " + n + ".example.org." }
	for name, c := range map[string]struct {
		wish  Wish
		found []Set
		want  string
	}{
		"nothing wanted, nothing there": {Wish{}, nil, ""},
		"an empty zone: the claims first, then the addresses, then who points to them": {Wish{Records: records("a A 10.0.0.1", srv("a"))}, zone("@ NS ns."), `
quorate-owner._s TXT +<test,epoch=2,id=c2>
quorate-owner.a TXT +<test,epoch=2,id=c2>
a A +10.0.0.1
_s SRV +0 0 2380 a.
`},
		"all as wished": {Wish{Records: records("a A 10.0.0.1", srv("a"))}, zone(append(mine("a", "_s"), "a A 10.0.0.1", srv("a"))...), ""},
		"a claim's TTL is nobody's business": {Wish{Records: records("a A 10.0.0.1")},
			append(slow(zone(mine("a")...)), zone("a A 10.0.0.1")...), ""},
		"one target of a shared name goes alone, TRAPS 17": {Wish{Records: records("a A 10.0.0.1", srv("a"), srv("b"), "b A 10.0.0.2")},
			zone(append(mine("a", "b", "c", "_s"), "a A 10.0.0.1", "b A 10.0.0.2", "c A 10.0.0.3", srv("a"), srv("b"), srv("c"))...), `
_s SRV -0 0 2380 c.
c A -10.0.0.3
quorate-owner.c TXT -<test,epoch=2,id=c2>
`},
		"the last target goes": {Wish{}, zone(append(mine("a", "_s"), "a A 10.0.0.1", srv("a"))...), `
_s SRV -0 0 2380 a.
a A -10.0.0.1
quorate-owner._s TXT -<test,epoch=2,id=c2>
quorate-owner.a TXT -<test,epoch=2,id=c2>
`},
		"a claim alone is given up, a crash left it": {Wish{}, zone(mine("a")...), "quorate-owner.a TXT -<test,epoch=2,id=c2>\n"},
		"hand edits are repaired": {Wish{Records: records("a A 10.0.0.1", "b A 10.0.0.2")},
			append(slow(zone("a A 10.0.0.1")), zone(append(mine("a", "b"), "b A 10.0.0.9", "b AAAA fd00::9")...)...), `
a A ttl 1h0m0s -> 1m0s
b A -10.0.0.9, +10.0.0.2
b AAAA -fd00::9
`},
		"an alias by hand excludes addresses, and goes first": {Wish{Records: records("a A 10.0.0.1")}, zone(append(mine("a"), "a CNAME x.")...), `
a CNAME -x.
a A +10.0.0.1
`},
		"other types at our name are not ours": {Wish{Records: records("a A 10.0.0.1")}, zone(append(mine("a"), "a A 10.0.0.1", "a MX 10 mx.", `a TXT "hello"`)...), ""},
		"a stranger's name":                    {Wish{Records: records("a A 10.0.0.1", "b A 10.0.0.2")}, zone("a A 192.0.2.1"), "quorate-owner.b TXT +<test,epoch=2,id=c2>\nb A +10.0.0.2\nrefused a: it exists, and no cluster has claimed it\n"},
		"a stranger's name, as we want it":     {Wish{Records: records("a A 10.0.0.1")}, zone("a A 10.0.0.1"), "refused a: it exists, and no cluster has claimed it\n"},
		"a stranger's name of another type":    {Wish{Records: records("a A 10.0.0.1")}, zone("a CNAME x."), "refused a: it exists, and no cluster has claimed it\n"},
		"a stranger's TXT at it is no claim":   {Wish{Records: records("a A 10.0.0.1")}, zone(`a TXT "x"`), "quorate-owner.a TXT +<test,epoch=2,id=c2>\na A +10.0.0.1\n"},
		"a stranger's name, adopted":           {Wish{Adopt: true, Records: records("a A 10.0.0.1")}, zone("a A 192.0.2.1"), "quorate-owner.a TXT +<test,epoch=2,id=c2>\na A -192.0.2.1, +10.0.0.1\n"},
		"another cluster's name":               {Wish{Records: records("a A 10.0.0.1")}, zone("a CLAIM prod 9 7", "a A 192.0.2.1"), "refused a: it belongs to cluster prod (epoch 9)\n"},
		"another cluster's name is not adopted": {Wish{Adopt: true, Records: records("a A 10.0.0.1")}, zone("a CLAIM prod 1 7"),
			"refused a: it belongs to cluster prod (epoch 1)\n"},
		"an older epoch of ours yields": {Wish{Records: records("a A 10.0.0.1")}, zone("a CLAIM test 1 c1", "a A 10.0.0.7", "b CLAIM test 1 c1", "b A 10.0.0.8"), `
quorate-owner.a TXT -<test,epoch=1,id=c1>, +<test,epoch=2,id=c2>
a A -10.0.0.7, +10.0.0.1
b A -10.0.0.8
quorate-owner.b TXT -<test,epoch=1,id=c1>
`},
		"we yield to a newer epoch":  {Wish{Records: records("a A 10.0.0.1")}, zone("a CLAIM test 3 c3", "a A 10.0.0.7", "b CLAIM test 3 c3", "b A 10.0.0.8"), "refused a: it belongs to epoch 3 of this cluster, and ours is 2; or to another cluster that is called test too (etcd cluster id c3, ours is c2)\n"},
		"a namesake's":               {Wish{Records: records("a A 10.0.0.1")}, zone("a CLAIM test 2 c9", "a A 10.0.0.7", "b CLAIM test 2 c9", "b A 10.0.0.8"), "refused a: it belongs to another cluster that is called test too (etcd cluster id c9, ours is c2)\n"},
		"a dead namesake's, adopted": {Wish{Adopt: true, Records: records("a A 10.0.0.1")}, zone("a CLAIM test 5 c9", "a A 10.0.0.7"), "quorate-owner.a TXT -<test,epoch=5,id=c9>, +<test,epoch=2,id=c2>\na A -10.0.0.7, +10.0.0.1\n"},
		"a claim that is not quorate's": {Wish{Records: records("a A 10.0.0.1")}, zone(`quorate-owner.a TXT "x"`),
			"refused a: its claim at quorate-owner.a is not quorate's: a hand has changed it (--dns-adopt claims it anew)\n"},
		"a claim that a hand has spoilt, adopted": {Wish{Adopt: true, Records: records("a A 10.0.0.1")}, zone(`quorate-owner.a TXT "heritage=quorate,cluster=test"`, "a A 10.0.0.7"), `
quorate-owner.a TXT -<test>, +<test,epoch=2,id=c2>
a A -10.0.0.7, +10.0.0.1
`},
		"a hand's value beside our claim":            {Wish{Records: records("a A 10.0.0.1")}, zone("a CLAIM test 2 c2", `quorate-owner.a TXT "x"`, "a A 10.0.0.1"), "quorate-owner.a TXT ->x>\n"},
		"a hand's value beside our claim, withdrawn": {Wish{}, zone("a CLAIM test 2 c2", `quorate-owner.a TXT "x"`, "a A 10.0.0.1"), "a A -10.0.0.1\nquorate-owner.a TXT -<test,epoch=2,id=c2>, ->x>\n"},
		"a hand's value beside another's":            {Wish{Records: records("a A 10.0.0.1")}, zone("a CLAIM prod 1 7", `quorate-owner.a TXT "x"`), "refused a: it belongs to cluster prod (epoch 1)\n"},
		"two claims to one name":                     {Wish{Records: records("a A 10.0.0.1")}, zone("a CLAIM test 2 c2", "a CLAIM prod 1 7"), "refused a: it belongs to cluster prod (epoch 1)\n"},
		"two claims to one name, adopted":            {Wish{Adopt: true, Records: records("a A 10.0.0.1")}, zone("a CLAIM test 2 c9", "a CLAIM prod 1 7"), "refused a: it belongs to cluster prod (epoch 1)\n"},
		"two of one cluster's epochs":                {Wish{Records: records("a A 10.0.0.1")}, zone("a CLAIM test 2 c2", "a CLAIM test 1 c1", "a A 10.0.0.1"), "quorate-owner.a TXT -<test,epoch=1,id=c1>\n"},
		"a provider's alias":                         {Wish{Adopt: true, Records: records("a A 10.0.0.1")}, zone("a ALIAS 10.0.0.1"), "refused a: it is an alias\n"},
		"a provider's alias at our old name":         {Wish{}, zone("a CLAIM test 2 c2", "a ALIAS 10.0.0.1"), ""},
		"nobody is led to a stranger": {Wish{Records: records("a A 10.0.0.1", "b A 10.0.0.2", srv("a"), srv("b"))}, zone("a A 192.0.2.1"), `
quorate-owner._s TXT +<test,epoch=2,id=c2>
quorate-owner.b TXT +<test,epoch=2,id=c2>
b A +10.0.0.2
_s SRV +0 0 2380 b.
refused a: it exists, and no cluster has claimed it
`},
		"the doubtful stay where they are": {Wish{Records: records("a A 10.0.0.1", srv("a")), Tolerated: records("b A 10.0.0.2", "c A 10.0.0.3", srv("b"), srv("c"))},
			zone(append(mine("a", "b", "_s"), "a A 10.0.0.1", "b A 10.0.0.2", srv("a"), srv("b"))...), ""},
		"an address that a doubtful one shares": {Wish{Records: records("a A 10.0.0.1"), Tolerated: records("a A 10.0.0.1")}, zone(append(mine("a"), "a A 10.0.0.1")...), ""},
		"who points goes before the address": {Wish{}, zone(append(mine("a", "z"), "a A 10.0.0.1", "z SRV 0 0 1 a.example.org.")...), `
z SRV -0 0 1 a.
a A -10.0.0.1
quorate-owner.a TXT -<test,epoch=2,id=c2>
quorate-owner.z TXT -<test,epoch=2,id=c2>
`},
		"a claim that nobody has written so":  {Wish{}, zone(`quorate-owner.a TXT "cluster=test,epoch=2,id=c2"`, "a A 10.0.0.1"), ""},
		"of the doubtful, only what is right": {Wish{Tolerated: records("b A 10.0.0.2")}, zone(append(mine("b"), "b A 10.0.0.2", "b A 10.0.0.9")...), "b A -10.0.0.9\n"},
		"cleaning up after all epochs": {Wish{AnyEpoch: true}, zone("a CLAIM test 7 9", "a A 10.0.0.1", "b CLAIM prod 1 1", "b A 10.0.0.2", "c A 10.0.0.3"), `
a A -10.0.0.1
quorate-owner.a TXT -<test,epoch=7,id=9>
`},
	} {
		t.Run(name, func(t *testing.T) {
			c.wish.Owner = us
			if got := printed(Diff(c.wish, c.found)); got != strings.TrimPrefix(c.want, "\n") {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}

// TestDiffConverges: from any zone, made by any mix of clusters and hands, one
// Diff leads to a zone in which a second finds nothing to do; and no name
// changes that was neither free nor ours.
func TestDiffConverges(t *testing.T) {
	lines := []string{"a A 10.0.0.1", "a A 10.0.0.2", "b A 10.0.0.1", "b CNAME x.", "_s SRV 0 0 1 a.example.org.", "_s SRV 0 0 1 b.example.org.", "a AAAA fd00::1", "a MX 1 x."}
	claims := []string{"CLAIM test 1 c1", "CLAIM test 2 c2", "CLAIM test 2 c9", "CLAIM test 3 c3", "CLAIM prod 1 1"}
	for seed := range uint64(5000) {
		r := rand.New(rand.NewPCG(seed, 1))
		pick := func(from []string) (out []string) {
			for _, l := range from {
				if r.IntN(2) == 0 {
					out = append(out, l)
				}
			}
			return out
		}
		there := pick(lines)
		for _, n := range []string{"a", "b", "_s"} {
			for range r.IntN(3) { // two at once as well
				there = append(there, n+" "+claims[r.IntN(len(claims))])
			}
			if r.IntN(4) == 0 {
				there = append(there, ownerLabel+n+` TXT "a hand's"`)
			}
		}
		w := Wish{Owner: us, Records: records(pick(lines[:3])...), Adopt: r.IntN(4) == 0}
		w.Records = append(w.Records, records(pick(lines[4:6])...)...)
		before := zone(there...)
		after := applied(before, Diff(w, before).Changes)
		if left := Diff(w, after).Changes; len(left) > 0 {
			t.Fatalf("seed %d: %v from %v, wanting %v: left: %v", seed, after, there, w.Records, left)
		}
		for _, s := range before {
			claims := claimsTo(s.Name, before)
			kept := slices.ContainsFunc(after, func(t Set) bool { return t.Name == s.Name && t.Type == s.Type && t.equal(s) })
			foreign := strings.Contains(claims, "test 2 c9") || strings.Contains(claims, "test 3 c3")
			if !kept && (s.Type == "MX" || strings.Contains(claims, "prod") || !w.Adopt && (foreign || claims == "")) {
				t.Fatalf("seed %d: %v was not ours, and has changed: from %v, wanting %v", seed, s, there, w.Records)
			}
		}
	}
}

// claimsTo are all claims to a name that can be read.
func claimsTo(name string, sets []Set) (all string) {
	for _, s := range sets {
		for _, o := range readOwners(s) {
			if s.Name == ownerName(strings.TrimPrefix(name, ownerLabel)) {
				all += fmt.Sprintf("%s %d %s;", o.Cluster, o.Epoch, o.ID)
			}
		}
	}
	return all
}

// applied makes the changes, and is nil with a panic when a Before is not so.
func applied(sets []Set, changes []Change) []Set {
	out := slices.Clone(sets)
	for _, c := range changes {
		i := slices.IndexFunc(out, func(s Set) bool { return s.Name == c.Set().Name && s.Type == c.Set().Type })
		if (i >= 0) != (c.Before != nil) || i >= 0 && !out[i].equal(*c.Before) {
			panic(fmt.Sprintf("change %v of %v", c, sets))
		}
		if i >= 0 {
			out = slices.Delete(out, i, i+1)
		}
		if c.After != nil {
			out = append(out, *c.After)
		}
	}
	return out
}
