package fleettest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// program is the real binary, built once for all tests of this package.
var program string

// networks are two fleets', of loopback addresses: each its first region's; the
// second region's is the next one. No other package uses this second byte.
var networks [2]string

// takeNetwork finds one that nobody else on this machine uses; it is given back
// when this process ends, however it does.
func takeNetwork() (network string, lock *os.File, err error) {
	for n := range 128 {
		f, err := os.OpenFile(filepath.Join(os.TempDir(), fmt.Sprintf("quorate-fleet-network-%d.lock", n)), os.O_CREATE|os.O_RDWR, 0o600)
		if err != nil {
			return "", nil, err
		}
		if syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
			return fmt.Sprintf("127.31.%d.0/24", 2*n), f, nil
		}
		f.Close()
	}
	return "", nil, errors.New("every network is taken")
}

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	for i := range networks {
		network, lock, err := takeNetwork()
		if err != nil {
			fmt.Fprintln(os.Stderr, "taking a network:", err)
			return 1
		}
		defer lock.Close()
		networks[i] = network
	}
	dir, err := os.MkdirTemp("", "quorate-fleet")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	program = filepath.Join(dir, "quorate")
	build := exec.Command("go", "build", "-ldflags", "-s -w", "-o", program, "../../cmd/quorate")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building quorate: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eventually waits for a condition; its last error says what was missing.
func eventually(t testing.TB, limit time.Duration, what string, ok func() error) time.Duration {
	t.Helper()
	began := time.Now()
	for {
		err := ok()
		if err == nil {
			return time.Since(began)
		}
		if time.Since(began) > limit {
			t.Fatalf("not within %s: %s: %v", limit, what, err)
		}
		time.Sleep(50 * time.Millisecond) // between two looks at the condition
	}
}
