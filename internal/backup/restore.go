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

	"go.etcd.io/etcd/etcdutl/v3/snapshot"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

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
	PeerURL        string // the founder's
	InitialCluster string // of all founders, as etcd's --initial-cluster
	Token          string // fresh for each epoch
	// Bump is added to the revision, and everything up to there marked
	// compacted, so that a watcher from before gets an error. 0 does neither.
	Bump uint64
	// Progress, if set, is told the bytes of the database on disk so far.
	Progress func(done int64)
}

// Restore builds the target's data directory from a backup. The database is
// checked while it streams to a file beside the target, so nothing is built
// from damaged bytes (ErrDamaged). When it returns nil, all of it is durable;
// when not, nothing is left. A crash leaves a file and a directory, both named
// after DataDir, which the caller clears before the next try.
func Restore(ctx context.Context, st Store, b cluster.Backup, into Target) error {
	if err := vacant(into.DataDir); err != nil {
		return fmt.Errorf("restoring %s: %w", b.Key, err)
	}
	if err := roomFor(filepath.Dir(into.DataDir), 2*b.Size+walRoom); err != nil {
		return fmt.Errorf("restoring %s: %w", b.Key, err)
	}
	db := into.DataDir + ".download"
	defer os.Remove(db)
	if err := download(ctx, st, b, db, into.Progress); err != nil {
		return fmt.Errorf("restoring %s: %w", b.Key, err)
	}
	if err := build(ctx, db, into); err != nil {
		return fmt.Errorf("restoring %s: %w", b.Key, err)
	}
	return nil
}

func download(ctx context.Context, st Store, b cluster.Backup, name string, progress func(int64)) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	var w io.Writer = f
	if progress != nil {
		w = io.MultiWriter(f, &teller{tell: progress})
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

// build makes a data directory out of a database whose hash is checked or
// which never had one. On an error the directory is gone again.
func build(ctx context.Context, db string, into Target) (err error) {
	if err := ctx.Err(); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(into.DataDir))
		}
	}()
	if err := rebuild(db, into); err != nil {
		return fmt.Errorf("building %s: %w", into.DataDir, err)
	}
	if err := syncTree(into.DataDir); err != nil {
		return fmt.Errorf("building %s: %w", into.DataDir, err)
	}
	return ctx.Err()
}

// rebuild is etcdutl's restore. It keeps users, roles, leases and revisions,
// and makes new members and a new log. etcd panics, or asks its logger to exit,
// on a database that it cannot open; here that is an error.
func rebuild(db string, into Target) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("etcd gave up: %v", p)
		}
	}()
	lg := zap.NewNop().WithOptions(zap.WithFatalHook(zapcore.WriteThenPanic))
	return snapshot.NewV3(lg).Restore(snapshot.RestoreConfig{
		SnapshotPath:        db,
		Name:                into.Name,
		OutputDataDir:       into.DataDir,
		PeerURLs:            []string{into.PeerURL},
		InitialCluster:      into.InitialCluster,
		InitialClusterToken: into.Token,
		SkipHashCheck:       true, // download has checked it; a data directory's file has none
		RevisionBump:        into.Bump,
		MarkCompacted:       into.Bump > 0,
	})
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
