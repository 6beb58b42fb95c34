package main

import (
	"context"
	"fmt"
	"os"

	"github.com/quorate/quorate/internal/config"
	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/publish"
	"github.com/quorate/quorate/internal/publish/clouddns"
	"github.com/quorate/quorate/internal/publish/cloudflare"
	"github.com/quorate/quorate/internal/publish/rfc2136"
	"github.com/quorate/quorate/internal/publish/route53"
)

// openZone is the switch over the DNS providers. It asks none of them yet; a
// credential that is not there is an error already, and one whose file changes
// later is read again.
func openZone(ctx context.Context, t publish.Target) (publish.Zone, error) {
	switch t.Provider {
	case "route53":
		return route53.Open(ctx, route53.Config{Zone: t.Zone, ID: t.ID, Private: t.Private, Region: t.Region})
	case "cloudflare":
		token := func() (string, error) { return cloudflare.ReadToken(t.TokenFile, os.Getenv(cloudflare.TokenVariable)) }
		if _, err := token(); err != nil {
			return nil, err
		}
		return cloudflare.Open(cloudflare.Config{Zone: t.Zone, ID: t.ID, Token: token}), nil
	case "googleclouddns":
		return clouddns.Open(clouddns.Config{Zone: t.Zone, ID: t.ID, Private: t.Private, Project: t.Project})
	case "rfc2136":
		key := func() (rfc2136.Key, error) { return rfc2136.ReadKey(t.KeyFile, os.Getenv(rfc2136.KeyVariable)) }
		if _, err := key(); err != nil {
			return nil, err
		}
		return rfc2136.Open(t.Zone, t.Server, key), nil
	}
	panic("no provider " + t.Provider) // Parse knows no other
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
