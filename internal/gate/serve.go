package gate

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"time"
)

// Raft is the member behind the gate. Safe for concurrent use.
type Raft interface {
	Lead() uint64 // member id; 0: none
	// LeaderChangedNotify is closed when a leader is known that is not the last one.
	LeaderChangedNotify() <-chan struct{}
}

// SocketVar names the variable by which an etcd learns where to listen.
const SocketVar = "QUORATE_GATE"

const socketFile = "gate.sock"

// Env is what an etcd is started with that works on quorate's data directory dir.
func Env(dir string) string { return SocketVar + "=" + filepath.Join(dir, socketFile) }

// hold is what the agent asks, and drained what it is told.
const (
	holdFormat    = "hold %x\n" // while this member leads
	drainedFormat = "drained\n"
	passedFormat  = "passed\n" // another one leads
)

// Serve listens on the socket until the process ends. Only the user that etcd
// runs as may connect. A socket that an earlier etcd has left is replaced.
func (g *Gate) Serve(socket string, r Raft) error {
	reach, release, err := reachable(socket)
	if err != nil {
		return fmt.Errorf("listening for holds: %w", err)
	}
	defer release()
	if err := os.Remove(reach); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("listening for holds: %w", err)
	}
	ln, err := listenPrivately(reach)
	if err != nil {
		return fmt.Errorf("listening for holds: %w", err)
	}
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go g.answer(conn, r)
		}
	}()
	return nil
}

// listenPrivately listens at a name that nobody knows yet, so that the socket
// has its permissions before it has its name.
func listenPrivately(path string) (net.Listener, error) {
	hidden := path + ".new"
	_ = os.Remove(hidden)
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: hidden, Net: "unix"})
	if err != nil {
		return nil, err
	}
	ln.SetUnlinkOnClose(false)
	if err = os.Chmod(hidden, 0o600); err == nil {
		err = os.Rename(hidden, path)
	}
	if err != nil {
		ln.Close()
		return nil, err
	}
	return ln, nil
}

// reachable is a path of at most 108 bytes, which is all that a socket's address
// holds, to the same file.
func reachable(socket string) (path string, release func(), err error) {
	dir, err := os.Open(filepath.Dir(socket))
	if err != nil {
		return "", nil, err
	}
	return fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), filepath.Base(socket)), func() { dir.Close() }, nil
}

// answer shuts the gate for one asker, until it has gone, another member leads,
// or HoldLimit is over.
func (g *Gate) answer(conn net.Conn, r Raft) {
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(2 * HoldLimit))
	var leader uint64
	if _, err := fmt.Fscanf(bufio.NewReader(conn), holdFormat, &leader); err != nil {
		return
	}
	changed := r.LeaderChangedNotify() // before the look: a change between them counts
	if r.Lead() != leader {
		fmt.Fprint(conn, passedFormat)
		return
	}
	idle := g.shut()
	defer g.open()
	gone := make(chan struct{})
	go func() {
		_, _ = conn.Read(make([]byte, 1))
		close(gone)
	}()
	limit := time.NewTimer(HoldLimit)
	defer limit.Stop()
	for {
		select {
		case <-idle:
			fmt.Fprint(conn, drainedFormat)
			idle = nil
		case <-changed:
			return
		case <-gone:
			return
		case <-limit.C:
			return
		}
	}
}
