package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/smithy-go"

	machine "github.com/quorate/quorate/internal/aws"
	"github.com/quorate/quorate/internal/cluster"
)

// Cloud acts on machines by the Auto Scaling API of their own region. Safe for
// concurrent use; every call ends with its context.
type Cloud struct {
	mu      sync.Mutex
	clients map[string]clients    // by region
	hooks   map[groupKey]hookList // as last described
}

type clients struct {
	groups *autoscaling.Client
	stacks *cloudformation.Client
}

type groupKey struct{ region, group string }

type hook struct{ name, transition string }

type hookList struct {
	hooks []hook
	at    time.Time
}

// hooksKept is how long a group's hooks are believed: they hardly ever change,
// and a machine is held each minute.
const hooksKept = 5 * time.Minute

// The transitions as the API writes them.
const (
	launching   = "autoscaling:EC2_INSTANCE_LAUNCHING"
	terminating = "autoscaling:EC2_INSTANCE_TERMINATING"
)

// New asks nothing yet.
func New() *Cloud {
	return &Cloud{clients: map[string]clients{}, hooks: map[groupKey]hookList{}}
}

// Hold sends a heartbeat for each hook that the machine may be waiting for. A
// hook that it does not wait for is no error.
func (c *Cloud) Hold(ctx context.Context, p cluster.Peer) error {
	return c.eachHook(ctx, p, "holding", func(api clients, h hook) error {
		_, err := api.groups.RecordLifecycleActionHeartbeat(ctx, &autoscaling.RecordLifecycleActionHeartbeatInput{
			AutoScalingGroupName: &p.Group, LifecycleHookName: &h.name, InstanceId: &p.ID})
		return err
	})
}

// Release completes each hook that the machine may be waiting for.
func (c *Cloud) Release(ctx context.Context, p cluster.Peer) error {
	return c.eachHook(ctx, p, "releasing", func(api clients, h hook) error {
		_, err := api.groups.CompleteLifecycleAction(ctx, &autoscaling.CompleteLifecycleActionInput{
			AutoScalingGroupName: &p.Group, LifecycleHookName: &h.name, InstanceId: &p.ID, LifecycleActionResult: aws.String("CONTINUE")})
		return err
	})
}

// Condemn has the group end the machine and launch another: at once, for a bad
// disk gets no better by the end of a grace period.
func (c *Cloud) Condemn(ctx context.Context, p cluster.Peer, _ string) error {
	api, err := c.client(ctx, p.Region)
	if err != nil {
		return err
	}
	_, err = api.groups.SetInstanceHealth(ctx, &autoscaling.SetInstanceHealthInput{InstanceId: &p.ID,
		HealthStatus: aws.String("Unhealthy"), ShouldRespectGracePeriod: aws.Bool(false)})
	if err != nil {
		return fmt.Errorf("setting %s unhealthy: %w", p.ID, err)
	}
	return nil
}

// eachHook calls for all hooks of the transition that the machine is in; one
// that fails keeps no other from being tried.
func (c *Cloud) eachHook(ctx context.Context, p cluster.Peer, what string, call func(clients, hook) error) error {
	if p.Group == "" || p.ID == "" {
		return nil
	}
	api, err := c.client(ctx, p.Region)
	if err != nil {
		return err
	}
	hooks, err := c.hooksOf(ctx, api, p)
	if err != nil {
		return err
	}
	var problems []error
	for _, h := range hooks {
		if h.transition != transitionOf(p) {
			continue
		}
		if err := call(api, h); err != nil && !notWaiting(err) {
			problems = append(problems, fmt.Errorf("%s %s, hook %s: %w", what, p.ID, h.name, err))
		}
	}
	return errors.Join(problems...)
}

func transitionOf(p cluster.Peer) string {
	if p.State == cluster.Terminating {
		return terminating
	}
	return launching
}

// notWaiting is how the API says that the instance does not wait for the hook:
// it never did, or somebody else was first, or the machine is gone.
func notWaiting(err error) bool {
	var api smithy.APIError
	return errors.As(err, &api) && api.ErrorCode() == "ValidationError" &&
		strings.Contains(strings.ToLower(api.ErrorMessage()), "no active lifecycle action")
}

// hooksOf are the hooks of the machine's group. That there are none is not
// believed for long: they may be about to be made.
func (c *Cloud) hooksOf(ctx context.Context, api clients, p cluster.Peer) ([]hook, error) {
	key := groupKey{p.Region, p.Group}
	c.mu.Lock()
	have := c.hooks[key]
	c.mu.Unlock()
	if time.Since(have.at) < hooksKept {
		return have.hooks, nil
	}
	out, err := api.groups.DescribeLifecycleHooks(ctx, &autoscaling.DescribeLifecycleHooksInput{AutoScalingGroupName: &p.Group})
	if err != nil {
		return nil, fmt.Errorf("describing the lifecycle hooks of %s: %w", p.Group, err)
	}
	var hooks []hook
	for _, h := range out.LifecycleHooks {
		hooks = append(hooks, hook{aws.ToString(h.LifecycleHookName), aws.ToString(h.LifecycleTransition)})
	}
	if len(hooks) > 0 {
		c.mu.Lock()
		c.hooks[key] = hookList{hooks, time.Now()}
		c.mu.Unlock()
	}
	return hooks, nil
}

// client loads a region's configuration once.
func (c *Cloud) client(ctx context.Context, region string) (clients, error) {
	c.mu.Lock()
	have, ok := c.clients[region]
	c.mu.Unlock()
	if ok {
		return have, nil
	}
	cfg, err := machine.Load(ctx, region)
	if err != nil {
		return clients{}, err
	}
	have = clients{autoscaling.NewFromConfig(cfg), cloudformation.NewFromConfig(cfg)}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.clients[region] = have
	return have, nil
}
