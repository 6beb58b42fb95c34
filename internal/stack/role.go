package stack

import "strings"

// features are what this stack's machines do to AWS.
func (b *builder) features() []Feature {
	out := []Feature{Discovery, Store, Lifecycle, Signal, Condemn, Metrics, Messages}
	for _, optional := range []struct {
		wanted  bool
		feature Feature
	}{{b.HostedZoneID != "", DNS}, {b.paired(), Firewall}, {b.tls(), TLS}, {b.sealed(), Sealing}, {len(b.downloads()) > 0, Install}, {b.KMSKey != "", KMS}} {
		if optional.wanted {
			out = append(out, optional.feature)
		}
	}
	return out
}

// downloads are the objects in S3 that the machines install.
func (b *builder) downloads() []string {
	var out []string
	urls := []string{b.BinaryURL}
	if b.ownEtcd() {
		urls = append(urls, b.etcdURL())
	}
	for _, u := range urls {
		if o := objectOf(u); o != "" {
			out = append(out, o)
		}
	}
	return out
}

// scope is that of the machines' policy, for Fn::Sub.
func (b *builder) scope() Scope {
	regions := b.Regions
	if !b.paired() {
		regions = []string{"${AWS::Region}"}
	}
	return Scope{Partition: "${AWS::Partition}", Regions: regions, Account: "${AWS::AccountId}", Stack: "${AWS::StackName}", Group: "${AWS::StackName}-" + GroupResource + "-*",
		Bucket: b.bucketName(), Prefix: b.Stack, Queues: []string{"${Queue.Arn}"}, Zone: b.HostedZoneID, TLSPath: b.TLS, KeysPath: b.BackupKeys, Downloads: b.downloads(), Keys: b.keys()}
}

// role is what the machines may do: Policy's statements, no managed policy.
func (b *builder) role() {
	b.add("Role", "AWS::IAM::Role", object{
		"Description":              "What a machine of the etcd cluster may do.",
		"AssumeRolePolicyDocument": trust("ec2.amazonaws.com"),
		"Policies":                 []any{object{"PolicyName": "quorate", "PolicyDocument": inTemplate(Policy(b.scope(), b.features()...))}},
	})
	b.add("Profile", "AWS::IAM::InstanceProfile", object{"Roles": []any{ref("Role")}})
}

// inTemplate wraps in Fn::Sub whatever CloudFormation has to fill in.
func inTemplate(doc PolicyDocument) object {
	var statements []any
	for _, s := range doc.Statement {
		var resources []any
		for _, r := range s.Resource {
			resources = append(resources, filled(r))
		}
		out := object{"Sid": s.Sid, "Effect": s.Effect, "Action": s.Action, "Resource": resources}
		if s.Condition != nil {
			conditions := object{}
			for operator, tests := range s.Condition {
				wanted := object{}
				for key, value := range tests {
					wanted[key] = filled(value)
				}
				conditions[operator] = wanted
			}
			out["Condition"] = conditions
		}
		statements = append(statements, out)
	}
	return document(statements...)
}

func filled(text string) any {
	if strings.Contains(text, "${") {
		return sub(text)
	}
	return text
}

// keyIn is the KMS key's ARN in a region: a pair's key is a multi-region one,
// with the same id in each.
func (b *builder) keyIn(region string) string {
	parts := strings.Split(b.KMSKey, ":")
	if region == "" || len(parts) < 4 {
		return b.KMSKey
	}
	parts[3] = region
	return strings.Join(parts, ":")
}

func (b *builder) keys() []string {
	var out []string
	for _, region := range b.inRegions() {
		out = append(out, b.keyIn(region))
	}
	return out
}
