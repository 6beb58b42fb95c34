package background

import (
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/quorate/quorate/internal/clustertest/process"
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
	process.DiesWith(t, starter)
}
