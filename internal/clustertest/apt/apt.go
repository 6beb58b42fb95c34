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
	"testing"
	"time"

	"github.com/quorate/quorate/internal/clustertest/lockfile"
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

// patience is how long an installation may take: a fresh machine downloads, and
// tests that need the disk too run beside it.
const patience = 10 * time.Minute

// install holds a lock: test processes that install at once wait for each other,
// and so does who finds the program there, for it may be half installed: dpkg puts
// it in place before the libraries and the files that it needs.
func install(ctx context.Context, path string, packages []string) error {
	how := "install -y --no-install-recommends " + strings.Join(packages, " ")
	if os.Geteuid() != 0 {
		if installed(path) {
			return nil
		}
		return errors.New("it is not there, and only root may: apt-get " + how)
	}
	unlock, err := lockfile.Lock(filepath.Join(os.TempDir(), "quorate-test-apt.lock"))
	if err != nil {
		return err
	}
	defer unlock()
	if installed(path) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := get(ctx, "update"); err != nil {
		return err
	}
	if err := get(ctx, how); err != nil {
		return err
	}
	if !installed(path) {
		return fmt.Errorf("%s is still not there", path)
	}
	return nil
}

// get runs apt-get. It waits for whoever else installs, such as the machine's own
// upgrades, and asks a server again that does not answer.
func get(ctx context.Context, args string) error {
	words := append([]string{"-o", "DPkg::Lock::Timeout=300", "-o", "Acquire::Retries=3"}, strings.Fields(args)...)
	for try := 1; ; try++ {
		cmd := exec.CommandContext(ctx, "apt-get", words...)
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		out, err := cmd.CombinedOutput()
		if err == nil {
			return nil
		}
		// The lists have a lock that no option waits for, and a mirror may change
		// while it is read.
		if try == 3 || ctx.Err() != nil {
			return fmt.Errorf("apt-get %s: %w: %s", args, err, out)
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Duration(try) * 5 * time.Second):
		}
	}
}

func installed(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
