package raftlog

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/etcdmain"
	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.etcd.io/raft/v3/raftpb"
	"golang.org/x/sys/unix"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/clustertest/process"
	"github.com/quorate/quorate/internal/etcd"
)

// TestMain makes the test binary an etcd, with small segments.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "etcd" {
		wal.SegmentSizeBytes = 512 << 10
		etcdmain.Main(os.Args[1:])
		return
	}
	os.Exit(m.Run())
}

// member is one real etcd, and a reader of its log.
type member struct {
	t      *testing.T
	name   string
	host   string
	dir    string
	cfg    etcd.Config
	bin    etcd.Binary
	ver    etcd.Version
	proc   *etcd.Process
	client *etcd.Client

	mu  sync.Mutex
	got []*raftpb.Entry // yielded, from index 1 on
}

func (m *member) walDir() string { return filepath.Join(m.cfg.DataDir, "member", "wal") }

func newMember(t *testing.T, name, host string) *member {
	t.Helper()
	dir := t.TempDir()
	m := &member{t: t, name: name, host: host, dir: dir, cfg: etcd.Config{Name: name, DataDir: filepath.Join(dir, "etcd"),
		AdvertiseHost: host, ClientPort: port(t, host), PeerPort: port(t, host),
		Extra: []string{"--heartbeat-interval=50", "--election-timeout=500", "--snapshot-count=2000", "--max-wals=100", "--unsafe-no-fsync"}}}
	m.client = etcd.Dial(fmt.Sprintf("http://%s:%d", host, m.cfg.ClientPort), etcd.TLSFiles{}, etcd.Credentials{})
	t.Cleanup(m.client.Close)
	var err error
	if m.bin, err = etcd.BuiltIn(); err == nil {
		m.ver, err = m.bin.Check(t.Context(), nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func port(t *testing.T, host string) int {
	t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func (m *member) peer() string { return fmt.Sprintf("http://%s:%d", m.host, m.cfg.PeerPort) }

func (m *member) start(s etcd.Start) {
	m.t.Helper()
	args := etcd.Args(m.ver, m.cfg, s)
	proc, err := etcd.Launch(m.dir, m.bin, args, etcd.Env(os.Environ(), args))
	if err != nil {
		m.t.Fatal(err)
	}
	m.proc = proc
	m.t.Cleanup(func() { _ = unix.Kill(proc.PID(), unix.SIGKILL); <-proc.Done() })
}

func (m *member) kill() {
	m.t.Helper()
	m.signal(unix.SIGKILL)
	<-m.proc.Done()
}

func (m *member) signal(s unix.Signal) {
	m.t.Helper()
	if err := unix.Kill(m.proc.PID(), s); err != nil {
		m.t.Fatal(err)
	}
}

// pause ends all answers of the etcd until it is signalled to go on.
func (m *member) pause() {
	m.t.Helper()
	p, err := os.FindProcess(m.proc.PID())
	if err != nil {
		m.t.Fatal(err)
	}
	process.Pause(m.t, p)
}

// follow reads the log until ctx ends, as a shipper would. The reader is kept
// through every end and start of the etcd.
func (m *member) follow(ctx context.Context) error {
	var r *Reader
	for ctx.Err() == nil {
		var err error
		if r, err = Open(m.walDir(), 1); err == nil {
			break
		}
		pause(ctx)
	}
	if r == nil {
		return ctx.Err()
	}
	defer r.Close()
	for {
		call, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
		s, err := m.client.Status(call)
		cancel()
		if err != nil {
			s = cluster.EtcdState{} // what the file says must do
		}
		some, err := r.Read(context.Background(), Applied{s.Applied, s.Term}, 64<<10)
		if err != nil {
			return err
		}
		m.mu.Lock()
		m.got = append(m.got, some...)
		m.mu.Unlock()
		if len(some) == 0 && ctx.Err() != nil {
			return nil
		}
		pause(ctx)
	}
}

func pause(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(3 * time.Millisecond): // a poll's
	}
}

func (m *member) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.got)
}

func eventually(t *testing.T, what string, ok func() error) {
	t.Helper()
	deadline := time.Now().Add(60 * time.Second)
	for {
		err := ok()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("waiting until %s: %v", what, err)
		}
		pause(t.Context())
	}
}

// leader is the member that leads, once all that run agree.
func leader(t *testing.T, members []*member) (lead *member) {
	t.Helper()
	eventually(t, "there is a leader", func() error {
		ids := map[cluster.MemberID]*member{}
		seen := map[cluster.MemberID]bool{}
		for _, m := range members {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			s, err := m.client.Status(ctx)
			cancel()
			if err != nil {
				return err
			}
			ids[s.MemberID], seen[s.Leader] = m, true
		}
		for id := range seen {
			lead = ids[id]
		}
		if len(seen) != 1 || lead == nil {
			return errors.New("they do not agree")
		}
		return nil
	})
	return lead
}

// load writes everything that etcd can be asked to write, until ctx ends.
func load(ctx context.Context, c *clientv3.Client, who int, done *atomic.Int64) {
	for i := 0; ctx.Err() == nil; i++ {
		call, cancel := context.WithTimeout(ctx, 2*time.Second)
		key := fmt.Sprintf("k/%d/%d", who, i%50)
		var err error
		switch i % 9 {
		case 1:
			_, err = c.Txn(call).If(clientv3.Compare(clientv3.Version(key), ">", 0)).Then(clientv3.OpDelete(key)).Else(clientv3.OpPut(key, "txn")).Commit()
		case 3:
			_, err = c.Delete(call, fmt.Sprintf("k/%d/%d", who, i%7), clientv3.WithPrefix())
		case 5:
			var l *clientv3.LeaseGrantResponse
			if l, err = c.Grant(call, 2); err == nil {
				_, err = c.Put(call, key, "leased", clientv3.WithLease(l.ID))
			}
		case 7:
			var r *clientv3.GetResponse
			if r, err = c.Get(call, key); err == nil && i%200 == 7 {
				_, _ = c.Compact(call, r.Header.Revision-10)
				_, _ = c.UserAdd(call, fmt.Sprintf("u%d-%d", who, i), "secret")
			}
		default:
			_, err = c.Put(call, key, fmt.Sprintf("%0200d", i))
		}
		cancel()
		if err == nil {
			done.Add(1)
		}
	}
}
