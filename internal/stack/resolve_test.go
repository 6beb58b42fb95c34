package stack

import (
	"strings"
	"testing"
)

// standIns are what CloudFormation would fill in.
var standIns = strings.NewReplacer(
	"${AWS::Region}", "eu-central-1", "${AWS::StackName}", "etcd", "${Bucket}", "etcd-bucket-1a2b3c4d5e6f",
	"${Queue}", "https://sqs.eu-central-1.amazonaws.com/123456789012/etcd-Queue-1A2B3C4D5E6F",
	"${Balancer.DNSName}", "etcd-Balan-1A2B3C4D5E6F-0123456789abcdef.elb.eu-central-1.amazonaws.com", "${!", "${")

// resolvedUserData is what a machine's cloud-init reads.
func resolvedUserData(t *testing.T, n named) string {
	t.Helper()
	data := n.template.Resources["Launch"].Properties["LaunchTemplateData"].(object)
	text := data["UserData"].(object)["Fn::Base64"].(object)["Fn::Sub"].(string)
	return standIns.Replace(text)
}

// distinct are the single templates whose machines differ: programs that look
// at user data need not see the same twice.
func distinct(t *testing.T) []named {
	t.Helper()
	seen := map[string]bool{}
	var out []named
	for _, n := range single(t) {
		if text := resolvedUserData(t, n); !seen[text] {
			seen[text] = true
			out = append(out, n)
		}
	}
	if len(out) < 8 {
		t.Fatalf("only %d kinds of machines", len(out))
	}
	return out
}
