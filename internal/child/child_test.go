package child

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/clustertest/process"
)

// TestMain lets the test binary be a parent that waits for its end beside a child.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "parent" {
		cmd := exec.Command("sleep", "600")
		if _, err := Start(cmd); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println(cmd.Process.Pid)
		time.Sleep(time.Hour)
	}
	os.Exit(m.Run())
}

// TestDiesWithUs: a parent that is killed, as by a crash, leaves no child.
func TestDiesWithUs(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	process.DiesWith(t, exec.Command(self, "parent"))
}

func TestKill(t *testing.T) {
	p, err := Start(exec.Command("sleep", "600"))
	if err != nil {
		t.Fatal(err)
	}
	p.Kill()
	<-p.Ended()
	if p.Wait() == nil || p.State().Success() || p.Signal(syscall.SIGTERM) != nil {
		t.Errorf("killed: %v, %v", p.Wait(), p.State())
	}
	if _, err := Start(exec.Command("/no/such/program")); err == nil {
		t.Error("started what is not there")
	}
}
