package deploy

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
)

// borrower is a template that must be told a bucket.
const borrower = `
Parameters:
  Bucket: {Type: String}
Resources:
  Topic: {Type: 'AWS::SNS::Topic', Properties: {DisplayName: !Ref Bucket}}
`

func pairOf(t *testing.T, name, lends, borrows string) []Part {
	a, b := region(t, "eu-central-1"), region(t, "eu-west-1")
	return []Part{{Region: a, Input: Input{Stack: name, Template: lends}},
		{Region: b, Input: Input{Stack: name, Template: borrows}, Loan: &Loan{Parameter: "Bucket", From: a, Resource: "Backups"}}}
}

// shown collects the regions that have shown progress.
type shown struct {
	mu      sync.Mutex
	regions map[string]bool
}

func (s *shown) show(region string, _ Progress) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.regions == nil {
		s.regions = map[string]bool{}
	}
	s.regions[region] = true
}

// pair: the second region's stack is given the bucket that the first one makes,
// by one command; the next time it is there already.
func pair(t *testing.T, _ *front) {
	parts := pairOf(t, "twins", small(), borrower)
	prepared := PrepareAll(t.Context(), parts)
	must(t, errors.Join(prepared[0].Err, prepared[1].Err))
	if !prepared[1].Waits || len(prepared[1].Changes.Changes) != 1 || prepared[0].Waits {
		t.Fatalf("prepared %+v", prepared)
	}
	var s shown
	must(t, ExecuteAll(t.Context(), prepared, s.show))
	if !s.regions["eu-central-1"] || !s.regions["eu-west-1"] {
		t.Errorf("progress of %v", s.regions)
	}
	bucket, _, err := parts[1].Loan.look(t.Context(), "twins")
	must(t, err)
	second, err := parts[1].Region.look(t.Context(), "twins")
	must(t, err)
	if len(second.Parameters) != 1 || *second.Parameters[0].ParameterValue != bucket || bucket == "" {
		t.Errorf("the second was given %+v, the bucket is %q", second.Parameters, bucket)
	}
	for _, p := range PrepareAll(t.Context(), parts) {
		if p.Err != nil || p.Begins() {
			t.Errorf("again, in %s: %+v", p.Region.Name, p)
		}
	}
}

// oneFails: a region that cannot is named, the other goes on.
func oneFails(t *testing.T, _ *front) {
	parts := pairOf(t, "limping", small(), "Resources: {Topic: {Type: 'AWS::SNS::Nonsense'}}")
	err := ExecuteAll(t.Context(), PrepareAll(t.Context(), parts), new(shown).show)
	wantErr(t, err, "eu-west-1", "AWS::SNS::Nonsense")
	first, err := parts[0].Region.look(t.Context(), "limping")
	must(t, err)
	if first.StackStatus != types.StackStatusCreateComplete {
		t.Errorf("the first is in %s", first.StackStatus)
	}
}

// lenderFails: the second does not wait for ever for what will not come.
func lenderFails(t *testing.T, _ *front) {
	parts := pairOf(t, "orphan", strings.Replace(small(), "Backups:", "Other:", 1), borrower)
	err := ExecuteAll(t.Context(), PrepareAll(t.Context(), parts), new(shown).show)
	wantErr(t, err, "stack orphan in eu-west-1 was not begun", "eu-central-1 has made no Backups")
	if _, err := parts[1].Region.look(t.Context(), "orphan"); !errors.Is(err, ErrNoStack) {
		t.Errorf("the second: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, p := range PrepareAll(ctx, parts) {
		if !errors.Is(p.Err, context.Canceled) {
			t.Errorf("%s, cancelled: %v", p.Region.Name, p.Err)
		}
	}
}

// inTurn: the second begins when the first is done, and not at all when it
// has failed.
func inTurn(t *testing.T, f *front) {
	parts := pairOf(t, "turns", small(), borrower)
	var order []string
	must(t, ExecuteInTurn(t.Context(), PrepareAll(t.Context(), parts), func(region string, p Progress) { order = append(order, region+" "+p.Last.Status) }))
	if len(order) != 2 || order[0] != "eu-central-1 CREATE_COMPLETE" || order[1] != "eu-west-1 CREATE_COMPLETE" {
		t.Errorf("order %v", order)
	}
	parts[0].Input.Template, parts[1].Input.Template = "Resources: {Topic: {Type: 'AWS::SNS::Nonsense'}}", borrower+"  More: {Type: 'AWS::SNS::Topic'}\n"
	executed, discarded := f.called("ExecuteChangeSet"), f.called("DeleteChangeSet")
	wantErr(t, ExecuteInTurn(t.Context(), PrepareAll(t.Context(), parts), new(shown).show), "eu-central-1", "Nonsense")
	if f.called("ExecuteChangeSet") != executed || f.called("DeleteChangeSet") != discarded+1 {
		t.Errorf("after the first has failed: %d executed, %d discarded", f.called("ExecuteChangeSet")-executed, f.called("DeleteChangeSet")-discarded)
	}
	parts = pairOf(t, "turns2", strings.Replace(small(), "Backups:", "Other:", 1), borrower)
	wantErr(t, ExecuteInTurn(t.Context(), PrepareAll(t.Context(), parts), new(shown).show), "stack turns2 in eu-west-1 was not begun")
}
