package deploy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// small is a template of a topic, a retained bucket, and more topics. moto takes
// what cfn-lint merely warns of for an error.
func small(more ...string) string {
	var b strings.Builder
	b.WriteString("AWSTemplateFormatVersion: '2010-09-09'\nParameters:\n  Note: {Type: String, Default: none}\nResources:\n")
	b.WriteString("  Backups: {Type: 'AWS::S3::Bucket', DeletionPolicy: Retain, UpdateReplacePolicy: Retain}\n  Topic: {Type: 'AWS::SNS::Topic', Properties: {DisplayName: !Ref Note}}\n")
	for _, m := range more {
		fmt.Fprintf(&b, "  %s: {Type: 'AWS::SNS::Topic'}\n", m)
	}
	b.WriteString("Outputs:\n  TopicArn: {Value: !Ref Topic}\n")
	return b.String()
}

// deployed does all of it and is the progress that was shown.
func (r *Region) deployed(t *testing.T, in Input) []Progress {
	t.Helper()
	c, err := r.Prepare(t.Context(), in)
	must(t, err)
	op, err := c.Execute(t.Context())
	must(t, err)
	var shown []Progress
	must(t, r.Follow(t.Context(), op, func(p Progress) { shown = append(shown, p) }))
	return shown
}

// TestOnMoto is one emulator for all, each with stacks of its own.
func TestOnMoto(t *testing.T) {
	f := newFront(t)
	for name, test := range map[string]func(*testing.T, *front){
		"create, update, nothing, delete": createUpdateNothingDelete,
		"long template":                   longTemplate,
		"discard and review":              discardAndReview,
		"failing stack":                   failingStack,
		"interrupt and follow again":      interruptAndFollowAgain,
		"refused":                         refused,
		"status":                          status,
		"pair":                            pair,
		"one fails":                       oneFails,
		"lender fails":                    lenderFails,
		"in turn":                         inTurn,
	} {
		t.Run(name, func(t *testing.T) {
			defer f.honest()
			test(t, f)
		})
	}
}

func createUpdateNothingDelete(t *testing.T, f *front) {
	r := region(t, "eu-central-1")
	in := Input{Stack: "alpha", Template: small(), Tags: map[string]string{"quorate:cluster": "alpha"}}
	c, err := r.Prepare(t.Context(), in)
	must(t, err)
	var table bytes.Buffer
	c.Table(&table)
	want := "ACTION  LOGICAL ID  TYPE             REPLACEMENT\nAdd     Backups     AWS::S3::Bucket  -\nAdd     Topic       AWS::SNS::Topic  -\n"
	if table.String() != want || !c.Creates {
		t.Errorf("creates %t, table\n%s, want\n%s", c.Creates, table.String(), want)
	}
	op, err := c.Execute(t.Context())
	must(t, err)
	var last Progress
	must(t, r.Follow(t.Context(), op, func(p Progress) { last = p }))
	if last.Last.Status != "CREATE_COMPLETE" || last.Total != 2 {
		t.Errorf("last progress %+v", last)
	}
	found, err := r.look(t.Context(), "alpha")
	must(t, err)
	if len(found.Tags) != 1 || aws.ToString(found.Tags[0].Value) != "alpha" {
		t.Errorf("tags %v", found.Tags)
	}

	in.Template = small("Second")
	c, err = r.Prepare(t.Context(), in)
	must(t, err)
	if c.Creates || c.Empty() || c.StackID != op.StackID {
		t.Errorf("update: creates %t, empty %t, stack %s want %s", c.Creates, c.Empty(), c.StackID, op.StackID)
	}
	op, err = c.Execute(t.Context())
	must(t, err)
	must(t, r.Follow(t.Context(), op, func(p Progress) { last = p }))
	if last.Last.Status != "UPDATE_COMPLETE" || len(last.New) == 0 {
		t.Errorf("last progress %+v", last)
	}

	deleted := f.called("DeleteChangeSet")
	c, err = r.Prepare(t.Context(), in)
	must(t, err)
	if !c.Empty() || f.called("DeleteChangeSet") != deleted+1 {
		t.Errorf("nothing to change: %+v, %d change sets deleted", c, f.called("DeleteChangeSet")-deleted)
	}

	d, err := r.Deletion(t.Context(), "alpha")
	must(t, err)
	if len(d.Goes) != 2 || len(d.Stays) != 1 || len(d.Buckets) != 1 {
		t.Fatalf("deletion %+v", d)
	}
	op, err = d.Execute(t.Context())
	must(t, err)
	must(t, r.Follow(t.Context(), op, func(p Progress) { last = p }))
	if last.Last.Status != "DELETE_COMPLETE" {
		t.Errorf("last progress %+v", last)
	}
	if _, err := r.Status(t.Context(), "alpha"); !errors.Is(err, ErrNoStack) {
		t.Errorf("status of what is gone: %v", err)
	}
	r.wantDestroyed(t, d.Buckets[0])
}

