package backup

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"go.etcd.io/bbolt"
	"go.etcd.io/etcd/server/v3/storage/schema"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/etcd"
)

// Survivor is the disk of a member whose cluster has lost its quorum for good.
type Survivor struct {
	// Etcd is the command before etcd's own flags: {"quorate", "etcd"}, or a
	// binary. It must be of the version that wrote the data.
	Etcd []string
	// DataDir is etcd's, and its process is stopped. It is only read.
	DataDir string
	// Scratch is a directory that must not exist or be empty, on the target's
	// file system, which has room for a copy. It is removed whatever happens.
	Scratch string
	Target  Target
}

// SeedFromSurvivor builds the target's data directory from everything that the
// survivor's disk holds, its write-ahead log included: an acknowledged write
// may be in the log of one member alone and not yet in its database. A copy of
// the directory gets its whole log committed and is run by etcd itself, alone
// and unreachable, until all of it is applied; the database it leaves is the
// seed. When it returns nil the target is durable; when not, nothing is left
// of it. The survivor's own directory stays as it is, always.
func SeedFromSurvivor(ctx context.Context, s Survivor) (err error) {
	if err := s.check(); err != nil {
		return fmt.Errorf("seeding from a survivor: %w", err)
	}
	defer func() {
		err = errors.Join(err, os.RemoveAll(s.Scratch))
	}()
	if err := s.seed(ctx); err != nil {
		return fmt.Errorf("seeding from the survivor %s: %w", s.DataDir, err)
	}
	return nil
}

func (s Survivor) check() error {
	if len(s.Etcd) == 0 {
		return errors.New("no etcd to run")
	}
	size, err := dirSize(s.DataDir)
	if err != nil {
		return err
	}
	for _, dir := range []string{s.Scratch, s.Target.DataDir} {
		if err := vacant(dir); err != nil {
			return err
		}
	}
	return roomFor(filepath.Dir(s.Target.DataDir), size+2*walRoom)
}

func (s Survivor) seed(ctx context.Context) error {
	copied := filepath.Join(s.Scratch, "etcd")
	if err := os.MkdirAll(s.Scratch, 0o700); err != nil {
		return err
	}
	if err := etcd.CopyDir(copied, s.DataDir); err != nil {
		return err
	}
	if err := etcd.ForceCommit(copied); err != nil {
		return err
	}
	if err := etcd.RenewIdentity(copied); err != nil {
		return err
	}
	disk := etcd.ReadDisk(s.Scratch, copied)
	if disk.State != cluster.DiskData {
		return fmt.Errorf("the copy is %q: %s", disk.State, disk.Detail)
	}
	if err := replay(ctx, s.Etcd, copied, filepath.Join(s.Scratch, "etcd.log")); err != nil {
		return err
	}
	db := filepath.Join(copied, "member", "snap", "db")
	if err := holds(db, disk.Index); err != nil {
		return err
	}
	return build(ctx, []Target{s.Target}, func(own string) error { return os.Rename(db, own) })
}

// holds checks that a stopped member's database has applied every entry up to
// index: the one proof that no acknowledged write is left behind.
func holds(db string, index uint64) error {
	b, err := bbolt.Open(db, 0o600, &bbolt.Options{ReadOnly: true})
	if err != nil {
		return fmt.Errorf("opening the database: %w", err)
	}
	defer b.Close()
	return b.View(func(tx *bbolt.Tx) error {
		applied, err := consistentIndex(tx)
		if err == nil && applied < index {
			err = fmt.Errorf("etcd applied the log up to entry %d of %d", applied, index)
		}
		return err
	})
}

func consistentIndex(tx *bbolt.Tx) (uint64, error) {
	meta := tx.Bucket(schema.Meta.Name())
	if meta == nil {
		return 0, errors.New("the database has no meta bucket")
	}
	return bigEndian(meta.Get(schema.MetaConsistentIndexKeyName))
}

func bigEndian(b []byte) (uint64, error) {
	if len(b) != 8 {
		return 0, errors.New("the database has no consistent index")
	}
	return binary.BigEndian.Uint64(b), nil
}

func dirSize(dir string) (n int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			n += info.Size()
		}
		return err
	})
	return n, err
}
