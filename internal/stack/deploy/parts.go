package deploy

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/goccy/go-yaml"
)

// Part is one region's share of a deployment.
type Part struct {
	Region *Region
	Input  Input
	Loan   *Loan // nil: it needs nothing of another part
}

// Loan is a parameter whose value is the physical id of a resource that
// another part's stack makes.
type Loan struct {
	Parameter string
	From      *Region
	Resource  string // logical id
}

// Prepared is a part whose changes are known, or why they are not.
type Prepared struct {
	Part
	Changes *ChangeSet
	Waits   bool // for its loan: there is no change set yet
	Err     error
}

func (p Prepared) name() string { return p.Region.Name }

// Begins says that this part has something to do.
func (p Prepared) Begins() bool { return p.Err == nil && (p.Waits || !p.Changes.Empty()) }

// PrepareAll prepares the parts at the same time. A new stack whose loan is
// not there yet has its changes read off its template.
func PrepareAll(ctx context.Context, parts []Part) []Prepared {
	out := make([]Prepared, len(parts))
	var all sync.WaitGroup
	for i, p := range parts {
		all.Go(func() { out[i] = p.prepare(ctx) })
	}
	all.Wait()
	return out
}

func (p Part) prepare(ctx context.Context) Prepared {
	out := Prepared{Part: p}
	if p.Loan == nil {
		out.Changes, out.Err = p.Region.Prepare(ctx, p.Input)
		return out
	}
	value, there, err := p.Loan.look(ctx, p.Input.Stack)
	switch {
	case err != nil:
		out.Err = err
	case there:
		out.Changes, out.Err = p.Region.Prepare(ctx, p.with(value))
	default:
		out.Waits = true
		out.Changes, out.Err = p.foreseen(ctx)
	}
	return out
}

// with is the input with the loan's value.
func (p Part) with(value string) Input {
	in := p.Input
	in.Parameters = map[string]string{p.Loan.Parameter: value}
	for k, v := range p.Input.Parameters {
		in.Parameters[k] = v
	}
	return in
}

// foreseen is what a new stack will make, as its template says it. A stack
// that is there already cannot wait for a loan: what it was lent is gone.
func (p Part) foreseen(ctx context.Context) (*ChangeSet, error) {
	found, err := p.Region.look(ctx, p.Input.Stack)
	if err != nil && !errors.Is(err, ErrNoStack) {
		return nil, err
	}
	kind, err := kindFor(p.Input.Stack, p.Region.Name, found.StackStatus)
	switch {
	case err != nil:
		return nil, err
	case kind != types.ChangeSetTypeCreate:
		return nil, fmt.Errorf("stack %s in %s lives on the %s of the stack in %s, which has none: deploy that one first, or delete this one",
			p.Input.Stack, p.Region.Name, p.Loan.Resource, p.Loan.From.Name)
	}
	b, remove, err := p.Region.place(ctx, p.Input.Template)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(p.Region.validate(ctx, b), remove()); err != nil {
		return nil, err
	}
	c := &ChangeSet{Region: p.Region.Name, Stack: p.Input.Stack, Creates: true, region: p.Region}
	c.Changes, err = additions(p.Input.Template)
	return c, err
}

// additions are all resources of a template.
func additions(template string) ([]Change, error) {
	var t struct {
		Resources map[string]struct {
			Type string `yaml:"Type"`
		} `yaml:"Resources"`
	}
	if err := yaml.Unmarshal([]byte(template), &t); err != nil {
		return nil, fmt.Errorf("reading the template: %w", err)
	}
	var all []Change
	for id, r := range t.Resources {
		all = append(all, Change{Action: "Add", Resource: id, Type: r.Type})
	}
	return all, nil
}

// look asks whether the lender's stack has made the resource.
func (l *Loan) look(ctx context.Context, stack string) (id string, there bool, err error) {
	ctx, cancel := limited(ctx)
	defer cancel()
	out, err := l.From.cfn.DescribeStackResource(ctx, &cloudformation.DescribeStackResourceInput{StackName: aws.String(stack), LogicalResourceId: aws.String(l.Resource)})
	switch {
	case isMissing(err):
		return "", false, nil
	case err != nil:
		return "", false, fmt.Errorf("looking for %s of stack %s in %s: %w", l.Resource, stack, l.From.Name, err)
	}
	d := out.StackResourceDetail
	switch d.ResourceStatus {
	case types.ResourceStatusCreateComplete, types.ResourceStatusUpdateComplete, types.ResourceStatusUpdateRollbackComplete:
		return aws.ToString(d.PhysicalResourceId), aws.ToString(d.PhysicalResourceId) != "", nil
	}
	return "", false, nil
}

// ExecuteAll executes what begins and follows it to the end, all at the same
// time. One that fails does not stop another, but for a loan that never comes;
// a lender that is not among the parts has ended. The error is all parts'
// errors, those of PrepareAll too.
func ExecuteAll(ctx context.Context, parts []Prepared, show func(region string, p Progress)) error {
	ended := map[string]chan struct{}{}
	for _, p := range parts {
		ended[p.name()] = make(chan struct{})
		if p.Loan != nil && ended[p.Loan.From.Name] == nil {
			ended[p.Loan.From.Name] = closed()
		}
	}
	errs := make([]error, len(parts))
	var all sync.WaitGroup
	for i, p := range parts {
		all.Go(func() {
			defer close(ended[p.name()])
			errs[i] = p.execute(ctx, ended, show)
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

func closed() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}

// ExecuteInTurn is ExecuteAll, one part after the other; the first that fails
// is the last.
func ExecuteInTurn(ctx context.Context, parts []Prepared, show func(region string, p Progress)) error {
	for i, p := range parts {
		if err := ExecuteAll(ctx, []Prepared{p}, show); err != nil {
			var rest []error
			for _, r := range parts[i+1:] {
				if r.Begins() && !r.Waits {
					rest = append(rest, r.Changes.Discard(ctx))
				}
			}
			return errors.Join(append([]error{err}, rest...)...)
		}
	}
	return nil
}

func (p Prepared) execute(ctx context.Context, ended map[string]chan struct{}, show func(string, Progress)) error {
	if !p.Begins() {
		return p.Err
	}
	changes := p.Changes
	if p.Waits {
		value, err := p.await(ctx, ended[p.Loan.From.Name])
		if err != nil {
			return err
		}
		if changes, err = p.Region.Prepare(ctx, p.with(value)); err != nil {
			return err
		}
	}
	op, err := changes.Execute(ctx)
	if err != nil {
		return err
	}
	return p.Region.Follow(ctx, op, func(progress Progress) { show(p.name(), progress) })
}

// await waits for the loan for as long as the lender is at work.
func (p Prepared) await(ctx context.Context, lender <-chan struct{}) (string, error) {
	for {
		last := false
		select {
		case <-lender:
			last = true
		default:
		}
		value, there, err := p.Loan.look(ctx, p.Input.Stack)
		switch {
		case there:
			return value, nil
		case ctx.Err() != nil, last && err == nil:
			return "", fmt.Errorf("stack %s in %s was not begun: the stack in %s has made no %s for it", p.Input.Stack, p.name(), p.Loan.From.Name, p.Loan.Resource)
		case last:
			return "", err
		}
		p.Region.pause(ctx)
	}
}
