// Package background runs work that must not slow etcd down: what streams and
// packs gigabytes beside it takes only what the processors and the disk have to
// spare, and never more than half of the processors.
//
// Linux weighs sessions against each other before it looks at priorities, where
// no control group says otherwise (autogroup): a process of the lowest priority
// then takes as much from etcd, which has a session of its own, as any other. So
// what is in the background has a session of its own, too, of the least weight.
package background

import (
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// patience is how long a process takes only what nobody else wants. On a machine
// that is never idle it would not end; afterwards it gets a small share.
const patience = 20 * time.Second

// Run runs a process, and those that it starts, on what is to spare. It is for
// processes and not for goroutines: these start others, which would not yield,
// and one that waits for a processor holds up those that do not. The process is
// told to end (SIGTERM) when ours ends, however that comes about.
func Run(cmd *exec.Cmd) error { return run(cmd, patience) }

// Yield does the same for this process, from now on: for one that starts as others
// do because it may have little to do.
func Yield() {
	runtime.GOMAXPROCS(half())
	leaveSession()
	yieldWhole(os.Getpid())
	time.AfterFunc(patience, func() { hurry(os.Getpid()) })
}

// half of the processors, at least one: a thread of etcd that wakes up finds one
// free, and waits for nobody's turn to end.
func half() int { return max(1, runtime.NumCPU()/2) }

// sparing adds to an environment, nil for ours, that a Go program is to do with
// half, unless it says how many already.
func sparing(env []string) []string {
	const key = "GOMAXPROCS="
	if env == nil {
		env = os.Environ()
	}
	if slices.ContainsFunc(env, func(e string) bool { return strings.HasPrefix(e, key) }) {
		return env
	}
	return append(slices.Clone(env), key+strconv.Itoa(half()))
}

// run starts the process on a thread that has yielded, which it inherits. That
// thread lives until the process has ended, which is told to end with it.
func run(cmd *exec.Cmd, patience time.Duration) (err error) {
	cmd.Env = sparing(cmd.Env)
	inSession(cmd)
	done := make(chan struct{})
	go func() {
		defer close(done)
		yield()
		if err = cmd.Start(); err != nil {
			return
		}
		lighten(cmd.Process.Pid)
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
