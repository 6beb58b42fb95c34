package background

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"
)

// lightOf is what a process says of the weight of its session; "" without
// autogroups, where there is nothing to weigh.
func lightOf(t *testing.T) string {
	t.Helper()
	raw, err := os.ReadFile("/proc/self/autogroup")
	if os.IsNotExist(err) {
		t.Log("this kernel has no autogroups: the session's weight is not tested")
		return ""
	}
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(raw))
}

// TestSession: what runs in the background has a session of its own, of the least
// weight, and half of the processors; ours stays as it was.
func TestSession(t *testing.T) {
	ours := lightOf(t)
	t.Setenv("GOMAXPROCS", "")
	if err := os.Unsetenv("GOMAXPROCS"); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	// The weight comes right after the start.
	cmd := exec.Command("sh", "-c", `[ -z "$1" ] || until grep -q 'nice 19$' /proc/self/autogroup; do sleep 0.01; done
		ps -o sid= -p $$ | tr -d ' '; echo $$; echo $GOMAXPROCS`, "sh", ours)
	cmd.Stdout = &out
	if err := Run(cmd); err != nil {
		t.Fatal(err)
	}
	said := strings.Fields(out.String())
	if len(said) != 3 || said[0] != said[1] || said[2] != fmt.Sprint(max(1, runtime.NumCPU()/2)) {
		t.Errorf("session, process, processors: %q", said)
	}
	if now := lightOf(t); now != ours {
		t.Errorf("ours was %q and is %q", ours, now)
	}
}

// TestYield: a process that yields by itself; the test's program is that process.
func TestYield(t *testing.T) {
	const key = "QUORATE_TEST_YIELD"
	if os.Getenv(key) != "" {
		Yield()
		fmt.Printf("light: %s\nprocessors: %d\n", lightOf(t), runtime.GOMAXPROCS(0))
		return
	}
	ours := lightOf(t)
	cmd := exec.Command(os.Args[0], "-test.run=^TestYield$")
	cmd.Env = append(os.Environ(), key+"=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if want := fmt.Sprintf("processors: %d\n", max(1, runtime.NumCPU()/2)); !strings.Contains(string(out), want) {
		t.Errorf("want %q: %s", want, out)
	}
	if ours != "" && (!strings.Contains(string(out), "nice 19\n") || strings.Contains(string(out), ours+"\n")) {
		t.Errorf("its session weighs as much as any: %s", out)
	}
	if now := lightOf(t); now != ours {
		t.Errorf("ours was %q and is %q", ours, now)
	}
}

// TestHurriedSession: what does not end gets a share of its session's, too.
func TestHurriedSession(t *testing.T) {
	if lightOf(t) == "" {
		return // said
	}
	cmd := exec.Command("sh", "-c", "until grep -q 'nice 15$' /proc/self/autogroup; do sleep 0.01; done")
	limit := time.AfterFunc(30*time.Second, func() { _ = cmd.Process.Kill() })
	defer limit.Stop()
	if err := run(cmd, 100*time.Millisecond); err != nil {
		t.Errorf("nobody made its session weigh more: %v", err)
	}
}
