package route53

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/route53"
	"github.com/aws/aws-sdk-go-v2/service/route53/types"

	"github.com/quorate/quorate/internal/publish"
)

// find is the id of the one zone with exactly our name; an id that was given
// must have that name too. Route 53 lists zones
// from a name on, so that the first is not always the one asked for; and public
// and private zones may share a name.
func (z *Zone) find(ctx context.Context) (string, error) {
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.id != "" {
		return z.id, nil
	}
	zones, err := z.candidates(ctx)
	if err != nil {
		return "", err
	}
	var ids []string
	for _, h := range zones {
		if (z.cfg.Private == nil || isPrivate(h) == *z.cfg.Private) && (z.cfg.ID == "" || short(h) == z.cfg.ID) {
			ids = append(ids, short(h))
		}
	}
	switch {
	case len(zones) == 0:
		return "", fmt.Errorf("no hosted zone is called exactly %s", z.cfg.Zone)
	case len(ids) == 0:
		return "", fmt.Errorf("of the hosted zones that are called %s, none is the one that id= and private= ask for: %s", z.cfg.Zone, strings.Join(described(zones), ", "))
	case len(ids) > 1:
		return "", fmt.Errorf("%d hosted zones are called %s: say which with id=: %s", len(ids), z.cfg.Zone, strings.Join(described(zones), ", "))
	}
	z.id = ids[0]
	return z.id, nil
}

func (z *Zone) candidates(ctx context.Context) ([]types.HostedZone, error) {
	var out []types.HostedZone
	in := &sdk.ListHostedZonesByNameInput{DNSName: aws.String(z.cfg.Zone + ".")}
	for {
		page, err := z.client.ListHostedZonesByName(ctx, in)
		if err != nil {
			return nil, fmt.Errorf("looking for hosted zone %s: %w", z.cfg.Zone, withoutPath(err))
		}
		for _, h := range page.HostedZones {
			if name(h) != z.cfg.Zone {
				return out, nil // sorted: those of our name come first
			}
			out = append(out, h)
		}
		if !page.IsTruncated {
			return out, nil
		}
		in.DNSName, in.HostedZoneId = page.NextDNSName, page.NextHostedZoneId
	}
}

// withoutPath is an error about a role's token without the path of its file,
// where a person may have put the token: the SDK tells it as text.
func withoutPath(err error) error {
	const key = "AWS_WEB_IDENTITY_TOKEN_FILE"
	if file := os.Getenv(key); file != "" && strings.Contains(err.Error(), file) {
		if _, unread := publish.ReadCredential(key, file); unread != nil {
			return unread
		}
	}
	return err
}

func name(h types.HostedZone) string { return publish.CleanName(unescape(aws.ToString(h.Name))) }

func short(h types.HostedZone) string {
	return strings.TrimPrefix(aws.ToString(h.Id), "/hostedzone/")
}

func isPrivate(h types.HostedZone) bool { return h.Config != nil && h.Config.PrivateZone }

func kind(h types.HostedZone) string {
	if isPrivate(h) {
		return "private"
	}
	return "public"
}

func described(zones []types.HostedZone) (out []string) {
	for _, h := range zones {
		out = append(out, short(h)+" ("+kind(h)+")")
	}
	return out
}
