// Package process runs other programs beside a test: real parts, that end when
// it does.
package process

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Start runs a program until the test ends; after a failure it shows the end of
// what it said.
func Start(t testing.TB, path string, args ...string) *os.Process {
	t.Helper()
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command(path, args...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // killed, it says its error
		if t.Failed() {
			said, _ := os.ReadFile(log.Name())
			t.Logf("%s %q:\n%s", path, args, said[max(0, len(said)-3000):])
		}
	})
	return cmd.Process
}

// Pause makes a process silent, as a machine that hangs. A signal alone does not
// yet: until the kernel has halted every thread, the others go on answering.
func Pause(t testing.TB, p *os.Process) {
	t.Helper()
	if err := p.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(30 * time.Second); ; {
		halted, err := isHalted(p.Pid)
		if err != nil {
			t.Fatal(err)
		}
		if halted {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("pausing process %d: it runs on", p.Pid)
		}
		time.Sleep(time.Millisecond) // between two looks
	}
}

// isHalted says that every thread has come to its halt.
func isHalted(pid int) (bool, error) {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	if err != nil || len(threads) == 0 {
		return false, errors.Join(fmt.Errorf("looking at process %d: it has no threads", pid), err)
	}
	for _, path := range threads {
		raw, _ := os.ReadFile(path) // one that has ended is not running
		text := string(raw)
		if i := strings.LastIndex(text, ") "); i >= 0 && text[i+2] != 'T' {
			return false, nil
		}
	}
	return true, nil
}

// Resume lets a paused process go on.
func Resume(t testing.TB, p *os.Process) {
	t.Helper()
	if err := p.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
}

var (
	mu    sync.Mutex
	given = map[string]bool{}
)

// FreeAddr is a host:port that is free now, and is given once. Its host is this
// test process's own, so that no other takes it before somebody listens there.
func FreeAddr(t testing.TB) string {
	t.Helper()
	return FreeAddrAt(t, 0)
}

// FreeAddrAt is one at the first, second, third or fourth (3) host of this process.
func FreeAddrAt(t testing.TB, host int) string {
	t.Helper()
	mu.Lock()
	defer mu.Unlock()
	for {
		ln, err := net.Listen("tcp", fmt.Sprintf("127.%d.%d.%d:0", 251+host, os.Getpid()>>8&0xff, os.Getpid()&0xff))
		if err != nil {
			t.Fatal(err)
		}
		addr := ln.Addr().String()
		ln.Close()
		if !given[addr] {
			given[addr] = true
			return addr
		}
	}
}
