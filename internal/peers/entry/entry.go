// Package entry is what all peers sources say alike of one peer: which names
// and hosts are good, which ports it has when none are said, and what may not
// occur twice in a group.
package entry

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/quorate/quorate/internal/cluster"
)

// Ports are a group's usual ports: those of a peer that has none of its own.
type Ports struct {
	Client, Peer, Agent int
	// Scheme is http or https: of this node's peer port, and so of all members';
	// empty: nobody knows.
	Scheme string
}

// Fill gives p the usual ports where it has none, and its name as its id.
func (d Ports) Fill(p cluster.Peer) cluster.Peer {
	p.ClientPort = either(p.ClientPort, d.Client)
	p.PeerPort = either(p.PeerPort, d.Peer)
	p.AgentPort = either(p.AgentPort, d.Agent)
	if p.ID == "" {
		p.ID = p.Name
	}
	return p
}

func either(port, usual int) int {
	if port != 0 {
		return port
	}
	return usual
}

// A name is an object key's part in the store and a word in etcd's
// --initial-cluster, so it has nothing in it that either would read as more.
var name = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,252}$`)

// CheckName says what is wrong with a node's name.
func CheckName(s string) error {
	switch {
	case s == "":
		return errors.New("missing name")
	case !name.MatchString(s):
		return fmt.Errorf("name %q: want letters, digits, dot, dash and underscore, a letter or digit first", s)
	}
	return nil
}

var (
	label   = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?$`)
	numeric = regexp.MustCompile(`^[0-9]+$`)
)

// Host is s as cluster.Peer holds it: a DNS name as it is, an IP address in
// its canonical form and without brackets. A port is an error.
func Host(s string) (string, error) {
	if s == "" {
		return "", errors.New("missing host")
	}
	if strings.ContainsAny(s, "@/") { // it may hold a password
		return "", errors.New("host: want an IP address or a DNS name, not a URL, and no user")
	}
	bare := s
	if strings.HasPrefix(s, "[") && strings.HasSuffix(s, "]") {
		bare = s[1 : len(s)-1]
	}
	addr, err := netip.ParseAddr(bare)
	switch {
	case err == nil && (addr.IsUnspecified() || addr.IsMulticast() || addr.Zone() != ""):
		return "", fmt.Errorf("host %q: nobody can be reached there", s)
	case err == nil && (bare == s || addr.Is6()):
		return addr.Unmap().String(), nil
	}
	if h, port, err := net.SplitHostPort(s); err == nil {
		return "", fmt.Errorf("host %q: want no port: leave :%s out, and %s is the host", s, port, h)
	}
	return s, dnsName(s)
}

func dnsName(s string) error {
	labels := strings.Split(strings.TrimSuffix(s, "."), ".")
	for _, l := range labels {
		if !label.MatchString(l) {
			return fmt.Errorf("host %q: want an IP address or a DNS name", s)
		}
	}
	// 10.0.0.300 and 10.0.0.01 are slips of the pen, not names.
	if numeric.MatchString(labels[len(labels)-1]) || len(s) > 253 {
		return fmt.Errorf("host %q: want an IP address or a DNS name", s)
	}
	return nil
}

// Check says everything that is wrong with a filled peer.
func Check(p cluster.Peer) error {
	problems := []error{CheckName(p.Name)}
	if _, err := Host(p.Host); err != nil {
		problems = append(problems, err)
	}
	switch p.State {
	case cluster.Pending, cluster.Running, cluster.Terminating, cluster.Terminated:
	default:
		problems = append(problems, fmt.Errorf("state %q: want pending, running, terminating or terminated", p.State))
	}
	for _, port := range ports(p) {
		if port.number < 1 || port.number > 65535 {
			problems = append(problems, fmt.Errorf("%s %d: want 1 to 65535", port.key, port.number))
		}
	}
	return errors.Join(problems...)
}

// Unique says which name, id, or host and port occurs twice: then nobody can
// tell which machine is meant. Of two peers the first of these is all that is said.
func Unique(peers []cluster.Peer) error {
	var problems []error
	taken := map[string]cluster.Peer{}
	for _, p := range peers {
		claims := claimsOf(p)
		again := slices.IndexFunc(claims, func(what string) bool { _, held := taken[what]; return held })
		own := repeated(claims)
		switch {
		case again >= 0:
			problems = append(problems, twice(claims[again], taken[claims[again]], p))
		case own != "":
			problems = append(problems, fmt.Errorf("%s: given twice, by two ports of %q", own, p.Name))
		}
		for _, what := range claims {
			if _, held := taken[what]; !held {
				taken[what] = p
			}
		}
	}
	return errors.Join(problems...)
}

// claimsOf is what no other peer may have.
func claimsOf(p cluster.Peer) []string {
	claims := []string{"name " + p.Name}
	if p.ID != p.Name { // else the name has said it
		claims = append(claims, "id "+p.ID)
	}
	if p.State == cluster.Terminated {
		return claims // a new machine may have its address
	}
	for _, port := range ports(p) {
		claims = append(claims, "address "+net.JoinHostPort(strings.ToLower(p.Host), strconv.Itoa(port.number)))
	}
	return claims
}

func repeated(claims []string) string {
	for i, what := range claims {
		if slices.Contains(claims[:i], what) {
			return what
		}
	}
	return ""
}

// twice tells the two apart: by their names, or else their hosts, or their ports.
func twice(what string, a, b cluster.Peer) error {
	one, other := strconv.Quote(a.Name), strconv.Quote(b.Name)
	switch {
	case a.Name != b.Name:
	case !strings.EqualFold(a.Host, b.Host):
		one, other = "host "+a.Host, "host "+b.Host
	case a.PeerPort != b.PeerPort:
		one, other = fmt.Sprintf("%s with peer port %d", a.Host, a.PeerPort), fmt.Sprintf("with %d", b.PeerPort)
	default:
		return fmt.Errorf("%s: given twice, each time with host %s", what, a.Host)
	}
	return fmt.Errorf("%s: given twice, by %s and %s", what, one, other)
}

type port struct {
	key    string
	number int
}

func ports(p cluster.Peer) []port {
	return []port{{"client_port", p.ClientPort}, {"peer_port", p.PeerPort}, {"agent_port", p.AgentPort}}
}
