package lifecycle

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"

	"github.com/quorate/quorate/internal/cluster"
)

// Message is what a queue's message says.
type Message struct {
	cluster.Notice
	// Ignored says why a well-formed message tells us nothing; then there is no
	// Notice. Whether a machine is ours the reader of the notice knows.
	Ignored string
}

// envelope is all that the forms of a message have in common: Auto Scaling's
// own, EventBridge's, and SNS's around either.
type envelope struct {
	// Auto Scaling, directly or as EventBridge's detail.
	LifecycleTransition  string
	EC2InstanceId        string // as it is written there
	AutoScalingGroupName string
	Event                string

	// EventBridge.
	DetailType string `json:"detail-type"`
	Detail     json.RawMessage

	// SNS.
	Type    string
	Message string

	// Of an EC2 event's detail.
	InstanceID string `json:"instance-id"`
}

// nested bounds how deep messages are wrapped: SNS around EventBridge.
const nested = 3

var instanceID = regexp.MustCompile(`^i-[0-9a-f]{8,17}$`)

// Parse reads a message: Auto Scaling's own, EventBridge's, or either of them
// through SNS. An error means that nobody can make sense of it.
func Parse(body []byte) (Message, error) { return parse(body, nested) }

func parse(body []byte, depth int) (Message, error) {
	var e envelope
	if err := json.Unmarshal(body, &e); err != nil {
		return Message{}, fmt.Errorf("reading a message: %w", err)
	}
	switch {
	case depth == 0:
		return Message{}, errors.New("reading a message: wrapped too often")
	case e.Type == "Notification" && e.Message != "":
		return parse([]byte(e.Message), depth-1)
	case e.DetailType != "":
		return e.event()
	case e.Event == "autoscaling:TEST_NOTIFICATION":
		return Message{Ignored: "a test"}, nil
	case e.LifecycleTransition != "":
		return e.hook()
	case e.Event != "":
		return Message{Ignored: "event " + e.Event}, nil
	}
	return Message{}, errors.New("reading a message: neither Auto Scaling's nor EventBridge's")
}

// hook is Auto Scaling's own message.
func (e envelope) hook() (Message, error) {
	kinds := map[string]cluster.NoticeKind{launching: cluster.NoticeLaunching, terminating: cluster.NoticeTerminating}
	kind, known := kinds[e.LifecycleTransition]
	switch {
	case !known:
		return Message{Ignored: "transition " + e.LifecycleTransition}, nil
	case e.AutoScalingGroupName == "":
		return Message{}, errors.New("reading a message: it names no group")
	}
	return notice(kind, e.EC2InstanceId, e.AutoScalingGroupName)
}

// event is EventBridge's.
func (e envelope) event() (Message, error) {
	var d envelope
	if len(e.Detail) > 0 {
		if err := json.Unmarshal(e.Detail, &d); err != nil {
			return Message{}, fmt.Errorf("reading the detail of a message %q: %w", e.DetailType, err)
		}
	}
	switch e.DetailType {
	case "EC2 Instance-terminate Lifecycle Action":
		return notice(cluster.NoticeTerminating, d.EC2InstanceId, d.AutoScalingGroupName)
	case "EC2 Instance-launch Lifecycle Action":
		return notice(cluster.NoticeLaunching, d.EC2InstanceId, d.AutoScalingGroupName)
	case "EC2 Spot Instance Interruption Warning":
		return notice(cluster.NoticeSpot, d.InstanceID, "")
	case "EC2 Instance Rebalance Recommendation":
		return notice(cluster.NoticeRebalance, d.InstanceID, "")
	}
	return Message{Ignored: "event " + e.DetailType}, nil
}

func notice(kind cluster.NoticeKind, id, group string) (Message, error) {
	if !instanceID.MatchString(id) {
		return Message{}, fmt.Errorf("reading a message: %s of no instance: %q", kind, id)
	}
	return Message{Notice: cluster.Notice{Kind: kind, PeerID: id, Group: group}}, nil
}
