package deploy

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
)

const fleet = `
Resources:
  Template:
    Type: AWS::EC2::LaunchTemplate
    Properties: {LaunchTemplateData: {ImageId: ami-12c6146b, InstanceType: t4g.small}}
  Group:
    Type: AWS::AutoScaling::AutoScalingGroup
    Properties:
      MinSize: '2'
      MaxSize: '2'
      DesiredCapacity: '2'
      AvailabilityZones: [eu-west-3a, eu-west-3b]
      LaunchTemplate: {LaunchTemplateId: !Ref Template, Version: !GetAtt Template.LatestVersionNumber}
Outputs:
  Endpoint: {Value: 'https://nlb.example:2379'}
`

// status is of a stack made with CreateStack, because of a change set moto
// forgets the outputs. CloudFormation's alarms it lacks: the test makes one and
// adds it to the list of resources, whose answer is the documented API's.
func status(t *testing.T, f *front) {
	r := region(t, "eu-west-3")
	_, err := r.cfn.CreateStack(t.Context(), &cloudformation.CreateStackInput{StackName: aws.String("fleet"), TemplateBody: aws.String(fleet)})
	must(t, err)
	_, err = r.watches.PutMetricAlarm(t.Context(), &cloudwatch.PutMetricAlarmInput{AlarmName: aws.String("fleet-Old-1"), Namespace: aws.String("quorate"),
		MetricName: aws.String("age"), ComparisonOperator: cwtypes.ComparisonOperatorGreaterThanThreshold, EvaluationPeriods: aws.Int32(1),
		Period: aws.Int32(60), Threshold: aws.Float64(1), Statistic: cwtypes.StatisticMaximum})
	must(t, err)
	groups, err := r.groups.DescribeAutoScalingGroups(t.Context(), &autoscaling.DescribeAutoScalingGroupsInput{})
	must(t, err)
	f.can("ListStackResources", made(resource{"Old", "fleet-Old-1", alarmType},
		resource{"Group", *groups.AutoScalingGroups[0].AutoScalingGroupName, groupType}))
	s, err := r.Status(t.Context(), "fleet")
	must(t, err)
	if len(s.Problems) > 0 || s.Outputs["Endpoint"] != "https://nlb.example:2379" || s.Desired != 2 || len(s.Instances) != 2 || len(s.Alarms) != 1 {
		t.Fatalf("a fresh stack: %+v", s)
	}
	_, err = r.watches.SetAlarmState(t.Context(), &cloudwatch.SetAlarmStateInput{AlarmName: aws.String(s.Alarms[0].Name),
		StateValue: cwtypes.StateValueAlarm, StateReason: aws.String("too old")})
	must(t, err)
	_, err = r.groups.SetInstanceHealth(t.Context(), &autoscaling.SetInstanceHealthInput{InstanceId: aws.String(s.Instances[0].ID), HealthStatus: aws.String("Unhealthy")})
	must(t, err)
	sick, err := r.Status(t.Context(), "fleet")
	must(t, err)
	all := strings.Join(sick.Problems, "\n")
	for _, want := range []string{"too old", "instance " + s.Instances[0].ID + " is unhealthy", "1 of 2 instances are in service"} {
		if !strings.Contains(all, want) {
			t.Errorf("problems lack %q:\n%s", want, all)
		}
	}
}

func TestProblems(t *testing.T) {
	good := func() Status {
		return Status{State: "CREATE_COMPLETE", Group: "g", Desired: 1, Instances: []Instance{{"i-1", "a", "InService", "Healthy"}},
			Alarms: []Alarm{{"new", "INSUFFICIENT_DATA", ""}, {"ok", "OK", ""}}}
	}
	for name, c := range map[string]struct {
		change func(*Status)
		want   string
	}{
		"healthy":                         {func(*Status) {}, ""},
		"the last update came to nothing": {func(s *Status) { s.State = "UPDATE_ROLLBACK_COMPLETE" }, "the last update failed and was rolled back"},
		"never made":                      {func(s *Status) { s.State = "ROLLBACK_COMPLETE" }, "the stack is in ROLLBACK_COMPLETE"},
		"being updated":                   {func(s *Status) { s.State = "UPDATE_IN_PROGRESS" }, "the stack is in UPDATE_IN_PROGRESS"},
		"a machine is still coming":       {func(s *Status) { s.Desired = 2 }, "1 of 2 instances are in service"},
		"one more than wanted is going": {func(s *Status) {
			s.Instances = append(s.Instances, Instance{"i-2", "a", "Terminating:Wait", "Healthy"})
		}, ""},
		"no group is not a healthy group":  {func(s *Status) { s.Group = "" }, "the stack has no Auto Scaling group"},
		"an alarm has its reason repeated": {func(s *Status) { s.Alarms[1] = Alarm{"ok", "ALARM", "why"} }, "alarm ok: why"},
	} {
		s := good()
		c.change(&s)
		if got := strings.Join(problems(s), "; "); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
