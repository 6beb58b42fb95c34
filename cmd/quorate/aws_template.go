package main

import (
	"errors"
	"io"
)

// awsTemplateCmd prints what deploy would deploy.
type awsTemplateCmd struct {
	stackFlags
	Output string `short:"o" enum:"yaml,json" default:"yaml" help:"yaml or json (default ${default})."`
	Region string `placeholder:"REGION" help:"With --regions: print this region's template only."`
}

func (c awsTemplateCmd) Run(out io.Writer) error {
	_, err := c.checked()
	if err != nil {
		return err
	}
	return errors.New("not there yet")
}

// awsIAMPolicyCmd prints the agent's policy.
type awsIAMPolicyCmd struct{}

func (c awsIAMPolicyCmd) Run(out io.Writer) error { return errors.New("not there yet") }
