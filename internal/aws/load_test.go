package aws

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/smithy-go"

	"github.com/quorate/quorate/internal/aws/awstest"
)

// bare is an environment that says nothing of AWS.
func bare(t *testing.T) {
	t.Helper()
	for _, key := range []string{"AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL"} {
		t.Setenv(key, "")
	}
	for _, key := range []string{"AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"} {
		t.Setenv(key, os.DevNull)
	}
}

func TestRegionAndCredentials(t *testing.T) {
	bare(t)
	server := awstest.Serve(t, machine)
	server.Point(t)
	server.Change(func(i *awstest.Instance) {
		i.Role, i.AccessKeyID, i.SecretAccessKey, i.Session = "role", "AKIA", "secret", "s"
	})
	for _, c := range []struct{ given, environment, want string }{
		{"", "", "eu-central-1"},
		{"", "us-west-2", "us-west-2"},
		{"sa-east-1", "us-west-2", "sa-east-1"},
	} {
		t.Setenv("AWS_REGION", c.environment)
		cfg, err := Load(t.Context(), c.given)
		if err != nil || cfg.Region != c.want {
			t.Errorf("given %q, environment %q: got %q, %v", c.given, c.environment, cfg.Region, err)
		}
		if got, err := cfg.Credentials.Retrieve(t.Context()); err != nil || got.AccessKeyID != "AKIA" {
			t.Errorf("the role's credentials: %q, %v", got.AccessKeyID, err)
		}
	}
	server.Refuse(http.StatusForbidden)
	t.Setenv("AWS_REGION", "")
	if _, err := Load(t.Context(), ""); err == nil || !strings.Contains(err.Error(), "AWS_REGION") || !strings.Contains(err.Error(), "turned off") {
		t.Error(err)
	}
}

// A service that refuses for now is asked again, but not for ever.
func TestAttemptsAreFew(t *testing.T) {
	bare(t)
	var calls atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		calls.Add(1)
		w.Header().Set("Content-Type", "text/xml")
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write([]byte(`<ErrorResponse><Error><Type>Sender</Type><Code>Throttling</Code><Message>Rate exceeded</Message></Error></ErrorResponse>`))
	}))
	defer server.Close()
	t.Setenv("AWS_ENDPOINT_URL", server.URL)
	t.Setenv("AWS_ACCESS_KEY_ID", "x")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "x")
	cfg, err := Load(t.Context(), "us-east-1")
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	_, err = autoscaling.NewFromConfig(cfg).DescribeAutoScalingGroups(t.Context(), nil)
	var api smithy.APIError
	if !errors.As(err, &api) || api.ErrorCode() != "Throttling" {
		t.Error(err)
	}
	if n := calls.Load(); n != attempts || time.Since(began) > attempts*maxBackoff {
		t.Errorf("%d calls in %s", n, time.Since(began))
	}
}
