package replay

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/etcdmain"
	"go.uber.org/zap"
)

// TestMain lets the test binary be etcd and the worker, as the real binary is.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == Subcommand {
		os.Exit(Work(os.Stdin, os.Stdout))
	}
	if len(os.Args) > 1 && os.Args[1] == "etcd" {
		etcdmain.Main(os.Args[1:])
		return
	}
	os.Exit(m.Run())
}

// node is a real etcd process, alone in its cluster.
type node struct {
	etcd              []string // the command; ours
	dir, client, peer string
	cmd               *exec.Cmd
	ended             chan struct{}
}

// hosts are this package's own: other tests of the machine use others.
const hosts = "127.0.8."

func newNode(t testing.TB, host, dir string) *node {
	t.Helper()
	url := func() string {
		l, err := net.Listen("tcp", hosts+host+":0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		return "http://" + l.Addr().String()
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return &node{etcd: []string{self, "etcd"}, dir: dir, client: url(), peer: url()}
}

func (n *node) start(t testing.TB) *clientv3.Client {
	t.Helper()
	n.cmd = exec.Command(n.etcd[0], append(slices.Clone(n.etcd[1:]), "--name=m", "--data-dir="+n.dir, "--log-level=error", "--max-wals=0", "--max-txn-ops=10000",
		"--quota-backend-bytes=8589934592", "--listen-client-urls="+n.client, "--advertise-client-urls="+n.client, "--listen-peer-urls="+n.peer,
		"--initial-advertise-peer-urls="+n.peer, "--initial-cluster=m="+n.peer, "--initial-cluster-token=t")...)
	var said bytes.Buffer
	n.cmd.Stderr = &said
	if err := n.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	n.ended = make(chan struct{})
	go func() {
		defer close(n.ended)
		n.cmd.Wait()
	}()
	t.Cleanup(func() {
		n.end(syscall.SIGKILL)
		if t.Failed() {
			t.Logf("etcd said:\n%s", said.String())
		}
	})
	return n.connect(t)
}

func (n *node) end(sig syscall.Signal) {
	n.cmd.Process.Signal(sig)
	<-n.ended
}

func (n *node) connect(t testing.TB, user ...string) *clientv3.Client {
	t.Helper()
	cfg := clientv3.Config{Endpoints: []string{n.client}, DialTimeout: 20 * time.Second, Logger: zap.NewNop(), MaxCallSendMsgSize: 64 << 20}
	if len(user) == 2 {
		cfg.Username, cfg.Password = user[0], user[1]
	}
	var c *clientv3.Client
	await(t, "a client", func(ctx context.Context) (err error) {
		if c == nil {
			if c, err = clientv3.New(cfg); err != nil {
				return err
			}
		}
		if _, err = c.Status(ctx, n.client); errors.Is(err, rpctypes.ErrUserEmpty) {
			return nil // it serves, and users are on
		}
		return err
	})
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

func copyFile(t testing.TB, dst, src string) {
	t.Helper()
	data, err := os.ReadFile(src)
	if err == nil {
		err = os.WriteFile(dst, data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func walOf(dir string) string { return filepath.Join(dir, "member", "wal") }
