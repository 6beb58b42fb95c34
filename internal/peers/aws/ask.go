package aws

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	autoscalingtypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"golang.org/x/sync/errgroup"

	machine "github.com/quorate/quorate/internal/aws"
)

// Limits of one call, by the API's documentation.
const (
	idsACall    = 100 // values of one filter: 200
	placesACall = 50  // DescribeAutoScalingInstances
	groupsACall = 50
)

// clients are those of one region.
type clients struct {
	region string
	groups *autoscaling.Client
	ec2    *machine.EC2
	page   *int32
}

// ask asks all regions at once. One that fails fails all: its machines would
// seem to be gone.
func (s *Source) ask(ctx context.Context) ([]answer, error) {
	regions, err := s.regions(ctx)
	if err != nil {
		return nil, err
	}
	value, err := s.value(ctx)
	if err != nil {
		return nil, err
	}
	answers := make([]answer, len(regions))
	work, ctx := errgroup.WithContext(ctx)
	for i, c := range regions {
		work.Go(func() (err error) {
			if s.at.tag {
				answers[i], err = c.tagged(ctx, s.at.key, value)
			} else {
				answers[i], err = c.inGroup(ctx, value)
			}
			if err != nil {
				return fmt.Errorf("%s: %w", c.region, err)
			}
			return nil
		})
	}
	return answers, work.Wait()
}

