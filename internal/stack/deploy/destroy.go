package deploy

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// DestroyBucket destroys a bucket with every version of every object: the
// backups and the ledger of a cluster. It can be repeated when it has failed in
// between. It is the number of versions that it has destroyed.
func (r *Region) DestroyBucket(ctx context.Context, bucket string) (int, error) {
	destroyed := 0
	for {
		some, err := r.versions(ctx, bucket)
		if err != nil {
			return destroyed, err
		}
		if len(some) == 0 {
			break
		}
		if err := r.destroyVersions(ctx, bucket, some); err != nil {
			return destroyed, err
		}
		destroyed += len(some)
	}
	ctx, cancel := limited(ctx)
	defer cancel()
	if _, err := r.s3.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: aws.String(bucket)}); err != nil {
		return destroyed, fmt.Errorf("deleting bucket %s in %s: %w", bucket, r.Name, err)
	}
	return destroyed, nil
}

// versions is the first page of what the bucket still holds: a thousand at most.
func (r *Region) versions(ctx context.Context, bucket string) ([]types.ObjectIdentifier, error) {
	ctx, cancel := limited(ctx)
	defer cancel()
	out, err := r.s3.ListObjectVersions(ctx, &s3.ListObjectVersionsInput{Bucket: aws.String(bucket)})
	if err != nil {
		return nil, fmt.Errorf("listing the versions in bucket %s in %s: %w", bucket, r.Name, err)
	}
	var all []types.ObjectIdentifier
	for _, v := range out.Versions {
		all = append(all, types.ObjectIdentifier{Key: v.Key, VersionId: v.VersionId})
	}
	for _, m := range out.DeleteMarkers {
		all = append(all, types.ObjectIdentifier{Key: m.Key, VersionId: m.VersionId})
	}
	return all, nil
}

func (r *Region) destroyVersions(ctx context.Context, bucket string, some []types.ObjectIdentifier) error {
	ctx, cancel := limited(ctx)
	defer cancel()
	out, err := r.s3.DeleteObjects(ctx, &s3.DeleteObjectsInput{Bucket: aws.String(bucket),
		Delete: &types.Delete{Objects: some, Quiet: aws.Bool(true)}})
	switch {
	case err != nil:
		return fmt.Errorf("destroying %d versions in bucket %s in %s: %w", len(some), bucket, r.Name, err)
	case len(out.Errors) > 0:
		e := out.Errors[0]
		return fmt.Errorf("destroying version %s of %s in bucket %s in %s: %s: %s", aws.ToString(e.VersionId), aws.ToString(e.Key), bucket, r.Name,
			aws.ToString(e.Code), aws.ToString(e.Message))
	}
	return nil
}
