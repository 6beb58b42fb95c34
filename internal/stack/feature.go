package stack

import "slices"

// Feature is a part of quorate that calls AWS, and so needs permissions.
type Feature string

// The features, by the part of quorate that makes the calls.
const (
	Discovery Feature = "discovery" // --peers aws-asg:// and aws-tag://
	Store     Feature = "store"     // --store s3://
	Lifecycle Feature = "lifecycle" // holding and releasing machines by their group's hooks
	Signal    Feature = "signal"    // telling CloudFormation that a machine is ready, or that its setup failed
	Condemn   Feature = "condemn"   // asking the group to replace a machine with a bad disk
	Metrics   Feature = "metrics"   // CloudWatch figures
	Messages  Feature = "messages"  // the queue of hints
	DNS       Feature = "dns"       // records in Route 53
	Firewall  Feature = "firewall"  // rules for the machines of another region
	TLS       Feature = "tls"       // a stack's machines reading their certificate authority
	Sealing   Feature = "sealing"   // a stack's machines reading the keys of their backups
	Install   Feature = "install"   // a stack's machines downloading quorate or etcd from S3
	KMS       Feature = "kms"       // a key of your own for the bucket and the authority's key
)

// Features are all of them, in the order of a policy.
func Features() []Feature {
	return []Feature{Discovery, Store, Lifecycle, Signal, Condemn, Metrics, Messages, DNS, Firewall, TLS, Sealing, Install, KMS}
}

// permission is one statement of a policy. Resources and conditions hold the
// placeholders of Scope in braces.
type permission struct {
	sid       string
	why       string
	actions   []string
	resources []string
	condition map[string]map[string]string
}

// permissions are what each feature does to AWS: the actions that the code
// calls, no others, each on as few resources as IAM can name.
var permissions = map[Feature][]permission{
	Discovery: {{
		sid: "FindMachines", why: "who is in the group, and in which state; IAM cannot scope these to a resource",
		actions:   []string{"autoscaling:DescribeAutoScalingGroups", "autoscaling:DescribeAutoScalingInstances", "ec2:DescribeInstances"},
		resources: []string{"*"},
	}},
	Store: {{
		sid: "ReadAndWriteStore", why: "ledger and backups; deleting is for snapshots past their retention",
		actions:   []string{"s3:GetObject", "s3:PutObject", "s3:DeleteObject"},
		resources: []string{"arn:{partition}:s3:::{bucket}/{prefix}/*"},
	}, {
		sid: "ListStore", why: "which backups there are; without it a missing object would look like a forbidden one",
		actions:   []string{"s3:ListBucket"},
		resources: []string{"arn:{partition}:s3:::{bucket}"},
		// IfExists: S3 asks for this permission, without a prefix, before it says that an object is missing.
		condition: map[string]map[string]string{"StringLikeIfExists": {"s3:prefix": "{prefix}/*"}},
	}},
	Lifecycle: {{
		sid: "FindHooks", why: "which hooks the group has; IAM cannot scope it to a resource",
		actions:   []string{"autoscaling:DescribeLifecycleHooks"},
		resources: []string{"*"},
	}, {
		sid: "HoldAndReleaseMachines", why: "a machine comes into service when it votes, and ends when it is no member any more",
		actions:   []string{"autoscaling:RecordLifecycleActionHeartbeat", "autoscaling:CompleteLifecycleAction"},
		resources: []string{groupARN},
	}},
	Signal: {{
		sid: "SignalStack", why: "a stack's update goes on when a machine votes",
		actions:   []string{"cloudformation:SignalResource"},
		resources: []string{"arn:{partition}:cloudformation:{region}:{account}:stack/{stack}/*"},
	}},
	Condemn: {{
		sid: "CondemnMachine", why: "a machine whose disk is bad is replaced by its group",
		actions:   []string{"autoscaling:SetInstanceHealth"},
		resources: []string{groupARN},
	}},
	Metrics: {{
		sid: "PutFigures", why: "backup age, failure tolerance and the like, for alarms; metrics have no ARN, but a namespace",
		actions:   []string{"cloudwatch:PutMetricData"},
		resources: []string{"*"},
		condition: map[string]map[string]string{"StringEquals": {"cloudwatch:namespace": MetricsNamespace}},
	}},
	Messages: {{
		sid: "ReadHints", why: "hints that a machine comes, goes, or is taken away",
		actions:   []string{"sqs:ReceiveMessage", "sqs:DeleteMessage"},
		resources: []string{"{queue}"},
	}},
	DNS: {{
		sid: "FindZone", why: "the zone by its name; IAM cannot scope these to a resource, or the change is not known before",
		actions:   []string{"route53:ListHostedZonesByName", "route53:GetChange"},
		resources: []string{"*"},
	}, {
		sid: "KeepRecords", why: "the cluster's records in its zone",
		actions:   []string{"route53:ListResourceRecordSets", "route53:ChangeResourceRecordSets"},
		resources: []string{"arn:{partition}:route53:::hostedzone/{zone}"},
	}},
	Firewall: {{
		sid: "FindFirewall", why: "which rules there are; IAM cannot scope it to a resource",
		actions:   []string{"ec2:DescribeSecurityGroups"},
		resources: []string{"*"},
	}, {
		sid: "KeepFirewall", why: "rules for the machines of the other region, in the cluster's own security groups only",
		actions:   []string{"ec2:AuthorizeSecurityGroupIngress", "ec2:RevokeSecurityGroupIngress"},
		resources: []string{"arn:{partition}:ec2:{region}:{account}:security-group/*"},
		condition: map[string]map[string]string{"StringEquals": {"aws:ResourceTag/" + FirewallTag: "{stack}"}},
	}},
	TLS: {{
		sid: "ReadAuthority", why: "the authority that certifies this machine's key at boot",
		actions:   []string{"ssm:GetParameter"},
		resources: []string{"arn:{partition}:ssm:{region}:{account}:parameter{tls}/*"},
	}},
	Sealing: {{
		sid: "ReadBackupKeys", why: "the keys that open and sign the backups, at boot",
		actions:   []string{"ssm:GetParameter"},
		resources: []string{"arn:{partition}:ssm:{region}:{account}:parameter{keys}/*"},
	}},
	Install: {{
		sid: "Download", why: "what the machine installs at boot",
		actions:   []string{"s3:GetObject"},
		resources: []string{"arn:{partition}:s3:::{download}"},
	}},
	KMS: {{
		sid: "UseKey", why: "the bucket, the authority's key and the keys of backups are encrypted with it",
		actions:   []string{"kms:Decrypt", "kms:GenerateDataKey"},
		resources: []string{"{key}"},
	}},
}

// groupARN matches the stack's groups: CloudFormation names a group after its
// stack and logical id. Its real name cannot stand here: the group's machines
// need the policy before the group is done.
const groupARN = "arn:{partition}:autoscaling:{region}:{account}:autoScalingGroup:*:autoScalingGroupName/{group}"

// MetricsNamespace is where quorate's CloudWatch figures are, under the
// dimension Cluster.
const MetricsNamespace = "quorate"

// Actions are all IAM actions of these features, sorted, each once: what a
// recording of the calls may hold, and no more.
func Actions(features ...Feature) []string {
	var out []string
	for _, f := range features {
		for _, p := range permissions[f] {
			out = append(out, p.actions...)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
