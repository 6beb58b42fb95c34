package deploy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
)

// ErrInterrupted says that following ended before the stack had: the stack
// goes on.
var ErrInterrupted = errors.New("interrupted")

const stackType = "AWS::CloudFormation::Stack"

// Operation is one piece of work of CloudFormation on a stack.
type Operation struct {
	Stack   string
	StackID string
	Total   int    // resources that it touches; 0 when unknown
	deletes bool   // it is the stack's end
	after   string // the id of the last event before it; empty: it began with the stack
}

// Event is one line of a stack's history.
type Event struct {
	ID       string
	Time     time.Time
	Resource string // logical id
	Type     string
	Status   string
	Reason   string
	ofStack  bool // about the stack itself
}

func (e Event) String() string {
	s := fmt.Sprintf("%s %s %s", e.Status, e.Type, e.Resource)
	if e.Reason != "" {
		s += ": " + e.Reason
	}
	return s
}

// Progress is how far an operation is.
type Progress struct {
	New         []Event // since the last look, oldest first
	Last        Event   // the newest of all; zero when there is none yet
	Done, Total int     // resources; Total 0 when unknown
}

// Follow looks at the stack's events until the operation has ended, and shows
// each look. A stack that ends in another state than it should is an error
// that names the first resource that failed, and why. A look that fails is
// repeated for as long as callLimit.
func (r *Region) Follow(ctx context.Context, op Operation, show func(Progress)) error {
	t := tally{op: op, settled: map[string]bool{}}
	failing := time.Time{}
	for {
		events, err := r.since(ctx, op.StackID, op.after)
		switch {
		case ctx.Err() != nil:
			return r.interrupted(op)
		case err == nil:
			failing = time.Time{}
			show(t.take(events))
			if ended, err := t.verdict(r.Name); ended {
				return err
			}
		case failing.IsZero():
			failing = time.Now()
		case time.Since(failing) > callLimit:
			return fmt.Errorf("%w (the stack goes on by itself; follow it with %s)", err, followHint(op.Stack, r.Name))
		}
		if !r.pause(ctx) {
			return r.interrupted(op)
		}
	}
}

func (r *Region) interrupted(op Operation) error {
	return fmt.Errorf("%w: stack %s in %s goes on by itself; follow it again with %s", ErrInterrupted, op.Stack, r.Name, followHint(op.Stack, r.Name))
}

// tally is what an operation's events add up to.
type tally struct {
	op      Operation
	events  []Event
	settled map[string]bool // logical ids that have come to their end
}

// take adds what is new in events, oldest first.
func (t *tally) take(events []Event) Progress {
	fresh := events[min(len(t.events), len(events)):]
	t.events = events
	for _, e := range fresh {
		if e.ofStack {
			continue
		}
		switch {
		case strings.HasSuffix(e.Status, "_COMPLETE"):
			t.settled[e.Resource] = true
		case strings.HasSuffix(e.Status, "_IN_PROGRESS"): // rolled back after all, or cleaned up
			delete(t.settled, e.Resource)
		}
	}
	p := Progress{New: fresh, Done: len(t.settled), Total: t.op.Total}
	if len(events) > 0 {
		p.Last = events[len(events)-1]
	}
	return p
}

// verdict says whether the stack has come to rest since the operation began,
// and what is to be said of it.
func (t *tally) verdict(region string) (ended bool, err error) {
	i := len(t.events) - 1
	for i >= 0 && !t.events[i].ofStack {
		i--
	}
	if i < 0 || strings.HasSuffix(t.events[i].Status, "_IN_PROGRESS") {
		return false, nil
	}
	last := t.events[i]
	switch types.StackStatus(last.Status) {
	case types.StackStatusDeleteComplete:
		if t.op.deletes {
			return true, nil
		}
	case types.StackStatusCreateComplete, types.StackStatusUpdateComplete:
		if !t.op.deletes {
			return true, nil
		}
	}
	culprit := firstFailure(t.events)
	if culprit == (Event{}) {
		culprit = last
	}
	err = fmt.Errorf("stack %s in %s ended in %s: %s (%s): %s", t.op.Stack, region, last.Status, culprit.Resource, culprit.Type, reasonOf(culprit))
	if last.Status == string(types.StackStatusRollbackComplete) {
		err = fmt.Errorf("%w\n(what it had made is gone again; delete the rest before the next try: `quorate aws delete --stack %s --regions %s`)", err, t.op.Stack, region)
	}
	return true, err
}

