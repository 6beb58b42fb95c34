package stack

import (
	"slices"
	"strings"
)

// PolicyDocument is an IAM policy, ready for JSON.
type PolicyDocument struct {
	Version   string
	Statement []Statement
}

// Statement is one permission.
type Statement struct {
	Sid       string
	Effect    string
	Action    []string
	Resource  []string
	Condition map[string]map[string]string `json:",omitempty"`
	Why       string                       `json:"-"` // the reason, for people: IAM has no room for it
}

// Scope is what a policy is limited to. A value may be a pattern (*), and in a
// template what Fn::Sub replaces.
type Scope struct {
	Partition string   // aws, aws-cn, aws-us-gov
	Regions   []string // of the groups, the stack, the security groups and the parameters
	Account   string   // 12 digits
	Stack     string   // the stack's name
	Group     string   // the Auto Scaling group's name
	Bucket    string   // of the store
	Prefix    string   // of the store's objects, with the cluster's name: no slash at either end
	Queues    []string // ARNs
	Zone      string   // hosted zone's id
	TLSPath   string   // path of SSM parameters, with a slash first
	KeysPath  string   // likewise, of the keys of backups
	Downloads []string // bucket/key of each
	Keys      []string // KMS keys' ARNs
}

// placeholders are the words of a scope that is still to be filled in by hand:
// in capital letters they match nothing, so that a forgotten one is too
// narrow, never too wide.
var placeholders = []string{"REGION", "ACCOUNT", "STACK", "GROUP", "BUCKET", "CLUSTER", "QUEUE", "ZONE", "PATH", "KEY"}

// Placeholders are the words in the document that still have to be replaced.
func (d PolicyDocument) Placeholders() []string {
	var all []string
	for _, s := range d.Statement {
		all = append(all, s.Resource...)
		for _, tests := range s.Condition {
			for _, want := range tests {
				all = append(all, want)
			}
		}
	}
	words := strings.FieldsFunc(strings.Join(all, " "), func(r rune) bool { return strings.ContainsRune(" :/", r) })
	var out []string
	for _, p := range placeholders {
		if slices.Contains(words, p) {
			out = append(out, p)
		}
	}
	return out
}

// Policy allows exactly what these features do, within the scope.
func Policy(at Scope, features ...Feature) PolicyDocument {
	doc := PolicyDocument{Version: "2012-10-17"}
	for _, f := range Features() {
		if !slices.Contains(features, f) {
			continue
		}
		for _, p := range permissions[f] {
			doc.Statement = append(doc.Statement, at.statement(p))
		}
	}
	return doc
}

func (at Scope) statement(p permission) Statement {
	s := Statement{Sid: p.sid, Effect: "Allow", Action: slices.Clone(p.actions), Why: p.why}
	for _, r := range p.resources {
		s.Resource = append(s.Resource, at.fill(r)...)
	}
	for operator, tests := range p.condition {
		if s.Condition == nil {
			s.Condition = map[string]map[string]string{}
		}
		s.Condition[operator] = map[string]string{}
		for key, want := range tests {
			s.Condition[operator][key] = at.fill(want)[0]
		}
	}
	return s
}

// fill replaces the placeholders: one result for each region, download, key or queue, if
// the text has such a one.
func (at Scope) fill(text string) []string {
	text = strings.NewReplacer("{partition}", at.Partition, "{account}", at.Account, "{stack}", at.Stack, "{group}", at.Group, "{bucket}", at.Bucket,
		"{prefix}", at.Prefix, "{zone}", at.Zone, "{tls}", at.TLSPath, "{keys}", at.KeysPath).Replace(text)
	out := []string{text}
	for mark, values := range map[string][]string{"{region}": at.Regions, "{download}": at.Downloads, "{key}": at.Keys, "{queue}": at.Queues} {
		if !strings.Contains(text, mark) {
			continue
		}
		out = nil
		for _, v := range values {
			out = append(out, strings.ReplaceAll(text, mark, v))
		}
	}
	return out
}
