package replay

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/coreos/go-semver/semver"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/client/pkg/v3/types"
	"go.etcd.io/etcd/server/v3/auth"
	"go.etcd.io/etcd/server/v3/etcdserver/api/membership"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3alarm"
	"go.etcd.io/etcd/server/v3/etcdserver/apply"
	"go.etcd.io/etcd/server/v3/etcdserver/cindex"
	"go.etcd.io/etcd/server/v3/lease"
	serverstorage "go.etcd.io/etcd/server/v3/storage"
	"go.etcd.io/etcd/server/v3/storage/backend"
	"go.etcd.io/etcd/server/v3/storage/mvcc"
	"go.etcd.io/etcd/server/v3/storage/schema"
	"go.etcd.io/raft/v3/raftpb"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

const (
	// minLeaseTTL, in seconds, is etcd's floor for a lease with its usual
	// election time-out of 1 s: a shorter one is granted as this.
	minLeaseTTL = 2
	// batch is how many changes are committed to the file at a time.
	batch = 50_000
	// unhurried is how often they are at least.
	unhurried = 5 * time.Second
)

// ErrGap says that an entry does not follow the last one applied.
var ErrGap = errors.New("an entry is missing")

// keys is etcd's store, without what watches it.
type keys interface {
	mvcc.KV
	HashStorage() mvcc.HashStorage
}

// Applier brings one database forward. It is for one goroutine.
type Applier struct {
	be     backend.Backend
	lessor lease.Lessor
	kv     keys
	auth   auth.AuthStore
	ci     cindex.ConsistentIndexer
	apply  apply.UberApplier
	lg     *zap.Logger
	index  uint64
}

// Open opens a member's database that nobody else uses, without making its
// changes durable before Close: a crash leaves a file to throw away.
func Open(db string) (a *Applier, err error) {
	if _, err := os.Stat(db); err != nil {
		return nil, fmt.Errorf("opening the database: %w", err)
	}
	a = &Applier{lg: zap.NewNop().WithOptions(zap.WithFatalHook(zapcore.WriteThenPanic))}
	if err := guarded(func() error { return a.open(db) }); err != nil {
		return nil, fmt.Errorf("opening the database %s: %w", db, err)
	}
	return a, nil
}

// guarded makes etcd's panics errors: it knows no other way to say that a
// database or a request makes no sense.
func guarded(do func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("etcd gave up: %v", p)
		}
	}()
	return do()
}

// open puts together what an etcd server has for its apply path, in the order
// in which it does: the lessor first, for the keys attach themselves to leases.
func (a *Applier) open(db string) error {
	a.ci = cindex.NewConsistentIndex(nil)
	a.be = backend.New(backend.BackendConfig{Path: db, Logger: a.lg, UnsafeNoFsync: true, MmapSize: backend.InitialMmapSize,
		BatchInterval: unhurried, BatchLimit: batch, Hooks: serverstorage.NewBackendHooks(a.lg, a.ci)})
	a.ci.SetBackend(a.be)
	a.index = a.ci.ConsistentIndex()
	if a.index == 0 {
		return errors.Join(errors.New("it does not say up to which entry it is"), a.be.Close())
	}
	members := membership.NewCluster(a.lg)
	members.SetBackend(schema.NewMembershipBackend(a.lg, a.be))
	members.Recover(func(*zap.Logger, *semver.Version) {})
	a.lessor = lease.NewLessor(a.lg, a.be, members, lease.LessorConfig{MinLeaseTTL: minLeaseTTL})
	a.kv = mvcc.NewStore(a.lg, a.be, a.lessor, mvcc.StoreConfig{CompactionBatchLimit: batch, CompactionSleepInterval: time.Nanosecond})
	tokens, err := auth.NewTokenProvider(a.lg, "simple", nil, time.Minute)
	if err != nil {
		return err
	}
	a.auth = auth.NewAuthStore(a.lg, schema.NewAuthBackend(a.lg, a.be), tokens, 4)
	alarms, err := v3alarm.NewAlarmStore(a.lg, schema.NewAlarmBackend(a.lg, a.be))
	if err != nil {
		return err
	}
	a.apply = apply.NewUberApplier(apply.ApplierOptions{Logger: a.lg, KV: a.kv, AlarmStore: alarms, AuthStore: a.auth, Lessor: a.lessor,
		Cluster: members, RaftStatus: alone{a}, SnapshotServer: alone{a}, ConsistentIndex: a.ci, TxnModeWriteWithSharedBuffer: true,
		Backend: a.be, QuotaBackendBytesCfg: -1, WarningApplyDuration: time.Hour})
	return nil
}

// Index is the last entry applied.
func (a *Applier) Index() uint64 { return a.index }

// Revision is what the entries up to Index have made.
func (a *Applier) Revision() int64 { return a.kv.Rev() }

// Apply applies the entry after the last one; one that is applied already is
// passed over. After an error nothing more can be done but Close.
func (a *Applier) Apply(e *raftpb.Entry) error {
	switch {
	case e.GetIndex() <= a.index:
		return nil
	case e.GetIndex() != a.index+1:
		return fmt.Errorf("applying entry %d after %d: %w", e.GetIndex(), a.index, ErrGap)
	}
	r, err := decode(e)
	if err == nil {
		a.ci.SetConsistentApplyingIndex(e.GetIndex(), e.GetTerm())
		a.ci.SetConsistentIndex(e.GetIndex(), e.GetTerm())
		if r != nil {
			err = guarded(func() error { a.apply.Apply(request(r), membership.ApplyBoth); return nil })
		}
	}
	if err != nil {
		return fmt.Errorf("applying entry %d: %w", e.GetIndex(), err)
	}
	a.index = e.GetIndex()
	return nil
}

// Hash is etcd's HashKV of all up to a revision, and up to where it is compacted.
func (a *Applier) Hash(revision int64) (hash uint32, compacted int64, err error) {
	h, _, err := a.kv.HashStorage().HashByRev(revision)
	return h.Hash, h.CompactRevision, err
}

// Close writes all of it to the file, which is not synced.
func (a *Applier) Close() error {
	return guarded(func() error {
		a.kv.Close() // a compaction that is under way goes on at etcd's start
		a.lessor.Stop()
		return errors.Join(a.auth.Close(), a.be.Close())
	})
}

// alone is the raft that the apply path asks about itself.
type alone struct{ a *Applier }

func (alone) MemberID() types.ID       { return 1 }
func (alone) Leader() types.ID         { return 1 }
func (l alone) CommittedIndex() uint64 { return l.a.index }
func (l alone) AppliedIndex() uint64   { return l.a.index }
func (alone) Term() uint64             { return 1 }
func (alone) ForceSnapshot()           {}

// request says that nobody waits for the result: what a transaction only reads
// is not looked up.
func request(r *pb.InternalRaftRequest) *apply.InternalRaftRequestWrapper {
	return &apply.InternalRaftRequestWrapper{InternalRaftRequest: r, SkipRangeExecution: r.Txn != nil}
}