func reasonOf(e Event) string {
	if e.Reason == "" {
		return e.Status + ", without a reason"
	}
	return e.Reason
}

// firstFailure is the earliest event of a resource that failed by itself: the
// others were cancelled because of it. The zero Event when there is none.
func firstFailure(events []Event) Event {
	var first Event
	for _, e := range events {
		failed := strings.HasSuffix(e.Status, "_FAILED") && !e.ofStack
		cancelled := strings.HasPrefix(e.Reason, "Resource creation cancelled") || strings.HasPrefix(e.Reason, "Resource update cancelled")
		if failed && !cancelled && (first == (Event{}) || e.Time.Before(first.Time)) {
			first = e
		}
	}
	return first
}

// newest is the id of the stack's last event.
func (r *Region) newest(ctx context.Context, stackID string) (string, error) {
	page, _, err := r.page(ctx, stackID, nil)
	if err != nil || len(page) == 0 {
		return "", err
	}
	return page[0].ID, nil
}

// since is the stack's events after that one, oldest first.
func (r *Region) since(ctx context.Context, stackID, after string) ([]Event, error) {
	var events []Event
	var token *string
	for {
		page, next, err := r.page(ctx, stackID, token)
		if err != nil {
			return nil, err
		}
		for _, e := range page {
			if after != "" && e.ID == after {
				slices.Reverse(events)
				return events, nil
			}
			events = append(events, e)
		}
		if token = next; token == nil {
			slices.Reverse(events)
			return events, nil
		}
	}
}

// page is some of the stack's events, newest first.
func (r *Region) page(ctx context.Context, stackID string, token *string) ([]Event, *string, error) {
	ctx, cancel := limited(ctx)
	defer cancel()
	out, err := r.cfn.DescribeStackEvents(ctx, &cloudformation.DescribeStackEventsInput{StackName: aws.String(stackID), NextToken: token})
	if err != nil {
		return nil, nil, fmt.Errorf("reading the events of stack %s in %s: %w", stackID, r.Name, err)
	}
	var events []Event
	for _, e := range out.StackEvents {
		kind := aws.ToString(e.ResourceType)
		events = append(events, Event{ID: aws.ToString(e.EventId), Time: aws.ToTime(e.Timestamp), Resource: aws.ToString(e.LogicalResourceId),
			Type: kind, Status: string(e.ResourceStatus), Reason: aws.ToString(e.ResourceStatusReason),
			ofStack: kind == stackType && aws.ToString(e.PhysicalResourceId) == aws.ToString(e.StackId)})
	}
	return events, out.NextToken, nil
}

// Running is the operation that CloudFormation is at now, or false when the
// stack is at rest.
func (r *Region) Running(ctx context.Context, name string) (Operation, bool, error) {
	s, err := r.look(ctx, name)
	if err != nil || !running(s.StackStatus) {
		return Operation{}, false, err
	}
	op := Operation{Stack: name, StackID: aws.ToString(s.StackId), deletes: s.StackStatus == types.StackStatusDeleteInProgress}
	events, err := r.since(ctx, op.StackID, "")
	op.after = beforeLatest(events)
	return op, err == nil, err
}

// beforeLatest is the id of the event before the latest operation: what a
// person asked for, not the roll-back or cleaning up that came of it. Events
// are oldest first; empty when the operation is the stack's first.
func beforeLatest(events []Event) string {
	for i, e := range slices.Backward(events) {
		began := e.Status == string(types.StackStatusCreateInProgress) || e.Status == string(types.StackStatusUpdateInProgress) ||
			e.Status == string(types.StackStatusDeleteInProgress)
		if e.ofStack && began {
			if i == 0 {
				return ""
			}
			return events[i-1].ID
		}
	}
	return ""
}
