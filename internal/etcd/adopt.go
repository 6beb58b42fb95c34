package etcd

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// Adopt finds the etcd that an earlier agent left running: by the pid file in
// dir, else, because an agent may die between a start and its pid file, by a
// search through /proc for a server on etcdDir. False without an error means
// that none runs in sight (etcd's own file locks guard against one out of
// sight, in another pid namespace).
func Adopt(dir, etcdDir string) (*Process, bool, error) {
	id, recorded, err := readPID(dir)
	if err != nil {
		return nil, false, fmt.Errorf("adopting etcd: %w", err)
	}
	if recorded {
		switch p, err := attach(id); {
		case err == nil:
			return p, true, nil
		case !errors.Is(err, errNoProcess):
			return nil, false, fmt.Errorf("adopting etcd, pid %d: %w", id.PID, err)
		}
	}
	id, found, err := findServer(etcdDir)
	if err != nil || !found {
		return nil, false, err
	}
	p, err := attach(id)
	switch {
	case errors.Is(err, errNoProcess):
		return nil, false, nil
	case err != nil:
		return nil, false, fmt.Errorf("adopting etcd, pid %d: %w", id.PID, err)
	}
	if err := writePID(dir, id); err != nil {
		return nil, false, fmt.Errorf("adopting etcd, pid %d: %w", id.PID, err)
	}
	return p, true, nil
}

// readPID reads the pid file. One that makes no sense counts as none: the
// search finds what it should have named.
func readPID(dir string) (identity, bool, error) {
	b, err := os.ReadFile(filepath.Join(dir, pidFile))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return identity{}, false, nil
	case err != nil:
		return identity{}, false, err
	}
	var id identity
	if json.Unmarshal(b, &id) != nil || id.PID <= 0 {
		return identity{}, false, nil
	}
	return id, true, nil
}

// attach takes hold of a running process and watches it, or returns
// errNoProcess. The handles come first and the proof second: a handle keeps
// its process though the pid may go to another.
func attach(id identity) (*Process, error) {
	fd, err := unix.PidfdOpen(id.PID, 0)
	switch {
	case errors.Is(err, unix.ESRCH), errors.Is(err, unix.EINVAL):
		return nil, errNoProcess
	case err != nil:
		return nil, fmt.Errorf("watching it: %w", err)
	}
	handle, err := os.FindProcess(id.PID)
	if err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	now, err := identify(id.PID)
	if err == nil && now != id {
		err = errNoProcess
	}
	if err != nil {
		return nil, errors.Join(err, handle.Release(), unix.Close(fd))
	}
	p := &Process{id: id, handle: handle, done: make(chan struct{})}
	go p.watch(fd)
	return p, nil
}

// watch waits for a process that is not our child; it ends with it.
func (p *Process) watch(fd int) {
	defer unix.Close(fd)
	p.exit = "ended; it was adopted, so its exit status went to init"
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, -1)
		if n > 0 {
			break
		}
		if err != nil && !errors.Is(err, unix.EINTR) {
			time.Sleep(time.Second) // out of memory: not knowing is not its end
		}
	}
	// An agent that replaced itself by exec is still the parent.
	_, _ = unix.Wait4(p.id.PID, nil, unix.WNOHANG, nil)
	close(p.done)
}
