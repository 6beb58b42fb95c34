package awsproxy_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/smithy-go"
	"github.com/quorate/quorate/internal/clustertest/awsproxy"
	"github.com/quorate/quorate/internal/clustertest/moto"
)

const region = "us-east-1"

func rig(t *testing.T) (*awsproxy.Proxy, *autoscaling.Client, aws.Config) {
	p := awsproxy.New(t, moto.Start(t))
	cfg, err := config.LoadDefaultConfig(t.Context(), config.WithRetryMaxAttempts(1))
	if err != nil {
		t.Fatal(err)
	}
	return p, autoscaling.NewFromConfig(cfg), cfg
}

// states are the group's instances as AWS would show them, and the desired capacity.
func states(t *testing.T, c *autoscaling.Client) (map[string]string, int) {
	t.Helper()
	out, err := c.DescribeAutoScalingGroups(t.Context(), &autoscaling.DescribeAutoScalingGroupsInput{AutoScalingGroupNames: []string{"g"}})
	if err != nil || len(out.AutoScalingGroups) != 1 {
		t.Fatalf("describing the group: %v", err)
	}
	got := map[string]string{}
	for _, i := range out.AutoScalingGroups[0].Instances {
		got[*i.InstanceId] = string(i.LifecycleState)
	}
	return got, int(*out.AutoScalingGroups[0].DesiredCapacity)
}

func TestAnInstanceWaitsForItsHooks(t *testing.T) {
	p, c, _ := rig(t)
	ids := p.Group(region, "g", 2, "terminating")
	ended := make(chan string, 9)
	p.OnTerminated(func(id string) { ended <- id })
	out := ids[0]
	if _, err := c.TerminateInstanceInAutoScalingGroup(t.Context(), &autoscaling.TerminateInstanceInAutoScalingGroupInput{InstanceId: &out, ShouldDecrementDesiredCapacity: aws.Bool(false)}); err != nil {
		t.Fatal(err)
	}
	got, desired := states(t, c)
	if len(got) != 3 || got[out] != "Terminating:Wait" || desired != 2 {
		t.Errorf("while it waits: %v of %d, want three, the first waiting, and two desired", got, desired)
	}
	complete := func(id string) error {
		_, err := c.CompleteLifecycleAction(t.Context(), &autoscaling.CompleteLifecycleActionInput{AutoScalingGroupName: aws.String("g"),
			LifecycleHookName: aws.String("terminating"), InstanceId: &id, LifecycleActionResult: aws.String("CONTINUE")})
		return err
	}
	var refused smithy.APIError
	if err := complete(ids[1]); !errors.As(err, &refused) || refused.ErrorCode() != "ValidationError" {
		t.Errorf("completing what waits for nothing: %v, want ValidationError", err)
	}
	if err := complete(out); err != nil {
		t.Fatal(err)
	}
	if id := <-ended; id != out {
		t.Errorf("%s ended, want %s", id, out)
	}
	if got, desired = states(t, c); len(got) != 2 || got[out] != "" || desired != 2 {
		t.Errorf("afterwards: %v of %d, want two others", got, desired)
	}
	if n := p.Count("CompleteLifecycleAction", "InstanceId", out); n != 1 {
		t.Errorf("%d calls recorded, want 1", n)
	}
	if _, err := c.SetDesiredCapacity(t.Context(), &autoscaling.SetDesiredCapacityInput{AutoScalingGroupName: aws.String("g"), DesiredCapacity: aws.Int32(1)}); err != nil {
		t.Fatal(err)
	}
	got, desired = states(t, c)
	waiting := 0
	for _, s := range got {
		if s == "Terminating:Wait" {
			waiting++
		}
	}
	if waiting != 1 || desired != 1 {
		t.Errorf("shrunk: %v of %d, want one waiting, one desired", got, desired)
	}
}

func TestAHookTimesOutUnlessItIsHeld(t *testing.T) {
	p, c, _ := rig(t)
	id := p.Group(region, "g", 1, "launching")[0]
	if got, _ := states(t, c); got[id] != "Pending:Wait" {
		t.Fatalf("a newcomer: %v, want Pending:Wait", got)
	}
	p.HookTimeout(time.Hour)
	if _, err := c.RecordLifecycleActionHeartbeat(t.Context(), &autoscaling.RecordLifecycleActionHeartbeatInput{
		AutoScalingGroupName: aws.String("g"), LifecycleHookName: aws.String("launching"), InstanceId: &id}); err != nil {
		t.Fatal(err)
	}
	if s := p.State(id); s != "Pending:Wait" {
		t.Errorf("held: %q", s)
	}
	p.HookTimeout(time.Nanosecond)
	if got, _ := states(t, c); got[id] != "InService" {
		t.Errorf("timed out: %v, want InService", got)
	}
}

func TestAddressesAreTheTests(t *testing.T) {
	p, _, cfg := rig(t)
	ids := p.Group(region, "g", 2)
	p.SetAddress(ids[0], "127.0.0.11", "127.0.0.12")
	out, err := ec2.NewFromConfig(cfg).DescribeInstances(t.Context(), &ec2.DescribeInstancesInput{})
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, r := range out.Reservations {
		for _, i := range r.Instances {
			seen++
			if is := aws.ToString(i.PrivateIpAddress) == "127.0.0.11" && aws.ToString(i.PublicIpAddress) == "127.0.0.12"; is != (*i.InstanceId == ids[0]) {
				t.Errorf("%s has %s and %s", *i.InstanceId, aws.ToString(i.PrivateIpAddress), aws.ToString(i.PublicIpAddress))
			}
		}
	}
	if seen != 2 {
		t.Errorf("%d instances, want 2", seen)
	}
}

func TestFaults(t *testing.T) {
	p, c, _ := rig(t)
	p.Group(region, "g", 1)
	describe := func(ctx context.Context) (int, error) {
		out, err := c.DescribeAutoScalingGroups(ctx, &autoscaling.DescribeAutoScalingGroupsInput{})
		if err != nil {
			return 0, err
		}
		return len(out.AutoScalingGroups), nil
	}
	for _, key := range []string{"DescribeAutoScalingGroups", "autoscaling:*", region + ":*", "*"} {
		p.Inject(key, awsproxy.Throttled)
		var api smithy.APIError
		if _, err := describe(t.Context()); !errors.As(err, &api) || api.ErrorCode() != "Throttling" {
			t.Errorf("%s: %v, want Throttling", key, err)
		}
		p.Heal(key)
	}
	p.Inject("*", awsproxy.Empty)
	if n, err := describe(t.Context()); n != 0 || err != nil {
		t.Errorf("empty: %d, %v", n, err)
	}
	p.Inject("*", awsproxy.Hanging)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := describe(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("hanging: %v", err)
	}
	p.Heal()
	if n, err := describe(t.Context()); n != 1 || err != nil {
		t.Errorf("healed: %d, %v", n, err)
	}
	if !slices.ContainsFunc(p.Calls(), func(c awsproxy.Call) bool {
		return c.Service == "autoscaling" && c.Region == region && c.Action == "DescribeAutoScalingGroups"
	}) {
		t.Errorf("calls: %+v", p.Calls())
	}
}
