// Package deploy drives CloudFormation for a person: it prepares a change set
// and shows it, executes it and follows the stack to the end, says how a stack
// is, and deletes one. What is in the template is not its business.
//
// A stack belongs to AWS once its change set is executed: whoever stops
// following it stops nothing, and Region.Running finds it again.
package deploy

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// The limits. A person waits here, so throttling is waited out for longer than
// an agent would.
const (
	tryLimit     = 30 * time.Second // one attempt of a call
	callLimit    = 2 * time.Minute  // a call with all its attempts
	attempts     = 10
	prepareLimit = 15 * time.Minute // a change set being computed
)

// Region is CloudFormation, and what it makes, in one region. It is safe for
// concurrent use.
type Region struct {
	Name    string
	Every   time.Duration // between two looks at what goes on; zero: 2 s
	cfn     *cloudformation.Client
	s3      *s3.Client
	groups  *autoscaling.Client
	watches *cloudwatch.Client
}

// In is the region of that configuration.
func In(cfg aws.Config) *Region {
	if c, ok := cfg.HTTPClient.(*awshttp.BuildableClient); ok {
		cfg.HTTPClient = c.WithTimeout(tryLimit)
	}
	cfg.RetryMaxAttempts = attempts
	return &Region{Name: cfg.Region, cfn: cloudformation.NewFromConfig(cfg), groups: autoscaling.NewFromConfig(cfg),
		watches: cloudwatch.NewFromConfig(cfg),
		// An emulator, or any endpoint of one's own, has no host for each bucket.
		s3: s3.NewFromConfig(cfg, func(o *s3.Options) { o.UsePathStyle = o.BaseEndpoint != nil })}
}

func limited(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, callLimit)
}

// pause waits until the next look; false when ctx has ended.
func (r *Region) pause(ctx context.Context) bool {
	every := r.Every
	if every <= 0 {
		every = 2 * time.Second
	}
	timer := time.NewTimer(every)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
