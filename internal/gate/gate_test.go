package gate

import (
	"context"
	"errors"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/raft/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// member is a real etcd of one behind a gate, and a client of it.
func member(t *testing.T) (g *Gate, dir string, leader uint64, c *clientv3.Client) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), strings.Repeat("deep/", 25)) // deeper than a socket's address is long
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	cfg := embed.NewConfig()
	cfg.Dir, cfg.LogLevel, cfg.LogOutputs = filepath.Join(dir, "etcd"), "error", []string{os.DevNull}
	cfg.ListenClientUrls, cfg.ListenPeerUrls = freeURL(t), freeURL(t)
	cfg.AdvertiseClientUrls, cfg.AdvertisePeerUrls = cfg.ListenClientUrls, cfg.ListenPeerUrls
	cfg.InitialCluster = cfg.InitialClusterFromName(cfg.Name)
	g = &Gate{}
	cfg.GRPCAdditionalServerOptions = g.Options()
	e, err := embed.StartEtcd(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	<-e.Server.ReadyNotify()
	if err := g.Serve(strings.TrimPrefix(Env(dir), SocketVar+"="), e.Server); err != nil {
		t.Fatal(err)
	}
	c, err = clientv3.New(clientv3.Config{Endpoints: []string{cfg.ListenClientUrls[0].String()}, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return g, dir, e.Server.Lead(), c
}

func freeURL(t *testing.T) []url.URL {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return []url.URL{{Scheme: "http", Host: ln.Addr().String()}}
}

// TestHold: while it is held, a proposal and a linearizable read wait, a
// serializable read does not; on release all is done.
func TestHold(t *testing.T) {
	_, dir, leader, c := member(t)
	ctx := t.Context()
	if info, err := os.Stat(filepath.Join(dir, socketFile)); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("the socket is %v, %v", info, err)
	}
	release, err := Hold(ctx, dir, leader)
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	ended := make(chan error, 2)
	go func() { _, err := c.Put(ctx, "k", "v"); ended <- err }()
	go func() { _, err := c.Get(ctx, "k"); ended <- err }()
	if _, err := c.Get(ctx, "k", clientv3.WithSerializable()); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		t.Fatalf("a request passed a gate that is shut: %v", err)
	case <-time.After(HoldLimit / 5):
	}
	release()
	for range cap(ended) {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	if took := time.Since(began); took > HoldLimit {
		t.Errorf("released, the gate opened after %s: its limit has opened it", took)
	}
}

// TestHoldEndsByItself: a gate that nobody releases opens after HoldLimit.
func TestHoldEndsByItself(t *testing.T) {
	_, dir, leader, c := member(t)
	if _, err := Hold(t.Context(), dir, leader); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if _, err := c.Put(t.Context(), "k", "v"); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took < HoldLimit/2 || took > 20*HoldLimit {
		t.Errorf("the put took %s, want about %s", took, HoldLimit)
	}
}

// TestHoldRefused: where another member leads already, or no etcd is there.
func TestHoldRefused(t *testing.T) {
	_, dir, leader, c := member(t)
	if _, err := Hold(t.Context(), dir, leader+1); !errors.Is(err, ErrPassed) {
		t.Errorf("another leads: %v", err)
	}
	if _, err := c.Put(t.Context(), "k", "v"); err != nil {
		t.Error(err)
	}
	if _, err := Hold(t.Context(), t.TempDir(), leader); !errors.Is(err, ErrNone) {
		t.Errorf("no etcd: %v", err)
	}
}

// TestEndStreams: a watch ends with what the client takes for a member that
// stops, not for its own cancelling; a new one is refused in the same way.
func TestEndStreams(t *testing.T) {
	g, _, _, c := member(t)
	watch := pb.NewWatchClient(c.ActiveConnection())
	for _, when := range []string{"under way", "new"} {
		s, err := watch.Watch(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if when == "under way" {
			if err := s.Send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_CreateRequest{CreateRequest: &pb.WatchCreateRequest{Key: []byte("k")}}}); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Recv(); err != nil {
				t.Fatal(err)
			}
			g.EndStreams()
		}
		if _, err := s.Recv(); status.Code(err) != codes.Unavailable {
			t.Errorf("a watch %s: %v, want unavailable", when, err)
		}
	}
}

