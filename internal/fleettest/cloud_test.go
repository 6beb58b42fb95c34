package fleettest

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/route53"
	r53types "github.com/aws/aws-sdk-go-v2/service/route53/types"
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
	dns      *route53.Client
}

func newCloud(t testing.TB, endpoint, region string) *cloud {
	t.Helper()
	cfg, err := config.LoadDefaultConfig(t.Context(), config.WithRegion(region),
		config.WithCredentialsProvider(credentials.NewStaticCredentialsProvider("operator", "secret", "")))
	must(t, err)
	return &cloud{t: t, endpoint: endpoint, region: region,
		asg: autoscaling.NewFromConfig(cfg, func(o *autoscaling.Options) { o.BaseEndpoint = aws.String(endpoint) }),
		ec2: ec2.NewFromConfig(cfg, func(o *ec2.Options) { o.BaseEndpoint = aws.String(endpoint) }),
		cfn: cloudformation.NewFromConfig(cfg, func(o *cloudformation.Options) { o.BaseEndpoint = aws.String(endpoint) }),
		dns: route53.NewFromConfig(cfg, func(o *route53.Options) { o.BaseEndpoint = aws.String(endpoint) })}
}

// empty ends all instances of a group, past its hooks, until it is scaled.
func (c *cloud) empty(group string) {
	c.t.Helper()
	_, err := c.asg.UpdateAutoScalingGroup(c.t.Context(), &autoscaling.UpdateAutoScalingGroupInput{AutoScalingGroupName: aws.String(group),
		MinSize: aws.Int32(0), DesiredCapacity: aws.Int32(0)})
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

// zone makes a hosted zone.
func (c *cloud) zone(name string) (id string) {
	c.t.Helper()
	out, err := c.dns.CreateHostedZone(c.t.Context(), &route53.CreateHostedZoneInput{Name: aws.String(name), CallerReference: aws.String(name)})
	must(c.t, err)
	return strings.TrimPrefix(*out.HostedZone.Id, "/hostedzone/")
}

// published are the addresses that the zone's records tell, each once.
func (c *cloud) published(zone string) (addresses []string) {
	c.t.Helper()
	out, err := c.dns.ListResourceRecordSets(c.t.Context(), &route53.ListResourceRecordSetsInput{HostedZoneId: aws.String(zone)})
	must(c.t, err)
	for _, set := range out.ResourceRecordSets {
		for _, r := range set.ResourceRecords {
			if set.Type == r53types.RRTypeA {
				addresses = append(addresses, *r.Value)
			}
		}
	}
	slices.Sort(addresses)
	return slices.Compact(addresses)
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
