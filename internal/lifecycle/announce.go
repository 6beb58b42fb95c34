package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	cftypes "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/smithy-go"

	"github.com/quorate/quorate/internal/cluster"
)

// The tags that CloudFormation gives a group, and the group its machines.
const (
	stackTag    = "aws:cloudformation:stack-name"
	resourceTag = "aws:cloudformation:logical-id"
)

// Announce completes the launching hooks of this machine, so that its group
// counts it in, and signals the stack that made the group, which may be
// waiting for it. Both are tried, whatever becomes of the other.
func (c *Cloud) Announce(ctx context.Context, self cluster.Peer) error {
	launched := self
	launched.State = cluster.Pending
	return errors.Join(c.Release(ctx, launched), c.signal(ctx, self))
}

// signal tells the stack, where the group is a stack's.
func (c *Cloud) signal(ctx context.Context, self cluster.Peer) error {
	if self.Group == "" || self.ID == "" {
		return nil
	}
	api, err := c.client(ctx, self.Region)
	if err != nil {
		return err
	}
	stack, resource, err := stackOf(ctx, api.groups, self.Group)
	if err != nil || stack == "" || resource == "" {
		return err
	}
	_, err = api.stacks.SignalResource(ctx, &cloudformation.SignalResourceInput{StackName: &stack, LogicalResourceId: &resource,
		UniqueId: &self.ID, Status: cftypes.ResourceSignalStatusSuccess})
	if err != nil && !heard(err) {
		return fmt.Errorf("signalling %s of stack %s: %w", resource, stack, err)
	}
	return nil
}

// stackOf is the stack that the group belongs to and its logical id there;
// empty when it is no stack's.
func stackOf(ctx context.Context, api *autoscaling.Client, group string) (stack, resource string, err error) {
	out, err := api.DescribeAutoScalingGroups(ctx, &autoscaling.DescribeAutoScalingGroupsInput{AutoScalingGroupNames: []string{group}})
	if err != nil {
		return "", "", fmt.Errorf("describing group %s: %w", group, err)
	}
	for _, g := range out.AutoScalingGroups {
		for _, t := range g.Tags {
			switch aws.ToString(t.Key) {
			case stackTag:
				stack = aws.ToString(t.Value)
			case resourceTag:
				resource = aws.ToString(t.Value)
			}
		}
	}
	return stack, resource, nil
}

// heard says that the stack does not wait for a signal, or has had this one: it
// is refused as invalid in the state that the resource is in.
func heard(err error) bool {
	var api smithy.APIError
	if !errors.As(err, &api) || api.ErrorCode() != "ValidationError" {
		return false
	}
	said := strings.ToLower(api.ErrorMessage())
	for _, part := range []string{"cannot be signaled", "already been signaled", "already received", "does not exist"} {
		if strings.Contains(said, part) {
			return true
		}
	}
	return false
}
