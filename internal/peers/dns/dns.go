// Package dns is a peers source in DNS: the SRV records that etcd's own
// --discovery-srv reads, written by hand, by quorate's publisher or by anything.
//
//	dns+srv://example.org?name=&ssl=auto&host=name&size=3&server=10.0.0.2:53&every=2s
//
// looks up _etcd-server._tcp.example.org, or with ssl=true
// _etcd-server-ssl._tcp.example.org; ssl=auto takes the -ssl set where there is
// one. With name=x it is _etcd-server-x and _etcd-server-ssl-x.
//
// Each target is a peer. Its name is the target without the domain, so
// b.example.org is "b", and a target outside the domain keeps its whole name. Its
// peer port is the record's; the other ports are the group's usual ones. Its
// host is the target's name, in lower case and without the last dot: the node
// itself then runs with --host b.example.org, or finds that by itself, because
// the name has an address of this machine (Local). With host=address it is the
// target's one address instead, for nodes that run with --host 10.0.0.1, and
// for records that are published from such nodes.
//
// DNS lists and proves nothing: a view is never authoritative, and a peer that
// leaves it may be a record that was lost. No name, no record, a server's failure
// or silence are all unknown. A target that has no address is a stale name, or
// one to come: it is a peer that does not answer, or with host=address none, and
// keeps nobody from joining. size= is how many there will be: with fewer nobody
// founds.
//
// The servers are those of /etc/resolv.conf (its search list and /etc/hosts do
// not count), or server=. A resolver remembers that a name was not there; so
// when it says so, the zone's own servers are asked, at most every 5 s.
package dns

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sync/errgroup"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/peers/entry"
	"github.com/quorate/quorate/internal/peers/pace"
	"github.com/quorate/quorate/internal/peers/query"
)

// Source looks a group's records up. Safe for concurrent use.
type Source struct {
	*pace.Source
	domain  string // with its last dot, in lower case
	name    string
	ssl     string // auto, true or false
	address bool   // hosts are addresses
	size    int
	ports   entry.Ports
	server  string // host:port; empty: the system's
	system  string // the file that names the system's servers

	mu     sync.Mutex
	direct time.Time // when a zone's own servers were last to be asked
}

// directly is how often a zone's own servers are asked at most.
const directly = 5 * time.Second

// Open takes dns+srv://domain?options and looks nothing up.
func Open(raw string, ports entry.Ports) (*Source, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return nil, errors.New("want dns+srv://example.org")
	}
	q := query.Of(u)
	s := &Source{
		domain: strings.ToLower(dns.Fqdn(u.Host)), name: strings.ToLower(q.Text("name")), ssl: q.OneOf("ssl", "auto", "true", "false"),
		address: q.OneOf("host", "name", "address") == "address", size: q.Count("size"), ports: ports, server: q.Text("server"),
		system: "/etc/resolv.conf",
	}
	s.Source = pace.New(q.Duration("every", 2*time.Second, 0), s.look)
	if err := s.check(u); err != nil {
		q.Refuse("dns+srv", "%v", err)
	}
	if s.server != "" {
		if s.server, err = address(s.server); err != nil {
			q.Refuse("server", "%v", err)
		}
	}
	if err := q.Err(); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *Source) check(u *url.URL) error {
	host, err := entry.Host(strings.TrimSuffix(s.domain, "."))
	switch {
	case u.Scheme != "dns+srv" || u.Opaque != "" || u.User != nil || u.Fragment != "" || (u.Path != "" && u.Path != "/"):
		return errors.New("want dns+srv://example.org, and options after a question mark")
	case err != nil || net.ParseIP(host) != nil:
		return fmt.Errorf("%q: want a domain's name, without a port", u.Host)
	case s.name != "" && entry.CheckName(s.name) != nil:
		return errors.New("name: want letters, digits and dashes")
	}
	if _, ok := dns.IsDomainName(s.service(true)); !ok {
		return errors.New("the domain and the name are too long")
	}
	return nil
}

func address(server string) (string, error) {
	if _, _, err := net.SplitHostPort(server); err != nil {
		server = net.JoinHostPort(strings.Trim(server, "[]"), "53")
	}
	host, _, _ := net.SplitHostPort(server)
	_, err := entry.Host(host)
	return server, err
}

// service is the name of the SRV set, as etcd forms it.
func (s *Source) service(ssl bool) string {
	label := "_etcd-server"
	if ssl {
		label += "-ssl"
	}
	if s.name != "" {
		label += "-" + s.name
	}
	return label + "._tcp." + s.domain
}

// look is one reading of the records.
func (s *Source) look(ctx context.Context) (cluster.View, error) {
	targets, err := s.find(ctx)
	if err == nil {
		var view cluster.View
		if view, err = s.view(targets); err == nil {
			return view, nil
		}
	}
	return cluster.View{}, fmt.Errorf("looking up peers: %w", err)
}

// find is every target with its addresses, or an error: half an answer is none.
func (s *Source) find(ctx context.Context) ([]target, error) {
	ctx, cancel := context.WithTimeout(ctx, 8*time.Second)
	defer cancel()
	r, err := s.resolver()
	if err != nil {
		return nil, err
	}
	targets, err := s.targets(ctx, r)
	if err != nil {
		return nil, err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(16)
	for i := range targets {
		group.Go(func() error { return r.locate(ctx, &targets[i]) })
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return targets, anywhere(targets)
}

// resolver is who to ask now: /etc/resolv.conf may change.
func (s *Source) resolver() (*resolver, error) {
	if s.server != "" {
		return &resolver{servers: []string{s.server}}, nil
	}
	conf, err := dns.ClientConfigFromFile(s.system)
	if err != nil {
		return nil, fmt.Errorf("reading the system's name servers: %w", err)
	}
	r := &resolver{}
	for _, server := range conf.Servers {
		r.servers = append(r.servers, net.JoinHostPort(server, conf.Port))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Since(s.direct) > directly {
		s.direct = time.Now()
		r.authority = "53"
	}
	return r, nil
}

func (s *Source) targets(ctx context.Context, r *resolver) ([]target, error) {
	if s.ssl != "false" {
		found, err := r.srv(ctx, s.service(true))
		if s.ssl == "true" || !errors.Is(err, errNone) {
			return found, err
		}
	}
	return r.srv(ctx, s.service(false))
}
