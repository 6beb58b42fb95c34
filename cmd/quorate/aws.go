package main

import (
	"errors"

	"github.com/quorate/quorate/internal/stack"
)

// awsCmd is all that quorate does to AWS from an operator's machine.
type awsCmd struct {
	Template  awsTemplateCmd  `cmd:"" help:"Print the CloudFormation template of a cluster's stack; touches nothing."`
	IAMPolicy awsIAMPolicyCmd `cmd:"" name:"iam-policy" help:"Print the IAM policy that an agent needs: exactly the actions that it uses; touches nothing."`
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