// wantDestroyed puts versions and a delete marker into the bucket that was
// left, and wants them destroyed with it.
func (r *Region) wantDestroyed(t *testing.T, bucket string) {
	t.Helper()
	name := aws.String(bucket)
	_, err := r.s3.PutBucketVersioning(t.Context(), &s3.PutBucketVersioningInput{Bucket: name, VersioningConfiguration: versioned()})
	must(t, err)
	for range 3 {
		_, err := r.s3.PutObject(t.Context(), &s3.PutObjectInput{Bucket: name, Key: aws.String("k"), Body: strings.NewReader("x")})
		must(t, err)
	}
	_, err = r.s3.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: name, Key: aws.String("k")})
	must(t, err)
	n, err := r.DestroyBucket(t.Context(), bucket)
	must(t, err)
	if n != 4 {
		t.Errorf("%d versions destroyed, want 4", n)
	}
	if _, err := r.s3.HeadBucket(t.Context(), &s3.HeadBucketInput{Bucket: name}); err == nil {
		t.Error("the bucket is still there")
	}
}

// A template too long for the call goes through a bucket that is gone after.
func longTemplate(t *testing.T, _ *front) {
	r := region(t, "eu-central-1")
	in := Input{Stack: "long", Template: small() + strings.Repeat("# padding padding padding\n", 2100)}
	if len(in.Template) <= inlineLimit {
		t.Fatalf("the template has %d bytes only", len(in.Template))
	}
	r.deployed(t, in)
	s, err := r.look(t.Context(), "long")
	must(t, err)
	if s.StackStatus != types.StackStatusCreateComplete {
		t.Errorf("the stack is in %s", s.StackStatus)
	}
	out, err := r.s3.ListBuckets(t.Context(), &s3.ListBucketsInput{})
	must(t, err)
	for _, b := range out.Buckets {
		if strings.HasPrefix(*b.Name, "quorate-template-") {
			t.Errorf("bucket %s is left", *b.Name)
		}
	}
	in.Template = strings.Repeat("#", bucketLimit+1)
	_, err = r.Prepare(t.Context(), in)
	wantErr(t, err, "1048577 bytes", "takes 1048576")
}

// Nothing is left of a change set that nobody wanted; a stack that was in
// review before goes on.
func discardAndReview(t *testing.T, _ *front) {
	r := region(t, "us-west-2")
	in := Input{Stack: "maybe", Template: small()}
	c, err := r.Prepare(t.Context(), in)
	must(t, err)
	must(t, c.Discard(t.Context()))
	if _, err := r.look(t.Context(), "maybe"); !errors.Is(err, ErrNoStack) {
		t.Errorf("after discarding: %v", err)
	}
	_, err = r.cfn.CreateChangeSet(t.Context(), &cloudformation.CreateChangeSetInput{StackName: aws.String("maybe"), ChangeSetName: aws.String("earlier"),
		ChangeSetType: types.ChangeSetTypeCreate, TemplateBody: aws.String(small())})
	must(t, err)
	c, err = r.Prepare(t.Context(), in)
	must(t, err)
	if !c.Creates || c.made {
		t.Errorf("a stack in review: creates %t, made %t", c.Creates, c.made)
	}
	op, err := c.Execute(t.Context())
	must(t, err)
	must(t, r.Follow(t.Context(), op, func(Progress) {}))
}