// regions are the clients of the regions wanted, this machine's by default.
func (s *Source) regions(ctx context.Context) ([]clients, error) {
	names := s.at.regions
	if len(names) == 0 {
		names = []string{""}
	}
	var all []clients
	for _, name := range names {
		c, err := s.region(ctx, name)
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, nil
}

func (s *Source) region(ctx context.Context, name string) (clients, error) {
	if c, ok := s.clients[name]; ok {
		return c, nil
	}
	cfg, err := machine.Load(ctx, name)
	if err != nil {
		return clients{}, err
	}
	c := clients{region: cfg.Region, groups: autoscaling.NewFromConfig(cfg), ec2: machine.OpenEC2(cfg)}
	if s.pageSize > 0 {
		c.page = &s.pageSize
	}
	s.clients[name] = c
	return c, nil
}

// value is the group's name or the tag's value; where the URL has none, that
// of this very machine, which is looked up once.
func (s *Source) value(ctx context.Context) (string, error) {
	if s.at.value != "" || s.own != "" {
		return s.at.value + s.own, nil
	}
	me, err := identity(ctx)
	if err != nil {
		return "", err
	}
	c, err := s.region(ctx, me.Region)
	if err != nil {
		return "", err
	}
	if s.at.tag {
		s.own, err = c.ownTag(ctx, me.InstanceID, s.at.key)
	} else {
		s.own, err = c.ownGroup(ctx, me.InstanceID)
	}
	return s.own, err
}

func (c clients) ownGroup(ctx context.Context, id string) (string, error) {
	places, err := c.places(ctx, []string{id})
	if err != nil {
		return "", err
	}
	if places[id].group == "" {
		return "", fmt.Errorf("this machine, %s, is in no Auto Scaling group: name one", id)
	}
	return places[id].group, nil
}

func (c clients) ownTag(ctx context.Context, id, key string) (string, error) {
	all, err := c.instances(ctx, "instance-id", []string{id})
	if err != nil {
		return "", err
	}
	for _, i := range all {
		for _, t := range i.Tags {
			if aws.ToString(i.InstanceId) == id && aws.ToString(t.Key) == key && aws.ToString(t.Value) != "" {
				return *t.Value, nil
			}
		}
	}
	return "", fmt.Errorf("this machine, %s, has no tag %s with a value", id, key)
}

// inGroup is the group and its instances. The instance ids are a filter and not
// a list, for an id in the list that EC2 does not know yet fails the call.
func (c clients) inGroup(ctx context.Context, name string) (answer, error) {
	found, err := c.describe(ctx, []string{name})
	if err != nil {
		return answer{}, err
	}
	if len(found) != 1 {
		return answer{}, fmt.Errorf("%d groups of the name %s: want one", len(found), name)
	}
	a := answer{region: c.region, groups: []group{{name, int(aws.ToInt32(found[0].DesiredCapacity))}}, places: map[string]membership{}}
	var ids []string
	for _, i := range found[0].Instances {
		id := aws.ToString(i.InstanceId)
		ids = append(ids, id)
		a.places[id] = membership{group: name, zone: aws.ToString(i.AvailabilityZone), lifecycle: string(i.LifecycleState), unhealthy: sick(i.HealthStatus)}
	}
	if len(ids) == 0 && a.groups[0].desired > 0 {
		return answer{}, fmt.Errorf("%s has no instance, and wants %d: not believed", name, a.groups[0].desired)
	}
	instances, err := c.instances(ctx, "instance-id", ids)
	a.machines = byID(instances)
	return a, err
}

// tagged are the instances with the tag, their groups and their places in them.
func (c clients) tagged(ctx context.Context, key, value string) (answer, error) {
	found, err := c.instances(ctx, "tag:"+key, []string{literal.Replace(value)})
	if err != nil {
		return answer{}, err
	}
	if len(found) == 0 {
		return answer{}, errors.New("no instance has the tag: not believed")
	}
	a := answer{region: c.region, machines: byID(found)}
	var ids, names []string
	for _, i := range found {
		if i.State == nil || i.State.Name != ec2types.InstanceStateNameTerminated {
			ids = append(ids, aws.ToString(i.InstanceId))
		}
	}
	if a.places, err = c.places(ctx, ids); err != nil {
		return answer{}, err
	}
	for _, i := range found {
		if err := placed(i, a.places, a.machines[aws.ToString(i.InstanceId)]); err != nil {
			return answer{}, err
		}
	}
	for _, m := range a.places {
		if !slices.Contains(names, m.group) {
			names = append(names, m.group)
		}
	}
	groups, err := c.describe(ctx, names)
	if err == nil && len(groups) != len(names) {
		err = fmt.Errorf("%d groups of %d are known", len(groups), len(names))
	}
	for _, g := range groups {
		a.groups = append(a.groups, group{aws.ToString(g.AutoScalingGroupName), int(aws.ToInt32(g.DesiredCapacity))})
	}
	return a, err
}

// placed wants every machine that EC2 says a group has launched to be in one: a
// place that is missing would hide that the machine is going away. The tag
// leaves an instance that is detached.
func placed(i ec2types.Instance, places map[string]membership, m instance) error {
	if _, ok := places[aws.ToString(i.InstanceId)]; ok || m.going() {
		return nil
	}
	for _, t := range i.Tags {
		if aws.ToString(t.Key) == "aws:autoscaling:groupName" {
			return fmt.Errorf("%s: EC2 has it in group %s, and Auto Scaling in none", aws.ToString(i.InstanceId), aws.ToString(t.Value))
		}
	}
	return nil
}

// literal keeps EC2 from reading a filter's value as a pattern.
var literal = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`)

func sick(status *string) bool { return strings.EqualFold(aws.ToString(status), "Unhealthy") }

// describe are the groups of exactly these names.
func (c clients) describe(ctx context.Context, names []string) ([]autoscalingtypes.AutoScalingGroup, error) {
	var all []autoscalingtypes.AutoScalingGroup
	for some := range slices.Chunk(names, groupsACall) {
		pages := autoscaling.NewDescribeAutoScalingGroupsPaginator(c.groups, &autoscaling.DescribeAutoScalingGroupsInput{AutoScalingGroupNames: some, MaxRecords: c.page})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				return nil, fmt.Errorf("describing groups: %w", err)
			}
			for _, g := range page.AutoScalingGroups {
				if slices.Contains(some, aws.ToString(g.AutoScalingGroupName)) {
					all = append(all, g)
				}
			}
		}
	}
	return all, nil
}

// places are those of the instances that are in a group.
func (c clients) places(ctx context.Context, ids []string) (map[string]membership, error) {
	all := map[string]membership{}
	for some := range slices.Chunk(ids, placesACall) {
		pages := autoscaling.NewDescribeAutoScalingInstancesPaginator(c.groups, &autoscaling.DescribeAutoScalingInstancesInput{InstanceIds: some, MaxRecords: c.page})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				return nil, fmt.Errorf("describing instances of groups: %w", err)
			}
			for _, i := range page.AutoScalingInstances {
				all[aws.ToString(i.InstanceId)] = membership{group: aws.ToString(i.AutoScalingGroupName), zone: aws.ToString(i.AvailabilityZone),
					lifecycle: aws.ToString(i.LifecycleState), unhealthy: sick(i.HealthStatus)}
			}
		}
	}
	return all, nil
}

// instances are those that the filter lets through, terminated ones too.
func (c clients) instances(ctx context.Context, filter string, values []string) ([]ec2types.Instance, error) {
	var all []ec2types.Instance
	for some := range slices.Chunk(values, idsACall) {
		pages := ec2.NewDescribeInstancesPaginator(c.ec2, &ec2.DescribeInstancesInput{
			Filters: []ec2types.Filter{{Name: &filter, Values: some}}, MaxResults: c.page})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				return nil, fmt.Errorf("describing instances: %w", err)
			}
			for _, r := range page.Reservations {
				all = append(all, r.Instances...)
			}
		}
	}
	return all, nil
}

func byID(all []ec2types.Instance) map[string]instance {
	out := map[string]instance{}
	for _, i := range all {
		m := instance{private: aws.ToString(i.PrivateIpAddress), public: aws.ToString(i.PublicIpAddress), ipv6: aws.ToString(i.Ipv6Address),
			launched: aws.ToTime(i.LaunchTime).UTC()}
		if i.State != nil {
			m.state = string(i.State.Name)
		}
		if i.Placement != nil {
			m.zone = aws.ToString(i.Placement.AvailabilityZone)
		}
		out[aws.ToString(i.InstanceId)] = m
	}
	return out
}
