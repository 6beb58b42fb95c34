package probe

import (
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/quorate/quorate/internal/hosts"
)

// A write of etcd's log is about this long; so many are made, or fewer on a
// disk that needs longer than that for them.
const (
	writeBytes = 2300
	writes     = 300
	writeLimit = 5 * time.Second
)

// Fsync measures the disk below a directory, which must be there.
func Fsync(dir string) (hosts.Latency, error) { return fsync(dir) }

// fsync writes as etcd's log does, each write followed by fdatasync, into a
// file that has no name for long.
func fsync(dir string) (hosts.Latency, error) {
	f, err := os.CreateTemp(dir, ".quorate-probe-*")
	if err != nil {
		return hosts.Latency{}, err
	}
	defer f.Close()
	if err := os.Remove(f.Name()); err != nil {
		return hosts.Latency{}, err
	}
	var took []time.Duration
	block := make([]byte, writeBytes)
	for began := time.Now(); len(took) < writes && time.Since(began) < writeLimit; {
		at := time.Now()
		if _, err := f.Write(block); err != nil {
			return hosts.Latency{}, err
		}
		if err := unix.Fdatasync(int(f.Fd())); err != nil {
			return hosts.Latency{}, err
		}
		took = append(took, time.Since(at))
	}
	slices.Sort(took)
	return hosts.Latency{N: len(took), P50: took[len(took)/2], P99: took[len(took)*99/100]}, nil
}
