package backup

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/etcdmain"
	"go.uber.org/zap"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/etcd"
	"github.com/quorate/quorate/internal/store"
)

// The real ones fit.
var (
	_ Source = (*etcd.Client)(nil)
	_ Store  = (*store.Store)(nil)
)

// TestMain lets the test binary be etcd, as the real binary is.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "etcd" {
		etcdmain.Main(os.Args[1:])
		return
	}
	os.Exit(m.Run())
}

func etcdCommand(t testing.TB) []string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return []string{self, "etcd"}
}

// node is a real etcd process on a loopback address of its own.
type node struct {
	name, dir, peer, client string
	cmd                     *exec.Cmd
	log                     bytes.Buffer
	ended                   chan struct{}
}

// newNode picks two free ports of the address. Other tests of the machine use
// other addresses.
func newNode(t testing.TB, name, host string) *node {
	t.Helper()
	url := func() string {
		l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		return "http://" + l.Addr().String()
	}
	return &node{name: name, dir: filepath.Join(t.TempDir(), name+".etcd"), peer: url(), client: url()}
}

func initialCluster(nodes ...*node) string {
	var parts []string
	for _, n := range nodes {
		parts = append(parts, n.name+"="+n.peer)
	}
	return strings.Join(parts, ",")
}

func (n *node) start(t testing.TB, flags ...string) {
	t.Helper()
	argv := append(etcdCommand(t), append([]string{
		"--name=" + n.name, "--data-dir=" + n.dir, "--log-level=error",
		"--listen-client-urls=" + n.client, "--advertise-client-urls=" + n.client,
		"--listen-peer-urls=" + n.peer, "--initial-advertise-peer-urls=" + n.peer,
	}, flags...)...)
	n.cmd = exec.Command(argv[0], argv[1:]...)
	n.cmd.Stderr = &n.log
	if err := n.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	n.ended = make(chan struct{})
	go func() {
		defer close(n.ended)
		n.cmd.Wait()
	}()
	t.Cleanup(func() {
		n.kill()
		if t.Failed() {
			t.Logf("etcd %s said:\n%s", n.name, n.log.String())
		}
	})
}

func (n *node) kill() {
	n.cmd.Process.Signal(syscall.SIGKILL)
	<-n.ended
}

func (n *node) connect(t testing.TB, user ...string) *clientv3.Client {
	t.Helper()
	cfg := clientv3.Config{Endpoints: []string{n.client}, DialTimeout: 20 * time.Second, Logger: zap.NewNop()}
	if len(user) == 2 {
		cfg.Username, cfg.Password = user[0], user[1]
	}
	c, err := clientv3.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// await asks again until ok or the test's patience ends.
func await(t testing.TB, what string, ok func(ctx context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		err := ok(ctx)
		if err == nil {
			return
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			t.Fatalf("%s: %v", what, err)
		}
	}
}

func awaitServing(t testing.TB, c *clientv3.Client) {
	t.Helper()
	await(t, "serving", func(ctx context.Context) error {
		_, err := c.Get(ctx, "x")
		return err
	})
}

// liveSource is the Source over a real client.
type liveSource struct{ c *clientv3.Client }

func (l liveSource) Status(ctx context.Context) (cluster.EtcdState, error) {
	s, err := l.c.Status(ctx, l.c.Endpoints()[0])
	if err != nil {
		return cluster.EtcdState{}, err
	}
	return cluster.EtcdState{
		Running: true, Version: s.Version, ClusterID: cluster.ClusterID(s.Header.ClusterId), Term: s.RaftTerm,
		Index: s.RaftIndex, Applied: s.RaftAppliedIndex, Revision: s.Header.Revision, DBSize: s.DbSize,
	}, nil
}

func (l liveSource) Snapshot(ctx context.Context) (io.ReadCloser, error) { return l.c.Snapshot(ctx) }

func (l liveSource) KeyCount(ctx context.Context, rev int64) (int64, error) {
	r, err := l.c.Get(ctx, "\x00", clientv3.WithFromKey(), clientv3.WithCountOnly(), clientv3.WithRev(rev))
	if err != nil {
		return 0, err
	}
	return r.Count, nil
}

// dump is every key with all that etcd says of it.
func dump(t testing.TB, c *clientv3.Client) map[string]string {
	t.Helper()
	r, err := c.Get(t.Context(), "\x00", clientv3.WithFromKey())
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, kv := range r.Kvs {
		all[string(kv.Key)] = kv.String()
	}
	return all
}

var errNotYet = errors.New("not yet")
