package deploy

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/goccy/go-yaml"
)

// Deletion is what the end of a stack would take, and what it would leave.
type Deletion struct {
	Region  string
	Stack   string
	StackID string
	State   string
	Goes    []string // "logical id (type) physical id", sorted
	Stays   []string // likewise: retained by the template
	Buckets []string // names of the buckets that stay
	region  *Region
}

// Deletion finds out what the stack's end would mean. Nothing is deleted until
// Execute.
func (r *Region) Deletion(ctx context.Context, name string) (*Deletion, error) {
	found, err := r.look(ctx, name)
	if err != nil {
		return nil, err
	}
	d := &Deletion{Region: r.Name, Stack: name, StackID: aws.ToString(found.StackId), State: string(found.StackStatus), region: r}
	made, err := r.resources(ctx, d.StackID)
	if err != nil {
		return nil, err
	}
	retained, err := r.retained(ctx, d.StackID, found.StackStatus)
	if err != nil {
		return nil, err
	}
	for _, m := range made {
		line := strings.TrimSpace(fmt.Sprintf("%s (%s) %s", m.Logical, m.Type, m.Physical))
		switch {
		case !retained[m.Logical]:
			d.Goes = append(d.Goes, line)
		default:
			d.Stays = append(d.Stays, line)
			if m.Type == bucketType && m.Physical != "" {
				d.Buckets = append(d.Buckets, m.Physical)
			}
		}
	}
	slices.Sort(d.Goes)
	slices.Sort(d.Stays)
	return d, nil
}

// retained are the logical ids that the stack's template keeps.
func (r *Region) retained(ctx context.Context, stackID string, state types.StackStatus) (map[string]bool, error) {
	if state == types.StackStatusReviewInProgress { // which has no template yet
		return nil, nil
	}
	ctx, cancel := limited(ctx)
	defer cancel()
	out, err := r.cfn.GetTemplate(ctx, &cloudformation.GetTemplateInput{StackName: aws.String(stackID), TemplateStage: types.TemplateStageOriginal})
	if err != nil {
		return nil, fmt.Errorf("reading the template of stack %s in %s: %w", stackID, r.Name, err)
	}
	keep, err := policies(aws.ToString(out.TemplateBody))
	if err != nil {
		return nil, fmt.Errorf("reading the template of stack %s in %s: %w", stackID, r.Name, err)
	}
	return keep, nil
}

// policies reads which resources of a template outlive their stack. JSON is
// YAML too.
func policies(template string) (map[string]bool, error) {
	var t struct {
		Resources map[string]struct {
			DeletionPolicy string `yaml:"DeletionPolicy"`
		} `yaml:"Resources"`
	}
	if err := yaml.Unmarshal([]byte(template), &t); err != nil {
		return nil, err
	}
	keep := map[string]bool{}
	for id, res := range t.Resources {
		keep[id] = strings.HasPrefix(res.DeletionPolicy, "Retain")
	}
	return keep, nil
}

// Execute begins the deletion and is the operation to follow.
func (d *Deletion) Execute(ctx context.Context) (Operation, error) {
	before, err := d.region.newest(ctx, d.StackID)
	if err != nil {
		return Operation{}, err
	}
	ctx, cancel := limited(ctx)
	defer cancel()
	if _, err := d.region.cfn.DeleteStack(ctx, &cloudformation.DeleteStackInput{StackName: aws.String(d.StackID)}); err != nil {
		return Operation{}, fmt.Errorf("deleting stack %s in %s: %w", d.Stack, d.Region, err)
	}
	return Operation{Stack: d.Stack, StackID: d.StackID, Total: len(d.Goes), deletes: true, after: before}, nil
}
