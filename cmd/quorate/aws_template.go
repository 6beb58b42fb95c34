package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/quorate/quorate/internal/stack"
)

// awsTemplateCmd prints what deploy would deploy.
type awsTemplateCmd struct {
	stackFlags
	Output string `short:"o" enum:"yaml,json" default:"yaml" help:"yaml or json (default ${default})."`
	Region string `placeholder:"REGION" help:"Which of the two --regions to print the template of: each has its own."`
}

func (c awsTemplateCmd) Run(out io.Writer) error {
	p, err := c.checked()
	if err != nil {
		return err
	}
	if len(p.Regions) > 0 && c.Region == "" {
		return usage{fmt.Errorf("region: not given: want one of %s", strings.Join(p.Regions, ", "))}
	}
	if len(p.Regions) == 0 {
		c.Region = "" // a single stack's template is the same in every region
	}
	t, err := p.Template(c.Region)
	if err != nil {
		return usage{err}
	}
	text, err := rendered(t, c.Output)
	if err != nil {
		return err
	}
	_, err = out.Write(text)
	return err
}

func rendered(t stack.Template, form string) ([]byte, error) {
	if form == "json" {
		return t.JSON()
	}
	return t.YAML()
}

// awsIAMPolicyCmd prints what an agent needs, for those who make the role
// themselves.
type awsIAMPolicyCmd struct {
	Features  []string `placeholder:"FEATURES" default:"discovery,store,lifecycle,signal,condemn,metrics,messages" help:"Parts of quorate that are used, of: ${features} (default ${default})."`
	Explain   bool     `help:"Say why each statement is there, instead of JSON."`
	Partition string   `default:"aws" help:"aws, aws-cn or aws-us-gov."`
	Region    []string `placeholder:"REGIONS" default:"REGION" help:"Regions of the machines."`
	Account   string   `placeholder:"ID" default:"ACCOUNT" help:"Account's number."`
	Stack     string   `placeholder:"NAME" default:"STACK" help:"CloudFormation stack to signal, and value of the security groups' tag."`
	Group     string   `placeholder:"NAME" default:"GROUP" help:"Auto Scaling group; may hold *."`
	Bucket    string   `placeholder:"NAME" default:"BUCKET" help:"Bucket of --store."`
	Prefix    string   `placeholder:"PREFIX" default:"CLUSTER" help:"Where the cluster's objects are in it: the cluster's name, after the store's prefix if it has one."`
	Queue     string   `placeholder:"NAME" default:"QUEUE" help:"Queue of hints."`
	ZoneID    string   `name:"hosted-zone-id" placeholder:"ID" default:"ZONE" help:"Hosted zone of --dns."`
	TLS       string   `name:"tls" placeholder:"/PATH" default:"/PATH" help:"Path of the certificate authority's parameters."`
	Keys      string   `name:"backup-keys" placeholder:"/PATH" default:"/PATH" help:"Path of the parameters with the keys of backups."`
	Download  []string `placeholder:"BUCKET/KEY" default:"BUCKET/KEY" help:"What machines download from S3."`
	KMSKey    []string `name:"kms-key" placeholder:"ARN" default:"KEY" help:"KMS keys."`
}

func (c awsIAMPolicyCmd) Run(to streams) error {
	var features []stack.Feature
	for _, name := range c.Features {
		f := stack.Feature(name)
		if !slices.Contains(stack.Features(), f) {
			return usage{fmt.Errorf("features: %q: want some of %s", name, featureNames())}
		}
		features = append(features, f)
	}
	at := stack.Scope{Partition: c.Partition, Regions: c.Region, Account: c.Account, Stack: c.Stack, Group: c.Group, Bucket: c.Bucket, Prefix: strings.Trim(c.Prefix, "/"),
		Queues: c.queues(), Zone: c.ZoneID, TLSPath: c.TLS, KeysPath: c.Keys, Downloads: c.Download, Keys: c.KMSKey}
	doc := stack.Policy(at, features...)
	if c.Explain {
		return explainPolicy(to.out, doc)
	}
	enc := json.NewEncoder(to.out)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(doc); err != nil {
		return fmt.Errorf("writing the policy: %w", err)
	}
	if words := doc.Placeholders(); len(words) > 0 {
		fmt.Fprintf(to.err, "quorate: replace %s, or give the flags for them (--help)\n", strings.Join(words, ", "))
	}
	return nil
}

func (c awsIAMPolicyCmd) queues() []string {
	var out []string
	for _, region := range c.Region {
		out = append(out, strings.Join([]string{"arn", c.Partition, "sqs", region, c.Account, c.Queue}, ":"))
	}
	return out
}

func explainPolicy(out io.Writer, doc stack.PolicyDocument) error {
	for _, s := range doc.Statement {
		if _, err := fmt.Fprintf(out, "%s: %s\n  %s\n  on %s\n", s.Sid, s.Why, strings.Join(s.Action, ", "), strings.Join(s.Resource, ", ")); err != nil {
			return err
		}
	}
	return nil
}

func featureNames() string {
	var names []string
	for _, f := range stack.Features() {
		names = append(names, string(f))
	}
	return strings.Join(names, ", ")
}
