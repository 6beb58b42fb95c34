package aws

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/quorate/quorate/internal/peers/entry"
	"github.com/quorate/quorate/internal/peers/query"
)

// place is what a URL names.
type place struct {
	tag        bool   // else a group
	key, value string // the group's name is the value
	regions    []string
	address    string
	every      time.Duration
}

// How often the API is asked: what many nodes ask together must stay far below
// the account's limits.
const (
	usually = 10 * time.Second
	atMost  = time.Second
)

var regionName = regexp.MustCompile(`^[a-z]{2,}(-[a-z]+)+-[0-9]+$`)

// Open takes aws-asg://NAME or aws-tag://KEY=VALUE, with the options region or
// regions, address and every, and asks nobody yet. All of its problems come at
// once.
func Open(raw string, ports entry.Ports) (*Source, error) {
	at, err := parse(raw)
	if err != nil {
		return nil, err
	}
	return &Source{at: at, ports: ports, mine: make(chan struct{}, 1), clients: map[string]clients{}}, nil
}

// parse reads the text by hand: groups' and tags' names hold more than a URL's
// host may.
func parse(raw string) (place, error) {
	scheme, rest, _ := strings.Cut(raw, "://")
	name, options, _ := strings.Cut(rest, "?")
	var at place
	var problems []error
	switch scheme {
	case "aws-asg":
		if at.value, problems = unescape(name); strings.Contains(at.value, ":") {
			problems = append(problems, fmt.Errorf("group %q: want a name, which has no colon, and not its ARN", at.value))
		}
	case "aws-tag":
		key, value, ok := strings.Cut(name, "=")
		at.tag = true
		var more []error
		at.key, problems = unescape(key)
		at.value, more = unescape(value)
		problems = append(problems, more...)
		if !ok || key == "" {
			problems = append(problems, errors.New("want aws-tag://KEY=VALUE, or aws-tag://KEY= for this machine's own value"))
		}
	default:
		return place{}, fmt.Errorf("scheme %q: want aws-asg or aws-tag", scheme)
	}
	problems = append(problems, at.options(query.Of(&url.URL{RawQuery: options})))
	return at, errors.Join(problems...)
}

func unescape(s string) (string, []error) {
	plain, err := url.PathUnescape(s)
	if err != nil {
		return "", []error{fmt.Errorf("name %q: %w", s, err)}
	}
	return plain, nil
}

func (at *place) options(q *query.Query) error {
	one, many := q.Text("region"), q.Text("regions")
	at.address = q.OneOf("address", "private", "public", "ipv6")
	at.every = q.Duration("every", usually, atMost)
	if one != "" && many != "" {
		q.Refuse("region", "given beside regions: want one of the two")
	}
	for _, region := range strings.Split(one+many, ",") {
		switch {
		case one+many == "":
		case !regionName.MatchString(region):
			q.Refuse("regions", "%q: want names as eu-central-1, with commas between", region)
		case slices.Contains(at.regions, region):
			q.Refuse("regions", "%s: given twice", region)
		default:
			at.regions = append(at.regions, region)
		}
	}
	return q.Err()
}

// String is for errors.
func (at place) String() string {
	switch {
	case at.tag:
		return fmt.Sprintf("instances with tag %s=%s", at.key, at.value)
	case at.value == "":
		return "this machine's own Auto Scaling group"
	}
	return fmt.Sprintf("Auto Scaling group %s", at.value)
}