// TestUnderWay: the gate waits for proposals that passed before, and for no
// others: neither reads, nor what may block for ever.
func TestUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g Gate
		end := make(chan struct{})
		slow := func(context.Context, any) (any, error) { <-end; return nil, nil }
		for _, method := range []string{"/etcdserverpb.KV/Put", "/etcdserverpb.KV/Range", "/v3lockpb.Lock/Lock", "/etcdserverpb.Maintenance/Snapshot"} {
			go func() { _, _ = g.unary(t.Context(), nil, &grpc.UnaryServerInfo{FullMethod: method}, slow) }()
		}
		synctest.Wait()
		if g.underWay != 1 {
			t.Errorf("%d are waited for, want the put alone", g.underWay)
		}
		idle := g.shut()
		select {
		case <-idle:
			t.Error("idle while a put is under way")
		default:
		}
		close(end)
		<-idle
		g.open()
	})
}

// TestDropped: what this member has refused to propose is proposed again, a
// moment later; any other failure is the client's to judge.
func TestDropped(t *testing.T) {
	dropped := status.Error(codes.Unknown, raft.ErrProposalDropped.Error())
	for _, test := range []struct {
		method string
		err    error
		calls  int
	}{
		{"/etcdserverpb.KV/Put", dropped, 3},
		{"/etcdserverpb.Lease/LeaseGrant", dropped, 3},
		{"/v3lockpb.Lock/Lock", dropped, 1},
		{"/etcdserverpb.KV/Put", status.Error(codes.Unavailable, "etcdserver: request timed out"), 1},
		{"/etcdserverpb.KV/Put", status.Error(codes.Unknown, "etcdserver: who knows whether it was done"), 1},
		{"/etcdserverpb.KV/Put", status.Error(codes.Unavailable, raft.ErrProposalDropped.Error()), 1},
		{"/etcdserverpb.KV/Put", raft.ErrProposalDropped, 1}, // no status: not what a server of gRPC answers
	} {
		synctest.Test(t, func(t *testing.T) {
			var g Gate
			calls := 0
			_, err := g.unary(t.Context(), nil, &grpc.UnaryServerInfo{FullMethod: test.method}, func(context.Context, any) (any, error) {
				if calls++; calls < 3 {
					return nil, test.err
				}
				return nil, nil
			})
			if calls != test.calls || (err == nil) != (calls == 3) {
				t.Errorf("%s, %v: %d calls, %v", test.method, test.err, calls, err)
			}
		})
	}
}

// TestDroppedForEver: who is refused again and again learns it in time.
func TestDroppedForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g Gate
		began := time.Now()
		_, err := g.unary(t.Context(), nil, &grpc.UnaryServerInfo{FullMethod: "/etcdserverpb.KV/Put"}, func(context.Context, any) (any, error) {
			return nil, status.Error(codes.Unknown, raft.ErrProposalDropped.Error())
		})
		if took := time.Since(began); !wasDropped(err) || took < HoldLimit || took > HoldLimit+2*dropPause {
			t.Errorf("after %s: %v", took, err)
		}
	})
}

// TestTwoHolds: what two hold opens when both have let go, for all that wait.
func TestTwoHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g Gate
		var passed atomic.Int64
		wait := func() {
			go func() {
				if _, err := g.pass(t.Context(), false); err == nil {
					passed.Add(1)
				}
			}()
			synctest.Wait()
		}
		<-g.shut()
		wait()
		<-g.shut()
		wait()
		g.open()
		synctest.Wait()
		if n := passed.Load(); n > 0 {
			t.Errorf("%d passed a gate that is held still", n)
		}
		g.open()
		synctest.Wait()
		if n := passed.Load(); n != 2 {
			t.Errorf("%d of 2 passed when it opened", n)
		}
	})
}

