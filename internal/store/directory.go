package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// directory is a backend over a directory, which may be on a network file
// system and shared by machines. An object is a file; a key's segments are
// directories. Unlike in a bucket, a key cannot be both an object and the
// beginning of another's key with a slash.
//
// Every write goes to a temporary file beside its place, is synced, and then
// takes the place by link(2), which fails if the place is taken, in every
// process on every machine, or by rename(2). A crash leaves at most a
// temporary file, which nothing lists or reads, and a later upload sweeps. Empty
// directories stay.
type directory struct {
	root  string
	make  bool // make the root when it is missing
	tally *tally

	mu     sync.Mutex
	synced map[string]bool // directories whose own entry is known to be durable
	swept  map[string]time.Time
}

func newDirectory(root string, makeRoot bool, t *tally) *directory {
	return &directory{root: root, make: makeRoot, tally: t, synced: map[string]bool{}, swept: map[string]time.Time{}}
}

// create is durable also when it loses: the winner may not have synced yet,
// and the loser is about to act on what it reads.
func (d *directory) create(ctx context.Context, key string, data []byte) error {
	d.tally.add("create")
	temp, place, err := d.stage(ctx, key, writeBytes(data))
	if err != nil {
		return err
	}
	defer os.Remove(temp)
	err = os.Link(temp, place)
	switch {
	case err == nil:
	case sameFile(temp, place): // NFS lost the reply, and its retry met our own link
		err = nil
	case errors.Is(err, fs.ErrExist):
		err = ErrExists
	case errors.Is(err, syscall.EPERM), errors.Is(err, errors.ErrUnsupported):
		return fmt.Errorf("this file system has no hard links, which create-if-absent needs: %w", err)
	default:
		return err
	}
	return errors.Join(err, syncDir(filepath.Dir(place)))
}

func (d *directory) put(ctx context.Context, key string, data []byte) error {
	d.tally.add("put")
	return d.replace(ctx, key, writeBytes(data))
}

func (d *directory) upload(ctx context.Context, key string, r io.Reader) error {
	d.tally.add("upload")
	return d.replace(ctx, key, func(f *os.File) error {
		d.sweep(f.Name())
		return copyAll(ended{ctx, &paced{f: f}}, r)
	})
}

// copyAll hides the optional methods of both, so that every byte passes
// through r.Read, where it is watched and counted.
func copyAll(w io.Writer, r io.Reader) error {
	_, err := io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{r}, make([]byte, chunk))
	return err
}

// ended refuses to write once ctx has ended.
type ended struct {
	ctx context.Context
	w   io.Writer
}

func (e ended) Write(p []byte) (int, error) {
	if e.ctx.Err() != nil {
		return 0, context.Cause(e.ctx)
	}
	return e.w.Write(p)
}

func writeBytes(data []byte) func(*os.File) error {
	return func(f *os.File) error {
		_, err := f.Write(data)
		return err
	}
}

func (d *directory) replace(ctx context.Context, key string, write func(*os.File) error) error {
	temp, place, err := d.stage(ctx, key, write)
	if err != nil {
		return err
	}
	if err := os.Rename(temp, place); err != nil {
		os.Remove(temp)
		return err
	}
	return syncDir(filepath.Dir(place))
}

// stage writes a synced temporary file beside the key's place. On an error it
// leaves none.
func (d *directory) stage(ctx context.Context, key string, write func(*os.File) error) (temp, place string, err error) {
	place = d.place(key)
	if err := d.makeDirs(filepath.Dir(place)); err != nil {
		return "", "", err
	}
	f, err := os.CreateTemp(filepath.Dir(place), tempPrefix+"*")
	if err != nil {
		return "", "", err
	}
	err = write(f)
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil && ctx.Err() != nil { // nobody waits any more: do not surprise them later
		err = context.Cause(ctx)
	}
	if err != nil {
		os.Remove(f.Name())
		return "", "", err
	}
	return f.Name(), place, nil
}

func (d *directory) open(ctx context.Context, key string) (io.ReadCloser, error) {
	d.tally.add("read")
	f, err := os.Open(d.place(key))
	if err != nil {
		return nil, d.explain(err)
	}
	if info, err := f.Stat(); err != nil || info.IsDir() {
		f.Close()
		if err == nil {
			err = ErrNotFound
		}
		return nil, err
	}
	return f, nil
}

func (d *directory) size(ctx context.Context, key string) (int64, error) {
	d.tally.add("size")
	info, err := os.Stat(d.place(key))
	switch {
	case err != nil:
		return 0, d.explain(err)
	case info.IsDir():
		return 0, ErrNotFound
	}
	return info.Size(), nil
}

func (d *directory) delete(ctx context.Context, key string) error {
	d.tally.add("delete")
	info, err := os.Lstat(d.place(key))
	if err == nil && info.IsDir() {
		return nil // the beginning of other keys, and no object
	}
	if err == nil {
		err = os.Remove(d.place(key))
	}
	if err = d.explain(err); errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

func (d *directory) close() error { return nil }

// explain makes ErrNotFound of a missing file, but not of a missing root: that
// is a mount that is not there.
func (d *directory) explain(err error) error {
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := d.checkRoot(); err != nil {
		return err
	}
	return ErrNotFound
}

func (d *directory) checkRoot() error {
	info, err := os.Stat(d.root)
	switch {
	case err == nil && info.IsDir():
		return nil
	case err == nil:
		return fmt.Errorf("%s is not a directory", d.root)
	case !errors.Is(err, fs.ErrNotExist):
		return err
	case !d.make:
		return fmt.Errorf("%s does not exist: is it mounted? make it, or add ?create_dir=true", d.root)
	}
	return nil // it is made by the first write: who only looks leaves no trace
}

func (d *directory) makeRoot() error {
	if err := d.checkRoot(); err != nil {
		return err
	}
	if _, err := os.Stat(d.root); err == nil {
		return nil
	}
	if err := os.MkdirAll(d.root, 0o750); err != nil {
		return err
	}
	return syncDir(filepath.Dir(d.root))
}

// makeDirs makes dir, below the root, and sees to it that every directory on
// the way is durable, even one that another process has just made.
func (d *directory) makeDirs(dir string) error {
	if err := d.makeRoot(); err != nil {
		return err
	}
	rel, err := filepath.Rel(d.root, dir)
	if err != nil {
		return err
	}
	at := d.root
	for _, segment := range strings.Split(rel, string(filepath.Separator)) {
		parent := at
		at = filepath.Join(at, segment)
		err := os.Mkdir(at, 0o750)
		switch {
		case err != nil && !errors.Is(err, fs.ErrExist):
			return err
		case err != nil && d.isSynced(at):
			continue
		}
		if err := syncDir(parent); err != nil {
			return err
		}
		d.setSynced(at)
	}
	return nil
}

func (d *directory) isSynced(dir string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.synced[dir]
}

func (d *directory) setSynced(dir string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.synced[dir] = true
}

func sameFile(a, b string) bool {
	ia, erra := os.Stat(a)
	ib, errb := os.Stat(b)
	return erra == nil && errb == nil && os.SameFile(ia, ib)
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
