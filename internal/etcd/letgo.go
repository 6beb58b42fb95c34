package etcd

import (
	"os"

	"golang.org/x/sys/unix"
)

// letGoPart is how many bytes of a file are given back to the disk at once: the
// whole of a gigabyte holds up everybody's sync for tens of milliseconds, those of
// an etcd on the same disk too.
const letGoPart = 32 << 20

// letGo gives back, part by part, the room of a file that has lost its name. A file
// that has another name, or that a reader has locked as it does a database, stays as
// it is: the kernel lets it go after the last one has closed it.
func letGo(f *os.File) {
	var s unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &s); err != nil || s.Nlink > 0 {
		return
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return
	}
	for left := s.Size; left > 0; {
		left = max(0, left-letGoPart)
		if f.Truncate(left) != nil || f.Sync() != nil { // then all at once, at the end
			return
		}
	}
}