// TestShutAgain: a gate that opens and is shut before the request has looked
// keeps it, and all the waits together are no longer than the limit.
func TestShutAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g Gate
		g.shut()
		began := time.Now()
		var waited atomic.Int64
		go func() {
			_, _ = g.pass(t.Context(), false)
			waited.Store(int64(time.Since(began)))
		}()
		for range 8 {
			time.Sleep(HoldLimit / 10)
			g.mu.Lock() // both at once, as by another goroutine
			close(g.opened)
			g.opened = make(chan struct{})
			g.mu.Unlock()
			synctest.Wait()
		}
		if took := time.Duration(waited.Load()); took > 0 {
			t.Errorf("it passed a gate that is shut, after %s", took)
		}
		time.Sleep(HoldLimit)
		synctest.Wait()
		if took := time.Duration(waited.Load()); took < HoldLimit || took > HoldLimit+10*time.Millisecond {
			t.Errorf("it waited %s, want %s", took, HoldLimit)
		}
	})
}

// TestLimit: a request waits no longer than the limit, however often the gate is
// shut, and ends with its client.
func TestLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g Gate
		g.shut()
		began := time.Now()
		done, err := g.pass(t.Context(), true)
		if took := time.Since(began); err != nil || took < HoldLimit || took > HoldLimit+10*time.Millisecond {
			t.Errorf("passed after %s: %v", took, err)
		}
		done()
		ctx, cancel := context.WithTimeout(t.Context(), HoldLimit/2)
		defer cancel()
		if _, err := g.pass(ctx, true); status.Code(err) != codes.DeadlineExceeded {
			t.Errorf("its client has gone: %v", err)
		}
	})
}

func TestKind(t *testing.T) {
	write := &pb.TxnRequest{Success: []*pb.RequestOp{{Request: &pb.RequestOp_RequestPut{RequestPut: &pb.PutRequest{}}}}}
	for _, test := range []struct {
		method string
		req    any
		want   kind
	}{
		{"/etcdserverpb.KV/Put", &pb.PutRequest{}, proposal},
		{"/etcdserverpb.KV/DeleteRange", &pb.DeleteRangeRequest{}, proposal},
		{"/etcdserverpb.KV/Compact", &pb.CompactionRequest{}, proposal},
		{"/etcdserverpb.KV/Txn", write, proposal},
		{"/etcdserverpb.KV/Txn", &pb.TxnRequest{}, proposal},
		{"/etcdserverpb.KV/Range", &pb.RangeRequest{}, read},
		{"/etcdserverpb.KV/Range", &pb.RangeRequest{Serializable: true}, free},
		{"/etcdserverpb.Lease/LeaseGrant", nil, proposal},
		{"/etcdserverpb.Lease/LeaseRevoke", nil, proposal},
		{"/etcdserverpb.Lease/LeaseTimeToLive", nil, read},
		{"/etcdserverpb.Auth/Authenticate", nil, proposal},
		{"/etcdserverpb.Cluster/MemberAdd", nil, proposal},
		{"/etcdserverpb.Cluster/MemberList", nil, read},
		{"/etcdserverpb.Maintenance/Alarm", nil, proposal},
		{"/etcdserverpb.Maintenance/Downgrade", nil, proposal},
		{"/etcdserverpb.Maintenance/MoveLeader", nil, free},
		{"/etcdserverpb.Maintenance/Status", nil, free},
		{"/etcdserverpb.Maintenance/Defragment", nil, free},
		{"/v3electionpb.Election/Campaign", nil, waiting},
		{"/grpc.health.v1.Health/Check", nil, free},
	} {
		if got := kindOf(test.method, test.req); got != test.want {
			t.Errorf("%s %v: %d, want %d", test.method, test.req, got, test.want)
		}
	}
}
