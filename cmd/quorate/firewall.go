package main

import (
	"context"
	"net/url"
	"strings"

	sdk "github.com/aws/aws-sdk-go-v2/aws"

	"github.com/quorate/quorate/internal/agent"
	"github.com/quorate/quorate/internal/aws"
	"github.com/quorate/quorate/internal/firewall"
)

// keepFirewall keeps the rules that let other regions in, until ctx ends.
func (w *wiring) keepFirewall(ctx context.Context, a *agent.Agent) {
	if w.cfg.Firewall == "" {
		return
	}
	which, err := firewall.Parse(w.cfg.Firewall)
	if err != nil {
		return // Validate has said so
	}
	load := func(ctx context.Context) (sdk.Config, error) { return aws.Load(ctx, "") }
	k := firewall.Keeper{Cluster: w.cfg.Cluster, Self: w.cfg.Name, Addresses: addressesOf(w.cfg.Peers),
		Group: firewall.Open(load, which), Log: w.parts.Log}
	_ = k.Run(ctx, a.View)
}

// addressesOf is how the peers source says that regions reach each other:
// private addresses count only where they are asked for in so many words.
func addressesOf(source string) firewall.Addresses {
	_, query, _ := strings.Cut(source, "?")
	if values, err := url.ParseQuery(query); err == nil && values.Get("address") == "private" {
		return firewall.Private
	}
	return firewall.Public
}
