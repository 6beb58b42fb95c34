// Package lockfile makes the processes of tests wait for each other where one
// installs for all of them.
package lockfile

import (
	"fmt"
	"os"
	"syscall"
)

// Lock waits until no other process has the file, which it makes if need be. The
// lock is gone when the process is.
func Lock(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("locking %s: %w", path, err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		f.Close()
		return nil, fmt.Errorf("locking %s: %w", path, err)
	}
	return func() { f.Close() }, nil
}
