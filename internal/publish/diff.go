package publish

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/quorate/quorate/internal/cluster"
)

// Wish is what the zone should show, and who wants it.
type Wish struct {
	Records   []cluster.Record
	Tolerated []cluster.Record // stay where they are found, and are not added
	Owner     Owner
	// Adopt takes over names that exist and nobody has claimed, or whose claim
	// nobody can read, and those of another cluster of our name. It is an
	// operator's word.
	Adopt bool
	// AnyEpoch counts every claim of a cluster of our name as ours: for cleaning
	// up after it, when nobody is left to tell its epoch.
	AnyEpoch bool
}

// Plan is the difference between a zone and a wish.
type Plan struct {
	Changes []Change  `json:"changes,omitempty"` // in the order in which to make them
	Refused []Refusal `json:"refused,omitempty"` // sorted by name
}

// Refusal is a wanted name that is not ours to write to.
type Refusal struct {
	Name string `json:"name"`
	Why  string `json:"why"`
}

func (r Refusal) String() string { return r.Name + ": " + r.Why }

// managed are the types that quorate writes, and CNAME, which excludes them:
// of a name that is ours, whatever else is of these types goes.
var managed = []string{"A", "AAAA", "CNAME", "SRV"}

type key struct{ name, kind string }

// Diff says which changes lead from the sets found to the wish. It touches
// only names that are claimed for our cluster, or that are free: nobody's claim
// and no set of a type that we manage.
func Diff(w Wish, found []Set) Plan {
	d := differ{wish: w, found: map[key]Set{}, special: map[string]string{}, names: map[string]bool{}, refused: map[string]string{}}
	for _, s := range found {
		if s.Special != "" {
			d.special[s.Name] = s.Special
			continue
		}
		d.found[key{s.Name, s.Type}] = s
	}
	d.judge()
	d.dropStrayTargets()
	for name := range d.names {
		d.name(name)
	}
	slices.SortFunc(d.changes, func(a, b Change) int {
		return cmp.Or(cmp.Compare(phase(a), phase(b)), cmp.Compare(a.Set().Name, b.Set().Name), cmp.Compare(a.Set().Type, b.Set().Type))
	})
	var refused []Refusal
	for _, name := range slices.Sorted(maps.Keys(d.refused)) {
		refused = append(refused, Refusal{name, d.refused[name]})
	}
	return Plan{d.changes, refused}
}

// differ is a Diff under way.
type differ struct {
	wish    Wish
	found   map[key]Set
	special map[string]string
	names   map[string]bool   // that are ours to write to
	refused map[string]string // wanted, and why not ours
	changes []Change
}

// judge sorts the wanted and the claimed names into ours and others'.
func (d *differ) judge() {
	for _, r := range d.wish.Records {
		if why := d.whyNot(r.Name); why != "" {
			d.refused[r.Name] = why
		} else {
			d.names[r.Name] = true
		}
	}
	for k, s := range d.found {
		name, claims := ownedName(k.name)
		owners := readOwners(s)
		if claims && len(owners) > 0 && d.wish.mayTakeAll(owners) == "" && d.special[name] == "" {
			d.names[name] = true
		}
	}
}

// whyNot says why a wanted name is not ours to write to; empty when it is.
func (d *differ) whyNot(name string) string {
	if s := d.special[name]; s != "" {
		return "it is " + s
	}
	claim, claimed := d.found[key{ownerName(name), "TXT"}]
	owners := readOwners(claim)
	if d.wish.Adopt {
		owners = slices.DeleteFunc(owners, func(o Owner) bool { return o.Cluster == d.wish.Owner.Cluster })
	}
	switch {
	case len(owners) > 0:
		return d.wish.mayTakeAll(owners)
	case d.wish.Adopt:
		return ""
	case claimed:
		return "its claim at " + ownerName(name) + " is not quorate's: a hand has changed it (--dns-adopt claims it anew)"
	}
	for _, kind := range managed {
		if _, exists := d.found[key{name, kind}]; exists {
			return "it exists, and no cluster has claimed it"
		}
	}
	return ""
}

// dropStrayTargets takes back SRV records whose target is a wanted name that
// is not ours: it would lead clients to a stranger.
func (d *differ) dropStrayTargets() {
	d.wish.Records = slices.DeleteFunc(slices.Clone(d.wish.Records), func(r cluster.Record) bool {
		target := CleanName(r.Data[strings.LastIndexByte(r.Data, ' ')+1:])
		return r.Type == "SRV" && d.refused[target] != ""
	})
}

// name adds the changes of one name that is ours.
func (d *differ) name(name string) {
	left := false
	for _, kind := range managed {
		after := d.target(key{name, kind})
		d.change(key{name, kind}, after)
		left = left || after != nil
	}
	claim := key{ownerName(name), "TXT"}
	if !left {
		d.change(claim, nil)
		return
	}
	text := d.wish.Owner.text()
	if old, ok := d.found[claim]; ok && slices.Equal(old.Values, []string{text}) {
		return // whatever its TTL
	}
	d.change(claim, &Set{Name: claim.name, Type: "TXT", TTL: d.wish.ttl(), Values: []string{text}})
}

func (d *differ) change(k key, after *Set) {
	before, exists := d.found[k]
	switch {
	case exists && after != nil && before.equal(*after), !exists && after == nil:
	case exists:
		d.changes = append(d.changes, Change{&before, after})
	default:
		d.changes = append(d.changes, Change{nil, after})
	}
}

// target is the set as it should be: what is wanted, and of what is tolerated
// that which is there; nil for none.
func (d *differ) target(k key) *Set {
	s := Set{Name: k.name, Type: k.kind}
	for _, r := range d.wish.Records {
		if r.Name == k.name && r.Type == k.kind {
			s.Values, s.TTL = append(s.Values, r.Data), r.TTL
		}
	}
	for _, r := range d.wish.Tolerated {
		if r.Name == k.name && r.Type == k.kind && slices.Contains(d.found[k].Values, r.Data) && !slices.Contains(s.Values, r.Data) {
			s.Values, s.TTL = append(s.Values, r.Data), r.TTL
		}
	}
	if len(s.Values) == 0 {
		return nil
	}
	slices.Sort(s.Values)
	return &s
}

// ttl of a claim is that of the records.
func (w Wish) ttl() time.Duration {
	for _, r := range slices.Concat(w.Records, w.Tolerated) {
		return r.TTL
	}
	return time.Minute
}

// phase orders the changes, for a provider that makes them one by one: a name
// is claimed before it is written to and given up last; what excludes other
// types goes first; an SRV record never points at a name without an address.
func phase(c Change) int {
	kind, gone := c.Set().Type, c.After == nil
	switch {
	case kind == "TXT" && !gone:
		return 0
	case kind == "CNAME":
		return 1
	case kind != "SRV" && !gone:
		return 2
	case kind == "SRV" && !gone:
		return 3
	case kind == "SRV":
		return 4
	case kind != "TXT":
		return 5
	}
	return 6
}
