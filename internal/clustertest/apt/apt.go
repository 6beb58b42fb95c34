// Package apt puts parts that no one here wrote on a Debian machine, for tests
// that need them. A test never passes over a part that is missing: it installs
// it, or fails and says how.
package apt

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Need installs packages where the program at path is missing, which only root
// may, and is that path.
func Need(t testing.TB, path string, packages ...string) string {
	t.Helper()
	if err := install(t.Context(), path, packages); err != nil {
		t.Fatalf("installing %s: %v", strings.Join(packages, " "), err)
	}
	return path
}

// install holds a lock: test processes that install at once wait for each other.
func install(ctx context.Context, path string, packages []string) error {
	if installed(path) {
		return nil
	}
	how := "install -y --no-install-recommends " + strings.Join(packages, " ")
	if os.Geteuid() != 0 {
		return errors.New("it is not there, and only root may: apt-get " + how)
	}
	f, err := os.OpenFile(filepath.Join(os.TempDir(), "quorate-test-apt.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer f.Close() // and with it the lock goes
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	for _, args := range []string{"update", how} {
		if installed(path) { // by whoever had the lock
			return nil
		}
		cmd := exec.CommandContext(ctx, "apt-get", strings.Fields(args)...)
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("apt-get %s: %w: %s", args, err, out)
		}
	}
	if !installed(path) {
		return fmt.Errorf("%s is still not there", path)
	}
	return nil
}

func installed(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
