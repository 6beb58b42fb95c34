// Package registry is what etcd's two discovery protocols have in common: a
// token's registrations, each "name=peerURL", in the order in which they were
// made. The first of as many as the token's size are the founders.
package registry

import (
	"cmp"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/peers/entry"
)

// Entry is one registration.
type Entry struct {
	ID    string // the last part of its key
	Value string
	Order int64 // the revision or index at which it was made
}

// most is far above any group's size.
const most = 1000

// View makes peers of registrations, in their order: a peer's Launched is no
// time but that order, in seconds. A registration replaces older ones of the
// same name or the same address, as a new machine its predecessor.
func View(entries []Entry, size int, ports entry.Ports) (cluster.View, error) {
	if len(entries) > most {
		return cluster.View{}, fmt.Errorf("%d registrations: want %d at most", len(entries), most)
	}
	counted, problems := count(entries)
	var peers []cluster.Peer
	for _, c := range counted {
		p := ports.Fill(c.peer)
		p.Launched = time.Unix(c.Order, 0).UTC()
		peers = append(peers, p)
		problems = append(problems, entry.Check(p))
	}
	if err := errors.Join(append(problems, entry.Unique(peers))...); err != nil {
		return cluster.View{}, err
	}
	cluster.SortPeers(peers)
	return cluster.View{Peers: peers, Gathers: true, Size: size}, nil
}

// counted is a registration that no newer one replaces.
type counted struct {
	Entry
	peer cluster.Peer
}

func count(entries []Entry) (all []counted, problems []error) {
	entries = slices.Clone(entries)
	slices.SortFunc(entries, func(a, b Entry) int { // the newest first
		return cmp.Or(cmp.Compare(b.Order, a.Order), strings.Compare(a.ID, b.ID))
	})
	for _, e := range entries {
		p, err := e.Peer()
		switch {
		case err != nil:
			problems = append(problems, fmt.Errorf("registration %q: %w", e.ID, err))
		case !slices.ContainsFunc(all, func(newer counted) bool { return newer.peer.Name == p.Name || Same(newer.peer, p) }):
			all = append(all, counted{e, p})
		}
	}
	return all, problems
}

// Founding says which registrations nobody can found with: of two URLs, or of
// another scheme than this node's. A founder is a name and one URL, and who is
// recorded with another URL than its own cannot start.
func Founding(entries []Entry, scheme string) error {
	all, problems := count(entries)
	for _, c := range all {
		switch urls := c.urls(); {
		case len(urls) > 1:
			problems = append(problems, fmt.Errorf("registration %q, of %q: %d peer URLs: want one to found a cluster with", c.ID, c.peer.Name, len(urls)))
		case scheme != "" && !strings.HasPrefix(urls[0], scheme+"://"):
			problems = append(problems, fmt.Errorf("registration %q, of %q: its peer URL is %s, and this node's is %s: want one scheme of all, by peer-cert-file on all or on none",
				c.ID, c.peer.Name, urls[0], scheme))
		}
	}
	return errors.Join(problems...)
}

// Free says whether a node may register: not at the address of another one
// that waits, which would be pushed out. One that was noted has been a member,
// and may be a predecessor.
func Free(entries []Entry, noted []string, mine Entry) error {
	p, err := mine.Peer()
	if err != nil {
		return err
	}
	all, _ := count(entries)
	for _, c := range all {
		if Same(c.peer, p) && c.peer.Name != p.Name && !slices.Contains(noted, c.ID) {
			return fmt.Errorf("registration %q calls the machine at %s %q, not %q: want a name and an address of its own for each; when that machine is gone for good, delete its registration",
				c.ID, c.urls()[0], c.peer.Name, p.Name)
		}
	}
	return nil
}

// Same says that two peers' etcds have one address.
func Same(a, b cluster.Peer) bool { return a.Host == b.Host && a.PeerPort == b.PeerPort }

// Peer is who registered: the name, and of its URLs the first.
func (e Entry) Peer() (cluster.Peer, error) {
	var p cluster.Peer
	for i, pair := range strings.FieldsFunc(strings.TrimSpace(e.Value), func(r rune) bool { return r == ',' || r == '&' }) {
		name, raw, ok := strings.Cut(pair, "=")
		if !ok {
			return p, errors.New("want name=peerURL")
		}
		if i > 0 && name != p.Name {
			return p, errors.New("want one name")
		}
		host, port, err := parse(raw)
		if err != nil {
			return p, err
		}
		if i == 0 {
			p = cluster.Peer{Name: name, Host: host, PeerPort: port, State: cluster.Running}
		}
	}
	if p.Host == "" {
		return p, errors.New("want name=peerURL")
	}
	return p, entry.CheckName(p.Name)
}

func parse(raw string) (host string, port int, err error) {
	u, err := url.Parse(raw)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.User != nil || u.Path != "" || u.RawQuery != "" || u.Fragment != "" {
		return "", 0, errors.New("want a peer URL as http://10.0.0.1:2380")
	}
	host, err = entry.Host(u.Hostname())
	if err != nil {
		return "", 0, err
	}
	if port, err = strconv.Atoi(u.Port()); err != nil || port < 1 || port > 65535 {
		return "", 0, errors.New("want a peer URL with a port, as http://10.0.0.1:2380")
	}
	return host, port, nil
}

// Of is what a node registers, with http or https between members. The same
// node at the same address has the same ID each time.
func Of(name, peerURL string) Entry {
	value := name + "=" + peerURL
	sum := sha1.Sum([]byte(value)) // of no secret; etcd's own ids are made so
	return Entry{ID: hex.EncodeToString(sum[:8]), Value: value}
}

// Size reads a token's size.
func Size(text string) (int, error) {
	n, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil || n < 1 || n > most {
		return 0, fmt.Errorf("the token's size is %.20q: want a number, 1 or more", text)
	}
	return n, nil
}

// Changes are what brings registrations in step with the membership.
type Changes struct {
	Add  []Entry  // members that are not registered
	Note []string // ids of registrations whose members were never noted
	Drop []string // ids of registrations, noted earlier, whose members are gone
}

// Empty says that all is in step.
func (c Changes) Empty() bool { return len(c.Add)+len(c.Note)+len(c.Drop) == 0 }

// InStep compares. noted are the ids of registrations that had a member once:
// only those may go, for another may be a machine that waits to join. Members
// that have not started have no name yet, and wait.
func InStep(entries []Entry, noted []string, members []cluster.Member) Changes {
	var c Changes
	listed := map[string]bool{}
	for _, e := range entries {
		urls := e.urls()
		for _, u := range urls {
			listed[u] = true
		}
		is := slices.ContainsFunc(members, func(m cluster.Member) bool { return slices.ContainsFunc(urls, m.Listens) })
		switch was := slices.Contains(noted, e.ID); {
		case is && !was:
			c.Note = append(c.Note, e.ID)
		case was && !is:
			c.Drop = append(c.Drop, e.ID)
		}
	}
	for _, m := range members {
		if m.Started() && len(m.PeerURLs) > 0 && !slices.ContainsFunc(m.PeerURLs, func(u string) bool { return listed[u] }) {
			e := Of(m.Name, m.PeerURLs[0])
			c.Add = append(c.Add, e)
			c.Note = append(c.Note, e.ID)
		}
	}
	return c
}

func (e Entry) urls() []string {
	var out []string
	for _, pair := range strings.FieldsFunc(strings.TrimSpace(e.Value), func(r rune) bool { return r == ',' || r == '&' }) {
		_, u, _ := strings.Cut(pair, "=")
		out = append(out, u)
	}
	return out
}
