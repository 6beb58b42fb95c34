package etcd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"

	"github.com/quorate/quorate/internal/cluster"
)

// Credentials are an etcd user's, for a cluster with auth enabled; the zero
// value is none. Changes of membership and snapshots then need the root role,
// and etcd 3.7.3 tells its status and its members to users only.
type Credentials struct{ User, Password string }

// Client talks to one endpoint. It connects at the first call, again after a
// loss, and reads its TLS files for each connection. No call has a time limit
// but its context's. Safe for concurrent use.
type Client struct {
	endpoint string
	tls      TLSFiles
	auth     Credentials

	// turn guards the two below: who puts a token in holds it. A channel,
	// because fetching the first user's token takes time, and nobody waits for
	// it longer than his own context says.
	turn   chan struct{}
	etcd   *clientv3.Client // nil until the first call
	closed bool
}

// Dial makes a client for an endpoint such as https://10.0.0.1:2379. It does
// no IO and cannot fail.
func Dial(endpoint string, files TLSFiles, auth Credentials) *Client {
	return &Client{endpoint: endpoint, tls: files, auth: auth, turn: make(chan struct{}, 1)}
}

// Endpoint is the URL that was dialled.
func (c *Client) Endpoint() string { return c.endpoint }

// Close ends the connection and every call on it.
func (c *Client) Close() {
	c.turn <- struct{}{}
	defer func() { <-c.turn }()
	c.closed = true
	if c.etcd != nil {
		_ = c.etcd.Close() // says only that its own context is cancelled
	}
}

// open gives the connected client, and with credentials fetches the first
// token. Until that has succeeded each call tries anew.
func (c *Client) open(ctx context.Context) (*clientv3.Client, error) {
	select {
	case c.turn <- struct{}{}:
		defer func() { <-c.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	switch {
	case c.closed:
		return nil, errors.New("the client is closed")
	case c.etcd != nil:
		return c.etcd, nil
	}
	etcd, err := clientv3.New(c.config(ctx))
	if err != nil {
		return nil, refine(err)
	}
	c.etcd = etcd
	return etcd, nil
}

// config: few retries, because the agent's loop retries; a short wait between
// connections, because gRPC's own grows to two minutes; no proxy, because
// members are reached as they reach each other.
func (c *Client) config(ctx context.Context) clientv3.Config {
	limit := 5 * time.Second
	if deadline, ok := ctx.Deadline(); ok {
		limit = max(time.Until(deadline), time.Millisecond)
	}
	dial := []grpc.DialOption{
		grpc.WithNoProxy(),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: time.Second},
			MinConnectTimeout: 3 * time.Second,
		}),
	}
	if c.tls.Enabled() {
		dial = append(dial, grpc.WithTransportCredentials(freshTLS{c.tls}))
	}
	return clientv3.Config{
		Endpoints:            []string{c.endpoint},
		Username:             c.auth.User,
		Password:             c.auth.Password,
		DialTimeout:          limit, // bounds only the fetching of the first token
		DialKeepAliveTime:    10 * time.Second,
		DialKeepAliveTimeout: 5 * time.Second,
		MaxUnaryRetries:      3, // one for a fresh token, one for a lost connection
		DialOptions:          dial,
		Logger:               zap.NewNop(),
	}
}

// Status is what the endpoint says of itself: every field that etcd knows.
// Running is true; the process, its health and its restarts are the caller's.
// It does not wait for a leader.
func (c *Client) Status(ctx context.Context) (cluster.EtcdState, error) {
	etcd, err := c.open(ctx)
	if err != nil {
		return cluster.EtcdState{}, fmt.Errorf("reading the status of %s: %w", c.endpoint, err)
	}
	// The client's own Status would dial a connection for each call.
	api := clientv3.RetryMaintenanceClient(etcd, etcd.ActiveConnection())
	r, err := api.Status(ctx, &etcdserverpb.StatusRequest{})
	if err != nil {
		return cluster.EtcdState{}, fmt.Errorf("reading the status of %s: %w", c.endpoint, refine(err))
	}
	storage, _ := cluster.ParseVersion(r.StorageVersion) // none before 3.6
	var down cluster.Version
	if i := r.DowngradeInfo; i.GetEnabled() {
		down, _ = cluster.ParseVersion(i.GetTargetVersion())
	}
	return cluster.EtcdState{
		Storage:     storage,
		DowngradeTo: down,
		Running:     true,
		Version:     r.Version,
		ClusterID:   cluster.ClusterID(r.Header.GetClusterId()),
		MemberID:    cluster.MemberID(r.Header.GetMemberId()),
		Leader:      cluster.MemberID(r.Leader),
		Learner:     r.IsLearner,
		Term:        r.RaftTerm,
		Index:       r.RaftIndex,
		Applied:     r.RaftAppliedIndex,
		Revision:    r.Header.GetRevision(),
		DBSize:      r.DbSize,
		DBInUse:     r.DbSizeInUse,
		Errors:      r.Errors,
		Alarms:      alarms(r.Errors),
		Quota:       r.DbSizeQuota,
	}, nil
}

// Healthy makes a linearizable read: nil means that the member reaches a
// leader that reaches a quorum. A refusal for want of permission counts as
// health, because etcd checks that only after the quorum has answered. A
// learner refuses such reads: ErrLearner.
func (c *Client) Healthy(ctx context.Context) error {
	etcd, err := c.open(ctx)
	if err == nil {
		_, err = etcd.Get(ctx, "health", clientv3.WithCountOnly())
	}
	switch {
	case err == nil,
		errors.Is(err, rpctypes.ErrPermissionDenied),
		errors.Is(err, rpctypes.ErrUserEmpty),
		errors.Is(err, rpctypes.ErrAuthFailed):
		return nil
	}
	return fmt.Errorf("reading through %s: %w", c.endpoint, refine(err))
}

// KeyCount counts the keys at a revision; 0 is now.
func (c *Client) KeyCount(ctx context.Context, rev int64) (int64, error) {
	etcd, err := c.open(ctx)
	if err != nil {
		return 0, fmt.Errorf("counting keys at revision %d: %w", rev, err)
	}
	r, err := etcd.Get(ctx, "\x00", clientv3.WithFromKey(), clientv3.WithCountOnly(), clientv3.WithRev(rev))
	if err != nil {
		return 0, fmt.Errorf("counting keys at revision %d: %w", rev, refine(err))
	}
	return r.Count, nil
}

// Snapshot streams the endpoint's database, followed by its SHA-256 (32
// bytes). Close it, read to the end or not; until then the member keeps a read
// transaction open.
func (c *Client) Snapshot(ctx context.Context) (io.ReadCloser, error) {
	etcd, err := c.open(ctx)
	if err != nil {
		return nil, fmt.Errorf("opening a snapshot of %s: %w", c.endpoint, err)
	}
	ctx, cancel := context.WithCancel(ctx)
	r, err := etcd.SnapshotWithVersion(ctx)
	if err != nil {
		cancel()
		return nil, fmt.Errorf("opening a snapshot of %s: %w", c.endpoint, refine(err))
	}
	return snapshot{r.Snapshot, cancel}, nil
}

// snapshot ends its stream when closed; the client alone would leave it open.
type snapshot struct {
	io.ReadCloser
	cancel context.CancelFunc
}

func (s snapshot) Close() error {
	s.cancel()
	return s.ReadCloser.Close()
}
