package store

import (
	"os"

	"golang.org/x/sys/unix"
)

// Both are hints: what they cannot do, the sync does.

func beginWriting(f *os.File, from, n int64) {
	_ = unix.SyncFileRange(int(f.Fd()), from, n, unix.SYNC_FILE_RANGE_WRITE)
}

// awaitWritten also gives back the memory: nobody reads it soon, and etcd's
// database wants it.
func awaitWritten(f *os.File, from, to int64) {
	if to <= from {
		return
	}
	const done = unix.SYNC_FILE_RANGE_WAIT_BEFORE | unix.SYNC_FILE_RANGE_WRITE | unix.SYNC_FILE_RANGE_WAIT_AFTER
	_ = unix.SyncFileRange(int(f.Fd()), from, to-from, done)
	_ = unix.Fadvise(int(f.Fd()), from, to-from, unix.FADV_DONTNEED)
}
