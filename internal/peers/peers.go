// Package peers says who should be in the cluster: it picks the leaf that a
// source's text names. What all leaves keep to is in package peerstest.
package peers

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/peers/aws"
	"github.com/quorate/quorate/internal/peers/discovery"
	"github.com/quorate/quorate/internal/peers/discoveryurl"
	"github.com/quorate/quorate/internal/peers/dns"
	"github.com/quorate/quorate/internal/peers/entry"
	"github.com/quorate/quorate/internal/peers/exec"
	"github.com/quorate/quorate/internal/peers/file"
	"github.com/quorate/quorate/internal/peers/static"
)

// Source tells who should be in the cluster.
//
// An error means unknown, never "nobody": a view without an error is whole,
// sorted by cluster.SortPeers, with unique names, every port filled, and the
// caller's own to change. Nobody retries inside; the next round asks again.
// Safe for concurrent use.
type Source interface {
	View(ctx context.Context) (cluster.View, error)
}

// Locator is a Source that can tell which peer is this machine.
type Locator interface {
	// Local is false when none or several may be, or nobody knows now.
	Local(ctx context.Context) (cluster.Peer, bool)
}

// Namer is a Source that names peers by what each machine knows of itself. A
// node that went by another name would be a stranger to the group.
type Namer interface {
	// Self is this machine as the source names it, without asking the group. An
	// error: the machine does not say who it is.
	Self(ctx context.Context) (cluster.Peer, error)
}

// Refresher is a Source that holds its answers for a while.
type Refresher interface {
	// Refresh makes the next View ask: something may have happened.
	Refresh()
}

// Ports are the group's usual ports.
type Ports = entry.Ports

// Sources are the places of a list that may be named.
const Sources = "file:///path, aws-asg://GROUP, aws-tag://KEY=VALUE, dns+srv://DOMAIN, " +
	"etcd://HOST:2379/TOKEN, https://HOST/TOKEN or exec:///program"

// supported is how a source may be written.
const supported = "name=host,name=host, " + Sources

// Validate says what is wrong with the text of a source, without looking at
// what it names.
func Validate(raw string) error {
	_, err := Open(raw, Ports{Client: 2379, Peer: 2380, Agent: 2378})
	return err
}

// IsStatic says that raw is the list itself and not the place of one.
func IsStatic(raw string) bool { return !strings.Contains(raw, "://") }

// Open makes the source that raw names. It looks at nothing yet.
func Open(raw string, ports Ports) (Source, error) {
	scheme, _, _ := strings.Cut(raw, "://")
	switch {
	case raw == "":
		return nil, errors.New("empty: want " + supported)
	case IsStatic(raw):
		return opened(static.Open(raw, ports))
	case scheme == "file":
		return opened(file.Open(raw, ports))
	case scheme == "aws-asg", scheme == "aws-tag":
		return opened(aws.Open(raw, ports))
	case scheme == "dns+srv":
		return opened(dns.Open(raw, ports))
	case scheme == "etcd":
		return opened(discovery.Open(raw, ports))
	case scheme == "http", scheme == "https":
		return opened(discoveryurl.Open(raw, ports))
	case scheme == "exec":
		return opened(exec.Open(raw, ports))
	}
	return nil, fmt.Errorf("not supported: %q; want %s", scheme+"://", supported)
}

// opened keeps a nil leaf from becoming a Source that is not nil.
func opened[S Source](s S, err error) (Source, error) {
	if err != nil {
		return nil, err
	}
	return s, nil
}
