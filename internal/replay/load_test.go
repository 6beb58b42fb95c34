package replay

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/version"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.etcd.io/etcd/server/v3/storage/wal/walpb"
	"go.etcd.io/raft/v3/raftpb"
	"go.uber.org/zap"
)

// sample is what the source said of its keys while it was under load.
type sample struct {
	revision, compacted int64
	hash                uint32
}

// load is a source under load: its snapshot from the midst of it, its whole log,
// and what it said.
type load struct {
	etcd    string // its version
	db      string // the snapshot
	entries []*raftpb.Entry
	samples []sample
	end     sample
	leases  map[clientv3.LeaseID]int64 // granted time to live
	users   []string
	auth    uint64 // the revision of users and roles, which are on
}

// writers write until ctx ends: puts, deletes of ranges, transactions that
// compare revisions, leases that are revoked and leases that run out, puts on
// them, and reads that go through the log.
func writers(ctx context.Context, all *sync.WaitGroup, c *clientv3.Client, n int) {
	for w := range n {
		all.Go(func() {
			r := rand.New(rand.NewPCG(1, uint64(w)))
			var lease clientv3.LeaseID
			for ctx.Err() == nil {
				lease = write(ctx, c, r, lease)
			}
		})
	}
}

func write(ctx context.Context, c *clientv3.Client, r *rand.Rand, lease clientv3.LeaseID) clientv3.LeaseID {
	key := fmt.Sprintf("key/%03d", r.IntN(500))
	value := fmt.Sprint("value ", r.Int64())
	switch n := r.IntN(100); {
	case n < 50:
		c.Put(ctx, key, value)
	case n < 75:
		c.Txn(ctx).If(clientv3.Compare(clientv3.ModRevision(key), "<", r.Int64N(20000))).
			Then(clientv3.OpPut(key, value), clientv3.OpDelete(key+"x"), clientv3.OpPut(key+"y", value)).
			Else(clientv3.OpDelete(key), clientv3.OpGet(key)).Commit()
	case n < 83:
		c.Delete(ctx, key, clientv3.WithRange(key+"0"))
	case n < 88:
		if g, err := c.Grant(ctx, []int64{1, 2, 60, 3600}[r.IntN(4)]); err == nil {
			lease = g.ID
		}
	case n < 95:
		c.Put(ctx, "leased/"+key, value, clientv3.WithLease(lease)) // it may be gone by then
	case n < 98:
		c.Revoke(ctx, lease)
	default:
		c.UserList(ctx)
	}
	return lease
}

// observe compacts now and then and asks for hashes, for a while and until there
// are enough.
func observe(ctx context.Context, n *node, c *clientv3.Client, each time.Duration, enough int, took *[]sample) {
	r := rand.New(rand.NewPCG(7, 7))
	enough += len(*took)
	for began := time.Now(); ctx.Err() == nil && (time.Since(began) < each || len(*took) < enough); {
		now, err := c.Status(ctx, n.client)
		if err != nil {
			continue
		}
		if r.IntN(10) == 0 {
			c.Compact(ctx, now.Header.Revision-r.Int64N(200))
		}
		at := now.Header.Revision - r.Int64N(20)
		if s, err := c.HashKV(ctx, n.client, at); err == nil {
			*took = append(*took, sample{at, s.CompactRevision, s.Hash})
		}
	}
}

// underLoad runs a source through it all: first without users, then with.
func underLoad(t *testing.T, each time.Duration) *load {
	t.Helper()
	return underLoadOf(t, version.Version, nil, each)
}

