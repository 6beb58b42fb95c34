package stack

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// decoded is the template as CloudFormation reads it.
func decoded(t *testing.T, n named) map[string]any {
	t.Helper()
	text, err := n.template.JSON()
	if err != nil {
		t.Fatal(err)
	}
	var out map[string]any
	if err := json.Unmarshal(text, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// walk visits every object with its path.
func walk(path string, v any, visit func(path string, o map[string]any)) {
	switch v := v.(type) {
	case map[string]any:
		visit(path, v)
		for key, each := range v {
			walk(path+"."+key, each, visit)
		}
	case []any:
		for i, each := range v {
			walk(fmt.Sprintf("%s[%d]", path, i), each, visit)
		}
	}
}

var variable = regexp.MustCompile(`\$\{([^!}][^}]*)\}`)

func TestEveryReferenceResolves(t *testing.T) {
	all := pairs(t)
	if len(all) < 200 {
		t.Fatalf("only %d templates", len(all))
	}
	for _, n := range all {
		doc := decoded(t, n)
		known := map[string]bool{"AWS::Region": true, "AWS::AccountId": true, "AWS::Partition": true, "AWS::StackName": true}
		for id := range n.template.Resources {
			known[id] = true
		}
		for id := range n.template.Parameters {
			known[id] = true
		}
		need := func(path, id string) {
			if !known[id] {
				t.Errorf("%s: %s refers to %s: there is none", n.name, path, id)
			}
		}
		walk("", doc, func(path string, o map[string]any) {
			if id, ok := o["Ref"].(string); ok {
				need(path, id)
			}
			if at, ok := o["Fn::GetAtt"].([]any); ok {
				need(path, at[0].(string))
			}
			if text, ok := o["Fn::Sub"].(string); ok {
				for _, m := range variable.FindAllStringSubmatch(text, -1) {
					id, _, _ := strings.Cut(m[1], ".")
					need(path, id)
				}
			}
			for _, id := range list(o["DependsOn"]) {
				need(path, id)
			}
			for key, value := range o {
				if s, ok := value.(string); ok && key != "Fn::Sub" && (variable.MatchString(s) || strings.Contains(s, "@{")) {
					t.Errorf("%s: %s.%s is %q, outside Fn::Sub", n.name, path, key, s)
				}
			}
		})
	}
}

func list(v any) []string {
	var out []string
	for _, each := range append([]any{}, slice(v)...) {
		out = append(out, fmt.Sprint(each))
	}
	return out
}

func slice(v any) []any {
	s, _ := v.([]any)
	return s
}

// physical are the properties that give a resource of ours a name in its
// account or region. Names of hooks and inline policies live in their owner.
var physical = regexp.MustCompile(`^(AutoScalingGroupName|BucketName|QueueName|TopicName|AlarmName|RoleName|InstanceProfileName|LaunchTemplateName|GroupName|ManagedPolicyName|Name)$`)

// Two stacks in one account, in one region or two, never collide.
func TestNoFixedNames(t *testing.T) {
	for _, n := range pairs(t) {
		for id, r := range n.template.Resources {
			for key := range r.Properties {
				if physical.MatchString(key) {
					t.Errorf("%s: %s (%s) has the fixed name %s", n.name, id, r.Type, key)
				}
			}
		}
	}
}

// Nobody gets in from outside who was not asked in, and never a whole
// internet.
func TestClosedByDefault(t *testing.T) {
	for _, n := range pairs(t) {
		asked := map[string]int{}
		for _, c := range n.params.ClientCIDRs {
			asked[c] = clientPort
		}
		for _, c := range n.params.SSHCIDRs {
			asked[c] = 22
		}
		for id, r := range n.template.Resources {
			if r.Type == "AWS::EC2::SecurityGroup" {
				if _, inline := r.Properties["SecurityGroupIngress"]; inline {
					t.Errorf("%s: %s has rules of its own: quorate's would be lost at an update", n.name, id)
				}
				if len(r.Properties["SecurityGroupEgress"].([]any)) == 0 {
					t.Errorf("%s: %s lets everything out", n.name, id)
				}
			}
			if r.Type != "AWS::EC2::SecurityGroupIngress" {
				continue
			}
			for _, key := range []string{"CidrIp", "CidrIpv6"} {
				cidr, open := r.Properties[key].(string)
				if open && (asked[cidr] != r.Properties["FromPort"] || asked[cidr] != r.Properties["ToPort"]) {
					t.Errorf("%s: %s lets %s to ports %v to %v", n.name, id, cidr, r.Properties["FromPort"], r.Properties["ToPort"])
				}
			}
		}
		public := n.template.Resources["Balancer"].Properties["Scheme"] != "internal"
		if public {
			t.Errorf("%s: the load balancer is not internal", n.name)
		}
	}
}

func TestMachinesAreProtected(t *testing.T) {
	for _, n := range pairs(t) {
		data := n.template.Resources["Launch"].Properties["LaunchTemplateData"].(object)
		hops := 1
		if n.params.Image != "" {
			hops = 2
		}
		options := data["MetadataOptions"].(object)
		if options["HttpTokens"] != "required" || options["HttpPutResponseHopLimit"] != hops {
			t.Errorf("%s: metadata options %v", n.name, options)
		}
		disk := data["BlockDeviceMappings"].([]any)[0].(object)["Ebs"].(object)
		if disk["Encrypted"] != true || disk["VolumeType"] != "gp3" {
			t.Errorf("%s: data volume %v", n.name, disk)
		}
		group := n.template.Resources[GroupResource]
		rolling := group.UpdatePolicy["AutoScalingRollingUpdate"].(object)
		size := n.params.sizeIn(n.region)
		if rolling["MinInstancesInService"] != size || rolling["MaxBatchSize"] != 1 || rolling["WaitOnResourceSignals"] != true {
			t.Errorf("%s: rolling update %v", n.name, rolling)
		}
		if group.Properties["MaxSize"] != text(size+1) || group.Properties["DesiredCapacity"] != text(size) {
			t.Errorf("%s: sizes of the group: %v", n.name, group.Properties)
		}
		if got := group.Properties["HealthCheckType"]; got != "EC2" {
			t.Errorf("%s: health check %v: a lost quorum would end every machine", n.name, got)
		}
	}
}

func TestBucketIsProtected(t *testing.T) {
	made := 0
	for _, n := range pairs(t) {
		for id, r := range n.template.Resources {
			if !strings.HasPrefix(r.Type, "AWS::S3::") {
				continue
			}
			made++
			if r.DeletionPolicy != "Retain" || r.UpdateReplacePolicy != "Retain" {
				t.Errorf("%s: %s would go with the stack", n.name, id)
			}
		}
		_, own := n.template.Resources["Bucket"]
		_, asks := n.template.Parameters[BucketParameter]
		given, first := n.params.Bucket != "", n.params.first(n.region)
		if own != (!given && first) || asks != (!given && !first) {
			t.Errorf("%s: own bucket %t, asks for one %t", n.name, own, asks)
		}
	}
	if made == 0 {
		t.Error("no bucket anywhere")
	}
}

// CloudFormation and EC2 take no more than this.
func TestSizes(t *testing.T) {
	for _, n := range pairs(t) {
		text, err := n.template.JSON()
		if err != nil {
			t.Fatal(err)
		}
		if len(text) > 51200 {
			t.Errorf("%s: %d bytes as JSON: want at most 51,200", n.name, len(text))
		}
		if data := resolvedUserData(t, n); len(data) > 16*1024-512 {
			t.Errorf("%s: user data of %d bytes: want room below 16 KiB", n.name, len(data))
		}
	}
}

// The two forms are one template.
func TestYAMLIsJSON(t *testing.T) {
	for _, n := range single(t) {
		readable, err := n.template.YAML()
		if err != nil {
			t.Fatal(err)
		}
		if len(readable) > 51200 {
			t.Errorf("%s: %d bytes as YAML: want at most 51,200", n.name, len(readable))
		}
		var fromYAML any
		if err := yaml.Unmarshal(readable, &fromYAML); err != nil {
			t.Fatalf("%s: %v", n.name, err)
		}
		a, _ := json.Marshal(fromYAML)
		b, _ := json.Marshal(decoded(t, n))
		var x, y any
		json.Unmarshal(a, &x)
		json.Unmarshal(b, &y)
		a, _ = json.Marshal(x)
		b, _ = json.Marshal(y)
		if string(a) != string(b) {
			t.Errorf("%s: YAML and JSON differ", n.name)
		}
	}
}

// The VPCs of a pair do not overlap, so that they can be peered, nor do the
// subnets of one.
func TestRangesAreApart(t *testing.T) {
	seen := map[string][]netip.Prefix{}
	for _, n := range templates(t, [][]string{{"private pair"}}) {
		for id, r := range n.template.Resources {
			if cidr, ok := r.Properties["CidrBlock"].(string); ok {
				kind := r.Type
				for _, other := range seen[kind] {
					if p := netip.MustParsePrefix(cidr); p.Overlaps(other) {
						t.Errorf("%s: %s has %s, which overlaps %s", n.name, id, p, other)
					}
				}
				seen[kind] = append(seen[kind], netip.MustParsePrefix(cidr))
			}
		}
	}
	if len(seen["AWS::EC2::VPC"]) != 2 || len(seen["AWS::EC2::Subnet"]) != 6 {
		t.Errorf("ranges: %v", seen)
	}
}

// A pair has an odd number of voters, and its bucket and alarms once.
func TestPair(t *testing.T) {
	p := with("pair", "email")
	for size, want := range map[int][2]int{3: {2, 1}, 5: {3, 2}, 7: {4, 3}} {
		p.Size = size
		if got := [2]int{p.sizeIn("eu-central-1"), p.sizeIn("eu-west-1")}; got != want {
			t.Errorf("size %d: %v, want %v", size, got, want)
		}
	}
	for _, n := range templates(t, [][]string{{"pair", "email"}}) {
		alarms := 0
		for _, r := range n.template.Resources {
			if r.Type == "AWS::CloudWatch::Alarm" || r.Type == "AWS::SNS::Subscription" {
				alarms++
			}
		}
		if first := n.region == "eu-central-1"; first != (alarms == 6) || !first && alarms > 0 {
			t.Errorf("%s: %d alarms and subscriptions", n.name, alarms)
		}
	}
}

// Every alarm has a topic, and a missing figure is an alarm where nobody else
// would tell.
func TestAlarms(t *testing.T) {
	missing := map[string]string{}
	for id, r := range single(t)[0].template.Resources {
		if r.Type == "AWS::CloudWatch::Alarm" {
			missing[id] = r.Properties["TreatMissingData"].(string)
		}
	}
	want := map[string]string{"UnhealthyAlarm": "breaching", "BackupAlarm": "breaching", "QuotaAlarm": "missing", "ToleranceAlarm": "missing", "UnshippedAlarm": "missing"}
	if fmt.Sprint(missing) != fmt.Sprint(want) {
		t.Errorf("alarms %v, want %v", missing, want)
	}
	for _, n := range templates(t, [][]string{{"one"}}) {
		if _, there := n.template.Resources["ToleranceAlarm"]; there {
			t.Error("a single machine never tolerates a failure: no alarm can be of use")
		}
	}
}

// Each statement names only resources of its own scope; a star alone is where
// IAM knows no better.
func TestPolicyIsNarrow(t *testing.T) {
	unscoped := []string{"autoscaling:DescribeAutoScalingGroups", "autoscaling:DescribeAutoScalingInstances", "autoscaling:DescribeLifecycleHooks", "ec2:DescribeInstances",
		"ec2:DescribeSecurityGroups", "cloudwatch:PutMetricData", "route53:ListHostedZonesByName", "route53:GetChange"}
	for _, s := range Policy(full(), Features()...).Statement {
		if s.Why == "" {
			t.Errorf("%s has no reason", s.Sid)
		}
		for _, a := range s.Action {
			if strings.Contains(a, "*") {
				t.Errorf("%s allows %s", s.Sid, a)
			}
			if slices.Contains(s.Resource, "*") != slices.Contains(unscoped, a) {
				t.Errorf("%s allows %s on %v", s.Sid, a, s.Resource)
			}
		}
		for _, r := range s.Resource {
			if strings.ContainsAny(r, "{}") {
				t.Errorf("%s is on %s: a placeholder is left", s.Sid, r)
			}
		}
	}
}

// Without ListBucket a missing object is 403 to S3, and so a ledger without a
// charter unreadable; that question names no prefix.
func TestMissingObjectsAreMissing(t *testing.T) {
	for _, s := range Policy(full(), Store).Statement {
		if slices.Contains(s.Action, "s3:ListBucket") && s.Condition["StringLikeIfExists"]["s3:prefix"] == "etcd/*" && len(s.Condition) == 1 {
			return
		}
	}
	t.Error("no statement lets S3 say that an object is missing")
}

// A policy holds the statements of its features and no others.
func TestPolicyOfFeatures(t *testing.T) {
	for _, f := range Features() {
		var got []string
		for _, s := range Policy(full(), f).Statement {
			got = append(got, s.Action...)
		}
		slices.Sort(got)
		if want := Actions(f); !slices.Equal(got, want) || len(want) == 0 {
			t.Errorf("%s: %v, want %v", f, got, want)
		}
	}
	if len(Policy(full()).Statement) != 0 {
		t.Error("no feature, but a statement")
	}
	if left := Policy(full(), Features()...).Placeholders(); len(left) > 0 {
		t.Errorf("placeholders %v in a full scope", left)
	}
}
