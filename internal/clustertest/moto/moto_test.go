package moto_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
	"github.com/quorate/quorate/internal/clustertest/moto"
)

// The ledger's tests would prove nothing on an emulator without conditions.
func TestConditionalWritesAreHonoured(t *testing.T) {
	endpoint := moto.Start(t)
	if os.Getenv("AWS_ENDPOINT_URL") != endpoint {
		t.Errorf("AWS_ENDPOINT_URL is %q, want %q", os.Getenv("AWS_ENDPOINT_URL"), endpoint)
	}
	moto.Bucket(t, endpoint, "conditions")
	cfg, err := config.LoadDefaultConfig(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	client := s3.NewFromConfig(cfg, func(o *s3.Options) { o.UsePathStyle = true })
	put := func() error {
		_, err := client.PutObject(t.Context(), &s3.PutObjectInput{
			Bucket: aws.String("conditions"), Key: aws.String("key"),
			Body: strings.NewReader("x"), IfNoneMatch: aws.String("*"),
		})
		return err
	}
	if err := put(); err != nil {
		t.Fatal(err)
	}
	var refused smithy.APIError
	if err := put(); !errors.As(err, &refused) || refused.ErrorCode() != "PreconditionFailed" {
		t.Errorf("second conditional write: %v, want PreconditionFailed", err)
	}
}
