package named

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// install puts BIND on this machine. Test processes that install at once wait
// for each other.
func install(ctx context.Context) error {
	if installed() {
		return nil
	}
	if os.Geteuid() != 0 {
		return errors.New("named is not installed, and only root may: apt-get install bind9")
	}
	f, err := os.OpenFile(filepath.Join(os.TempDir(), "quorate-test-bind9.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer f.Close() // and with it the lock goes
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		return err
	}
	if installed() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	for _, args := range []string{"update", "install -y --no-install-recommends bind9"} {
		cmd := exec.CommandContext(ctx, "apt-get", strings.Fields(args)...)
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("apt-get %s: %w: %s", args, err, out)
		}
	}
	return nil
}

func installed() bool {
	_, err := exec.LookPath("named")
	if err != nil {
		_, err = os.Stat("/usr/sbin/named")
	}
	return err == nil
}
