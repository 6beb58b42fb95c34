package main

import (
	"context"
	"fmt"
	"os"

	"github.com/quorate/quorate/internal/config"
	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/publish"
	"github.com/quorate/quorate/internal/publish/rfc2136"
	"github.com/quorate/quorate/internal/publish/route53"
)

// openZone is the switch over the DNS providers. It asks none of them yet.
func openZone(ctx context.Context, t publish.Target) (publish.Zone, error) {
	switch t.Provider {
	case "route53":
		return route53.Open(ctx, route53.Config{Zone: t.Zone, ID: t.ID, Private: t.Private, Region: t.Region})
	case "rfc2136":
		key, err := rfc2136.ReadKey(t.KeyFile, os.Getenv(rfc2136.KeyVariable))
		if err != nil {
			return nil, err
		}
		return rfc2136.Open(t.Zone, t.Server, key), nil
	}
	return nil, fmt.Errorf("no provider %s", t.Provider)
}

// openNames are the publisher of a cluster's names, and what these are.
func openNames(ctx context.Context, n config.Naming, cluster string) (*publish.Publisher, plan.Naming, error) {
	t, err := n.Target()
	if err != nil {
		return nil, plan.Naming{}, withKey("dns", err)
	}
	zone, err := openZone(ctx, t)
	if err != nil {
		return nil, plan.Naming{}, fmt.Errorf("dns: %w", err)
	}
	naming := plan.Naming{Style: t.Style, Zone: t.Zone, Prefix: t.Prefix, Service: t.Service, TTL: t.TTL}
	return publish.New(zone, naming.Domain(cluster)), naming, nil
}
