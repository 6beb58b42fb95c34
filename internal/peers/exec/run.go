package exec

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// The most that is read of what a program prints.
const (
	maxOutput = 1 << 20
	maxErrors = 64 << 10
)

var errOver = fmt.Errorf("it prints more than %d MiB", maxOutput>>20)

// run is what the program prints. When it has printed too much, it
// ends, or its time does, whatever of its process group still runs is killed.
func run(ctx context.Context, program string, timeout time.Duration) ([]byte, error) {
	ctx, stop := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("no answer within %s", timeout))
	defer stop()
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	var out, errOut capped
	out.max, errOut.max = maxOutput, maxErrors
	out.full = func() { end(errOver) }
	cmd := exec.CommandContext(ctx, program)
	cmd.Stdout, cmd.Stderr = &out, &errOut
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = time.Second // for a child that has left the group and holds the pipe
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	await(cmd.Process.Pid)
	_ = killGroup(cmd) // what it has left, while its number is still its own
	err := cmd.Wait()
	switch {
	case out.over:
		err = errOver
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	case errors.Is(err, exec.ErrWaitDelay):
		err = errors.New("it ended, and left a child that holds its output open")
	case err == nil && len(bytes.TrimSpace(out.text)) == 0:
		err = errors.New("it prints nothing")
	}
	if err != nil {
		return nil, withLast(err, errOut.text)
	}
	return out.text, nil
}

// await waits until a child has ended, and leaves its entry to be reaped.
func await(pid int) {
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			return
		}
	}
}

// killGroup kills the program and what it has started.
func killGroup(cmd *exec.Cmd) error {
	return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
}

// withLast adds the last line that a program wrote to its standard error.
func withLast(err error, said []byte) error {
	lines := strings.Split(strings.TrimSpace(string(said)), "\n")
	last := strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.TrimSpace(lines[len(lines)-1]))
	if last == "" {
		return err
	}
	return fmt.Errorf("%w: %.300s", err, last)
}

// capped is the end of what a program writes.
type capped struct {
	text []byte
	max  int
	over bool
	full func() // what is done when it is over; nil: nothing
}

// Write takes everything, so that the program does not block, and keeps the
// last of it: only a text that was never over is whole.
func (c *capped) Write(p []byte) (int, error) {
	c.text = append(c.text, p...)
	if extra := len(c.text) - c.max; extra > 0 {
		if !c.over && c.full != nil {
			c.full()
		}
		c.over = true
		c.text = append(c.text[:0], c.text[extra:]...)
	}
	return len(p), nil
}
