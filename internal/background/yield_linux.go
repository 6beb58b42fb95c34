package background

import (
	"errors"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// From linux/ioprio.h.
const (
	ofThread       = 1
	classIdle      = 3 << 13
	leastBestOf    = 2<<13 | 7
	mostNice       = 19
	sharing        = 15 // weighs 36; 0 weighs 1024, 19 weighs 15
	treeIsComplete = 3  // walks; each thread inherits, so a second one finds few
)

// yield binds the goroutine to its thread, which ends with it, and lowers that
// thread's priority: to what nobody else wants, where that can be taken back.
// Where that is refused, work is done as any other.
func yield() {
	runtime.LockOSThread()
	_ = unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), mostNice)
	if revocable() {
		_ = unix.SchedSetAttr(0, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_IDLE}, 0)
	}
	_, _, _ = unix.Syscall(unix.SYS_IOPRIO_SET, ofThread, 0, classIdle)
}

// revocable says whether we may raise again what we have made idle: it takes
// CAP_SYS_NICE or RLIMIT_NICE. A thread of its own tries.
var revocable = sync.OnceValue(func() bool {
	may := make(chan bool)
	go func() {
		runtime.LockOSThread()
		attr := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_IDLE, Nice: mostNice}
		down := unix.SchedSetAttr(0, &attr, 0)
		attr.Policy = unix.SCHED_NORMAL
		may <- down == nil && unix.SchedSetAttr(0, &attr, 0) == nil
	}()
	return <-may
})

// inSession has the command begin a session, and with it an autogroup, and the
// kernel tell it to end when the thread that starts it has ended.
func inSession(cmd *exec.Cmd) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid, cmd.SysProcAttr.Setsid = false, true
	cmd.SysProcAttr.Pdeathsig = syscall.SIGTERM
}

// leaveSession does so for this process. One that leads a group already cannot:
// it may share its session, and that must not become lighter.
func leaveSession() {
	if _, err := unix.Setsid(); err == nil {
		lighten(os.Getpid())
	}
}

// lighten gives the process's session the least weight that there is; without
// autogroups there is nothing to do, and more weight later may be refused. Linux
// takes ten such changes a second from all of a machine, unless from root.
func lighten(pid int) { weigh(pid, mostNice) }

// weigh gives the process's session the weight of a nice value.
func weigh(pid, nice int) {
	for range 5 {
		err := os.WriteFile("/proc/"+strconv.Itoa(pid)+"/autogroup", []byte(strconv.Itoa(nice)), 0)
		if !errors.Is(err, unix.EAGAIN) {
			return
		}
		time.Sleep(110 * time.Millisecond)
	}
}

// hurry gives every thread of a process and of those below it the smallest share
// that there is; and their session, if it is the process's own, a little more than
// that: where it and etcd's want all of a processor, a 29th.
func hurry(pid int) {
	if own, err := unix.Getsid(pid); err == nil && own == pid {
		weigh(pid, sharing)
	}
	tree(pid, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_NORMAL, Nice: mostNice}, leastBestOf)
}

// yieldWhole is yield for all threads of a process and of those below it.
func yieldWhole(pid int) {
	tree(pid, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_NORMAL, Nice: mostNice}, classIdle)
	if revocable() {
		tree(pid, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_IDLE}, classIdle)
	}
}

// tree sets what it can of every thread: what is refused stays as it was.
func tree(pid int, attr *unix.SchedAttr, disk uintptr) {
	for range treeIsComplete {
		for p := range below(pid) {
			tasks, _ := os.ReadDir("/proc/" + strconv.Itoa(p) + "/task")
			for _, t := range tasks {
				if id, err := strconv.Atoi(t.Name()); err == nil {
					_ = unix.SchedSetAttr(id, attr, 0)
					_, _, _ = unix.Syscall(unix.SYS_IOPRIO_SET, ofThread, uintptr(id), disk)
				}
			}
		}
	}
}

// below is the process and all that descend from it.
func below(pid int) map[int]bool {
	parents := map[int]int{}
	all, _ := os.ReadDir("/proc")
	for _, e := range all {
		p, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		raw, _ := os.ReadFile("/proc/" + e.Name() + "/stat")
		// pid (name) state ppid …: the name may hold anything.
		if f := strings.Fields(string(raw[strings.LastIndexByte(string(raw), ')')+1:])); len(f) > 1 {
			parents[p], _ = strconv.Atoi(f[1])
		}
	}
	found := map[int]bool{pid: true}
	for grown := true; grown; {
		grown = false
		for p, parent := range parents {
			if found[parent] && !found[p] {
				found[p], grown = true, true
			}
		}
	}
	return found
}
