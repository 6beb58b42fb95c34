// Package aws is what quorate's AWS parts have in common: how the SDK is
// loaded (region, time limits, retries, whose credentials), and what this
// machine's own metadata service says.
package aws

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/ec2rolecreds"
)

// The limits of a call. With all its attempts a call to a service that is
// black-holed ends after attempts × tryLimit; callers who are in a greater
// hurry bound their context.
const (
	dialLimit  = 2 * time.Second
	tryLimit   = 5 * time.Second // one attempt, its answer read
	attempts   = 3
	maxBackoff = 2 * time.Second
)

// Load is the SDK's configuration for a region: the one given, else that of
// the environment or AWS's own files, else this machine's. Every call has a
// time limit and few attempts. AWS_ENDPOINT_URL and the rest of the SDK's own
// environment count; the metadata service is asked by IMDSv2 alone.
func Load(ctx context.Context, region string) (aws.Config, error) {
	metadata, err := OpenMetadata()
	if err != nil {
		return aws.Config{}, err
	}
	options := []func(*config.LoadOptions) error{
		config.WithHTTPClient(httpClient()),
		config.WithRetryer(newRetryer),
		config.WithEC2RoleCredentialOptions(func(o *ec2rolecreds.Options) { o.Client = metadata.client }),
	}
	if region != "" {
		options = append(options, config.WithRegion(region))
	}
	cfg, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return aws.Config{}, fmt.Errorf("loading the AWS configuration: %w", err)
	}
	if cfg.Region == "" {
		me, err := metadata.Identity(ctx)
		if err != nil {
			return aws.Config{}, fmt.Errorf("finding the AWS region: set AWS_REGION, or say region= in the URL: %w", err)
		}
		cfg.Region = me.Region
	}
	return cfg, nil
}

func httpClient() *awshttp.BuildableClient {
	return awshttp.NewBuildableClient().
		WithTimeout(tryLimit).
		WithDialerOptions(func(d *net.Dialer) { d.Timeout = dialLimit }).
		WithTransportOptions(func(t *http.Transport) {
			t.TLSHandshakeTimeout, t.MaxIdleConnsPerHost, t.IdleConnTimeout = dialLimit, 2, 30*time.Second
		})
}

func newRetryer() aws.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) { o.MaxAttempts, o.MaxBackoff = attempts, maxBackoff })
}
