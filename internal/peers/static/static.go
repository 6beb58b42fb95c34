// Package static is a peers source written out in a setting:
// a=10.0.0.1,b=[2001:db8::1],c=host.example. It lists who should be there and
// proves nothing about who is gone, so it is not authoritative.
package static

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/peers/entry"
)

// Source always gives the same view. Safe for concurrent use.
type Source struct{ view cluster.View }

// Open reads raw: name=host pairs between commas. All of its problems come at
// once. Ports are those given; a group with more than one set of ports needs a
// peers file.
func Open(raw string, ports entry.Ports) (*Source, error) {
	var peers []cluster.Peer
	var problems []error
	for _, item := range strings.Split(raw, ",") {
		p, err := parse(strings.TrimSpace(item))
		if err == nil {
			p = ports.Fill(p)
			err = entry.Check(p)
		}
		if err != nil {
			if strings.Contains(item, "@") { // it may hold a password
				item = "…@…"
			}
			problems = append(problems, fmt.Errorf("%q: %w", item, err))
			continue
		}
		peers = append(peers, p)
	}
	if err := errors.Join(append(problems, entry.Unique(peers))...); err != nil {
		return nil, err
	}
	cluster.SortPeers(peers)
	return &Source{view: cluster.View{Peers: peers, Size: len(peers)}}, nil
}

func parse(item string) (cluster.Peer, error) {
	name, host, ok := strings.Cut(item, "=")
	if !ok {
		return cluster.Peer{}, errors.New("want name=host")
	}
	host, err := entry.Host(strings.TrimSpace(host))
	return cluster.Peer{Name: strings.TrimSpace(name), Host: host, State: cluster.Running}, err
}

// View is the list, each time a new copy of it. Only a context that is over
// makes an error.
func (s *Source) View(ctx context.Context) (cluster.View, error) {
	if err := ctx.Err(); err != nil {
		return cluster.View{}, err
	}
	view := s.view
	view.Peers = slices.Clone(view.Peers)
	return view, nil
}
