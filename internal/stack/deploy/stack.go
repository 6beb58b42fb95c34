package deploy

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/smithy-go"
)

// ErrNoStack says that there is no stack of that name in the region.
var ErrNoStack = errors.New("there is no such stack")

// look finds a stack by its name or id.
func (r *Region) look(ctx context.Context, nameOrID string) (types.Stack, error) {
	ctx, cancel := limited(ctx)
	defer cancel()
	out, err := r.cfn.DescribeStacks(ctx, &cloudformation.DescribeStacksInput{StackName: aws.String(nameOrID)})
	switch {
	case isMissing(err):
		return types.Stack{}, fmt.Errorf("describing stack %s in %s: %w", nameOrID, r.Name, ErrNoStack)
	case err != nil:
		return types.Stack{}, fmt.Errorf("describing stack %s in %s: %w", nameOrID, r.Name, err)
	case len(out.Stacks) == 0:
		return types.Stack{}, fmt.Errorf("describing stack %s in %s: %w", nameOrID, r.Name, ErrNoStack)
	}
	return out.Stacks[0], nil
}

// isMissing tells the one ValidationError that means "no such stack" from the
// others: CloudFormation has no code of its own for it.
func isMissing(err error) bool {
	var api smithy.APIError
	return errors.As(err, &api) && api.ErrorCode() == "ValidationError" && strings.Contains(api.ErrorMessage(), "does not exist")
}

// kindFor is the change set that a stack in this state takes; the empty state
// is that of no stack. A state that takes none is an error that says what to
// do about it.
func kindFor(name, region string, s types.StackStatus) (types.ChangeSetType, error) {
	again := fmt.Sprintf("`quorate aws delete --stack %s --regions %s`", name, region)
	switch s {
	case "", types.StackStatusReviewInProgress:
		return types.ChangeSetTypeCreate, nil
	case types.StackStatusRollbackComplete, types.StackStatusRollbackFailed, types.StackStatusCreateFailed:
		return "", fmt.Errorf("stack %s in %s is in %s: its creation failed, and CloudFormation lets it only be deleted: %s, then deploy again", name, region, s, again)
	case types.StackStatusDeleteFailed:
		return "", fmt.Errorf("stack %s in %s is in %s: finish its deletion first: %s, then deploy again", name, region, s, again)
	case types.StackStatusUpdateRollbackFailed:
		return "", fmt.Errorf("stack %s in %s is in %s: repair what its events name, then `aws cloudformation continue-update-rollback --stack-name %s --region %s`", name, region, s, name, region)
	}
	if running(s) {
		return "", fmt.Errorf("stack %s in %s is in %s: wait for it with %s, then deploy again", name, region, s, followHint(name, region))
	}
	return types.ChangeSetTypeUpdate, nil
}

// running says that CloudFormation is at work on the stack.
func running(s types.StackStatus) bool {
	return strings.HasSuffix(string(s), "_IN_PROGRESS") && s != types.StackStatusReviewInProgress
}

// followHint is the command that follows a stack.
func followHint(name, region string) string {
	return fmt.Sprintf("`quorate aws status --stack %s --regions %s --follow`", name, region)
}
