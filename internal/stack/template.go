package stack

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/goccy/go-yaml"
)

// Template is a CloudFormation template, ready to be written as YAML or JSON.
type Template struct {
	Version     string               `json:"AWSTemplateFormatVersion" yaml:"AWSTemplateFormatVersion"`
	Description string               `json:"Description" yaml:"Description"`
	Parameters  map[string]Parameter `json:"Parameters,omitempty" yaml:"Parameters,omitempty"`
	Resources   map[string]Resource  `json:"Resources" yaml:"Resources"`
	Outputs     map[string]Output    `json:"Outputs" yaml:"Outputs"`
}

// Parameter is what CloudFormation looks up or is given at deploy time; all
// else is in the template itself.
type Parameter struct {
	Type        string `json:"Type" yaml:"Type"`
	Description string `json:"Description" yaml:"Description"`
	Default     string `json:"Default,omitempty" yaml:"Default,omitempty"`
}

// Resource is one thing that the stack makes. Its attributes other than the
// properties are empty where CloudFormation's own default is right.
type Resource struct {
	Type                string   `json:"Type" yaml:"Type"`
	DependsOn           []string `json:"DependsOn,omitempty" yaml:"DependsOn,omitempty"`
	CreationPolicy      object   `json:"CreationPolicy,omitempty" yaml:"CreationPolicy,omitempty"`
	UpdatePolicy        object   `json:"UpdatePolicy,omitempty" yaml:"UpdatePolicy,omitempty"`
	DeletionPolicy      string   `json:"DeletionPolicy,omitempty" yaml:"DeletionPolicy,omitempty"`
	UpdateReplacePolicy string   `json:"UpdateReplacePolicy,omitempty" yaml:"UpdateReplacePolicy,omitempty"`
	Properties          object   `json:"Properties,omitempty" yaml:"Properties,omitempty"`
}

// Output is what people and other stacks want to know of it.
type Output struct {
	Description string `json:"Description" yaml:"Description"`
	Value       any    `json:"Value" yaml:"Value"`
}

// object is a JSON object. Both encoders sort its keys, so that equal
// parameters give equal bytes.
type object = map[string]any

// BucketParameter is the template parameter that the second region's stack is
// given the first one's bucket in (its output Bucket). Other templates have no
// parameter without a default.
const BucketParameter = "Bucket"

// GroupResource is the logical id of the Auto Scaling group: CloudFormation
// is signalled about it, and puts it into the group's name.
const GroupResource = "Group"

// Template is the stack of one region; region is empty for a single stack, and
// one of the pair's two otherwise. Its error is all of Validate's problems.
func (p Params) Template(region string) (Template, error) {
	if err := errors.Join(p.Validate()...); err != nil {
		return Template{}, err
	}
	if !slices.Contains(p.inRegions(), region) {
		return Template{}, fmt.Errorf("region: %q: want one of %q", region, p.inRegions())
	}
	b := builder{Params: p, region: region, out: Template{
		Version:     "2010-09-09",
		Description: "An etcd cluster kept alive by quorate.",
		Parameters:  map[string]Parameter{},
		Resources:   map[string]Resource{},
		Outputs:     map[string]Output{},
	}}
	b.image()
	b.network()
	b.firewalls()
	b.bucket()
	b.messages()
	b.role()
	b.balancer()
	b.group()
	b.alarms()
	return b.out, b.launch()
}

// YAML is the template as people read it.
func (t Template) YAML() ([]byte, error) {
	var out bytes.Buffer
	enc := yaml.NewEncoder(&out, yaml.Indent(2), yaml.IndentSequence(true), yaml.UseLiteralStyleIfMultiline(true))
	if err := enc.Encode(t); err != nil {
		return nil, fmt.Errorf("writing a template: %w", err)
	}
	if !bytes.HasSuffix(out.Bytes(), []byte("\n")) {
		out.WriteByte('\n')
	}
	return out.Bytes(), nil
}

// JSON is the template in less space than YAML: CloudFormation takes at most
// 51,200 bytes.
func (t Template) JSON() ([]byte, error) {
	out, err := json.Marshal(t)
	if err != nil {
		return nil, fmt.Errorf("writing a template: %w", err)
	}
	return out, nil
}

// builder is a template in the making; each part adds its resources.
type builder struct {
	Params
	region string
	out    Template
}

func (b *builder) add(id, kind string, properties object) {
	b.out.Resources[id] = Resource{Type: kind, Properties: properties}
}

// change alters a resource that is there.
func (b *builder) change(id string, how func(*Resource)) {
	r := b.out.Resources[id]
	how(&r)
	b.out.Resources[id] = r
}

func (b *builder) output(id, description string, value any) {
	b.out.Outputs[id] = Output{Description: description, Value: value}
}

func ref(id string) object             { return object{"Ref": id} }
func attribute(id, name string) object { return object{"Fn::GetAtt": []any{id, name}} }
func sub(text string) object           { return object{"Fn::Sub": text} }
func tags(name string) []any           { return []any{object{"Key": "Name", "Value": name}} }
