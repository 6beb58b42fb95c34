package aws

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"
)

// metadataLimit bounds a whole answer, its attempts included: the service is
// on this very machine, and where there is none nobody should wait for it.
const metadataLimit = 1900 * time.Millisecond

// Metadata is this machine's instance metadata service, by IMDSv2 alone: it
// never falls back to the protocol without tokens. Safe for concurrent use.
type Metadata struct {
	client   *imds.Client
	endpoint string
}

// OpenMetadata asks nothing yet. AWS_EC2_METADATA_SERVICE_ENDPOINT and the
// like count.
func OpenMetadata() (*Metadata, error) {
	env, err := config.NewEnvConfig()
	if err != nil {
		return nil, fmt.Errorf("reading the AWS environment: %w", err)
	}
	m := &Metadata{endpoint: env.EC2IMDSEndpoint}
	m.client = imds.New(imds.Options{
		Endpoint: env.EC2IMDSEndpoint, EndpointMode: env.EC2IMDSEndpointMode, ClientEnableState: env.EC2IMDSClientEnableState,
		EnableFallback: aws.FalseTernary, HTTPClient: tracing{metadataHTTP()}, DisableDefaultTimeout: true,
		Retryer: retry.NewStandard(func(o *retry.StandardOptions) { o.MaxAttempts, o.MaxBackoff = 2, 100*time.Millisecond }),
	})
	if m.endpoint == "" {
		m.endpoint = "http://169.254.169.254"
		if env.EC2IMDSEndpointMode == imds.EndpointModeStateIPv6 {
			m.endpoint = "http://[fd00:ec2::254]"
		}
	}
	return m, nil
}

// metadataHTTP goes through no proxy: it would tell of another machine.
func metadataHTTP() *http.Client {
	return &http.Client{Transport: &http.Transport{
		DialContext:           (&net.Dialer{Timeout: 500 * time.Millisecond}).DialContext,
		ResponseHeaderTimeout: 900 * time.Millisecond,
		IdleConnTimeout:       5 * time.Second,
		MaxIdleConnsPerHost:   1,
	}}
}

// text is what is at a path below meta-data; not found is no error.
func (m *Metadata) text(ctx context.Context, path string) (text string, found bool, err error) {
	err = m.ask(ctx, path, func(ctx context.Context) error {
		out, err := m.client.GetMetadata(ctx, &imds.GetMetadataInput{Path: path})
		if err != nil {
			return err
		}
		defer out.Content.Close()
		raw, err := io.ReadAll(io.LimitReader(out.Content, 1<<16))
		text = strings.TrimSpace(string(raw))
		return err
	})
	if errors.Is(err, errNotFound) {
		return "", false, nil
	}
	return text, err == nil, err
}

// SpotNotice is a spot interruption that is announced for this machine.
type SpotNotice struct {
	Action string    `json:"action"` // stop, hibernate or terminate
	At     time.Time `json:"time"`   // not before; about two minutes ahead
}

// SpotNotice says whether this machine will be taken away, and when.
func (m *Metadata) SpotNotice(ctx context.Context) (SpotNotice, bool, error) {
	var n SpotNotice
	found, err := m.document(ctx, "spot/instance-action", &n)
	return n, found, err
}

// RebalanceNotice says whether EC2 recommends to replace this spot machine,
// and since when.
func (m *Metadata) RebalanceNotice(ctx context.Context) (time.Time, bool, error) {
	var n struct {
		At time.Time `json:"noticeTime"`
	}
	found, err := m.document(ctx, "events/recommendations/rebalance", &n)
	return n.At, found, err
}

func (m *Metadata) document(ctx context.Context, path string, into any) (bool, error) {
	text, found, err := m.text(ctx, path)
	if err != nil || !found {
		return false, err
	}
	if err := json.Unmarshal([]byte(text), into); err != nil {
		return false, fmt.Errorf("reading the instance metadata's %s: %w", path, err)
	}
	return true, nil
}

var errNotFound = errors.New("not found")

// ask bounds a call, and says what its error usually means.
func (m *Metadata) ask(ctx context.Context, what string, call func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, metadataLimit)
	defer cancel()
	var last trace
	err := call(context.WithValue(ctx, traceKey{}, &last))
	if err == nil {
		return nil
	}
	status, cause := last.outcome()
	if status == http.StatusNotFound {
		err = fmt.Errorf("%w: %w", errNotFound, err)
	}
	return fmt.Errorf("asking the instance metadata service (IMDSv2) at %s for %s: %s: %w", m.endpoint, what, hint(ctx, status, cause), err)
}

func hint(ctx context.Context, status int, cause error) string {
	const hops = "from a container, the instance's metadata options need hop limit 2 (http-put-response-hop-limit)"
	var late net.Error
	switch {
	case status == http.StatusUnauthorized:
		return "it honours no token; " + hops
	case status == http.StatusForbidden:
		return "it is turned off for this instance (http-endpoint in its metadata options)"
	case errors.Is(ctx.Err(), context.Canceled):
		return "nobody waits any more"
	case ctx.Err() != nil, errors.As(cause, &late) && late.Timeout():
		return "no answer; " + hops + "; or it is turned off"
	}
	return "is this an EC2 instance?"
}

// trace is the outcome of a call's last request. The SDK hides it: its error
// about a token does not unwrap.
type trace struct {
	mu     sync.Mutex
	status int
	err    error
}

type traceKey struct{}

func (t *trace) outcome() (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.status, t.err
}

// tracing notes outcomes in the trace of a request's context, where there is one.
type tracing struct{ http *http.Client }

func (c tracing) Do(r *http.Request) (*http.Response, error) {
	resp, err := c.http.Do(r)
	if t, ok := r.Context().Value(traceKey{}).(*trace); ok {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.status, t.err = 0, err
		if resp != nil {
			t.status = resp.StatusCode
		}
	}
	return resp, err
}
