package aws

import (
	"reflect"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/quorate/quorate/internal/aws/awstest"
	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/clustertest/awsproxy"
	"github.com/quorate/quorate/internal/peers/peerstest"
)

func groupIsASource(r rig) {
	ids := r.Group(home, "g", 3)
	r.Group(home, "g2", 1) // of another name, which begins alike
	s := r.source("aws-asg://g")
	peerstest.Run(r.T, peerstest.Leaf{Source: s, Want: r.want(home, "g", 3, ids),
		Break: func() { r.Inject("DescribeInstances", awsproxy.Throttled) }, Mend: func() { r.Heal() }})
}

// Whatever is wrong with an answer, nobody is gone.
func doubtIsUnknown(r rig) {
	r.Group(home, "g", 3)
	r.Group(abroad, "g", 2)
	r.Group(home, "none", 0)
	s := r.source("aws-asg://g?regions=us-east-1,eu-west-1")
	whole := r.view(s)
	if len(whole.Peers) != 5 || whole.Size != 5 {
		r.Fatalf("%+v", whole)
	}
	for _, c := range []struct {
		action string
		fault  awsproxy.Fault
		want   string
	}{
		{"DescribeAutoScalingGroups", awsproxy.Throttled, "Throttling"},
		{"DescribeInstances", awsproxy.Throttled, "Throttling"},
		{"DescribeAutoScalingGroups", awsproxy.Broken, "InternalFailure"},
		{"DescribeInstances", awsproxy.Denied, "AccessDenied"},
		{"DescribeAutoScalingGroups", awsproxy.Empty, "0 groups of the name g"},
		{"DescribeInstances", awsproxy.Empty, "EC2 does not know it"},
		{"eu-west-1:*", awsproxy.Broken, "eu-west-1: "},
	} {
		r.Inject(c.action, c.fault)
		r.unknown(s, c.want)
		r.Heal()
		if got := r.view(s); !reflect.DeepEqual(got, whole) {
			r.Errorf("after %s: %+v", c.action, got)
		}
	}
	r.unknown(r.source("aws-asg://other"), "0 groups of the name other")
	r.unknown(r.source("aws-asg://none"), "no instance")
	r.unknown(r.source("aws-asg://g?regions=us-east-1,us-west-2"), "us-west-2: 0 groups")
}

// States as the groups' own documentation has them; the waits are the proxy's.
func statesOfAGroup(r rig) {
	ids := r.Group(home, "g", 3, "terminating", "launching")
	s := r.source("aws-asg://g")
	for _, p := range r.view(s).Peers {
		if p.State != cluster.Pending || !p.Held {
			r.Errorf("launching, under a hook: %+v", p)
		}
	}
	complete := func(id, hook string) {
		r.Helper()
		if _, err := r.groups(home).CompleteLifecycleAction(r.Context(), &autoscaling.CompleteLifecycleActionInput{AutoScalingGroupName: aws.String("g"),
			InstanceId: &id, LifecycleHookName: &hook, LifecycleActionResult: aws.String("CONTINUE")}); err != nil {
			r.Fatal(err)
		}
	}
	for _, id := range ids {
		complete(id, "launching")
	}
	if got, want := r.view(s), r.want(home, "g", 3, ids); !reflect.DeepEqual(got, want) {
		r.Errorf("in service:\ngot  %+v\nwant %+v", got, want)
	}
	if _, err := r.groups(home).SetInstanceHealth(r.Context(), &autoscaling.SetInstanceHealthInput{InstanceId: &ids[1], HealthStatus: aws.String("Unhealthy")}); err != nil {
		r.Fatal(err)
	}
	if _, err := r.groups(home).TerminateInstanceInAutoScalingGroup(r.Context(), &autoscaling.TerminateInstanceInAutoScalingGroupInput{
		InstanceId: &ids[0], ShouldDecrementDesiredCapacity: aws.Bool(true)}); err != nil {
		r.Fatal(err)
	}
	v := r.view(s)
	if p, _ := v.Peer(ids[0]); p.State != cluster.Terminating || !p.Held || v.Size != 2 {
		r.Errorf("terminating, under a hook: %+v of %d", p, v.Size)
	}
	complete(ids[0], "terminating")
	if _, there := r.view(s).Peer(ids[0]); there {
		r.Error("terminated, and still there")
	}
}

