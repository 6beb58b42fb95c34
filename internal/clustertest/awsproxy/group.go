package awsproxy

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Group makes an Auto Scaling group of so many instances, with one hook for
// each transition named ("launching", "terminating"), called as the transition
// is. It is the instances' ids, sorted.
func (p *Proxy) Group(region, name string, size int, transitions ...string) []string {
	p.t.Helper()
	p.must(region, url.Values{"Action": {"CreateLaunchConfiguration"}, "LaunchConfigurationName": {name},
		"ImageId": {"ami-12c6146b"}, "InstanceType": {"t3.small"}})
	p.must(region, url.Values{"Action": {"CreateAutoScalingGroup"}, "AutoScalingGroupName": {name}, "LaunchConfigurationName": {name},
		"MinSize": {"0"}, "MaxSize": {"99"}, "DesiredCapacity": {strconv.Itoa(size)}, "AvailabilityZones.member.1": {region + "a"}})
	for _, t := range transitions {
		p.must(region, url.Values{"Action": {"PutLifecycleHook"}, "AutoScalingGroupName": {name}, "LifecycleHookName": {t},
			"LifecycleTransition": {"autoscaling:EC2_INSTANCE_" + strings.ToUpper(t)}})
	}
	return p.Instances(region, name)
}

// Instances are the ids of the group's instances, those that wait to end
// included, sorted.
func (p *Proxy) Instances(region, group string) []string {
	var out []string
	for id, g := range p.instances(region) {
		if g == group {
			out = append(out, id)
		}
	}
	slices.Sort(out)
	return out
}

func (p *Proxy) must(region string, form url.Values) {
	p.t.Helper()
	form.Set("Version", "2011-01-01")
	if _, err := p.ask("autoscaling", region, form); err != nil {
		p.t.Fatal(err)
	}
}
