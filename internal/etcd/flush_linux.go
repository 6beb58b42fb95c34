package etcd

import (
	"os"

	"golang.org/x/sys/unix"
)

// flush has the disk write what of the file waits in memory, and waits for it. It
// is a hint: what it cannot do, the sync at the end does.
func flush(f *os.File) {
	const all = unix.SYNC_FILE_RANGE_WAIT_BEFORE | unix.SYNC_FILE_RANGE_WRITE | unix.SYNC_FILE_RANGE_WAIT_AFTER
	_ = unix.SyncFileRange(int(f.Fd()), 0, 0, all)
}
