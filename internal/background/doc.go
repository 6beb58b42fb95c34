// Package background runs work that must not slow etcd down: what streams and
// packs gigabytes beside it takes only what the processors and the disk have to
// spare.
package background

import (
	"os"
	"os/exec"
	"time"
)

// patience is how long a process takes only what nobody else wants. On a machine
// that is never idle it would not end; afterwards it gets a small share.
const patience = 20 * time.Second

// Run runs a process, and those that it starts, on what is to spare. It is for
// processes and not for goroutines: these start others, which would not yield,
// and one that waits for a processor holds up those that do not.
func Run(cmd *exec.Cmd) error { return run(cmd, patience) }

// Yield does the same for this process, from now on: for one that starts as others
// do because it may have little to do.
func Yield() {
	yieldWhole(os.Getpid())
	time.AfterFunc(patience, func() { hurry(os.Getpid()) })
}

// run starts the process on a thread that has yielded, which it inherits. That
// thread lives until the process has ended: where cmd has a Pdeathsig, it counts
// for the thread.
func run(cmd *exec.Cmd, patience time.Duration) (err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		yield()
		if err = cmd.Start(); err != nil {
			return
		}
		ended := make(chan struct{})
		hurried := make(chan struct{})
		go func() {
			defer close(hurried)
			select {
			case <-time.After(patience):
				hurry(cmd.Process.Pid)
			case <-ended:
			}
		}()
		err = cmd.Wait()
		close(ended)
		<-hurried
	}()
	<-done
	return err
}
