package fleettest

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// cloud is one region as its operator sees it: past the proxy, so that what
// the proxy records and breaks is the agents' alone.
type cloud struct {
	t        testing.TB
	endpoint string
	region   string
	asg      *autoscaling.Client
	ec2      *ec2.Client
	cfn      *cloudformation.Client
}

func newCloud(t testing.TB, endpoint, region string) *cloud {
	t.Helper()
	cfg, err := config.LoadDefaultConfig(t.Context(), config.WithRegion(region),
		config.WithCredentialsProvider(credentials.NewStaticCredentialsProvider("operator", "secret", "")))
	must(t, err)
	return &cloud{t: t, endpoint: endpoint, region: region,
		asg: autoscaling.NewFromConfig(cfg, func(o *autoscaling.Options) { o.BaseEndpoint = aws.String(endpoint) }),
		ec2: ec2.NewFromConfig(cfg, func(o *ec2.Options) { o.BaseEndpoint = aws.String(endpoint) }),
		cfn: cloudformation.NewFromConfig(cfg, func(o *cloudformation.Options) { o.BaseEndpoint = aws.String(endpoint) })}
}

// subnet makes a network whose addresses are loopback ones: so moto's own
// private addresses are hosts of this machine.
func (c *cloud) subnet(cidr string) string {
	c.t.Helper()
	vpc, err := c.ec2.CreateVpc(c.t.Context(), &ec2.CreateVpcInput{CidrBlock: aws.String(cidr)})
	must(c.t, err)
	subnet, err := c.ec2.CreateSubnet(c.t.Context(), &ec2.CreateSubnetInput{VpcId: vpc.Vpc.VpcId, CidrBlock: aws.String(cidr),
		AvailabilityZone: aws.String(c.region + "a")})
	must(c.t, err)
	return *subnet.Subnet.SubnetId
}

// group makes an Auto Scaling group with the lifecycle hooks that the stack has.
func (c *cloud) group(name, subnet string, size int32) {
	c.t.Helper()
	_, err := c.ec2.CreateLaunchTemplate(c.t.Context(), &ec2.CreateLaunchTemplateInput{LaunchTemplateName: aws.String(name),
		LaunchTemplateData: &types.RequestLaunchTemplateData{ImageId: aws.String("ami-12c6146b"), InstanceType: types.InstanceTypeT3Small}})
	must(c.t, err)
	_, err = c.asg.CreateAutoScalingGroup(c.t.Context(), &autoscaling.CreateAutoScalingGroupInput{
		AutoScalingGroupName: aws.String(name), MinSize: aws.Int32(0), MaxSize: aws.Int32(9), DesiredCapacity: aws.Int32(0),
		VPCZoneIdentifier: aws.String(subnet),
		LaunchTemplate:    &astypes.LaunchTemplateSpecification{LaunchTemplateName: aws.String(name), Version: aws.String("$Latest")},
		Tags: []astypes.Tag{{Key: aws.String("quorate"), Value: aws.String(name), PropagateAtLaunch: aws.Bool(true),
			ResourceId: aws.String(name), ResourceType: aws.String("auto-scaling-group")}},
	})
	must(c.t, err)
	for hook, transition := range map[string]string{"launching": "autoscaling:EC2_INSTANCE_LAUNCHING", "terminating": "autoscaling:EC2_INSTANCE_TERMINATING"} {
		_, err := c.asg.PutLifecycleHook(c.t.Context(), &autoscaling.PutLifecycleHookInput{AutoScalingGroupName: aws.String(name),
			LifecycleHookName: aws.String(hook), LifecycleTransition: aws.String(transition),
			HeartbeatTimeout: aws.Int32(300), DefaultResult: aws.String("CONTINUE")})
		must(c.t, err)
	}
	c.desire(name, size)
}

// desire sets the desired capacity where there are no hooks to wait for.
func (c *cloud) desire(group string, n int32) {
	c.t.Helper()
	_, err := c.asg.SetDesiredCapacity(c.t.Context(), &autoscaling.SetDesiredCapacityInput{AutoScalingGroupName: aws.String(group), DesiredCapacity: aws.Int32(n)})
	must(c.t, err)
}

// instances are those that run, with what EC2 says of them.
func (c *cloud) instances(ctx context.Context) (map[string]types.Instance, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	out, err := c.ec2.DescribeInstances(ctx, &ec2.DescribeInstancesInput{Filters: []types.Filter{
		{Name: aws.String("instance-state-name"), Values: []string{"pending", "running"}}}})
	if err != nil {
		return nil, fmt.Errorf("describing instances of %s: %w", c.region, err)
	}
	found := map[string]types.Instance{}
	for _, r := range out.Reservations {
		for _, i := range r.Instances {
			found[*i.InstanceId] = i
		}
	}
	return found, nil
}

// unhealthy are the instances that somebody has condemned.
func (c *cloud) unhealthy(ctx context.Context) (ids []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	out, err := c.asg.DescribeAutoScalingInstances(ctx, &autoscaling.DescribeAutoScalingInstancesInput{})
	if err != nil {
		return nil, fmt.Errorf("describing the groups' instances of %s: %w", c.region, err)
	}
	for _, i := range out.AutoScalingInstances {
		if aws.ToString(i.HealthStatus) != "Healthy" && aws.ToString(i.HealthStatus) != "HEALTHY" {
			ids = append(ids, *i.InstanceId)
		}
	}
	return ids, nil
}

// kill ends an instance as EC2 does it, past the group's hooks.
func (c *cloud) kill(ids ...string) {
	c.t.Helper()
	_, err := c.ec2.TerminateInstances(c.t.Context(), &ec2.TerminateInstancesInput{InstanceIds: ids})
	must(c.t, err)
}

// queue makes a queue.
func (c *cloud) queue(name string) (url string) {
	c.t.Helper()
	body := c.sqs(map[string]string{"Action": "CreateQueue", "QueueName": name})
	m := regexp.MustCompile(`<QueueUrl>([^<]+)</QueueUrl>`).FindStringSubmatch(body)
	if m == nil {
		c.t.Fatalf("making queue %s: %s", name, body)
	}
	return m[1]
}

// waiting are the messages of a queue that nobody has deleted.
func (c *cloud) waiting(queue string) (n int) {
	c.t.Helper()
	body := c.sqs(map[string]string{"Action": "GetQueueAttributes", "QueueUrl": queue, "AttributeName.1": "All"})
	for _, m := range regexp.MustCompile(`<Name>ApproximateNumberOfMessages(?:NotVisible)?</Name>\s*<Value>([0-9]+)</Value>`).FindAllStringSubmatch(body, -1) {
		each, err := strconv.Atoi(m[1])
		must(c.t, err)
		n += each
	}
	return n
}

// sqs calls moto by the query protocol.
func (c *cloud) sqs(params map[string]string) string {
	c.t.Helper()
	form := url.Values{"Version": {"2012-11-05"}}
	for k, v := range params {
		form.Set(k, v)
	}
	req, err := http.NewRequestWithContext(c.t.Context(), http.MethodPost, c.endpoint, strings.NewReader(form.Encode()))
	must(c.t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=operator/20260101/"+c.region+"/sqs/aws4_request, SignedHeaders=host, Signature=x")
	resp, err := http.DefaultClient.Do(req)
	must(c.t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	must(c.t, err)
	if resp.StatusCode != http.StatusOK {
		c.t.Fatalf("%s: %s: %s", params["Action"], resp.Status, body)
	}
	return string(body)
}
