package etcd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	bolt "go.etcd.io/bbolt"
	"golang.org/x/sys/unix"

	"github.com/quorate/quorate/internal/durable"
)

const (
	defragTmp  = "db.defragmented" // beside the database
	defragTx   = 8 << 20           // bytes in one transaction of the copy
	defragRoom = 64 << 20          // bytes that must stay free on the disk
)

// Defragmented is what a database was and is now, in bytes of its file.
type Defragmented struct {
	Before, After int64
	Took          time.Duration
}

// DefragmentData writes the database of a stopped etcd anew, without the holes
// that deleted data has left, beside the old one, makes that durable, and gives
// it the old one's name. Until that rename the old file is whole and in its
// place; a crash leaves at most a copy, which the next call removes. It refuses
// where the disk has no room for both. progress, called each second from another
// goroutine, hears how many bytes are written of how many at most.
func DefragmentData(etcdDir string, progress func(done, most int64)) (Defragmented, error) {
	began := time.Now()
	path := dbFile(etcdDir)
	tmp := filepath.Join(filepath.Dir(path), defragTmp)
	d, err := defragment(path, tmp, progress)
	if err != nil {
		return d, errors.Join(fmt.Errorf("defragmenting %s: %w", path, err), removeIfThere(tmp))
	}
	d.Took = time.Since(began)
	return d, nil
}

func defragment(path, tmp string, progress func(done, most int64)) (d Defragmented, err error) {
	old, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return d, err
	}
	defer old.Close()
	info, err := old.Stat()
	if err != nil {
		return d, err
	}
	d.Before = info.Size()
	if err := removeIfThere(tmp); err != nil {
		return d, err
	}
	if err := roomFor(d.Before, filepath.Dir(path)); err != nil {
		return d, err
	}
	stop := watchSize(tmp, d.Before, progress)
	err = compactFile(path, tmp)
	stop()
	if err != nil {
		return d, err
	}
	if info, err = os.Stat(tmp); err != nil {
		return d, err
	}
	d.After = info.Size()
	if err := durable.Rename(tmp, path); err != nil {
		return d, err
	}
	letGo(old)
	return d, nil
}

// compactFile copies all that the database holds. A damaged one is an error.
func compactFile(path, tmp string) error {
	return inDatabase(path, func(tx *bolt.Tx) (err error) {
		to, err := bolt.Open(tmp, 0o600, &bolt.Options{NoSync: true, NoFreelistSync: true, FreelistType: bolt.FreelistMapType, Timeout: time.Second, PageSize: tx.DB().Info().PageSize})
		if err != nil {
			return err
		}
		done := flushing(tmp)
		defer func() {
			done()
			if err == nil {
				err = to.Sync()
			}
			err = errors.Join(err, to.Close())
		}()
		return bolt.Compact(to, tx.DB(), defragTx)
	})
}

// flushEvery is how long what was written may wait in memory: gigabytes that one
// sync has to write hold up everybody's sync meanwhile, those of an etcd on the
// same disk too.
const flushEvery = 10 * time.Millisecond

// flushing keeps the disk writing what a file gets, until the returned function is
// called.
func flushing(path string) (done func()) {
	f, err := os.Open(path)
	if err != nil { // then the sync at the end writes it all
		return func() {}
	}
	stop := each(flushEvery, func() { flush(f) })
	return func() { stop(); f.Close() }
}

// roomFor says why the disk cannot hold another n bytes.
func roomFor(n int64, dir string) error {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return fmt.Errorf("asking how much room %s has: %w", dir, err)
	}
	if free := int64(s.Bavail) * int64(s.Bsize); free < n+defragRoom {
		return fmt.Errorf("the disk has %d bytes free, and the copy may need %d", free, n+defragRoom)
	}
	return nil
}

func removeIfThere(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// watchSize tells how far the copy is, until the returned function is called.
func watchSize(path string, most int64, progress func(done, most int64)) (stop func()) {
	return each(time.Second, func() {
		if info, err := os.Stat(path); err == nil {
			progress(info.Size(), most)
		}
	})
}

// each does something again and again, from another goroutine, until the returned
// function is called, which waits for what is under way.
func each(pace time.Duration, do func()) (stop func()) {
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(pace)
		defer tick.Stop()
		for {
			select {
			case <-quit:
				return
			case <-tick.C:
				do()
			}
		}
	}()
	return func() { close(quit); <-done }
}

// Defragment has the endpoint's running etcd write its database anew; it serves
// nobody until it is done.
func (c *Client) Defragment(ctx context.Context) error {
	return c.change(ctx, "defragmenting "+c.endpoint, func(etcd *clientv3.Client) error {
		// The client's own Defragment would dial a connection for each call.
		api := clientv3.RetryMaintenanceClient(etcd, etcd.ActiveConnection())
		_, err := api.Defragment(ctx, &etcdserverpb.DefragmentRequest{})
		return err
	})
}
