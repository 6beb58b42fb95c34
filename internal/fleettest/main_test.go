package fleettest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// program is the real binary, built once for all tests of this package.
var program string

// networks are the loopback networks of the two regions, as moto's VPCs. The
// third byte is that of QUORATE_TEST_NETWORK, so that two runs can be moved
// apart; no other package uses these second bytes.
var networks = [2]string{"127.31.0.0/24", "127.32.0.0/24"}

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	if _, third, ok := cutLast(os.Getenv("QUORATE_TEST_NETWORK")); ok {
		networks = [2]string{"127.31." + third + ".0/24", "127.32." + third + ".0/24"}
	}
	dir, err := os.MkdirTemp("", "quorate-fleet")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	program = filepath.Join(dir, "quorate")
	build := exec.Command("go", "build", "-o", program, "../../cmd/quorate")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building quorate: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

func cutLast(network string) (before, last string, ok bool) {
	i := strings.LastIndexByte(network, '.')
	if i < 0 {
		return "", "", false
	}
	return network[:i], network[i+1:], true
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
