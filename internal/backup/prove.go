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

// ErrNoRoom says that the scratch directory's disk is too full for a proof.
var ErrNoRoom = errors.New("no room for a proof")

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

// Prove restores a backup below the scratch directory, has a real etcd serve it,
// and hashes its keys, compacted up to compact first where it can be (0: not), so
// that the hash can be held against a cluster's that has gone on. Nothing is left
// behind but what a crash leaves, which the next proof removes. ErrDamaged is the
// backup's fault, ErrNoRoom the disk's; any other error proves nothing.
func Prove(ctx context.Context, st Store, b cluster.Backup, etcd []string, scratch string, compact int64) (Proof, error) {
	began := time.Now()
	if err := emptied(scratch, 2*b.Size+walRoom+spare); err != nil {
		return Proof{}, fmt.Errorf("proving %s: %w", b.Key, err)
	}
	defer os.RemoveAll(scratch)
	data := filepath.Join(scratch, "etcd")
	const peer = "http://127.0.0.1:2380" // nobody listens there: replay has sockets of its own
	err := Restore(ctx, st, b, Target{DataDir: data, Name: "seed", PeerURL: peer, InitialCluster: "seed=" + peer, Token: "proof"})
	if err == nil {
		err = replay(ctx, etcd, data, filepath.Join(scratch, "etcd.log"))
	}
	if err != nil {
		return Proof{}, fmt.Errorf("proving %s: %w", b.Key, err)
	}
	p, err := hashOf(ctx, dbOf(data), compact)
	if err == nil && p.Revision < b.Revision {
		err = fmt.Errorf("%w: it ends at revision %d, and its manifest promises %d", ErrDamaged, p.Revision, b.Revision)
	}
	if err != nil {
		return Proof{}, fmt.Errorf("proving %s: %w", b.Key, err)
	}
	p.Key, p.Took = b.Key, time.Since(began)
	return p, nil
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
				return Proof{}, ctx.Err()
			}
		}
	}
	hash, _, err := kv.HashStorage().HashByRev(0)
	return Proof{Revision: hash.Revision, Compact: hash.CompactRevision, Hash: hash.Hash}, err
}
