package background

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestEndsWithUs: one whose starter was killed, as by a crash, does not run on.
// The test's program is the starter.
func TestEndsWithUs(t *testing.T) {
	const key = "QUORATE_TEST_STARTER"
	if os.Getenv(key) != "" {
		cmd := exec.Command("sh", "-c", "echo $$; exec sleep 600")
		cmd.Stdout = os.Stdout
		fmt.Println(Run(cmd))
		return
	}
	starter := exec.Command(os.Args[0], "-test.run=^TestEndsWithUs$")
	starter.Env = append(os.Environ(), key+"=1")
	out, err := starter.StdoutPipe()
	if err == nil {
		err = starter.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil || !runs(pid) {
		t.Fatalf("it does not run: %q", line)
	}
	_ = starter.Process.Kill()
	_ = starter.Wait()
	for deadline := time.Now().Add(20 * time.Second); runs(pid); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
			t.Fatal("it runs on")
		}
	}
}

// runs says that a process exists and does not only wait to be reaped.
func runs(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, state, _ := strings.Cut(string(stat), ") ")
	return err == nil && !strings.HasPrefix(state, "Z")
}