// moto makes resources at once or refuses the call, so a failing stack's
// events and end are the documented API's (DescribeStackEvents, newest first).
func failingStack(t *testing.T, f *front) {
	r := region(t, "eu-west-1")
	c, err := r.Prepare(t.Context(), Input{Stack: "broken", Template: small()})
	must(t, err)
	op, err := c.Execute(t.Context())
	must(t, err)
	f.can("DescribeStackEvents", events(op,
		event{12, stackType, "broken", "ROLLBACK_COMPLETE", ""},
		event{11, "AWS::SNS::Topic", "Topic", "DELETE_COMPLETE", ""},
		event{10, "AWS::S3::Bucket", "Backups", "DELETE_COMPLETE", ""},
		event{9, stackType, "broken", "ROLLBACK_IN_PROGRESS", "The following resource(s) failed to create: [Hooks, Topic, Group]."},
		event{8, "AWS::SNS::Topic", "Topic", "CREATE_FAILED", "Resource creation cancelled"},
		event{7, "AWS::AutoScaling::AutoScalingGroup", "Group", "CREATE_FAILED", "Received 0 SUCCESS signal(s) out of 3"},
		event{6, "AWS::SQS::Queue", "Hooks", "CREATE_FAILED", "Resource creation cancelled"},
		event{5, stackType, "broken", "CREATE_IN_PROGRESS", "User Initiated"},
	))
	err = r.Follow(t.Context(), op, func(Progress) {})
	wantErr(t, err, "stack broken in eu-west-1 ended in ROLLBACK_COMPLETE", "Group (AWS::AutoScaling::AutoScalingGroup)",
		"Received 0 SUCCESS signal(s) out of 3", "quorate aws delete --stack broken --regions eu-west-1")
}

// Whoever stops following is told how to go on; following it again begins at
// the operation that runs.
func interruptAndFollowAgain(t *testing.T, f *front) {
	r := region(t, "eu-west-1")
	c, err := r.Prepare(t.Context(), Input{Stack: "slow", Template: small()})
	must(t, err)
	op, err := c.Execute(t.Context())
	must(t, err)
	// moto is done at once; a stack at work is the documented API's.
	begun := []event{{9, "AWS::SNS::Topic", "Topic", "CREATE_COMPLETE", ""}, {8, stackType, "slow", "UPDATE_IN_PROGRESS", "User Initiated"},
		{7, stackType, "slow", "CREATE_COMPLETE", ""}, {6, stackType, "slow", "CREATE_IN_PROGRESS", ""}}
	f.can("DescribeStackEvents", events(op, begun...))
	f.can("DescribeStacks", stackIn(op, "UPDATE_IN_PROGRESS"))
	again, busy, err := r.Running(t.Context(), "slow")
	must(t, err)
	if !busy || again.after != "event-7" {
		t.Fatalf("running %t, %+v", busy, again)
	}
	ctx, cancel := context.WithCancel(t.Context())
	looks := 0
	err = r.Follow(ctx, again, func(p Progress) {
		if looks++; looks == 1 && (len(p.New) != 2 || p.Done != 1) {
			t.Errorf("first look: %+v", p)
		}
		cancel()
	})
	if !errors.Is(err, ErrInterrupted) {
		t.Errorf("interrupted: %v", err)
	}
	wantErr(t, err, "goes on by itself", "quorate aws status --stack slow --regions eu-west-1 --follow")
	_, err = r.Prepare(t.Context(), Input{Stack: "slow", Template: small()})
	wantErr(t, err, "UPDATE_IN_PROGRESS", "--follow")
	f.can("DescribeStackEvents", events(op, append([]event{{10, stackType, "slow", "UPDATE_COMPLETE", ""}}, begun...)...))
	must(t, r.Follow(t.Context(), again, func(Progress) {}))
}

// What CloudFormation refuses is said with its own words.
func refused(t *testing.T, _ *front) {
	r := region(t, "eu-west-1")
	_, err := r.Prepare(t.Context(), Input{Stack: "bad", Template: "Resources: {Topic: {Type: 'AWS::SNS::Nonsense'}}"})
	wantErr(t, err, "eu-west-1", "AWS::SNS::Nonsense")
	if _, err := r.look(t.Context(), "bad"); !errors.Is(err, ErrNoStack) {
		t.Errorf("something was made: %v", err)
	}
}
