package ssh

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Conn is a connection to one host. Safe for concurrent use until Close.
type Conn struct {
	dest   string
	base   []string // options of every client, the control socket among them
	dir    string   // holds the socket
	master *exec.Cmd
	said   *tail // by the master
	ended  chan struct{}
}

// openLimit bounds the opening of a connection, bastions included.
const openLimit = 45 * time.Second

// Open connects to dest: a host name, an address, or an alias of ssh_config. An
// error says what to do where a person can do something: ErrUnknownKey,
// ErrChangedKey, ErrDenied.
func Open(ctx context.Context, o Options, dest string) (*Conn, error) {
	if _, err := exec.LookPath("ssh"); err != nil {
		return nil, errors.New("no ssh here: install OpenSSH's client")
	}
	dir, err := os.MkdirTemp("", "qssh")
	if err != nil {
		return nil, err
	}
	c := &Conn{dest: dest, dir: dir, said: new(tail), ended: make(chan struct{})}
	c.base = append(o.args(), "-S", c.socket())
	c.master = apart(exec.Command("ssh", append(c.base, "-M", "-N", "-o", "ControlPersist=no", "--", dest)...))
	c.master.Stderr = c.said
	if err := c.master.Start(); err != nil {
		os.RemoveAll(dir)
		return nil, fmt.Errorf("connecting to %s%s: %w", dest, o.through(), err)
	}
	go func() {
		_ = c.master.Wait() // what it said tells more
		close(c.ended)
	}()
	ctx, cancel := context.WithTimeout(ctx, openLimit)
	defer cancel()
	if err := c.opened(ctx); err != nil {
		c.Close()
		return nil, fmt.Errorf("connecting to %s%s: %w", dest, o.through(), err)
	}
	return c, nil
}

func (c *Conn) socket() string { return filepath.Join(c.dir, "s") }

// opened waits for the master's socket, which is there once the host has let us in.
func (c *Conn) opened(ctx context.Context) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, err := os.Stat(c.socket()); err == nil {
			return nil
		}
		select {
		case <-c.ended:
			return explained(c.said.String())
		case <-ctx.Done():
			return fmt.Errorf("%w: %s", ctx.Err(), c.said)
		case <-tick.C:
		}
	}
}

// Close ends the connection, and with it whatever still runs through it.
func (c *Conn) Close() error {
	_ = c.master.Process.Signal(syscall.SIGTERM) // it may have ended
	select {
	case <-c.ended:
	case <-time.After(5 * time.Second):
		_ = c.master.Process.Kill()
		<-c.ended
	}
	return os.RemoveAll(c.dir)
}

// Exec runs a program on the host to its end, with in as its standard input
// and out as its output; nil is none. The words reach it as they are. An error
// ends with what the program said on its standard error; ErrLost says that
// nobody knows how it ended.
func (c *Conn) Exec(ctx context.Context, in io.Reader, out io.Writer, words ...string) error {
	cmd := apart(exec.CommandContext(ctx, "ssh", append(c.base, "-o", "ControlMaster=no", "--", c.dest, line(words))...))
	said := new(tail)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, out, said
	cmd.WaitDelay = 2 * time.Second
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &exit) && exit.ExitCode() == 255:
		return fmt.Errorf("%w: %s", ErrLost, said)
	case errors.As(err, &exit):
		return &ExitError{Code: exit.ExitCode(), Said: said.String()}
	}
	return err
}

// ExitError is a program that ended with another code than 0.
type ExitError struct {
	Code int
	Said string // the end of its standard error
}

func (e *ExitError) Error() string {
	if e.Said == "" {
		return fmt.Sprintf("exit code %d", e.Code)
	}
	return e.Said
}

// apart puts a client into a process group of its own: an interrupt typed at
// the terminal is ours to handle, and undoing needs the connection.
func apart(cmd *exec.Cmd) *exec.Cmd {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return cmd
}

// Resolve is the host name or address that ssh_config makes of dest.
func Resolve(ctx context.Context, o Options, dest string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	said := new(tail)
	cmd := apart(exec.CommandContext(ctx, "ssh", append(o.args(), "-G", "--", dest)...))
	cmd.Stderr = said
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("asking ssh about %s: %w: %s", dest, err, said)
	}
	for l := range strings.Lines(string(out)) {
		if name, ok := strings.CutPrefix(l, "hostname "); ok {
			return strings.TrimSpace(name), nil
		}
	}
	return dest, nil
}
