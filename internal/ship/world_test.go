package ship

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.etcd.io/etcd/server/v3/storage/wal/walpb"
	"go.etcd.io/raft/v3/raftpb"
	"go.uber.org/zap"
	"google.golang.org/protobuf/proto"

	"github.com/quorate/quorate/internal/chain"
	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/store"
)

// world is a cluster as shippers see it, in fake time: real logs, written by
// etcd's own package, a real store with faults before it, and the reports.
type world struct {
	// The test holds mu, but for when it lets time pass.
	mu     sync.Mutex
	t      *testing.T
	dir    string
	store  *faulty
	codec  *chain.Codec
	nodes  []*member
	leader int
	last   uint64 // index that is committed
	rev    int64
	backup *cluster.Backup
	epoch  cluster.Epoch
	inUse  int64           // bytes of every member's database
	hashed int             // times that a member was asked for its hash
	said   strings.Builder // what the shippers warn of
	log    slog.Handler    // into said
}

// member is one node: a log, and a shipper while its agent runs.
type member struct {
	w    *world
	name string
	wal  *wal.WAL
	down bool  // etcd does not answer
	sick error // the store fails for this node alone
	*Shipper
	stop context.CancelFunc
	done chan struct{}
}

// faulty is the store with faults: refuse does nothing and fails, lie does it
// and says that it failed.
type faulty struct {
	*store.Store
	refuse, lie error
	slow        time.Duration
	asked       int // by shippers
	listed      int
}

var errStore = errors.New("the store is away")

// view is the store as one node reaches it.
type view struct {
	*faulty
	m *member
}

func (v view) fault(ctx context.Context) (before, after error) {
	v.m.w.mu.Lock()
	defer v.m.w.mu.Unlock()
	v.asked++
	if v.m.sick != nil {
		return v.m.sick, nil
	}
	return v.refuse, v.lie
}

func (v view) Create(ctx context.Context, key string, data []byte) error {
	before, after := v.fault(ctx)
	v.m.w.mu.Lock()
	slow := v.slow
	v.m.w.mu.Unlock()
	if slow > 0 {
		select {
		case <-time.After(slow):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if before != nil {
		return before
	}
	return errors.Join(v.Store.Create(ctx, key, data), after)
}

func (v view) Read(ctx context.Context, key string) ([]byte, error) {
	if before, _ := v.fault(ctx); before != nil {
		return nil, before
	}
	return v.Store.Read(ctx, key)
}

func (v view) List(ctx context.Context, prefix string) ([]store.Object, error) {
	if before, _ := v.fault(ctx); before != nil {
		return nil, before
	}
	v.m.w.mu.Lock()
	v.listed++
	v.m.w.mu.Unlock()
	return v.Store.List(ctx, prefix)
}

// inWorld runs a test in fake time, with so many members; the first leads.
func inWorld(t *testing.T, n int, test func(*world)) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		st, err := store.Open(context.Background(), "mem://"+regexp.MustCompile(`\W+`).ReplaceAllString(dir, "-"), "test")
		if err != nil {
			t.Fatal(err)
		}
		defer st.Close()
		w := &world{t: t, dir: dir, store: &faulty{Store: st}, epoch: 1}
		w.log = slog.NewTextHandler(&w.said, &slog.HandlerOptions{Level: slog.LevelWarn})
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.codec, err = chain.NewCodec(nil); err != nil {
			t.Fatal(err)
		}
		for i := range n {
			m := &member{w: w, name: string(rune('a' + i))}
			m.create(0)
			w.nodes = append(w.nodes, m)
		}
		for _, m := range w.nodes {
			m.start()
		}
		defer func() {
			for _, m := range w.nodes {
				m.end()
				m.wal.Close()
			}
		}()
		test(w)
	})
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (m *member) walDir() string { return filepath.Join(m.w.dir, m.name, "wal") }

// create makes an empty log that begins behind an index, as that of a member
// which got a snapshot.
func (m *member) create(index uint64) {
	m.w.t.Helper()
	if m.wal != nil {
		m.w.must(m.wal.Close())
		m.w.must(os.RemoveAll(m.walDir()))
	}
	m.w.must(os.MkdirAll(filepath.Dir(m.walDir()), 0o700))
	var err error
	m.wal, err = wal.Create(zap.NewNop(), m.walDir(), nil)
	m.w.must(err)
	m.w.must(m.wal.SaveSnapshot(&walpb.Snapshot{Index: &index, Term: proto.Uint64(1), ConfState: &raftpb.ConfState{}}))
}

func (m *member) start() {
	ctx, stop := context.WithCancel(context.Background())
	m.Shipper, m.stop, m.done = New(Parts{Log: slog.New(m.w.log), Cluster: "test", Node: m.name, WALDir: m.walDir(),
		Store: view{m.w.store, m}, Codec: m.w.codec, Status: m.status, Hash: m.hash, Look: m.look}), stop, make(chan struct{})
	go func() {
		defer close(m.done)
		_ = m.Run(ctx)
	}()
}

// end ends the agent; its last write is refused, as if it had been killed.
func (m *member) end() {
	if m.stop != nil {
		m.stop()
		m.w.mu.Unlock()
		<-m.done
		m.w.mu.Lock()
		m.stop = nil
	}
}

