package background

import (
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// policyOf is how the kernel schedules a thread: its class and its nice value.
func policyOf(t *testing.T, tid int) (class uint32, nice int32) {
	attr, err := unix.SchedGetAttr(tid, 0)
	if err != nil {
		t.Fatal(err)
	}
	return attr.Policy, attr.Nice
}

// TestRun: the process yields, what it starts does too, and nobody else does.
func TestRun(t *testing.T) {
	if !revocable() {
		t.Fatal("this test wants CAP_SYS_NICE: run it as root")
	}
	class, nice := policyOf(t, 0)
	var out strings.Builder
	cmd := exec.Command("sh", "-c", "chrt -p $$; sh -c 'chrt -p $$; nice'")
	cmd.Stdout = &out
	if err := Run(cmd); err != nil {
		t.Fatal(err)
	}
	if said := out.String(); strings.Count(said, "SCHED_IDLE") != 2 || !strings.HasSuffix(said, "\n19\n") {
		t.Errorf("it ran as\n%s", said)
	}
	for range 100 { // other goroutines, on whichever thread
		done := make(chan struct{})
		go func() {
			defer close(done)
			if c, n := policyOf(t, 0); c != class || n != nice {
				t.Errorf("another goroutine has class %d and nice %d, not %d and %d", c, n, class, nice)
			}
		}()
		<-done
	}
}

// TestYieldWhole: every thread of a process that runs already, and what it has
// started, yields.
func TestYieldWhole(t *testing.T) {
	if !revocable() {
		t.Fatal("this test wants CAP_SYS_NICE: run it as root")
	}
	const wait = "until chrt -p $$ | grep -q SCHED_IDLE; do sleep 0.01; done; "
	cmd := exec.Command("sh", "-c", "sh -c '"+wait+"echo another' & "+wait+"echo the first; wait")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	limit := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
	defer limit.Stop()
	yieldWhole(cmd.Process.Pid)
	said, err := io.ReadAll(out)
	if err = errors.Join(err, cmd.Wait()); err != nil || !strings.Contains(string(said), "the first") || !strings.Contains(string(said), "another") {
		t.Errorf("%v: it said\n%s", err, said)
	}
}

// TestHurry: what does not end gets a share, and so does what it has started.
func TestHurry(t *testing.T) {
	if !revocable() {
		t.Fatal("this test wants CAP_SYS_NICE: run it as root")
	}
	// Both wait until they are scheduled as others are; nothing else ends them.
	const wait = "until chrt -p $$ | grep -q SCHED_OTHER; do sleep 0.01; done; "
	cmd := exec.Command("sh", "-c", wait+`echo "the first $(nice)"; wait`)
	cmd.Args[2] = "sh -c '" + wait + "echo another' & " + cmd.Args[2]
	var out strings.Builder
	cmd.Stdout = &out
	ended := make(chan error)
	go func() { ended <- run(cmd, 100*time.Millisecond) }()
	select {
	case err := <-ended:
		if said := out.String(); err != nil || !strings.Contains(said, "the first 19\n") || !strings.Contains(said, "another") {
			t.Errorf("%v: it said\n%s", err, said)
		}
	case <-time.After(time.Minute):
		_ = cmd.Process.Kill()
		t.Fatal("nobody hurried it")
	}
}

// TestRunSaysWhatIsWrong: a process that does not begin, and one that fails.
func TestRunSaysWhatIsWrong(t *testing.T) {
	if err := Run(exec.Command("/nonexistent/quorate")); err == nil {
		t.Error("a program that is not there has run")
	}
	cmd := exec.Command("sh", "-c", "exit 3")
	cmd.Stdout = io.Discard
	if err := Run(cmd); cmd.ProcessState.ExitCode() != 3 || err == nil {
		t.Errorf("exit code %d, error %v", cmd.ProcessState.ExitCode(), err)
	}
}
