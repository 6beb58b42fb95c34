package publish

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Target is a --dns URL: which zone, at which provider, and which names in it.
type Target struct {
	Provider string // route53, cloudflare, rfc2136 or googleclouddns
	Zone     string
	Style    string // etcd, stups or stups-readme
	Prefix   string
	Service  string // etcd's --discovery-srv-name
	TTL      time.Duration
	// Of one provider or another; empty when not said.
	ID        string // of the zone
	Region    string
	Project   string
	Server    string // host:port
	KeyFile   string
	TokenFile string
	Private   *bool
}

// usualTTL is that of records whose URL says none.
const usualTTL = time.Minute

// common and own are the parameters of all providers, and of each.
var (
	common = []string{"prefix", "ttl", "style", "name"}
	own    = map[string][]string{
		"route53":        {"id", "private", "region"},
		"cloudflare":     {"id", "token-file"},
		"rfc2136":        {"server", "key-file"},
		"googleclouddns": {"id", "private", "project"},
	}
	secretive = regexp.MustCompile(`(?i)key|secret|token|password|tsig|credential`)
	dnsLabel  = regexp.MustCompile(`^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$`)
	styles    = []string{"etcd", "stups", "stups-readme"}
)

// Parse reads a --dns URL, without asking anyone. Its error says everything
// that is wrong and quotes no value that could be a secret.
func Parse(raw string) (Target, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return Target{}, errors.New("not a URL: want route53://example.org?prefix=…") // its own message quotes all of it
	}
	mine, known := own[u.Scheme]
	switch {
	case !known:
		return Target{}, fmt.Errorf("unknown provider: want one of %s, as in route53://example.org", strings.Join(slices.Sorted(maps.Keys(own)), ", "))
	case u.User != nil:
		return Target{}, fmt.Errorf("%s: credentials do not belong in the URL: %s", u.Scheme, credentials[u.Scheme])
	}
	t := Target{Provider: u.Scheme, Zone: CleanName(u.Hostname()), TTL: usualTTL, Style: "etcd"}
	var problems []error
	add := func(err error) {
		if err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", u.Scheme, err))
		}
	}
	if u.Port() != "" || strings.Trim(u.Path, "/") != "" || u.Fragment != "" || u.Opaque != "" {
		add(errors.New("want nothing but a zone and parameters: " + u.Scheme + "://example.org?ttl=60"))
	}
	add(checkName("zone", t.Zone))
	q, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		add(errors.New("malformed parameters"))
	}
	for _, key := range slices.Sorted(maps.Keys(q)) {
		switch {
		case !slices.Contains(mine, key) && !slices.Contains(common, key) && secretive.MatchString(key):
			add(fmt.Errorf("parameter %q: credentials do not belong in the URL: %s", key, credentials[u.Scheme]))
		case !slices.Contains(mine, key) && !slices.Contains(common, key):
			add(fmt.Errorf("unknown parameter %q: want %s", key, strings.Join(slices.Concat(common, mine), ", ")))
		case len(q[key]) != 1:
			add(fmt.Errorf("parameter %q is given %d times", key, len(q[key])))
		default:
			add(t.set(key, q.Get(key)))
		}
	}
	add(t.check(q))
	return t, errors.Join(problems...)
}

// credentials says where each provider's come from.
var credentials = map[string]string{
	"route53":        "they come from the AWS environment, files or the machine's role",
	"cloudflare":     "set CLOUDFLARE_API_TOKEN, or token-file=/path",
	"rfc2136":        "give the TSIG key by key-file=/path, or set QUORATE_DNS_TSIG to algorithm:name:secret",
	"googleclouddns": "set GOOGLE_APPLICATION_CREDENTIALS to a file, or use the machine's service account",
}

