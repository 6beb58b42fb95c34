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
	"go.etcd.io/etcd/server/v3/storage/wal/walpb"
	"go.etcd.io/raft/v3/raftpb"
	"go.uber.org/zap"
	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/proto"

	"github.com/quorate/quorate/internal/cluster"
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

// TestFollowsRealMembers: the logs of three members under load are followed
// through cuts, kills of the leader and of others, a leader whose tail loses,
// and changes of the membership. All three yield the same entries, without a
// gap, and they are what etcd itself reads in the end.
func TestFollowsRealMembers(t *testing.T) {
	members := []*member{newMember(t, "a", "127.0.3.11"), newMember(t, "b", "127.0.3.12"), newMember(t, "c", "127.0.3.13")}
	initial := ""
	for _, m := range members {
		initial += "," + m.name + "=" + m.peer()
	}
	for _, m := range members {
		m.start(etcd.Start{State: etcd.StateNew, InitialCluster: initial[1:], Token: "raftlog"})
	}
	leader(t, members)
	ctx, stop := context.WithCancel(t.Context())
	var followers sync.WaitGroup
	for _, m := range members {
		followers.Go(func() {
			if err := m.follow(ctx); err != nil {
				t.Errorf("following %s: %v", m.name, err)
			}
		})
	}
	writing, rest := context.WithCancel(t.Context())
	var writers sync.WaitGroup
	var done atomic.Int64
	c := dial(t, members...)
	for i := range 8 {
		writers.Go(func() { load(writing, c, i, &done) })
	}
	written := func(n int64) {
		t.Helper()
		until := done.Load() + n
		eventually(t, "more is written", func() error {
			if done.Load() < until {
				return fmt.Errorf("%d of %d", done.Load(), until)
			}
			return nil
		})
	}
	written(3000)
	for round := range 2 {
		l := leader(t, members)
		l.kill()
		written(500)
		l.start(etcd.Start{})
		written(500)
		loseTail(t, members)
		written(500)
		if _, err := c.MemberAddAsLearner(t.Context(), []string{fmt.Sprintf("http://127.0.3.99:%d", 4000+round)}); err == nil {
			removeLearner(t, c)
		}
	}
	rest()
	writers.Wait()
	want := settled(t, members)
	stop()
	followers.Wait()
	t.Logf("%d writes, %d entries", done.Load(), want)
	compare(t, members, want)
}

func dial(t *testing.T, members ...*member) *clientv3.Client {
	t.Helper()
	var urls []string
	for _, m := range members {
		urls = append(urls, m.client.Endpoint())
	}
	c, err := clientv3.New(clientv3.Config{Endpoints: urls, DialTimeout: 5 * time.Second, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// loseTail has a leader write entries that nobody else gets, and ends it: when
// it comes back, another leader's entries take their place.
func loseTail(t *testing.T, members []*member) {
	t.Helper()
	l := leader(t, members)
	before := tailIndex(t, l)
	for _, m := range members {
		if m != l {
			m.signal(unix.SIGSTOP)
		}
	}
	c := dial(t, l)
	var proposals sync.WaitGroup
	for i := range 20 {
		proposals.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			_, _ = c.Put(ctx, "lost", fmt.Sprint(i))
		})
	}
	proposals.Wait()
	l.kill()
	if after := tailIndex(t, l); after <= before {
		t.Errorf("the leader's log did not grow while it was alone: %d, then %d", before, after)
	}
	for _, m := range members {
		if m != l {
			m.signal(unix.SIGCONT)
		}
	}
	l.start(etcd.Start{})
	leader(t, members)
}

// tailIndex is the last index in a member's file.
func tailIndex(t *testing.T, m *member) uint64 {
	t.Helper()
	return etcd.ReadDisk(m.dir, m.cfg.DataDir).Index
}

func removeLearner(t *testing.T, c *clientv3.Client) {
	t.Helper()
	eventually(t, "the learner is removed", func() error {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		list, err := c.MemberList(ctx)
		if err != nil {
			return err
		}
		for _, m := range list.Members {
			if m.IsLearner {
				_, err = c.MemberRemove(ctx, m.ID)
				return errors.Join(err, errors.New("removed just now"))
			}
		}
		return nil
	})
}

// settled waits until all members have applied the same and every reader has
// yielded it.
func settled(t *testing.T, members []*member) (index uint64) {
	t.Helper()
	eventually(t, "all is read", func() error {
		index = 0
		for _, m := range members {
			s, err := m.client.Status(t.Context())
			if err != nil {
				return err
			}
			if index == 0 {
				index = s.Applied
			}
			if n := m.count(); s.Applied != index || uint64(n) < index {
				return fmt.Errorf("%s: applied %d, yielded %d, want %d", m.name, s.Applied, n, index)
			}
		}
		return nil
	})
	return index
}

func compare(t *testing.T, members []*member, want uint64) {
	t.Helper()
	truth := readAll(t, members[0])
	for _, m := range members {
		for i := range want {
			e := m.got[i]
			if e.GetIndex() != i+1 {
				t.Fatalf("%s: entry %d is of index %d", m.name, i+1, e.GetIndex())
			}
			if truth[e.GetIndex()] != nil && !proto.Equal(e, truth[e.GetIndex()]) {
				t.Fatalf("%s: yielded %v, etcd has %v", m.name, e, truth[e.GetIndex()])
			}
			if !proto.Equal(e, members[0].got[i]) {
				t.Fatalf("%s yielded %v, %s %v", m.name, e, members[0].name, members[0].got[i])
			}
		}
	}
}

// readAll is what etcd's own package reads, once the member has ended.
func readAll(t *testing.T, m *member) map[uint64]*raftpb.Entry {
	t.Helper()
	m.kill()
	w, err := wal.OpenForRead(zap.NewNop(), m.walDir(), &walpb.Snapshot{Index: proto.Uint64(0), Term: proto.Uint64(0)})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	_, _, ents, err := w.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	all := map[uint64]*raftpb.Entry{}
	for _, e := range ents {
		all[e.GetIndex()] = e
	}
	if len(all) < 3000 {
		t.Fatalf("etcd reads only %d entries", len(all))
	}
	return all
}
