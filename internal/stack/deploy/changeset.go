package deploy

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/smithy-go"
)

// Input is what a stack shall be.
type Input struct {
	Stack      string
	Template   string // JSON or YAML
	Parameters map[string]string
	Tags       map[string]string
}

// ChangeSet is what would change. Nothing has, until Execute.
type ChangeSet struct {
	Region  string
	Stack   string
	StackID string
	Creates bool // the stack is new
	Changes []Change
	id      string
	made    bool // the stack was made for this change set, and is empty
	region  *Region
}

// Change is one resource of a change set.
type Change struct {
	Action      string // Add, Modify, Remove, Import, Dynamic
	Resource    string // its logical id
	Type        string
	Replacement string // True, False, Conditional; empty but for Modify
}

// Empty says that the stack is already what it shall be.
func (c *ChangeSet) Empty() bool { return c.id == "" }

// Prepare makes a change set, computed and ready. A stack that has nothing to
// change gives an empty one. A stack whose state takes none is an error that
// says what to do.
func (r *Region) Prepare(ctx context.Context, in Input) (_ *ChangeSet, err error) {
	found, err := r.look(ctx, in.Stack)
	if err != nil && !errors.Is(err, ErrNoStack) {
		return nil, err
	}
	kind, err := kindFor(in.Stack, r.Name, found.StackStatus)
	if err != nil {
		return nil, err
	}
	b, remove, err := r.place(ctx, in.Template)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, remove()) }()
	if err := r.validate(ctx, b); err != nil {
		return nil, err
	}
	c := &ChangeSet{Region: r.Name, Stack: in.Stack, StackID: aws.ToString(found.StackId), Creates: kind == types.ChangeSetTypeCreate,
		made: found.StackId == nil, region: r}
	if err := c.create(ctx, in, kind, b); err != nil {
		return nil, err
	}
	if c.Empty() {
		return c, nil
	}
	return c, c.await(ctx)
}

// create asks for the change set. Its token lets the SDK retry a call whose
// answer was lost.
func (c *ChangeSet) create(ctx context.Context, in Input, kind types.ChangeSetType, b body) error {
	ctx, cancel := limited(ctx)
	defer cancel()
	name := "quorate-" + strings.ToLower(rand.Text())
	req := &cloudformation.CreateChangeSetInput{StackName: aws.String(in.Stack), ChangeSetName: aws.String(name), ClientToken: aws.String(name),
		ChangeSetType: kind, TemplateBody: b.inline, TemplateURL: b.url, Description: aws.String("quorate aws deploy"),
		Capabilities: []types.Capability{types.CapabilityCapabilityIam, types.CapabilityCapabilityNamedIam}}
	for _, k := range slices.Sorted(maps.Keys(in.Parameters)) {
		req.Parameters = append(req.Parameters, types.Parameter{ParameterKey: aws.String(k), ParameterValue: aws.String(in.Parameters[k])})
	}
	for _, k := range slices.Sorted(maps.Keys(in.Tags)) {
		req.Tags = append(req.Tags, types.Tag{Key: aws.String(k), Value: aws.String(in.Tags[k])})
	}
	out, err := c.region.cfn.CreateChangeSet(ctx, req)
	var api smithy.APIError
	switch {
	case errors.As(err, &api) && saysNoChange(api.ErrorMessage()):
		return nil
	case err != nil:
		return fmt.Errorf("making a change set for stack %s in %s: %w", in.Stack, c.Region, err)
	}
	c.id, c.StackID = aws.ToString(out.Id), aws.ToString(out.StackId)
	return nil
}

// saysNoChange knows the two sentences that CloudFormation has for it; it has
// no code.
func saysNoChange(reason string) bool {
	return strings.Contains(reason, "didn't contain changes") || strings.Contains(reason, "No updates are to be performed")
}

