package stack

import (
	"fmt"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/quorate/quorate/internal/clustertest/moto"
)

// unmade are the types that moto 5.2.5's CloudFormation passes over. It also
// overlooks a balancer's type (and then takes no listener on TCP) and a group's
// LifecycleHookSpecificationList, and cannot delete a VPC that it has made.
var unmade = []string{"AWS::CloudWatch::Alarm", "AWS::SQS::QueuePolicy", "AWS::S3::BucketPolicy", "AWS::EC2::SecurityGroupEgress", "AWS::SNS::Subscription"}

// Every template deploys: each resource is there at the end, and two stacks of
// the plain one live side by side in one account and region.
func TestDeploysOnMoto(t *testing.T) {
	moto.Start(t)
	for i, n := range single(t) {
		region := n.region
		if region == "" {
			region = "us-east-1"
		}
		cfg, err := config.LoadDefaultConfig(t.Context(), config.WithRegion(region))
		if err != nil {
			t.Fatal(err)
		}
		prepare(t, cfg, &n)
		n.template.Resources["Listener"].Properties["Protocol"] = "HTTP" // see unmade
		body, err := n.template.JSON()
		if err != nil {
			t.Fatal(err)
		}
		in := &cloudformation.CreateStackInput{TemplateBody: aws.String(string(body)), Capabilities: []types.Capability{types.CapabilityCapabilityIam}}
		if _, asks := n.template.Parameters[BucketParameter]; asks {
			in.Parameters = []types.Parameter{{ParameterKey: aws.String(BucketParameter), ParameterValue: aws.String("the-first-regions")}}
		}
		twins := []string{"a", "b"}
		if i > 0 {
			twins = twins[:1]
		}
		for _, twin := range twins {
			in.StackName = aws.String(fmt.Sprintf("etcd-%d%s", i, twin))
			machines(t, cfg, n, deployed(t, cloudformation.NewFromConfig(cfg), in, n))
		}
	}
}

// prepare makes what a template takes for given.
func prepare(t *testing.T, cfg aws.Config, n *named) {
	t.Helper()
	if n.params.VPC == "" {
		return
	}
	out, err := ec2.NewFromConfig(cfg).DescribeSubnets(t.Context(), &ec2.DescribeSubnetsInput{})
	if err != nil || len(out.Subnets) < 2 {
		t.Fatalf("subnets of the default VPC: %v", err)
	}
	n.params.VPC, n.params.Subnets = *out.Subnets[0].VpcId, []string{*out.Subnets[0].SubnetId, *out.Subnets[1].SubnetId}
	if n.template, err = n.params.Template(n.region); err != nil {
		t.Fatal(err)
	}
}

// deployed makes a stack and is its resources' physical ids.
func deployed(t *testing.T, client *cloudformation.Client, in *cloudformation.CreateStackInput, n named) map[string]string {
	t.Helper()
	if _, err := client.CreateStack(t.Context(), in); err != nil {
		t.Fatalf("%s: %v", n.name, err)
	}
	stacks, err := client.DescribeStacks(t.Context(), &cloudformation.DescribeStacksInput{StackName: in.StackName})
	if err != nil || stacks.Stacks[0].StackStatus != types.StackStatusCreateComplete {
		t.Fatalf("%s: %v: %v", n.name, stacks, err)
	}
	if got := len(stacks.Stacks[0].Outputs); got != len(n.template.Outputs) {
		t.Errorf("%s: %d outputs, want %d", n.name, got, len(n.template.Outputs))
	}
	made := map[string]string{}
	pages := cloudformation.NewListStackResourcesPaginator(client, &cloudformation.ListStackResourcesInput{StackName: in.StackName})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range page.StackResourceSummaries {
			made[*r.LogicalResourceId] = *r.PhysicalResourceId
		}
	}
	for id, r := range n.template.Resources {
		if _, there := made[id]; there == slices.Contains(unmade, r.Type) {
			t.Errorf("%s: %s (%s): made %t", n.name, id, r.Type, there)
		}
	}
	return made
}

// machines are as many as were asked for, and Auto Scaling takes the hooks as
// they are specified.
func machines(t *testing.T, cfg aws.Config, n named, made map[string]string) {
	t.Helper()
	client := autoscaling.NewFromConfig(cfg)
	name := made[GroupResource]
	out, err := client.DescribeAutoScalingGroups(t.Context(), &autoscaling.DescribeAutoScalingGroupsInput{AutoScalingGroupNames: []string{name}})
	if err != nil || len(out.AutoScalingGroups) != 1 || len(out.AutoScalingGroups[0].Instances) != n.params.sizeIn(n.region) {
		t.Fatalf("%s: groups %v: %v", n.name, out, err)
	}
	for _, spec := range n.template.Resources[GroupResource].Properties["LifecycleHookSpecificationList"].([]any) {
		hook := spec.(object)
		_, err := client.PutLifecycleHook(t.Context(), &autoscaling.PutLifecycleHookInput{AutoScalingGroupName: &name,
			LifecycleHookName: aws.String(hook["LifecycleHookName"].(string)), LifecycleTransition: aws.String(hook["LifecycleTransition"].(string)),
			DefaultResult: aws.String(hook["DefaultResult"].(string)), HeartbeatTimeout: aws.Int32(int32(hook["HeartbeatTimeout"].(int)))})
		if err != nil {
			t.Errorf("%s: hook %v: %v", n.name, hook, err)
		}
	}
}
