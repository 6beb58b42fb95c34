package publish

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Zone is one DNS zone at its provider. Both methods end with ctx and are safe
// for one caller at a time. Errors name the zone and never a secret.
type Zone interface {
	// List is every set at or below domain, which is the zone's name or ends
	// with it. Others may be among them. A provider without exactly this zone
	// is an error.
	List(ctx context.Context, domain string) ([]Set, error)
	// Apply makes the changes, in their order where it cannot make them at
	// once. It changes a set only from Before, and otherwise fails with
	// ErrChanged; after any error some changes may have been made. It returns
	// once the provider's own servers answer accordingly, as far as it tells.
	Apply(ctx context.Context, changes []Change) error
}

// Transactional is asked of a Zone: all changes of one Apply are made or none,
// and a Before that does not hold any more fails them all. Without it, a name
// is claimed and looked at again before anything is written to it.
type Transactional interface{ Transactional() }

// ErrChanged is wrapped by Apply's error when the zone is not as it was listed:
// somebody else has been faster. The next round looks again.
var ErrChanged = errors.New("the zone has changed meanwhile")

// Set is all records of one name and type.
type Set struct {
	Name   string        `json:"name"` // fully qualified, in lower case, without the last dot
	Type   string        `json:"type"`
	TTL    time.Duration `json:"ttl"`
	Values []string      `json:"values"` // sorted; as a zone file has them, TXT in quotes, SRV targets in lower case with their dot
	// Special says what else the provider makes of it, such as an alias or a
	// routing policy; quorate never touches such a name.
	Special string `json:"special,omitempty"`
}

// Change turns one set into another; both have the same name and type. Before
// is nil when there is none, After when there shall be none.
type Change struct {
	Before *Set `json:"before,omitempty"`
	After  *Set `json:"after,omitempty"`
}

// Set is the one that is changed: as it will be, or else as it was.
func (c Change) Set() Set {
	if c.After != nil {
		return *c.After
	}
	return *c.Before
}

// String is one line for people: what comes (+), goes (-) and stays.
func (c Change) String() string {
	s := c.Set()
	var before, after Set
	if c.Before != nil {
		before = *c.Before
	}
	if c.After != nil {
		after = *c.After
	}
	var parts []string
	for _, v := range before.Values {
		if !slices.Contains(after.Values, v) {
			parts = append(parts, "-"+v)
		}
	}
	for _, v := range after.Values {
		if !slices.Contains(before.Values, v) {
			parts = append(parts, "+"+v)
		}
	}
	if c.Before != nil && c.After != nil && before.TTL != after.TTL {
		parts = append(parts, fmt.Sprintf("ttl %s -> %s", before.TTL, after.TTL))
	}
	return fmt.Sprintf("%s %s %s", s.Name, s.Type, strings.Join(parts, ", "))
}

func (s Set) equal(t Set) bool { return s.TTL == t.TTL && slices.Equal(s.Values, t.Values) }

// Below says that name is the domain or below it.
func Below(name, domain string) bool {
	return name == domain || strings.HasSuffix(name, "."+domain)
}

// CleanName is a name as Set has it.
func CleanName(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }

// CleanValue is a value as Set has it. TXT must be quoted already.
func CleanValue(kind, value string) string {
	switch kind {
	case "SRV", "CNAME", "NS", "MX":
		value = strings.ToLower(strings.Join(strings.Fields(value), " "))
		if !strings.HasSuffix(value, ".") {
			value += "."
		}
	}
	return value
}

// Sorted is the set with its values in order.
func (s Set) Sorted() Set {
	slices.Sort(s.Values)
	return s
}