func (m *member) state() cluster.EtcdState {
	w := m.w
	return cluster.EtcdState{Running: true, Healthy: true, Version: "3.7.3", ClusterID: 9, MemberID: id(m.name), Leader: id(w.nodes[w.leader].name),
		Term: 1, Index: w.last, Applied: w.last, Revision: w.rev, DBInUse: w.inUse}
}

func id(name string) cluster.MemberID { return cluster.MemberID(name[0]) }

func (m *member) status(context.Context) (cluster.EtcdState, error) {
	m.w.mu.Lock()
	defer m.w.mu.Unlock()
	if m.down {
		return cluster.EtcdState{}, errors.New("it does not answer")
	}
	return m.state(), nil
}

// hash is no hash, but as bound to a revision as one.
func (m *member) hash(context.Context) (chain.HashKV, error) {
	m.w.mu.Lock()
	defer m.w.mu.Unlock()
	m.w.hashed++
	if m.down {
		return chain.HashKV{}, errors.New("it does not answer")
	}
	return chain.HashKV{Revision: m.w.rev, Hash: uint32(7 * m.w.rev)}, nil
}

func (m *member) look() Scene {
	m.w.mu.Lock()
	defer m.w.mu.Unlock()
	s := Scene{Epoch: m.w.epoch, Backup: m.w.backup}
	for _, o := range m.w.nodes {
		if o != m && o.stop != nil {
			log := o.Report()
			r := cluster.Report{Name: o.name, Charter: &cluster.Charter{Epoch: m.w.epoch}, Log: &log}
			if !o.down {
				r.Etcd = o.state()
			}
			s.Reports = append(s.Reports, r)
		}
	}
	return s
}

// commit adds entries to every log, all of them committed.
func (w *world) commit(entries ...*raftpb.Entry) {
	w.t.Helper()
	for _, e := range entries {
		w.last++
		e.Index, e.Term = proto.Uint64(w.last), proto.Uint64(1)
	}
	for _, m := range w.nodes {
		w.must(m.wal.Save(&raftpb.HardState{Term: proto.Uint64(1), Commit: &w.last}, entries))
	}
}

// put commits n puts of so many bytes.
func (w *world) put(n, size int) {
	w.t.Helper()
	var all []*raftpb.Entry
	for range n {
		w.rev++
		all = append(all, request(w.t, &etcdserverpb.InternalRaftRequest{ID: 1,
			Put: &etcdserverpb.PutRequest{Key: fmt.Appendf(nil, "k%d", w.rev), Value: make([]byte, size)}}))
	}
	w.commit(all...)
}

func request(t *testing.T, q *etcdserverpb.InternalRaftRequest) *raftpb.Entry {
	t.Helper()
	raw, err := proto.Marshal(q)
	if err != nil {
		t.Fatal(err)
	}
	return &raftpb.Entry{Type: raftpb.EntryNormal.Enum(), Data: raw}
}

// full takes a full snapshot.
func (w *world) full() {
	w.t.Helper()
	b := cluster.Backup{Key: fmt.Sprintf("backups/%d-%d.json", w.epoch, w.last), Epoch: w.epoch, Index: w.last, Term: 1, Revision: w.rev, At: time.Now()}
	w.must(w.store.Put(context.Background(), b.Key, []byte(b.Key)))
	w.backup = &b
}

// stored is every entry of the newest chain, from its base on; a chain that is
// not whole fails the test.
func (w *world) stored() (from, to uint64, chains int) {
	w.t.Helper()
	all, err := chain.List(context.Background(), w.store, w.epoch)
	w.must(err)
	if len(all) == 0 {
		return 0, 0, 0
	}
	c := all[len(all)-1]
	r := chain.Reader{Objects: w.store, Codec: w.codec, Cluster: "test"}
	first, _, err := r.Header(context.Background(), c.Epoch, c.Number, 1)
	w.must(err)
	for s, err := range r.Walk(context.Background(), first.Claimed(), c.Last()) {
		w.must(err)
		to = s.Last
		if s.LastRevision > w.rev {
			w.t.Errorf("segment %d says revision %d of %d", s.Number, s.LastRevision, w.rev)
		}
	}
	return first.First, to, len(all)
}

// wantStored fails the test unless the newest chain holds all that is committed.
func (w *world) wantStored(chains int) {
	w.t.Helper()
	if _, to, n := w.stored(); to != w.last || n != chains {
		w.t.Errorf("stored up to %d of %d, in %d chains, want %d", to, w.last, n, chains)
	}
	for _, m := range w.nodes {
		if age := m.Unshipped(time.Now()); m.stop != nil && !m.down && age != 0 {
			w.t.Errorf("%s says that there is something of %s to be shipped", m.name, age)
		}
	}
}

// shippers are the names of those whose turn it is.
func (w *world) shippers() (names string) {
	for _, m := range w.nodes {
		if m.stop != nil && m.Report().Shipping {
			names += m.name
		}
	}
	return names
}

// requests are all that shippers have asked of the store, and the lists of them.
func (w *world) requests() (all, lists int) {
	return w.store.asked, w.store.listed
}

// pass lets fake time go by.
func (w *world) pass(d time.Duration) {
	w.mu.Unlock()
	time.Sleep(d)
	synctest.Wait()
	w.mu.Lock()
}
