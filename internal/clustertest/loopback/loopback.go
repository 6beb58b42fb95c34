// Package loopback shares out the loopback addresses among the test processes
// of a machine, which run at the same time: `make test` runs two packages, and
// people several clones. Who may use which:
//
//	127.0.0.n to 127.0.63.n       a package's own hosts, named in its tests
//	127.0.b.n, b of Take("rigs")  what cmd/quorate's tests run beside their rigs
//	127.n.b.n, that b, n 1 to 250 those rigs' hosts, but for the next two
//	127.31.b.n                    fleettest's machines (Fleets)
//	127.88.1.n                    the probe's hosts
//	127.251.n.n to 127.254.n.n    free ports (package process)
package loopback

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// Fleets is the second byte that is fleettest's alone.
const Fleets = 31

// Take is a number below limit that no other process on this machine has taken
// of that kind, until the file is closed or this process ends, however it does.
// Whoever is given the file to inherit keeps the number too: what outlives a test
// that was killed, at its addresses, is in nobody's way.
func Take(kind string, limit int) (n int, held *os.File, err error) {
	for n := range limit {
		f, err := os.OpenFile(filepath.Join(os.TempDir(), fmt.Sprintf("quorate-%s-network-%d.lock", kind, n)), os.O_CREATE|os.O_RDWR, 0o600)
		if os.IsPermission(err) {
			continue // another user's
		}
		if err != nil {
			return 0, nil, fmt.Errorf("taking a network: %w", err)
		}
		if syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
			return n, f, nil
		}
		f.Close()
	}
	return 0, nil, fmt.Errorf("taking a network: all %d of the %s are taken", limit, kind)
}

// Rig is the n-th network, its first three bytes, of a process that has taken b:
// 247 different ones, and then the first again. Each is no other kind's.
func Rig(n, b int) string {
	second := n%247 + 1
	for _, others := range []int{Fleets, 88} {
		if second >= others {
			second++
		}
	}
	return fmt.Sprintf("127.%d.%d", second, b)
}
