package deploy

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// What CloudFormation takes, in bytes: in the call itself, and from a bucket.
const (
	inlineLimit = 51_200
	bucketLimit = 1_048_576
)

// body is a template where CloudFormation can read it: one of the two is set.
type body struct{ inline, url *string }

// place puts a template where CloudFormation can read it: in the call, or,
// where it is too long for that, in a private bucket made for the purpose,
// which remove takes away again. The template is needed only until the change
// set is there. A crash in between leaves a bucket quorate-template-… with one
// object.
func (r *Region) place(ctx context.Context, template string) (b body, remove func() error, err error) {
	nothing := func() error { return nil }
	switch {
	case len(template) <= inlineLimit:
		return body{inline: aws.String(template)}, nothing, nil
	case len(template) > bucketLimit:
		return b, nothing, fmt.Errorf("the template has %d bytes: CloudFormation takes %d", len(template), bucketLimit)
	}
	bucket, key := "quorate-template-"+strings.ToLower(rand.Text()), "template"
	if err := r.makeBucket(ctx, bucket); err != nil {
		return b, nothing, err
	}
	remove = func() error { return r.removeBucket(context.WithoutCancel(ctx), bucket, key) }
	url, err := r.upload(ctx, bucket, key, template)
	if err != nil {
		return b, nothing, errors.Join(err, remove())
	}
	return body{url: aws.String(url)}, remove, nil
}

func (r *Region) makeBucket(ctx context.Context, bucket string) error {
	ctx, cancel := limited(ctx)
	defer cancel()
	in := &s3.CreateBucketInput{Bucket: aws.String(bucket)}
	if r.Name != "us-east-1" { // which S3 does not let one name
		in.CreateBucketConfiguration = &s3types.CreateBucketConfiguration{LocationConstraint: s3types.BucketLocationConstraint(r.Name)}
	}
	if _, err := r.s3.CreateBucket(ctx, in); err != nil {
		return fmt.Errorf("making bucket %s in %s for a template over %d bytes: %w", bucket, r.Name, inlineLimit, err)
	}
	return nil
}

// upload writes the object and is its plain URL, as CloudFormation wants it.
func (r *Region) upload(ctx context.Context, bucket, key, template string) (string, error) {
	ctx, cancel := limited(ctx)
	defer cancel()
	if _, err := r.s3.PutObject(ctx, &s3.PutObjectInput{Bucket: aws.String(bucket), Key: aws.String(key), Body: strings.NewReader(template)}); err != nil {
		return "", fmt.Errorf("uploading the template to bucket %s: %w", bucket, err)
	}
	// Presigning knows the endpoint's form; the signature is not wanted.
	signed, err := s3.NewPresignClient(r.s3).PresignGetObject(ctx, &s3.GetObjectInput{Bucket: aws.String(bucket), Key: aws.String(key)})
	if err != nil {
		return "", fmt.Errorf("naming the template in bucket %s: %w", bucket, err)
	}
	url, _, _ := strings.Cut(signed.URL, "?")
	return url, nil
}

func (r *Region) removeBucket(ctx context.Context, bucket, key string) error {
	ctx, cancel := limited(ctx)
	defer cancel()
	if _, err := r.s3.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: aws.String(bucket), Key: aws.String(key)}); err != nil {
		return fmt.Errorf("removing the template from bucket %s in %s: %w", bucket, r.Name, err)
	}
	if _, err := r.s3.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: aws.String(bucket)}); err != nil {
		return fmt.Errorf("removing bucket %s in %s: %w", bucket, r.Name, err)
	}
	return nil
}

// validate asks CloudFormation whether it understands the template.
func (r *Region) validate(ctx context.Context, b body) error {
	ctx, cancel := limited(ctx)
	defer cancel()
	if _, err := r.cfn.ValidateTemplate(ctx, &cloudformation.ValidateTemplateInput{TemplateBody: b.inline, TemplateURL: b.url}); err != nil {
		return fmt.Errorf("validating the template in %s: %w", r.Name, err)
	}
	return nil
}
