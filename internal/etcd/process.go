package etcd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/quorate/quorate/internal/durable"
)

const (
	pidFile = "etcd.pid.json"
	logFile = "etcd.log"

	// logLimit is the size above which a start begins a new log; one old is kept.
	logLimit = 64 << 20

	// killWait bounds the wait for a killed process: one that sleeps in the
	// kernel on a dead disk may outlast it.
	killWait = 10 * time.Second
)

// Process is an etcd that runs or has run, started by this agent or adopted
// from an earlier one. It is in a session of its own and does not end with the
// agent. Safe for concurrent use.
type Process struct {
	id     identity
	handle *os.Process // holds a pidfd: a signal never reaches a later process
	done   chan struct{}
	exit   string // how it ended; written before done is closed
}

// Launch starts etcd and writes its pid file into dir durably. Crash windows:
// between the start and the pid file, Adopt finds it by its --data-dir.
func Launch(dir string, bin Binary, args, env []string) (*Process, error) {
	out, err := openLog(dir)
	if err != nil {
		return nil, fmt.Errorf("starting etcd: %w", err)
	}
	defer out.Close()
	cmd := exec.Command(bin.Path, slices.Concat(bin.Prefix, args)...)
	cmd.Env = env
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &unix.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting etcd: %w", err)
	}
	// Until Wait the child keeps its pid and its entry in /proc, dead or not.
	_, start, statErr := procStat(cmd.Process.Pid)
	boot, bootErr := bootID()
	p := &Process{
		id:     identity{PID: cmd.Process.Pid, Start: start, Boot: boot},
		handle: cmd.Process,
		done:   make(chan struct{}),
	}
	go p.wait(cmd)
	if err := errors.Join(statErr, bootErr, writePID(dir, p.id)); err != nil {
		return nil, errors.Join(fmt.Errorf("starting etcd: recording its pid: %w", err), p.kill())
	}
	return p, nil
}

// wait reaps our own child; it ends with it.
func (p *Process) wait(cmd *exec.Cmd) {
	err := cmd.Wait()
	switch {
	case cmd.ProcessState != nil:
		p.exit = cmd.ProcessState.String()
	case err != nil:
		p.exit = err.Error()
	}
	close(p.done)
}

// PID is the process id.
func (p *Process) PID() int { return p.id.PID }

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Exit says how it ended, for people; call it after Done. Of an adopted
// process nobody but init knows.
func (p *Process) Exit() string {
	<-p.done
	return p.exit
}

// Started is when the process started, to about a second.
func (p *Process) Started() time.Time { return startTime(p.id.Start) }

// Stop ends etcd and returns when it has ended: SIGTERM, on which etcd hands
// its leadership over and closes its files; when ctx ends, SIGKILL to its
// group. An error means that it may still run.
func (p *Process) Stop(ctx context.Context) error {
	if err := p.handle.Signal(unix.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stopping etcd, pid %d: %w", p.PID(), err)
	}
	select {
	case <-p.done:
		return nil
	case <-ctx.Done():
		return p.kill()
	}
}

// kill ends the process and what it has started, which is nothing in etcd and
// may be something in a binary that the operator put in its place.
func (p *Process) kill() error {
	if pgid, err := unix.Getpgid(p.PID()); err == nil && pgid == p.PID() && !p.ended() {
		_ = unix.Kill(-pgid, unix.SIGKILL) // the one below is the one that counts
	}
	if err := p.handle.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("killing etcd, pid %d: %w", p.PID(), err)
	}
	select {
	case <-p.done:
		return nil
	case <-time.After(killWait):
		return fmt.Errorf("killing etcd, pid %d: it is still there after %s", p.PID(), killWait)
	}
}

// Paused says that the process is stopped by a signal, and goes on at SIGCONT.
func (p *Process) Paused() bool {
	state, start, err := procStat(p.PID())
	return err == nil && start == p.id.Start && (state == "T" || state == "t")
}

func (p *Process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

func writePID(dir string, id identity) error {
	b, err := json.Marshal(id)
	if err != nil {
		return err
	}
	return durable.WriteFile(filepath.Join(dir, pidFile), b, 0o600)
}

// openLog is where etcd's output goes: the journal, when our standard error
// is it, else a file; never a pipe, because a pipe dies with the agent and
// etcd with the pipe.
func openLog(dir string) (*os.File, error) {
	if isJournal(os.Stderr, os.Getenv("JOURNAL_STREAM")) {
		fd, err := unix.FcntlInt(os.Stderr.Fd(), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			return nil, fmt.Errorf("sharing the journal: %w", err)
		}
		return os.NewFile(uintptr(fd), "journal"), nil
	}
	path := filepath.Join(dir, logFile)
	switch info, err := os.Stat(path); {
	case err == nil && info.Size() > logLimit:
		if err := os.Rename(path, path+".1"); err != nil {
			return nil, fmt.Errorf("rotating the log: %w", err)
		}
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	return os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o640)
}

// isJournal says that f is the stream that systemd named in JOURNAL_STREAM as
// device:inode. The variable alone does not prove it: it is inherited by what
// runs behind a pipe too.
func isJournal(f *os.File, stream string) bool {
	var st unix.Stat_t
	if stream == "" || unix.Fstat(int(f.Fd()), &st) != nil {
		return false
	}
	return stream == fmt.Sprintf("%d:%d", st.Dev, st.Ino)
}
