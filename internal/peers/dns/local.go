package dns

import (
	"context"
	"net"
	"net/netip"
	"slices"

	"github.com/quorate/quorate/internal/cluster"
)

// Local is the one peer that has an address of this machine, and how the
// machine learns its name and host; false when none or several have, or when
// the records are unknown.
func (s *Source) Local(ctx context.Context) (cluster.Peer, bool) {
	targets, err := s.find(ctx)
	if err != nil {
		return cluster.Peer{}, false
	}
	mine, err := own()
	if err != nil {
		return cluster.Peer{}, false
	}
	var here []target
	for _, t := range targets {
		if slices.ContainsFunc(t.addrs, func(a netip.Addr) bool { return slices.Contains(mine, a) }) {
			here = append(here, t)
		}
	}
	if len(here) != 1 {
		return cluster.Peer{}, false
	}
	p, err := s.peer(here[0])
	return p, err == nil
}

// own are the addresses of this machine's interfaces.
func own() ([]netip.Addr, error) {
	nets, err := net.InterfaceAddrs()
	if err != nil {
		return nil, err
	}
	var out []netip.Addr
	for _, n := range nets {
		if p, err := netip.ParsePrefix(n.String()); err == nil {
			out = append(out, p.Addr().Unmap())
		}
	}
	return out, nil
}
