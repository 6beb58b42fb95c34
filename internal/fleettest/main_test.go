package fleettest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/clustertest/loopback"
)

// program is the real binary, built once for all tests of this package.
var program string

// networks are two fleets', of loopback addresses: each its first region's; the
// second region's is the next one. No other process has them.
var networks [2]string

// held keeps them: the agents inherit it.
var held []*os.File

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	for i := range networks {
		n, file, err := loopback.Take("fleet", 128)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer file.Close()
		held = append(held, file)
		networks[i] = fmt.Sprintf("127.%d.%d.0/24", loopback.Fleets, 2*n)
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

// slack is how much longer than its limit a condition may take: the limits are
// of an idle machine, and what a fleet waits for most is one Python process that
// is its cloud. No limit here is a promise of quorate's.
const slack = 3

// eventually waits for a condition; its last error says what was missing.
func eventually(t testing.TB, limit time.Duration, what string, ok func() error) time.Duration {
	t.Helper()
	began := time.Now()
	for {
		err := ok()
		if err == nil {
			return time.Since(began)
		}
		if time.Since(began) > slack*limit {
			t.Fatalf("not within %s: %s: %v", slack*limit, what, err)
		}
		time.Sleep(50 * time.Millisecond) // between two looks at the condition
	}
}
