package etcd

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// identity tells one process from every other on this machine, before and
// after a reboot: a pid is used again, a pid with its start time is not.
type identity struct {
	PID   int    `json:"pid"`
	Start uint64 `json:"start"` // ticks since boot, /proc/PID/stat
	Boot  string `json:"boot"`  // the kernel's boot id
}

// errNoProcess means that nothing of that pid runs (a zombie does not run).
var errNoProcess = errors.New("no such process")

// identify reads the identity of a process, or errNoProcess.
func identify(pid int) (identity, error) {
	state, start, err := procStat(pid)
	if err != nil {
		return identity{}, err
	}
	if state == "Z" || state == "X" {
		return identity{}, errNoProcess
	}
	boot, err := bootID()
	return identity{PID: pid, Start: start, Boot: boot}, err
}

// procStat reads a process's state and start time. The name in the second
// field may hold anything, blanks and parentheses too, so fields count from
// its last parenthesis.
func procStat(pid int) (state string, start uint64, err error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ESRCH):
		return "", 0, errNoProcess
	case err != nil:
		return "", 0, err
	}
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	const stateField, startField = 0, 19
	if len(fields) <= startField {
		return "", 0, fmt.Errorf("reading /proc/%d/stat: %d fields after the name", pid, len(fields))
	}
	start, err = strconv.ParseUint(fields[startField], 10, 64)
	return fields[stateField], start, err
}

func bootID() (string, error) {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(b)), err
}

// startTime turns ticks since boot into a time; zero when the kernel does not
// say when it booted.
func startTime(ticks uint64) time.Time {
	const perSecond = 100 // USER_HZ, the same on every Linux
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return time.Time{}
	}
	for line := range strings.Lines(string(b)) {
		if at, found := strings.CutPrefix(line, "btime "); found {
			boot, err := strconv.ParseInt(strings.TrimSpace(at), 10, 64)
			if err != nil {
				return time.Time{}
			}
			return time.Unix(boot, 0).Add(time.Duration(ticks) * (time.Second / perSecond))
		}
	}
	return time.Time{}
}

// findServer looks through all processes for an etcd server on the data
// directory; of several, the one started last, for a wrapper starts first.
func findServer(etcdDir string) (found identity, ok bool, err error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return identity{}, false, fmt.Errorf("looking for a running etcd: %w", err)
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() || !serves(pid, etcdDir) {
			continue
		}
		id, err := identify(pid)
		if err != nil || (ok && id.Start < found.Start) {
			continue
		}
		found, ok = id, true
	}
	return found, ok, nil
}

// serves says that the process is an etcd server on the data directory. A
// process that ends while it is read serves nothing.
func serves(pid int, etcdDir string) bool {
	b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cmdline"))
	return err == nil && servesArgs(strings.Split(strings.TrimRight(string(b), "\x00"), "\x00"), etcdDir)
}

// servesArgs looks for our --data-dir, and for peers to listen for, which a
// tool at work on the same directory does not do.
func servesArgs(argv []string, etcdDir string) bool {
	first := slices.IndexFunc(argv, func(a string) bool { return strings.HasPrefix(a, "-") })
	if first < 0 {
		return false
	}
	settings, err := parseExtra(argv[first:])
	if err != nil {
		return false
	}
	listens := slices.ContainsFunc(settings, func(s Setting) bool { return s.Flag == "listen-peer-urls" })
	ours := slices.ContainsFunc(settings, func(s Setting) bool {
		return s.Flag == "data-dir" && filepath.Clean(s.Value) == filepath.Clean(etcdDir)
	})
	return listens && ours
}
