package background

import (
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// nice is the kernel's 20 - n of the calling thread, as the nice value n.
func nice(t *testing.T) int {
	raw, err := unix.Getpriority(unix.PRIO_PROCESS, unix.Gettid())
	if err != nil {
		t.Fatal(err)
	}
	return 20 - raw
}

// TestDo: the work yields, what it starts does too, and nobody else does.
func TestDo(t *testing.T) {
	before := nice(t)
	var inside int
	var child string
	Do(func() {
		inside = nice(t)
		out, err := exec.Command("nice").Output()
		if err != nil {
			t.Error(err)
		}
		child = strings.TrimSpace(string(out))
	})
	if inside != 19 || child != "19" {
		t.Errorf("the work has nice %d, its child %s; want 19", inside, child)
	}
	for range 100 { // other goroutines, on whichever thread
		got := make(chan int)
		go func() { got <- nice(t) }()
		if n := <-got; n != before {
			t.Fatalf("another goroutine has nice %d, not %d", n, before)
		}
	}
}
