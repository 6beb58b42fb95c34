package main

import (
	"errors"

	"github.com/quorate/quorate/internal/stack"
)

// awsCmd is all that quorate does to AWS from an operator's machine.
type awsCmd struct {
	Template  awsTemplateCmd  `cmd:"" help:"Print the CloudFormation template of a cluster's stack; touches nothing."`
	IAMPolicy awsIAMPolicyCmd `cmd:"" name:"iam-policy" help:"Print the IAM policy that an agent needs: exactly the actions that it uses; touches nothing."`
	Deploy    awsDeployCmd    `cmd:"" help:"Make or change a cluster's stack: shows the changes, asks, follows them to the end."`
	Status    awsStatusCmd    `cmd:"" help:"Show a stack, its machines and its alarms: exit code 0 healthy, 1 not."`
	Delete    awsDeleteCmd    `cmd:"" help:"Delete a stack: shows what goes and what stays, asks, follows it to the end."`
}

// stackFlags describe a stack, alike for all commands that take one.
type stackFlags struct {
	stack.Params
}

// checked are the parameters, or all that is wrong with them.
func (f stackFlags) checked() (stack.Params, error) {
	if err := errors.Join(f.Validate()...); err != nil {
		return f.Params, usage{err}
	}
	return f.Params, nil
}
