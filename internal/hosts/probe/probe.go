// Package probe measures the host that it runs on, before a cluster is
// deployed there: the disk, free space, and whether each host reaches each
// other's ports. It is the binary that is to be deployed that runs it, so that
// it shows too that the binary runs there. It leaves nothing behind.
package probe

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/quorate/quorate/internal/hosts"
)

// Ready is what the probe prints once it listens, and Go what it then waits
// for: that all the others listen too.
type (
	Ready struct {
		Ready bool `json:"ready"`
	}
	Go struct {
		Go bool `json:"go"`
	}
)

// limit ends a probe whose caller has gone without a word.
const limit = 2 * time.Minute

// Run is the whole probe: it reads a hosts.Task from in, measures, prints Ready,
// waits for Go, calls the others, prints hosts.Measured, and listens on until in
// ends, as the others may be calling still. What cannot be measured is in
// Measured; only a caller that breaks the protocol makes an error.
func Run(ctx context.Context, in io.Reader, out io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	lines, answer := json.NewDecoder(in), json.NewEncoder(out)
	var task hosts.Task
	if err := lines.Decode(&task); err != nil {
		return fmt.Errorf("reading the task: %w", err)
	}
	var m hosts.Measured
	disk(task, &m)
	l := listen(task, &m)
	defer l.close()
	if err := answer.Encode(Ready{true}); err != nil {
		return err
	}
	var started Go
	if err := within(ctx, func() error { return lines.Decode(&started) }); err != nil {
		return fmt.Errorf("waiting for the others: %w", err)
	}
	m.Calls = call(ctx, task)
	if err := answer.Encode(m); err != nil {
		return err
	}
	_ = within(ctx, func() error { return lines.Decode(&started) }) // the end of in
	return nil
}

// within gives up on a read with the context; the read ends with the process.
func within(ctx context.Context, read func() error) error {
	done := make(chan error, 1)
	go func() { done <- read() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// disk measures where the data will be: the nearest directory that is there.
func disk(task hosts.Task, m *hosts.Measured) {
	at := filepath.Clean(task.DataDir)
	for {
		if info, err := os.Stat(at); err == nil && info.IsDir() {
			break
		}
		if at == filepath.Dir(at) {
			break
		}
		at = filepath.Dir(at)
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(at, &fs); err != nil {
		m.Errors = append(m.Errors, fmt.Sprintf("free space of %s: %v", at, err))
	}
	m.Free = int64(fs.Bavail) * fs.Bsize
	if _, err := os.Stat(filepath.Join(task.DataDir, "etcd", "member")); err == nil {
		m.Data = true
	}
	if task.Busy {
		return
	}
	latency, err := fsync(at)
	if err != nil {
		m.Errors = append(m.Errors, fmt.Sprintf("writing to %s: %v", at, err))
	}
	m.Fsync = latency
}

// listener holds the ports that were free.
type listener struct{ open []net.Listener }

func (l *listener) close() {
	for _, ln := range l.open {
		ln.Close()
	}
}

// listen takes the ports, as etcd and the agent will, and greets who calls.
func listen(task hosts.Task, m *hosts.Measured) *listener {
	l := &listener{}
	m.Here = true
	for _, p := range task.Ports {
		ln, err := net.Listen("tcp", net.JoinHostPort(task.Listen, strconv.Itoa(p.Number)))
		switch {
		case isErrno(err, unix.EADDRNOTAVAIL):
			m.Here = false
		case isErrno(err, unix.EADDRINUSE):
			m.Taken = append(m.Taken, hosts.Taken{Port: p, Holder: holder(task.Listen, p.Number)})
		case err != nil:
			m.Errors = append(m.Errors, fmt.Sprintf("listening on port %d: %v", p.Number, err))
		default:
			l.open = append(l.open, ln)
			go greet(ln, task)
		}
	}
	return l
}

// greet tells each caller who is here. It ends with its listener.
func greet(ln net.Listener, task hosts.Task) {
	for {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		_ = conn.SetDeadline(time.Now().Add(callLimit))
		fmt.Fprintf(conn, "%s%s\n", greeting(task.Nonce), task.Name)
		conn.Close()
	}
}

func greeting(nonce string) string { return "quorate-probe " + nonce + " " }