// An instance ended by hand is gone at once, though its group may not know.
func terminatedByHand(r rig) {
	ids := r.Group(home, "g", 3)
	r.terminate(home, ids[0])
	v := r.view(r.source("aws-asg://g"))
	if _, there := v.Peer(ids[0]); there || !v.Authoritative {
		r.Errorf("%+v", v)
	}
	for _, id := range ids[1:] {
		if p, _ := v.Peer(id); p.State != cluster.Running {
			r.Errorf("%+v", p)
		}
	}
}

// A stopped machine still has its disk.
func stoppedIsNotGone(r rig) {
	ids := r.launch(home, "etcd", "c", 3)
	if _, err := r.ec2(home).StopInstances(r.Context(), &ec2.StopInstancesInput{InstanceIds: ids[:1]}); err != nil {
		r.Fatal(err)
	}
	if p, there := r.view(r.source("aws-tag://etcd=c")).Peer(ids[0]); !there || p.State != cluster.Running {
		r.Errorf("%t %+v", there, p)
	}
}

func standbyKeepsItsVote(r rig) {
	ids := r.Group(home, "g", 3)
	for _, decrement := range []bool{true, false} {
		id := ids[0]
		if _, err := r.groups(home).EnterStandby(r.Context(), &autoscaling.EnterStandbyInput{AutoScalingGroupName: aws.String("g"),
			InstanceIds: []string{id}, ShouldDecrementDesiredCapacity: &decrement}); err != nil {
			r.Fatal(err)
		}
		v := r.view(r.source("aws-asg://g"))
		if p, _ := v.Peer(id); p.State != cluster.Running || v.Size != 3 {
			r.Errorf("decrement %t: %+v of %d", decrement, p, v.Size)
		}
		if _, err := r.groups(home).ExitStandby(r.Context(), &autoscaling.ExitStandbyInput{AutoScalingGroupName: aws.String("g"), InstanceIds: []string{id}}); err != nil {
			r.Fatal(err)
		}
	}
}

// Machines on whose private addresses two networks disagree are not twins, but
// nobody could tell them apart.
func addresses(r rig) {
	here, there := r.Group(home, "g", 1)[0], r.Group(abroad, "g", 1)[0]
	r.SetAddress(here, "10.0.0.1", "198.51.100.1")
	r.SetAddress(there, "10.0.0.1", "198.51.100.2")
	r.unknown(r.source("aws-asg://g?regions=us-east-1,eu-west-1"), "given twice")
	v := r.view(r.source("aws-asg://g?regions=us-east-1,eu-west-1&address=public"))
	if a, _ := v.Peer(here); a.Host != "198.51.100.1" || a.Region != home {
		r.Errorf("%+v", a)
	}
	if b, _ := v.Peer(there); b.Host != "198.51.100.2" || b.Region != abroad || v.Size != 2 {
		r.Errorf("%+v", b)
	}
	r.unknown(r.source("aws-asg://g?address=ipv6"), "it has no ipv6 address")
}

func ownGroupAndSelf(r rig) {
	ids := r.Group(home, "g", 2)
	loner := r.launch(home, "etcd", "c", 1)[0]
	imds := awstest.Serve(r.T, awstest.Instance{ID: ids[1], Region: home, Zone: home + "a", PrivateIPv4: "10.0.0.9"})
	imds.Point(r.T)
	s := r.source("aws-asg://")
	if got := r.view(s); !reflect.DeepEqual(names(got), sorted(ids...)) {
		r.Errorf("%+v", got)
	}
	imds.Hang(true) // it is asked once
	r.view(s)
	imds.Hang(false)
	if p, err := s.Self(r.Context()); err != nil || p.Name != ids[1] || p.Host != "10.0.0.9" || p.Zone != home+"a" || p.PeerPort != 2380 {
		r.Errorf("%+v, %v", p, err)
	}
	for raw, want := range map[string]string{
		"aws-asg://?address=public":   "no public address",
		"aws-asg://?region=eu-west-1": "not among the regions",
	} {
		if _, err := r.source(raw).Self(r.Context()); err == nil || !strings.Contains(err.Error(), want) {
			r.Errorf("%s: %v", raw, err)
		}
	}
	imds.Change(func(i *awstest.Instance) { i.ID = loner })
	r.unknown(r.source("aws-asg://"), "is in no Auto Scaling group")
	imds.Refuse(403)
	r.unknown(r.source("aws-asg://"), "turned off")
}
