// Package child runs processes that do not outlive this one: an etcd on scratch
// data, a worker that may crash. What becomes of an etcd that serves is package
// etcd's.
package child

import (
	"errors"
	"os"
	"os/exec"
	"runtime"
)

// Process is a started command. Safe for concurrent use.
type Process struct {
	cmd   *exec.Cmd
	ended chan struct{}
	err   error // of Wait; valid once ended
}

// Start starts the command in a goroutine that keeps its thread until the
// command has ended: the kernel kills the child with the thread that made it, so
// that a crash of this process leaves no child behind. A Ctrl-C at the terminal
// does not reach it past us. The command's priority is this process's own.
func Start(cmd *exec.Cmd) (*Process, error) {
	dieWithUs(cmd)
	p := &Process{cmd: cmd, ended: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(p.ended)
		err := cmd.Start()
		started <- err
		if err == nil {
			p.err = cmd.Wait()
		}
	}()
	return p, <-started
}

// Ended is closed once the process has been waited for.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// Wait waits for its end and is exec.Cmd's Wait.
func (p *Process) Wait() error {
	<-p.ended
	return p.err
}

// State is how it ended; it waits for that.
func (p *Process) State() *os.ProcessState {
	<-p.ended
	return p.cmd.ProcessState
}

// Signal sends a signal; a process that has ended is none to complain of.
func (p *Process) Signal(sig os.Signal) error {
	if err := p.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return nil
}

// Kill ends it at once and waits for that.
func (p *Process) Kill() {
	p.cmd.Process.Kill() // nothing, if it has ended
	<-p.ended
}
