package background

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// From linux/ioprio.h.
const (
	ofThread  = 1
	classIdle = 3 << 13
)

// yield binds the goroutine to its thread, which ends with it, and lowers that
// thread's priority. Where that is refused, work is done as any other.
func yield() {
	runtime.LockOSThread()
	_ = unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), 19)
	_, _, _ = unix.Syscall(unix.SYS_IOPRIO_SET, ofThread, 0, classIdle)
}
