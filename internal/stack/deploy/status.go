package deploy

import (
	"context"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
)

// Status is how a stack is, and what it made.
type Status struct {
	Stack     string            `json:"stack"`
	Region    string            `json:"region"`
	State     string            `json:"state"` // CloudFormation's
	Reason    string            `json:"reason,omitempty"`
	Outputs   map[string]string `json:"outputs"`
	Group     string            `json:"group,omitempty"` // the Auto Scaling group
	Desired   int               `json:"desired"`
	Instances []Instance        `json:"instances"`
	Alarms    []Alarm           `json:"alarms"`
	Problems  []string          `json:"problems"` // empty: healthy
}

// Instance is a machine of the group.
type Instance struct {
	ID        string `json:"id"`
	Zone      string `json:"zone"`
	Lifecycle string `json:"lifecycle"`
	Health    string `json:"health"`
}

// Alarm is a CloudWatch alarm of the stack.
type Alarm struct {
	Name   string `json:"name"`
	State  string `json:"state"`
	Reason string `json:"reason,omitempty"`
}

// The resources that a status looks into, and a deletion speaks of.
const (
	groupType  = "AWS::AutoScaling::AutoScalingGroup"
	alarmType  = "AWS::CloudWatch::Alarm"
	bucketType = "AWS::S3::Bucket"
)

// Status asks how the stack is.
func (r *Region) Status(ctx context.Context, name string) (Status, error) {
	found, err := r.look(ctx, name)
	if err != nil {
		return Status{}, err
	}
	s := Status{Stack: name, Region: r.Name, State: string(found.StackStatus), Reason: aws.ToString(found.StackStatusReason),
		Outputs: map[string]string{}, Instances: []Instance{}, Alarms: []Alarm{}}
	for _, o := range found.Outputs {
		s.Outputs[aws.ToString(o.OutputKey)] = aws.ToString(o.OutputValue)
	}
	made, err := r.resources(ctx, aws.ToString(found.StackId))
	if err != nil {
		return s, err
	}
	for _, m := range made {
		if m.Type == groupType && m.Physical != "" {
			s.Group = m.Physical
			if err := r.readGroup(ctx, &s); err != nil {
				return s, err
			}
		}
	}
	if err := r.readAlarms(ctx, &s, made); err != nil {
		return s, err
	}
	s.Problems = problems(s)
	return s, nil
}

// problems are the reasons not to call a stack healthy. An alarm without data
// is none: a young cluster has not said anything yet.
func problems(s Status) []string {
	all := []string{}
	say := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	switch types.StackStatus(s.State) {
	case types.StackStatusCreateComplete, types.StackStatusUpdateComplete, types.StackStatusImportComplete:
	case types.StackStatusUpdateRollbackComplete:
		say("the last update failed and was rolled back")
	default:
		say("the stack is in %s", s.State)
	}
	serving := 0
	for _, i := range s.Instances {
		if i.Lifecycle == "InService" && i.Health == "Healthy" {
			serving++
		}
		if i.Health != "Healthy" {
			say("instance %s is %s", i.ID, strings.ToLower(i.Health))
		}
	}
	if serving < s.Desired {
		say("%d of %d instances are in service", serving, s.Desired)
	}
	if s.Group == "" {
		say("the stack has no Auto Scaling group")
	}
	for _, a := range s.Alarms {
		if a.State == "ALARM" {
			say("alarm %s: %s", a.Name, a.Reason)
		}
	}
	return all
}

// resource is one thing that a stack made.
type resource struct{ Logical, Physical, Type string }

func (r *Region) resources(ctx context.Context, stackID string) ([]resource, error) {
	ctx, cancel := limited(ctx)
	defer cancel()
	var all []resource
	pages := cloudformation.NewListStackResourcesPaginator(r.cfn, &cloudformation.ListStackResourcesInput{StackName: aws.String(stackID)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("listing the resources of stack %s in %s: %w", stackID, r.Name, err)
		}
		for _, s := range page.StackResourceSummaries {
			if s.ResourceStatus != types.ResourceStatusDeleteComplete {
				all = append(all, resource{aws.ToString(s.LogicalResourceId), aws.ToString(s.PhysicalResourceId), aws.ToString(s.ResourceType)})
			}
		}
	}
	return all, nil
}

func (r *Region) readGroup(ctx context.Context, s *Status) error {
	ctx, cancel := limited(ctx)
	defer cancel()
	out, err := r.groups.DescribeAutoScalingGroups(ctx, &autoscaling.DescribeAutoScalingGroupsInput{AutoScalingGroupNames: []string{s.Group}})
	if err != nil {
		return fmt.Errorf("describing group %s in %s: %w", s.Group, r.Name, err)
	}
	for _, g := range out.AutoScalingGroups {
		s.Desired += int(aws.ToInt32(g.DesiredCapacity))
		for _, i := range g.Instances {
			s.Instances = append(s.Instances, Instance{aws.ToString(i.InstanceId), aws.ToString(i.AvailabilityZone),
				string(i.LifecycleState), healthOf(aws.ToString(i.HealthStatus))})
		}
	}
	return nil
}

// healthOf writes the health as documented: moto says HEALTHY where AWS says
// Healthy.
func healthOf(s string) string {
	if s == "" {
		return "Unknown"
	}
	return strings.ToUpper(s[:1]) + strings.ToLower(s[1:])
}

// readAlarms asks for a hundred alarms at a time, which is what the API takes.
func (r *Region) readAlarms(ctx context.Context, s *Status, made []resource) error {
	var names []string
	for _, m := range made {
		if m.Type == alarmType && m.Physical != "" {
			names = append(names, m.Physical)
		}
	}
	for len(names) > 0 {
		some := names[:min(100, len(names))]
		names = names[len(some):]
		if err := r.readSomeAlarms(ctx, s, some); err != nil {
			return err
		}
	}
	return nil
}

func (r *Region) readSomeAlarms(ctx context.Context, s *Status, names []string) error {
	ctx, cancel := limited(ctx)
	defer cancel()
	out, err := r.watches.DescribeAlarms(ctx, &cloudwatch.DescribeAlarmsInput{AlarmNames: names, MaxRecords: aws.Int32(100)})
	if err != nil {
		return fmt.Errorf("describing the alarms of stack %s in %s: %w", s.Stack, r.Name, err)
	}
	for _, a := range out.MetricAlarms {
		s.Alarms = append(s.Alarms, Alarm{aws.ToString(a.AlarmName), string(a.StateValue), aws.ToString(a.StateReason)})
	}
	for _, a := range out.CompositeAlarms {
		s.Alarms = append(s.Alarms, Alarm{aws.ToString(a.AlarmName), string(a.StateValue), aws.ToString(a.StateReason)})
	}
	return nil
}
