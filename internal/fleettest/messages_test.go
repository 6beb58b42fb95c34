package fleettest

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/quorate/quorate/internal/clustertest/awsproxy"
)

// strange are messages that mean nothing, or nothing to us.
func strange(group, gone string) map[string]string {
	hook := func(group, id string) string {
		return fmt.Sprintf(`{"Origin":"AutoScalingGroup","Destination":"EC2","AccountId":"123456789012","LifecycleHookName":"terminating",`+
			`"LifecycleTransition":"autoscaling:EC2_INSTANCE_TERMINATING","AutoScalingGroupName":%q,"EC2InstanceId":%q,`+
			`"LifecycleActionToken":"00000000-0000-0000-0000-000000000000","Time":"2026-01-01T00:00:00Z"}`, group, id)
	}
	return map[string]string{
		"no JSON":             "terminate everything",
		"half a message":      `{"LifecycleTransition":"autoscaling:EC2_INSTANCE_TERM`,
		"an empty object":     "{}",
		"a list":              "[1,2,3]",
		"a number":            "7",
		"a test":              `{"AccountId":"123456789012","RequestId":"1","AutoScalingGroupARN":"arn:aws:autoscaling:x","AutoScalingGroupName":"another","Service":"AWS Auto Scaling","Event":"autoscaling:TEST_NOTIFICATION","Time":"2026-01-01T00:00:00Z"}`,
		"another group":       hook("another", "i-0123456789abcdef0"),
		"nobody's instance":   hook(group, "i-0123456789abcdef1"),
		"one that is gone":    hook(group, gone),
		"another event":       `{"version":"0","detail-type":"EC2 Instance State-change Notification","source":"aws.ec2","detail":{"instance-id":"i-0123456789abcdef1","state":"running"}}`,
		"spot, of a stranger": spotNotice("i-0123456789abcdef2"),
		"very long":           `{"x":"` + strings.Repeat("x", 200_000) + `"}`,
	}
}

// spotNotice is what EventBridge sends two minutes before an interruption.
func spotNotice(id string) string {
	return fmt.Sprintf(`{"version":"0","id":"12345678-1234-1234-1234-123456789012","detail-type":"EC2 Spot Instance Interruption Warning","source":"aws.ec2",`+
		`"account":"123456789012","time":"2026-01-01T00:00:00Z","region":%q,"resources":["arn:aws:ec2:%s:123456789012:instance/%s"],`+
		`"detail":{"instance-id":%q,"instance-action":"terminate"}}`, home, home, id, id)
}

// interrupts: whoever is to be taken away goes once the replacement votes that
// its group launches for it (capacity rebalancing), and before it is taken.
func (f *fleet) interrupts(m *machine, notify func(*machine)) {
	f.t.Helper()
	began := f.settled()
	notify(m)
	f.proxy.Surge(home, f.group())
	eventually(f.t, time.Minute, "the machine is no member", func() error {
		voters, err := f.writer.voters(f.t.Context())
		if err == nil && (slices.Contains(voters, m.id) || len(voters) != 3) {
			err = fmt.Errorf("voters %v", voters)
		}
		return err
	})
	f.neverBelow(3, began)
	f.proxy.Retire(home, f.group(), m.id)
	f.gone(m)
	f.voters(time.Minute, 3)
	f.inService()
}

// ignoresStrangeMessages: none of them changes anything, and none of them stays.
func (f *fleet) ignoresStrangeMessages() {
	began := f.settled()
	m := f.follower()
	f.terminates(m)
	settled := f.settled()
	for _, body := range strange(f.group(), m.id) {
		f.proxy.Send(home, f.stacks[home].queue, body)
		f.proxy.Send(home, f.stacks[home].queue, body)
	}
	eventually(f.t, time.Minute, "the queue is empty", func() error {
		if n := f.region(home).waiting(f.stacks[home].queue); n > 0 {
			return fmt.Errorf("%d messages", n)
		}
		return nil
	})
	f.polls(2)
	if lists := f.since(settled); len(lists) != 1 {
		f.t.Errorf("messages changed the members: %s", tell(lists))
	}
	f.neverBelow(3, began)
}

// needsNoQueue: the group itself is the truth.
func (f *fleet) needsNoQueue() {
	f.proxy.Inject("sqs:*", awsproxy.Broken)
	defer f.proxy.Heal()
	f.terminates(f.follower())
}
