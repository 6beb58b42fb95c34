package lifecycle

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"

	machine "github.com/quorate/quorate/internal/aws"
	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/clustertest/awsproxy"
	"github.com/quorate/quorate/internal/clustertest/moto"
)

const region = "us-east-1"

// rig is a group on moto. The proxy answers what moto lacks: heartbeats,
// CompleteLifecycleAction and SignalResource.
type rig struct {
	*testing.T
	proxy *awsproxy.Proxy
	cloud *Cloud
	ids   []string
}

func newRig(t *testing.T, size int, hooks ...string) rig {
	p := awsproxy.New(t, moto.Start(t))
	return rig{t, p, New(), p.Group(region, "g", size, hooks...)}
}

func peer(id string, state cluster.PeerState) cluster.Peer {
	return cluster.Peer{ID: id, Name: id, Region: region, Group: "g", State: state, Held: true}
}

func (r rig) must(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

func (r rig) wants(action string, n int) {
	r.Helper()
	if got := r.proxy.Count(action); got != n {
		r.Errorf("%s: called %d times, want %d", action, got, n)
	}
}

func TestHoldAndRelease(t *testing.T) {
	r := newRig(t, 2, "launching", "terminating")
	id := r.ids[0]
	r.proxy.Terminate(region, id, false)
	p := peer(id, cluster.Terminating)
	for range 3 {
		r.must(r.cloud.Hold(t.Context(), p))
	}
	r.wants("RecordLifecycleActionHeartbeat", 3) // of the terminating hook alone
	r.wants("DescribeLifecycleHooks", 1)         // remembered
	if s := r.proxy.State(id); s != "Terminating:Wait" {
		t.Errorf("held, it is %q", s)
	}
	r.must(r.cloud.Release(t.Context(), p))
	if s := r.proxy.State(id); s != "" {
		t.Errorf("released, it is %q", s)
	}
	// Another node had the same thought, and the view was old.
	r.must(r.cloud.Release(t.Context(), p))
	r.must(r.cloud.Hold(t.Context(), p))
	r.must(r.cloud.Release(t.Context(), peer("i-0123456789abcdef0", cluster.Terminating)))
}

func TestEveryHookIsCompleted(t *testing.T) {
	r := newRig(t, 1, "terminating")
	cfg, err := machine.Load(t.Context(), region)
	r.must(err)
	_, err = autoscaling.NewFromConfig(cfg).PutLifecycleHook(t.Context(), &autoscaling.PutLifecycleHookInput{AutoScalingGroupName: aws.String("g"),
		LifecycleHookName: aws.String("another"), LifecycleTransition: aws.String(terminating)})
	r.must(err)
	r.proxy.Terminate(region, r.ids[0], true)
	r.must(r.cloud.Release(t.Context(), peer(r.ids[0], cluster.Terminating)))
	r.wants("CompleteLifecycleAction", 2)
	if ids := r.proxy.Instances(region, "g"); len(ids) != 0 {
		t.Errorf("still there: %v", ids)
	}
}

func TestAGroupWithoutHooks(t *testing.T) {
	r := newRig(t, 1)
	p := peer(r.ids[0], cluster.Terminating)
	r.must(r.cloud.Release(t.Context(), p))
	p.Group = ""
	r.must(r.cloud.Release(t.Context(), p))
	r.must(r.cloud.Announce(t.Context(), p))
	r.wants("CompleteLifecycleAction", 0)
	r.wants("DescribeLifecycleHooks", 1)
}

func TestCondemn(t *testing.T) {
	r := newRig(t, 2)
	r.must(r.cloud.Condemn(t.Context(), peer(r.ids[0], cluster.Running), "its disk"))
	cfg, err := machine.Load(t.Context(), region)
	r.must(err)
	out, err := autoscaling.NewFromConfig(cfg).DescribeAutoScalingInstances(t.Context(), &autoscaling.DescribeAutoScalingInstancesInput{})
	r.must(err)
	for _, i := range out.AutoScalingInstances {
		want := "Healthy"
		if *i.InstanceId == r.ids[0] {
			want = "Unhealthy"
		}
		if !strings.EqualFold(*i.HealthStatus, want) {
			t.Errorf("%s is %s, want %s", *i.InstanceId, *i.HealthStatus, want)
		}
	}
	if n := r.proxy.Count("SetInstanceHealth", "ShouldRespectGracePeriod", "false"); n != 1 {
		t.Errorf("%d calls that do not wait for the grace period, want 1", n)
	}
}

func TestAnnounce(t *testing.T) {
	r := newRig(t, 1, "launching", "terminating")
	r.tag()
	id := r.ids[0]
	self := peer(id, cluster.Running) // the view may not show yet, or any more, that it waits
	r.must(r.cloud.Hold(t.Context(), peer(id, cluster.Pending)))
	if s := r.proxy.State(id); s != "Pending:Wait" {
		t.Fatalf("a newcomer is %q", s)
	}
	r.must(r.cloud.Announce(t.Context(), self))
	if s := r.proxy.State(id); s != "" {
		t.Errorf("announced, it is %q", s)
	}
	if n := r.proxy.Count("SignalResource", "StackName", "s", "LogicalResourceId", "Machines", "UniqueId", id, "Status", "SUCCESS"); n != 1 {
		t.Errorf("%d signals, want 1", n)
	}
	// What CloudFormation says when nobody waits for it any more.
	for _, said := range []string{"Resource Machines is in CREATE_COMPLETE state and cannot be signaled", "Stack s does not exist", "Signal with ID i-1 for resource Machines has already been signaled"} {
		r.proxy.Inject("SignalResource", awsproxy.Fault{Status: 400, Code: "ValidationError", Message: said})
		r.must(r.cloud.Announce(t.Context(), self))
	}
	r.proxy.Inject("SignalResource", awsproxy.Fault{Status: 400, Code: "ValidationError", Message: "1 validation error detected"})
	if err := r.cloud.Announce(t.Context(), self); err == nil || !strings.Contains(err.Error(), "signalling Machines of stack s") {
		t.Errorf("a signal that is wrong: %v", err)
	}
}

// tag makes the group a stack's.
func (r rig) tag() {
	r.Helper()
	cfg, err := machine.Load(r.Context(), region)
	r.must(err)
	in := &autoscaling.CreateOrUpdateTagsInput{}
	for key, value := range map[string]string{stackTag: "s", resourceTag: "Machines"} {
		in.Tags = append(in.Tags, astypes.Tag{ResourceId: aws.String("g"), ResourceType: aws.String("auto-scaling-group"),
			Key: &key, Value: &value, PropagateAtLaunch: aws.Bool(true)})
	}
	_, err = autoscaling.NewFromConfig(cfg).CreateOrUpdateTags(r.Context(), in)
	r.must(err)
}

// One of two parts fails: the other is done all the same.
func TestAnnounceTriesBoth(t *testing.T) {
	r := newRig(t, 1, "launching")
	r.tag()
	r.proxy.Inject("CompleteLifecycleAction", awsproxy.Denied)
	if err := r.cloud.Announce(t.Context(), peer(r.ids[0], cluster.Pending)); err == nil || !strings.Contains(err.Error(), "AccessDenied") {
		t.Errorf("a hook that may not be completed: %v", err)
	}
	r.wants("SignalResource", 1)
}

func TestFailuresAreSaidAndEnd(t *testing.T) {
	r := newRig(t, 1, "terminating")
	p := peer(r.ids[0], cluster.Terminating)
	calls := map[string]func(context.Context) error{
		"DescribeLifecycleHooks":         func(ctx context.Context) error { return New().Release(ctx, p) },
		"CompleteLifecycleAction":        func(ctx context.Context) error { return r.cloud.Release(ctx, p) },
		"RecordLifecycleActionHeartbeat": func(ctx context.Context) error { return r.cloud.Hold(ctx, p) },
		"SetInstanceHealth":              func(ctx context.Context) error { return r.cloud.Condemn(ctx, p, "x") },
	}
	for action, call := range calls {
		r.proxy.Inject(action, awsproxy.Fault{Status: 400, Code: "ValidationError", Message: "something else"})
		if err := call(t.Context()); err == nil || !strings.Contains(err.Error(), "something else") {
			t.Errorf("%s refused: %v", action, err)
		}
		r.proxy.Inject(action, awsproxy.Hanging)
		ctx, cancel := context.WithCancelCause(t.Context())
		gone := make(chan error, 1)
		before := r.proxy.Count(action)
		go func() { gone <- call(ctx) }()
		for r.proxy.Count(action) == before { // until it hangs
			select {
			case err := <-gone:
				t.Fatalf("%s does not hang: %v", action, err)
			default:
			}
		}
		cancel(errors.New("enough"))
		if err := <-gone; err == nil {
			t.Errorf("%s hung, and says nothing", action)
		}
		r.proxy.Heal()
	}
}
