// Package route53 is publish.Zone on Amazon Route 53. One call makes all
// changes or none, and each only from what was listed.
package route53

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	sdk "github.com/aws/aws-sdk-go-v2/service/route53"
	"github.com/aws/aws-sdk-go-v2/service/route53/types"

	"github.com/quorate/quorate/internal/publish"
)

// Config says which hosted zone.
type Config struct {
	Zone    string // its exact name
	ID      string // optional; needed where several have that name
	Private *bool  // optional: only a private, or only a public one
	Region  string // optional: of the credentials' endpoints; Route 53 itself has none
}

// callLimit bounds each request.
const callLimit = 20 * time.Second

// Zone is one hosted zone.
type Zone struct {
	cfg    Config
	client *sdk.Client

	mu sync.Mutex
	id string // once found
}

// Open reads the credentials' configuration as every AWS program does, and
// asks nobody for the zone yet.
func Open(ctx context.Context, c Config) (*Zone, error) {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	opts := []func(*config.LoadOptions) error{config.WithHTTPClient(awshttp.NewBuildableClient().WithTimeout(callLimit))}
	if c.Region != "" {
		opts = append(opts, config.WithRegion(c.Region))
	}
	loaded, err := config.LoadDefaultConfig(ctx, opts...)
	if err != nil {
		return nil, fmt.Errorf("loading the AWS configuration: %w", publish.WithoutPath("one of its files", err))
	}
	if loaded.Region == "" {
		loaded.Region = "us-east-1" // where Route 53's own endpoint is
	}
	c.Zone = publish.CleanName(c.Zone)
	return &Zone{cfg: c, client: sdk.NewFromConfig(loaded)}, nil
}

// Transactional: a change batch is.
func (z *Zone) Transactional() {}

// List is every set at or below domain. They are together in Route 53's order,
// so that the rest of a large zone is not read.
func (z *Zone) List(ctx context.Context, domain string) ([]publish.Set, error) {
	id, err := z.find(ctx)
	if err != nil {
		return nil, err
	}
	var out []publish.Set
	in := &sdk.ListResourceRecordSetsInput{HostedZoneId: &id, StartRecordName: aws.String(domain + ".")}
	for {
		page, err := z.client.ListResourceRecordSets(ctx, in)
		if err != nil {
			return nil, fmt.Errorf("listing hosted zone %s: %w", id, err)
		}
		for _, r := range page.ResourceRecordSets {
			s := found(r)
			if !publish.Below(s.Name, domain) {
				return out, nil
			}
			out = append(out, s)
		}
		if !page.IsTruncated {
			return out, nil
		}
		in.StartRecordName, in.StartRecordType, in.StartRecordIdentifier = page.NextRecordName, page.NextRecordType, page.NextRecordIdentifier
	}
}

// Apply makes the changes in one batch, and waits until all of Route 53's
// servers have it.
func (z *Zone) Apply(ctx context.Context, changes []publish.Change) error {
	id, err := z.find(ctx)
	if err != nil {
		return err
	}
	var batch types.ChangeBatch
	for _, c := range changes {
		// DELETE names the whole set as it must be, and CREATE fails where there is one.
		if c.Before != nil {
			batch.Changes = append(batch.Changes, change(types.ChangeActionDelete, *c.Before))
		}
		if c.After != nil {
			batch.Changes = append(batch.Changes, change(types.ChangeActionCreate, *c.After))
		}
	}
	out, err := z.client.ChangeResourceRecordSets(ctx, &sdk.ChangeResourceRecordSetsInput{HostedZoneId: &id, ChangeBatch: &batch})
	var invalid *types.InvalidChangeBatch
	switch {
	case errors.As(err, &invalid):
		return fmt.Errorf("changing hosted zone %s: %w: %s", id, publish.ErrChanged, strings.Join(invalid.Messages, "; "))
	case err != nil:
		return fmt.Errorf("changing hosted zone %s: %w", id, err)
	}
	return z.settle(ctx, aws.ToString(out.ChangeInfo.Id))
}

// settle waits until the change is on all servers: usually within a minute.
func (z *Zone) settle(ctx context.Context, change string) error {
	for {
		out, err := z.client.GetChange(ctx, &sdk.GetChangeInput{Id: &change})
		if err != nil {
			return fmt.Errorf("asking whether change %s is on all servers: %w", change, err)
		}
		if out.ChangeInfo.Status == types.ChangeStatusInsync {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting until change %s is on all servers: %w", change, ctx.Err())
		case <-time.After(2 * time.Second):
		}
	}
}

func change(action types.ChangeAction, s publish.Set) types.Change {
	set := types.ResourceRecordSet{Name: aws.String(s.Name + "."), Type: types.RRType(s.Type), TTL: aws.Int64(int64(s.TTL / time.Second))}
	for _, v := range s.Values {
		set.ResourceRecords = append(set.ResourceRecords, types.ResourceRecord{Value: aws.String(v)})
	}
	return types.Change{Action: action, ResourceRecordSet: &set}
}

func found(r types.ResourceRecordSet) publish.Set {
	s := publish.Set{Name: publish.CleanName(unescape(aws.ToString(r.Name))), Type: string(r.Type), TTL: time.Duration(aws.ToInt64(r.TTL)) * time.Second}
	switch {
	case r.AliasTarget != nil:
		s.Special = "an alias of Route 53"
	case r.SetIdentifier != nil:
		s.Special = "under a routing policy of Route 53"
	}
	for _, v := range r.ResourceRecords {
		s.Values = append(s.Values, publish.CleanValue(s.Type, aws.ToString(v.Value)))
	}
	return s.Sorted()
}

// unescape reads the octal escapes in which Route 53 tells unusual names.
func unescape(name string) string {
	if !strings.Contains(name, `\`) {
		return name
	}
	var b strings.Builder
	for i := 0; i < len(name); i++ {
		var c byte
		if n, _ := fmt.Sscanf(name[i:min(i+4, len(name))], `\%3o`, &c); n == 1 {
			b.WriteByte(c)
			i += 3
			continue
		}
		b.WriteByte(name[i])
	}
	return b.String()
}
