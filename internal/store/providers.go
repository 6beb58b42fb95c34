package store

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	gcs "cloud.google.com/go/storage"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"
	"github.com/aws/smithy-go"
	"gocloud.dev/blob"
	_ "gocloud.dev/blob/azureblob" // azblob://, for blob.OpenBucket: its opener finds the credentials
	_ "gocloud.dev/blob/gcsblob"   // gs://, likewise
	"gocloud.dev/blob/memblob"
	"gocloud.dev/blob/s3blob"
	"gocloud.dev/gcerrors"
)

func (at location) open(ctx context.Context, t *tally) (backend, error) {
	switch at.scheme {
	case "file":
		return newDirectory(at.dir, at.flag("create_dir"), t), nil
	case "mem":
		return &bucket{blob: memory(at.bucket), tally: t, absent: memAbsent, shared: true}, nil
	case "s3":
		return at.openS3(ctx, t)
	case "gs":
		b, err := blob.OpenBucket(ctx, at.url(at.query))
		return &bucket{blob: b, tally: t, absent: gcsAbsent, vague: true}, err
	case "azblob":
		b, err := blob.OpenBucket(ctx, at.url(at.query))
		return &bucket{blob: b, tally: t, absent: azureAbsent}, err
	}
	panic("scheme without a store: " + at.scheme)
}

// url is what gocloud.dev opens; prefixes are ours.
func (at location) url(q url.Values) string {
	return (&url.URL{Scheme: at.scheme, Host: at.bucket, RawQuery: q.Encode()}).String()
}

// memories are the mem stores of this process: two nodes of a test share one
// by naming it, as they would share a bucket.
var memories struct {
	sync.Mutex
	named map[string]*blob.Bucket
}

func memory(name string) *blob.Bucket {
	memories.Lock()
	defer memories.Unlock()
	if memories.named == nil {
		memories.named = map[string]*blob.Bucket{}
	}
	if memories.named[name] == nil {
		memories.named[name] = memblob.OpenBucket(nil)
	}
	return memories.named[name]
}

// openS3 adds two defaults to gocloud.dev's. Another endpoint than Amazon's is
// addressed by path, for it seldom has a DNS name for each bucket. And the
// region may come from the machine itself.
func (at location) openS3(ctx context.Context, t *tally) (backend, error) {
	q := url.Values{}
	for key, v := range at.query {
		q[key] = v
	}
	elsewhere := q.Get("endpoint") != "" || os.Getenv("AWS_ENDPOINT_URL") != "" || os.Getenv("AWS_ENDPOINT_URL_S3") != ""
	if elsewhere && !q.Has("use_path_style") && !q.Has("s3ForcePathStyle") {
		q.Set("use_path_style", "true")
	}
	if q.Get("region") == "" {
		region, err := findRegion(ctx, q.Get("profile"), elsewhere)
		if err != nil {
			return nil, err
		}
		q.Set("region", region)
	}
	u, err := url.Parse(at.url(q))
	if err != nil {
		return nil, err
	}
	b, err := new(s3blob.URLOpener).OpenBucketURL(ctx, u)
	if err != nil {
		return nil, err
	}
	return &bucket{blob: b, tally: t, absent: s3Absent}, nil
}

// findRegion looks in the environment, in AWS's own files, and on EC2.
func findRegion(ctx context.Context, profile string, elsewhere bool) (string, error) {
	cfg, err := config.LoadDefaultConfig(ctx, config.WithSharedConfigProfile(profile))
	switch {
	case err != nil:
		return "", err
	case cfg.Region != "":
		return cfg.Region, nil
	case elsewhere:
		return "us-east-1", nil // signed, and looked at by nobody
	}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	found, err := imds.NewFromConfig(cfg).GetRegion(ctx, nil)
	if err != nil {
		return "", fmt.Errorf("no region: set AWS_REGION or add ?region=: %w", err)
	}
	return found.Region, nil
}

// undecided says that a conditional write met another one under way: S3's 409.
// It is neither written nor refused, so it is tried again.
func undecided(err error) bool {
	var api smithy.APIError
	if errors.As(err, &api) {
		switch api.ErrorCode() {
		case "ConditionalRequestConflict", "OperationAborted":
			return true
		}
	}
	var response *awshttp.ResponseError
	return errors.As(err, &response) && response.HTTPStatusCode() == http.StatusConflict
}

// The proofs of absence. gocloud.dev's own NotFound is none: it holds a missing
// bucket (all three), a refused permission (GCS), a redirect to another region
// (S3) and a host that does not resolve (Azure).

// s3Absent: a HEAD has no body, so that its 404 has the code NotFound whether
// the object or the bucket is missing; only Size and Delete make one.
func s3Absent(err error) bool {
	var api smithy.APIError
	return errors.As(err, &api) && (api.ErrorCode() == "NoSuchKey" || api.ErrorCode() == "NotFound")
}

// gcsAbsent: the client says ErrObjectNotExist of every 404, and of a read's
// 404 nothing else.
func gcsAbsent(err error) bool {
	return errors.Is(err, gcs.ErrObjectNotExist) && !strings.Contains(strings.ToLower(err.Error()), "bucket does not exist")
}

func azureAbsent(err error) bool {
	var response *azcore.ResponseError
	return errors.As(err, &response) && response.ErrorCode == string(bloberror.BlobNotFound)
}

func memAbsent(err error) bool { return gcerrors.Code(err) == gcerrors.NotFound }
