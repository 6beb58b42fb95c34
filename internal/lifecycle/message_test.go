package lifecycle

import (
	"strings"
	"testing"
)

const (
	direct    = `{"Origin":"EC2","Destination":"AutoScalingGroup","LifecycleHookName":"h","AccountId":"123456789012","RequestId":"1","LifecycleTransition":"autoscaling:EC2_INSTANCE_TERMINATING","AutoScalingGroupName":"g","Service":"AWS Auto Scaling","Time":"2026-01-01T00:00:00Z","EC2InstanceId":"i-0123456789abcdef0","LifecycleActionToken":"t","NotificationMetadata":"{\"a\":1}"}`
	bridge    = `{"version":"0","id":"1","detail-type":"EC2 Instance-terminate Lifecycle Action","source":"aws.autoscaling","account":"1","time":"2026-01-01T00:00:00Z","region":"eu-west-1","resources":["arn"],"detail":{"LifecycleActionToken":"t","AutoScalingGroupName":"g","LifecycleHookName":"h","EC2InstanceId":"i-0123456789abcdef0","LifecycleTransition":"autoscaling:EC2_INSTANCE_TERMINATING"}}`
	spot      = `{"version":"0","detail-type":"EC2 Spot Instance Interruption Warning","source":"aws.ec2","detail":{"instance-id":"i-0123456789abcdef0","instance-action":"terminate"}}`
	rebalance = `{"version":"0","detail-type":"EC2 Instance Rebalance Recommendation","source":"aws.ec2","detail":{"instance-id":"i-0123456789abcdef0"}}`
	trial     = `{"AccountId":"1","RequestId":"1","AutoScalingGroupARN":"arn","AutoScalingGroupName":"g","Service":"AWS Auto Scaling","Event":"autoscaling:TEST_NOTIFICATION","Time":"2026-01-01T00:00:00Z"}`
)

// bySNS wraps a message as SNS does without raw delivery.
func bySNS(body string) string {
	return `{"Type":"Notification","MessageId":"1","TopicArn":"arn","Subject":"s","Message":"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(body) + `","Timestamp":"2026-01-01T00:00:00Z","SignatureVersion":"1"}`
}

// told is a message in one line, as the rows want it.
func told(body string) string {
	m, err := Parse([]byte(body))
	switch {
	case err != nil:
		return "error: " + err.Error()
	case m.Ignored != "":
		return "ignored: " + m.Ignored
	}
	return strings.TrimSpace(string(m.Kind) + " " + m.PeerID + " " + m.Group)
}

func TestParse(t *testing.T) {
	const id = "i-0123456789abcdef0"
	const neither = "error: reading a message: neither Auto Scaling's nor EventBridge's"
	for name, c := range map[string]struct{ body, want string }{
		"terminating":                  {direct, "terminating " + id + " g"},
		"launching":                    {strings.Replace(direct, "TERMINATING", "LAUNCHING", 1), "launching " + id + " g"},
		"terminating, by EventBridge":  {bridge, "terminating " + id + " g"},
		"launching, by EventBridge":    {strings.Replace(bridge, "Instance-terminate", "Instance-launch", 1), "launching " + id + " g"},
		"a spot interruption":          {spot, "spot " + id},
		"a rebalance recommendation":   {rebalance, "rebalance " + id},
		"a test":                       {trial, "ignored: a test"},
		"terminating, by SNS":          {bySNS(direct), "terminating " + id + " g"},
		"by EventBridge, by SNS":       {bySNS(bridge), "terminating " + id + " g"},
		"by SNS twice":                 {bySNS(bySNS(direct)), "terminating " + id + " g"},
		"by SNS for ever":              {bySNS(bySNS(bySNS(bySNS(direct)))), "error: reading a message: wrapped too often"},
		"a test, by SNS":               {bySNS(trial), "ignored: a test"},
		"an old instance id":           {strings.ReplaceAll(spot, id, "i-01234567"), "spot i-01234567"},
		"another transition":           {strings.Replace(direct, "EC2_INSTANCE_TERMINATING", "SOMETHING", 1), "ignored: transition autoscaling:SOMETHING"},
		"another event":                {strings.Replace(bridge, "EC2 Instance-terminate Lifecycle Action", "EC2 Instance State-change Notification", 1), "ignored: event EC2 Instance State-change Notification"},
		"another event of the group":   {strings.Replace(trial, "TEST_NOTIFICATION", "EC2_INSTANCE_LAUNCH", 1), "ignored: event autoscaling:EC2_INSTANCE_LAUNCH"},
		"an SNS subscription":          {`{"Type":"SubscriptionConfirmation","Message":"You have chosen","Token":"t"}`, neither},
		"nothing":                      {"", "error: reading a message: unexpected end of JSON input"},
		"no JSON":                      {"hello", "error: reading a message: invalid character 'h' looking for beginning of value"},
		"half of it":                   {direct[:99], "error: reading a message: unexpected end of JSON input"},
		"an empty object":              {"{}", neither},
		"null":                         {"null", neither},
		"no group":                     {strings.Replace(direct, `"g"`, `""`, 1), "error: reading a message: it names no group"},
		"no instance":                  {strings.Replace(direct, id, "", 1), `error: reading a message: terminating of no instance: ""`},
		"an instance that is none":     {strings.Replace(spot, id, "i-XYZ; rm -rf /", 1), `error: reading a message: spot of no instance: "i-XYZ; rm -rf /"`},
		"an instance and more":         {strings.Replace(spot, id, id+"0", 1), `error: reading a message: spot of no instance: "` + id + `0"`},
		"a detail that is none":        {`{"detail-type":"EC2 Spot Instance Interruption Warning","detail":[]}`, `error: reading the detail of a message "EC2 Spot Instance Interruption Warning": json: cannot unmarshal array into Go value of type lifecycle.envelope`},
		"no detail":                    {`{"detail-type":"EC2 Spot Instance Interruption Warning"}`, `error: reading a message: spot of no instance: ""`},
		"a group that is a number":     {strings.Replace(direct, `"g"`, "7", 1), "error: reading a message: json: cannot unmarshal number into Go struct field envelope.AutoScalingGroupName of type string"},
		"an SNS message without words": {`{"Type":"Notification","Message":""}`, neither},
	} {
		t.Run(name, func(t *testing.T) {
			if got := told(c.body); got != c.want {
				t.Errorf("\n got %s\nwant %s", got, c.want)
			}
		})
	}
}

// Whatever comes, Parse ends without a panic, and what it tells is of an
// instance, or it is an error or to be ignored, never two of them.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{direct, bridge, spot, rebalance, trial, bySNS(direct), bySNS(bySNS(bridge)), "", "{}", "null", "[]", "7", `{"detail":{}}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		m, err := Parse(body)
		switch {
		case err != nil && (m.Kind != "" || m.Ignored != ""):
			t.Errorf("an error and a message: %v, %+v", err, m)
		case err == nil && (m.Kind == "") == (m.Ignored == ""):
			t.Errorf("neither a notice nor ignored, or both: %+v", m)
		case m.Kind != "" && !instanceID.MatchString(m.PeerID):
			t.Errorf("a notice of no instance: %+v", m)
		}
	})
}
