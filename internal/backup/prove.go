package backup

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/etcd/pkg/v3/traceutil"
	"go.etcd.io/etcd/server/v3/lease"
	"go.etcd.io/etcd/server/v3/storage/backend"
	"go.etcd.io/etcd/server/v3/storage/mvcc"
	"go.uber.org/zap"

	"github.com/quorate/quorate/internal/cluster"
)

// ErrNoRoom says that a disk is too full for a proof, or for what would be
// unpacked to it.
var ErrNoRoom = errors.New("no room")

// spare is what a proof leaves free on the disk: the live etcd writes there too.
const spare = 1 << 30

// Proof is what a restored backup turned out to hold. Hash is etcd's HashKV up
// to Revision of what is left after a compaction at Compact; two members with
// equal keys have equal hashes at equal revisions.
type Proof struct {
	Key      string        `json:"key"`
	Revision int64         `json:"revision"`
	Compact  int64         `json:"compact_revision"`
	Hash     uint32        `json:"hash"`
	Took     time.Duration `json:"took"` // nanoseconds
}

// Trial is what is to be proven, and with what.
type Trial struct {
	Backup cluster.Backup
	// Build makes the data directory, from the backup and maybe the log behind
	// it; nil: from the backup alone.
	Build   func(context.Context, Target) error
	Etcd    []string // the command that serves it
	Scratch string   // a directory that is deleted before and after
	// Compact is where the cluster is compacted, to which the hash is to be
	// comparable; 0: wherever the backup is.
	Compact int64
}

// Prove restores a backup into the scratch directory, has a real etcd serve it,
// and hashes its keys, compacted first where they can be, so that the hash can be
// held against a cluster's that has gone on. Nothing is left behind but what a
// crash leaves, which the next proof removes. ErrDamaged is the backup's fault,
// ErrNoRoom the disk's; any other error is Build's, or proves nothing.
func Prove(ctx context.Context, st Store, t Trial) (Proof, error) {
	p, err := prove(ctx, st, t)
	if err != nil {
		return Proof{}, fmt.Errorf("proving %s: %w", t.Backup.Key, err)
	}
	return p, nil
}

func prove(ctx context.Context, st Store, t Trial) (Proof, error) {
	began := time.Now()
	if err := emptied(t.Scratch, 2*t.Backup.Size+walRoom+spare); err != nil {
		return Proof{}, err
	}
	defer os.RemoveAll(t.Scratch)
	if t.Build == nil {
		t.Build = func(ctx context.Context, into Target) error { return Restore(ctx, st, t.Backup, into) }
	}
	const peer = "http://127.0.0.1:2380" // nobody listens there: replay has sockets of its own
	data := filepath.Join(t.Scratch, "etcd")
	err := t.Build(ctx, Target{DataDir: data, Name: "seed", PeerURL: peer, InitialCluster: "seed=" + peer, Token: "proof"})
	if err != nil {
		return Proof{}, err
	}
	if err := replay(ctx, t.Etcd, data, filepath.Join(t.Scratch, "etcd.log")); err != nil {
		return Proof{}, err
	}
	p, err := hashOf(ctx, dbOf(data), t.Compact)
	if err == nil && p.Revision < t.Backup.Revision {
		err = fmt.Errorf("%w: it ends at revision %d, and its manifest promises %d", ErrDamaged, p.Revision, t.Backup.Revision)
	}
	p.Key, p.Took = t.Backup.Key, time.Since(began)
	return p, err
}

// emptied makes the scratch directory anew, if its disk has that much room.
func emptied(scratch string, room int64) error {
	if err := os.RemoveAll(scratch); err != nil {
		return err
	}
	if err := os.MkdirAll(scratch, 0o700); err != nil {
		return err
	}
	if err := roomFor(scratch, room); err != nil {
		return fmt.Errorf("%w: %w", ErrNoRoom, err)
	}
	return nil
}

// hashOf opens a database as etcd does and hashes its keys. etcd panics on one
// that it cannot read; here that is damage.
func hashOf(ctx context.Context, db string, compact int64) (p Proof, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: etcd gave up: %v", ErrDamaged, r)
		}
	}()
	lg := zap.NewNop()
	be := backend.NewDefaultBackend(lg, db)
	defer be.Close()
	kv := mvcc.NewStore(lg, be, &lease.FakeLessor{}, mvcc.StoreConfig{})
	defer kv.Close()
	if compact > 0 && compact <= kv.Rev() {
		done, err := kv.Compact(traceutil.TODO(), compact)
		switch {
		case errors.Is(err, mvcc.ErrCompacted): // as far, or farther: the result says
		case err != nil:
			return Proof{}, err
		default:
			select {
			case <-done:
			case <-ctx.Done():
				return Proof{}, context.Cause(ctx)
			}
		}
	}
	hash, _, err := kv.HashStorage().HashByRev(0)
	return Proof{Revision: hash.Revision, Compact: hash.CompactRevision, Hash: hash.Hash}, err
}