func (t *Target) set(key, value string) error {
	switch key {
	case "prefix":
		t.Prefix = strings.Trim(strings.ToLower(value), ".")
		return checkName("prefix", t.Prefix)
	case "name":
		t.Service = strings.ToLower(value)
		return checkName("name", t.Service)
	case "style":
		t.Style = value
		if !slices.Contains(styles, value) {
			return fmt.Errorf("style %q: want %s", value, strings.Join(styles, ", "))
		}
	case "ttl":
		return t.setTTL(value)
	case "private":
		b, err := strconv.ParseBool(value)
		if err != nil {
			return fmt.Errorf("private %q: want true or false", value)
		}
		t.Private = &b
	case "server":
		var err error
		if t.Server, err = Server(value); err != nil {
			return fmt.Errorf("server %w", err)
		}
	default:
		*map[string]*string{"id": &t.ID, "region": &t.Region, "project": &t.Project, "key-file": &t.KeyFile, "token-file": &t.TokenFile}[key] = value
	}
	return nil
}

// setTTL takes seconds, or a time with its unit.
func (t *Target) setTTL(value string) error {
	d, err := time.ParseDuration(value)
	if n, failed := strconv.Atoi(value); failed == nil {
		d, err = time.Duration(n)*time.Second, nil
	}
	if err != nil || d < time.Second || d > 24*time.Hour || d%time.Second != 0 {
		return fmt.Errorf("ttl %q: want whole seconds, 1 to 86400", value)
	}
	t.TTL = d
	return nil
}

// check is about parameters that need each other.
func (t *Target) check(given url.Values) error {
	switch {
	case t.Provider == "rfc2136" && !given.Has("server"):
		return errors.New("server: not given: want server=host:53, the zone's primary")
	case t.Provider == "cloudflare" && t.TTL < time.Minute:
		return errors.New("ttl: Cloudflare takes 60 seconds or more")
	case t.Service != "" && t.Style != "etcd":
		return fmt.Errorf("name: style %s has no service names", t.Style)
	}
	return t.checkService()
}

// longestName is what etcd's discovery looks up for a service, over TLS; and
// longestLabel and longestDomain what DNS can hold.
const (
	longestName   = "_etcd-server-ssl-"
	longestLabel  = 63
	longestDomain = 253
)

// checkService says why no DNS name could hold those of the service.
func (t *Target) checkService() error {
	if t.Service == "" || checkName("", t.Service) != nil {
		return nil
	}
	label, _, _ := strings.Cut(longestName+t.Service, ".")
	if over := len(label) - longestLabel; over > 0 {
		return fmt.Errorf("name %q: too long by %d: etcd looks up %s, and DNS takes %d characters between two dots", t.Service, over, label, longestLabel)
	}
	claim := ownerName(longestName + t.Service + "._tcp." + strings.Trim(t.Prefix+"."+t.Zone, "."))
	if over := len(claim) - longestDomain; over > 0 {
		return fmt.Errorf("name %q: too long by %d beside that prefix and zone: DNS takes %d characters in all, as in %s", t.Service, over, longestDomain, claim)
	}
	return nil
}

// Server is a name server as host:port; without a port it is 53. An IPv6 address
// has brackets where a port follows.
func Server(value string) (string, error) {
	host, port, err := net.SplitHostPort(value)
	if err != nil {
		host, port = strings.Trim(value, "[]"), "53"
	}
	_, notAddress := netip.ParseAddr(host)
	number, notNumber := strconv.ParseUint(port, 10, 16)
	if notAddress != nil && checkName("", strings.ToLower(strings.TrimSuffix(host, "."))) != nil || notNumber != nil || number == 0 {
		return "", fmt.Errorf("%q: want host or host:port", value)
	}
	return net.JoinHostPort(host, port), nil
}

func checkName(what, name string) error {
	for label := range strings.SplitSeq(name, ".") {
		if !dnsLabel.MatchString(label) || len(name) > 200 {
			return fmt.Errorf("%s %q: want a DNS name", what, name)
		}
	}
	return nil
}
