package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/quorate/quorate/internal/cluster"
)

// walRoom is what etcd allocates for the first files of a write-ahead log.
const walRoom = 192 << 20

// Target is the data directory to build for one founder.
type Target struct {
	// DataDir is a staging directory: it must not exist, or be empty. The
	// caller renames it into place.
	DataDir        string
	Name           string // the founder's
	PeerURL        string // the founder's; several are parted by commas
	InitialCluster string // of all founders, as etcd's --initial-cluster
	Token          string // fresh for each epoch
	// Bump is added to the revision, and everything up to there marked
	// compacted, so that a watcher from before gets an error. 0 does neither.
	Bump uint64
	// Progress, if set, is told the bytes of the database on disk so far.
	Progress func(done int64)
	// Unpacked, if it is of the backup that is restored, and on the directory's
	// file system, is taken for its database: nothing is read again. Of several
	// targets the first one's counts.
	Unpacked *Unpacked
}

// Restore builds the target's data directory from a backup, in one pass: the
// database is checked while it streams to its place, and nothing is made of
// damaged bytes (ErrDamaged). When it returns nil, all of it is durable; when
// not, nothing is left. A crash leaves a directory that has not been renamed,
// which the caller clears before the next try.
func Restore(ctx context.Context, st Store, b cluster.Backup, into Target) error {
	return RestoreAll(ctx, st, b, Amendment{}, into)
}

// Amendment changes a database before its new members are put in.
type Amendment struct {
	Do   func(db string) error // on a closed file, which it need not sync; nil: nothing
	Room int64                 // bytes by which the file may grow
}

// RestoreAll is Restore for several targets out of one download: all are built
// or none is left.
func RestoreAll(ctx context.Context, st Store, b cluster.Backup, amend Amendment, into ...Target) error {
	have := into[0].Unpacked
	there := int64(0)
	if have.Is(b) {
		there = b.Size
	}
	err := room(into, b.Size+amend.Room+walRoom, there)
	if err == nil {
		err = build(ctx, into, func(db string) error {
			err := fetch(ctx, st, b, have, db, into[0].Progress)
			if err == nil && amend.Do != nil {
				err = amend.Do(db)
			}
			return err
		})
	}
	if err != nil {
		return fmt.Errorf("restoring %s: %w", b.Key, err)
	}
	return nil
}

// room refuses targets that hold anything, and disks that cannot hold them all
// beside what is there already.
func room(into []Target, each, there int64) error {
	for _, t := range into {
		if err := vacant(t.DataDir); err != nil {
			return err
		}
		if err := roomFor(filepath.Dir(t.DataDir), each*int64(len(into))-there); err != nil {
			return err
		}
	}
	return nil
}

// fetch puts the backup's database into a new file: the one that is unpacked
// already, or else out of the store.
func fetch(ctx context.Context, st Store, b cluster.Backup, have *Unpacked, name string, progress func(int64)) error {
	if have.Is(b) && have.give(name) == nil {
		return nil
	}
	return download(ctx, st, b, name, progress)
}

// download writes the backup's database to a new file, and has the disk write
// it while more comes.
func download(ctx context.Context, st Store, b cluster.Backup, name string, progress func(int64)) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	w := io.Writer(&paced{f: f})
	if progress != nil {
		w = io.MultiWriter(w, &teller{tell: progress})
	}
	return errors.Join(unpack(ctx, st, b, w), f.Close())
}

// teller reports progress each time another 16 MiB have passed.
type teller struct {
	tell       func(int64)
	done, told int64
}

func (t *teller) Write(p []byte) (int, error) {
	t.done += int64(len(p))
	if t.done-t.told >= 16<<20 {
		t.told = t.done
		t.tell(t.done)
	}
	return len(p), nil
}

// vacant refuses a target that holds anything: nothing is ever overwritten.
func vacant(dir string) error {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case len(entries) > 0:
		return fmt.Errorf("%s is not empty", dir)
	}
	return nil
}

// roomFor refuses before a disk fills up: inside a restore, a full disk is a
// panic in a goroutine of etcd's that nobody can catch.
func roomFor(dir string, bytes int64) error {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return fmt.Errorf("asking for the free space of %s: %w", dir, err)
	}
	if free := int64(st.Bavail) * int64(st.Bsize); free < bytes {
		return fmt.Errorf("%s has %d MiB free and %d MiB are needed", dir, free>>20, bytes>>20)
	}
	return nil
}

// syncTree makes every file of the directory and every name in it durable,
// and its own name in its parent.
func syncTree(dir string) error {
	err := filepath.WalkDir(dir, func(name string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return syncOne(name)
	})
	if err != nil {
		return err
	}
	return syncOne(filepath.Dir(dir))
}

func syncOne(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
