package cluster

import (
	"net"
	"slices"
	"strconv"
	"strings"
	"time"
)

// PeerState is what the environment says of a machine's life.
type PeerState string

// The states of a peer. A source that knows none says Running.
const (
	Pending     PeerState = "pending"
	Running     PeerState = "running"
	Terminating PeerState = "terminating"
	Terminated  PeerState = "terminated"
)

// Peer is a machine that the environment says belongs to the group.
type Peer struct {
	ID       string    `json:"id,omitempty"`   // the machine's own id; the name when the source has none
	Name     string    `json:"name"`           // unique in the group; etcd's member name
	Host     string    `json:"host"`           // IP address or DNS name, no port
	Zone     string    `json:"zone,omitempty"` // failure domain
	Region   string    `json:"region,omitempty"`
	State    PeerState `json:"state"`
	Launched time.Time `json:"launched,omitzero"` // zero when unknown
	// Group is the Auto Scaling group, or its like, that the machine belongs to.
	Group string `json:"group,omitempty"`
	// Held says that the machine's coming up or going away waits for our word:
	// it is pending or terminating under a lifecycle hook.
	Held bool `json:"held,omitempty"`
	// Unhealthy says that its group gives the machine up and will replace it.
	Unhealthy  bool `json:"unhealthy,omitempty"`
	ClientPort int  `json:"client_port"`
	PeerPort   int  `json:"peer_port"`
	AgentPort  int  `json:"agent_port"`
}

// Alive says that the machine exists and is not going away.
func (p Peer) Alive() bool { return p.State == Running || p.State == Pending }

// PeerURL is where the peer's etcd talks to other members: http or https.
func (p Peer) PeerURL(scheme string) string { return url(scheme, p.Host, p.PeerPort) }

// ClientURL is where the peer's etcd serves clients.
func (p Peer) ClientURL(scheme string) string { return url(scheme, p.Host, p.ClientPort) }

// AgentURL is where the peer's agent answers.
func (p Peer) AgentURL(scheme string) string { return url(scheme, p.Host, p.AgentPort) }

func url(scheme, host string, port int) string {
	return scheme + "://" + net.JoinHostPort(host, strconv.Itoa(port))
}

// SortPeers orders peers by age: launch time where known, then name. Every
// node sorts alike, so "the oldest three" means the same three everywhere.
func SortPeers(peers []Peer) {
	slices.SortFunc(peers, func(a, b Peer) int {
		if c := a.Launched.Compare(b.Launched); c != 0 {
			return c
		}
		return strings.Compare(a.Name, b.Name)
	})
}

// NoticeKind is what a message about a machine is about.
type NoticeKind string

// The kinds of notices. Of the first two the truth is the view: they say only
// that now is the time to look. The others no view shows.
const (
	NoticeLaunching   NoticeKind = "launching"
	NoticeTerminating NoticeKind = "terminating"
	NoticeSpot        NoticeKind = "spot"      // it will be interrupted: never taken back
	NoticeRebalance   NoticeKind = "rebalance" // it may be interrupted
)

// Notice is a message about a machine, from wherever it came. It may be late,
// repeated, or about a machine that is not ours.
type Notice struct {
	Kind   NoticeKind `json:"kind"`
	PeerID string     `json:"peer_id"`
	Group  string     `json:"group,omitempty"` // empty: not told
}

// View is one reading of a peers source.
type View struct {
	Peers []Peer `json:"peers"` // sorted by SortPeers, names unique
	// Authoritative says that a machine missing from Peers is gone. Only a
	// source that can prove it (a group's API, a file) may say so.
	Authoritative bool `json:"authoritative"`
	// Gathers says that machines get into the source one by one (records,
	// registrations): while it holds fewer than are wanted, some are yet to come.
	Gathers bool `json:"gathers,omitempty"`
	// Size is the wanted number of voters where the source knows it; else 0.
	Size int `json:"size,omitempty"`
}

// Peer is the peer of that name.
func (v View) Peer(name string) (Peer, bool) {
	for _, p := range v.Peers {
		if p.Name == name {
			return p, true
		}
	}
	return Peer{}, false
}

// PeerAt is the peer whose etcd talks to other members at that URL.
func (v View) PeerAt(scheme, peerURL string) (Peer, bool) {
	for _, p := range v.Peers {
		if p.PeerURL(scheme) == peerURL {
			return p, true
		}
	}
	return Peer{}, false
}