// underLoadOf is that with another etcd.
func underLoadOf(t *testing.T, version string, etcd []string, each time.Duration) *load {
	t.Helper()
	l := &load{etcd: version, db: filepath.Join(t.TempDir(), "base"), leases: map[clientv3.LeaseID]int64{}}
	n := newNode(t, "1", filepath.Join(t.TempDir(), "source"))
	if etcd != nil {
		n.etcd = etcd
	}
	c := n.start(t)
	l.phase(t, n, c, each, nil)
	l.phase(t, n, c, each, func() { save(t, c, l.db) })
	must := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	ctx := t.Context()
	must(c.UserAdd(ctx, "root", "secret"))
	must(c.UserGrantRole(ctx, "root", "root"))
	must(c.RoleAdd(ctx, "part"))
	must(c.RoleGrantPermission(ctx, "part", "key/1", "key/3", clientv3.PermissionType(clientv3.PermReadWrite)))
	must(c.UserAdd(ctx, "some", "body"))
	must(c.UserGrantRole(ctx, "some", "part"))
	must(c.AuthEnable(ctx))
	root := n.connect(t, "root", "secret")
	some := n.connect(t, "some", "body")
	l.phase(t, n, root, each, func() {
		limited, cancel := context.WithTimeout(ctx, each/2)
		defer cancel()
		var all sync.WaitGroup
		writers(limited, &all, some, 4) // most of it is refused, by the apply path
		for i := range 10 {
			must(root.UserAdd(ctx, fmt.Sprint("user", i), "x")) // each makes older requests fail
		}
		all.Wait()
	})
	l.finish(t, n, root)
	return l
}

// phase has the source written to for a while, and does something in its midst.
func (l *load) phase(t *testing.T, n *node, c *clientv3.Client, each time.Duration, midst func()) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var all sync.WaitGroup
	writers(ctx, &all, c, 16)
	all.Go(func() {
		defer cancel()
		observe(ctx, n, c, each, 100, &l.samples)
	})
	if midst != nil {
		midst()
	}
	all.Wait()
}

// save takes a snapshot as a backup does.
func save(t testing.TB, c *clientv3.Client, name string) {
	t.Helper()
	r, err := c.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	if err == nil {
		err = os.WriteFile(name, data[:len(data)-sha256.Size], 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// finish notes the end of the source, stops it and reads its log. Leases run out
// as long as it runs, so nothing is asked that could change meanwhile, and what is
// logged after the end is none of it.
func (l *load) finish(t *testing.T, n *node, root *clientv3.Client) {
	t.Helper()
	last := uint64(0)
	await(t, "a calm end", func(ctx context.Context) error {
		before, err := root.HashKV(ctx, n.client, 0)
		if err != nil {
			return err
		}
		l.askLeases(t, root)
		users, err := root.UserList(ctx)
		if err != nil {
			return err
		}
		l.users = users.Users
		auth, err := root.AuthStatus(ctx)
		if err != nil || !auth.Enabled {
			return fmt.Errorf("users are on: %v, %w", auth, err)
		}
		l.auth = auth.AuthRevision
		after, err := root.HashKV(ctx, n.client, 0)
		if err == nil && after.Header.Revision != before.Header.Revision {
			err = fmt.Errorf("leases still run out")
		}
		if err != nil {
			return err
		}
		at, err := root.Status(ctx, n.client)
		if err == nil && at.Header.Revision != after.Header.Revision {
			err = fmt.Errorf("leases still run out")
		}
		if err == nil {
			last = at.RaftAppliedIndex
			l.end = sample{after.Header.Revision, after.CompactRevision, after.Hash} // 3.5 tells no HashRevision
		}
		return err
	})
	n.end(9)
	l.entries = slices.DeleteFunc(readLog(t, n.dir), func(e *raftpb.Entry) bool { return e.GetIndex() > last })
}

func (l *load) askLeases(t *testing.T, c *clientv3.Client) {
	t.Helper()
	clear(l.leases)
	all, err := c.Leases(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range all.Leases {
		if ttl, err := c.TimeToLive(t.Context(), one.ID); err == nil && ttl.GrantedTTL > 0 {
			l.leases[one.ID] = ttl.GrantedTTL
		}
	}
}

func readLog(t testing.TB, dir string) []*raftpb.Entry {
	t.Helper()
	w, err := wal.OpenForRead(zap.NewNop(), walOf(dir), &walpb.Snapshot{})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	_, _, entries, err := w.ReadAll()
	if err != nil && len(entries) == 0 {
		t.Fatal(err)
	}
	return entries
}
