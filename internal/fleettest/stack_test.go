package fleettest

import (
	"encoding/base64"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	cftypes "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/goccy/go-yaml"

	"github.com/quorate/quorate/internal/stack"
)

// made is what moto made of a stack's template.
type made struct {
	group, queue, bucket string
	subnets              []string
	zone                 string   // of its DNS records
	args                 []string // of the agent, as the machines' user data has them
}

// anyZone stands for the zone until the template is made: moto's zones have
// ids that are none.
const anyZone = "Z00000000000000000000"

// deploy makes the stack in moto, of the very template that `quorate aws
// deploy` would send. Its network is the loopback one given, so that the
// instances' private addresses are hosts of this machine.
func (c *cloud) deploy(p stack.Params, region, zoneID string, given map[string]string) made {
	c.t.Helper()
	p.HostedZone, p.HostedZoneID = zone, anyZone
	template, err := p.Template(region)
	must(c.t, err)
	// moto's CloudFormation overlooks a balancer's type, and takes no TCP
	// listener for the application balancer that it then makes.
	template.Resources["Listener"].Properties["Protocol"] = "HTTP"
	// CloudFormation tags a stack's groups, and what they launch, with the
	// stack's name and their own; moto's does not.
	group := template.Resources[stack.GroupResource].Properties
	for key, v := range map[string]string{"stack-name": p.Stack, "logical-id": stack.GroupResource} {
		group["Tags"] = append(group["Tags"].([]any), map[string]any{"Key": "aws:cloudformation:" + key, "Value": v, "PropagateAtLaunch": true})
	}
	body, err := template.JSON()
	must(c.t, err)
	in := &cloudformation.CreateStackInput{StackName: aws.String(p.Stack), TemplateBody: aws.String(strings.ReplaceAll(string(body), anyZone, zoneID)),
		Capabilities: []cftypes.Capability{cftypes.CapabilityCapabilityIam}}
	for key, v := range given {
		in.Parameters = append(in.Parameters, cftypes.Parameter{ParameterKey: aws.String(key), ParameterValue: aws.String(v)})
	}
	_, err = c.cfn.CreateStack(c.t.Context(), in)
	must(c.t, err)
	m := made{zone: zoneID}
	for id, physical := range c.resources(p.Stack) {
		switch {
		case id == stack.GroupResource:
			m.group = physical
		case id == "Queue":
			m.queue = physical
		case id == "Bucket":
			m.bucket = physical
		case strings.HasPrefix(id, "Subnet") && !strings.HasSuffix(id, "Routes"):
			m.subnets = append(m.subnets, physical)
		case id == "Launch":
			m.args = c.agentArgs(physical)
		}
	}
	c.hooks(m.group, template)
	// moto gives a message to a machine that died while it waited for one: it is
	// to come back sooner than after the stack's half minute.
	c.sqs(map[string]string{"Action": "SetQueueAttributes", "QueueUrl": m.queue, "Attribute.1.Name": "VisibilityTimeout", "Attribute.1.Value": "4"})
	return m
}

// hurried are the flags of a stack's agents with less patience than people
// have, so that a test takes seconds. What else differs from a real machine is
// where its disk is and which address it listens on.
func hurried(args []string) []string {
	out := with(args, "founding-wait", "8s", "dead-after", "6s", "backup-interval", "0")
	for i, a := range out {
		if strings.HasPrefix(a, "--peers=") {
			out[i] = a + "&every=1s"
		}
	}
	return out
}

// resources are the stack's, by logical id.
func (c *cloud) resources(name string) map[string]string {
	c.t.Helper()
	out, err := c.cfn.DescribeStackResources(c.t.Context(), &cloudformation.DescribeStackResourcesInput{StackName: aws.String(name)})
	must(c.t, err)
	found := map[string]string{}
	for _, r := range out.StackResources {
		if r.ResourceStatus != cftypes.ResourceStatusCreateComplete {
			c.t.Errorf("%s is %s: %s", aws.ToString(r.LogicalResourceId), r.ResourceStatus, aws.ToString(r.ResourceStatusReason))
		}
		found[aws.ToString(r.LogicalResourceId)] = aws.ToString(r.PhysicalResourceId)
	}
	return found
}

// agentArgs are the words of the agent's unit in the launch template's user data.
func (c *cloud) agentArgs(launch string) []string {
	c.t.Helper()
	out, err := c.ec2.DescribeLaunchTemplateVersions(c.t.Context(), &ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateId: aws.String(launch)})
	must(c.t, err)
	raw, err := base64.StdEncoding.DecodeString(aws.ToString(out.LaunchTemplateVersions[0].LaunchTemplateData.UserData))
	must(c.t, err)
	var data struct {
		Files []struct{ Path, Content string } `yaml:"write_files"`
	}
	must(c.t, yaml.Unmarshal(raw, &data))
	for _, file := range data.Files {
		if !strings.HasSuffix(file.Path, "/quorate.service") {
			continue
		}
		_, command, _ := strings.Cut(strings.ReplaceAll(file.Content, "\\\n", " "), "\nExecStart=")
		command, _, _ = strings.Cut(command, "\n")
		words := strings.Fields(strings.ReplaceAll(command, "%%", "%"))
		if i := slices.Index(words, "run"); i > 0 {
			return words[i+1:]
		}
	}
	c.t.Fatalf("no agent's unit in the user data:\n%s", raw)
	return nil
}

// hooks puts the lifecycle hooks that the template specifies: moto's
// CloudFormation does not read a group's LifecycleHookSpecificationList.
func (c *cloud) hooks(group string, template stack.Template) {
	c.t.Helper()
	specs, _ := template.Resources[stack.GroupResource].Properties["LifecycleHookSpecificationList"].([]any)
	if len(specs) == 0 {
		c.t.Fatal("the template has no lifecycle hooks")
	}
	for _, s := range specs {
		hook := s.(map[string]any)
		_, err := c.asg.PutLifecycleHook(c.t.Context(), &autoscaling.PutLifecycleHookInput{AutoScalingGroupName: aws.String(group),
			LifecycleHookName: aws.String(hook["LifecycleHookName"].(string)), LifecycleTransition: aws.String(hook["LifecycleTransition"].(string)),
			DefaultResult: aws.String(hook["DefaultResult"].(string)), HeartbeatTimeout: aws.Int32(int32(hook["HeartbeatTimeout"].(int)))})
		must(c.t, err)
	}
}

// params are those of a stack whose machines install nothing: they run what
// this test has built.
func params(size int, cidr string) stack.Params {
	p := stack.Default()
	p.Stack, p.Size, p.VPCCIDR, p.DNSTTL = "fleet", size, cidr, time.Second
	p.BinaryURL, p.BinarySHA256 = "https://example.com/quorate", strings.Repeat("0", 64)
	return p
}