// await waits until the change set is computed and reads it. One that failed
// is deleted: it would only be in the way.
func (c *ChangeSet) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, prepareLimit)
	defer cancel()
	for {
		status, reason, err := c.read(ctx)
		switch {
		case err != nil:
			return errors.Join(err, c.Discard(ctx))
		case status == types.ChangeSetStatusCreateComplete:
			return nil
		case status == types.ChangeSetStatusFailed && saysNoChange(reason):
			err := c.Discard(ctx)
			c.id = ""
			return err
		case status == types.ChangeSetStatusFailed:
			return errors.Join(fmt.Errorf("computing the changes of stack %s in %s: %s", c.Stack, c.Region, reason), c.Discard(ctx))
		}
		if !c.region.pause(ctx) {
			return errors.Join(fmt.Errorf("computing the changes of stack %s in %s: %w", c.Stack, c.Region, context.Cause(ctx)), c.Discard(ctx))
		}
	}
}

// read takes the change set's state and, page by page, its changes.
func (c *ChangeSet) read(ctx context.Context) (types.ChangeSetStatus, string, error) {
	ctx, cancel := limited(ctx)
	defer cancel()
	c.Changes = nil
	in := &cloudformation.DescribeChangeSetInput{ChangeSetName: aws.String(c.id)}
	for {
		out, err := c.region.cfn.DescribeChangeSet(ctx, in)
		if err != nil {
			return "", "", fmt.Errorf("describing the change set of stack %s in %s: %w", c.Stack, c.Region, err)
		}
		for _, change := range out.Changes {
			if rc := change.ResourceChange; rc != nil {
				c.Changes = append(c.Changes, Change{Action: string(rc.Action), Resource: aws.ToString(rc.LogicalResourceId),
					Type: aws.ToString(rc.ResourceType), Replacement: string(rc.Replacement)})
			}
		}
		if in.NextToken = out.NextToken; in.NextToken == nil {
			return out.Status, aws.ToString(out.StatusReason), nil
		}
	}
}

// Discard takes the change set away, and the empty stack that was made for it.
// It works after ctx has ended too.
func (c *ChangeSet) Discard(ctx context.Context) error {
	ctx, cancel := limited(context.WithoutCancel(ctx))
	defer cancel()
	if _, err := c.region.cfn.DeleteChangeSet(ctx, &cloudformation.DeleteChangeSetInput{ChangeSetName: aws.String(c.id)}); err != nil {
		return fmt.Errorf("deleting the change set of stack %s in %s: %w", c.Stack, c.Region, err)
	}
	if !c.made {
		return nil
	}
	if _, err := c.region.cfn.DeleteStack(ctx, &cloudformation.DeleteStackInput{StackName: aws.String(c.StackID)}); err != nil {
		return fmt.Errorf("deleting the empty stack %s in %s: %w", c.Stack, c.Region, err)
	}
	return nil
}

// Execute lets the changes happen and is the operation to follow.
func (c *ChangeSet) Execute(ctx context.Context) (Operation, error) {
	before, err := c.region.newest(ctx, c.StackID)
	if err != nil {
		return Operation{}, err
	}
	ctx, cancel := limited(ctx)
	defer cancel()
	if _, err := c.region.cfn.ExecuteChangeSet(ctx, &cloudformation.ExecuteChangeSetInput{ChangeSetName: aws.String(c.id)}); err != nil {
		return Operation{}, fmt.Errorf("executing the change set of stack %s in %s: %w", c.Stack, c.Region, err)
	}
	return Operation{Stack: c.Stack, StackID: c.StackID, Total: len(c.Changes), after: before}, nil
}

// Table writes the changes for a person, sorted by action and logical id.
func (c *ChangeSet) Table(out io.Writer) {
	changes := slices.Clone(c.Changes)
	slices.SortStableFunc(changes, func(a, b Change) int {
		return strings.Compare(a.Action+"\x00"+a.Resource, b.Action+"\x00"+b.Resource)
	})
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ACTION\tLOGICAL ID\tTYPE\tREPLACEMENT")
	for _, ch := range changes {
		replacement := ch.Replacement
		if replacement == "" {
			replacement = "-"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", ch.Action, ch.Resource, ch.Type, replacement)
	}
	w.Flush()
}
