package fleettest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// program is the real binary, built once for all tests of this package.
var program string

// network is the first region's, of loopback addresses; the second region's is
// the next one. QUORATE_TEST_NETWORK moves both apart from another run's; no
// other package uses this second byte.
var network = "127.31.0.0/24"

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	if third, err := lastByte(os.Getenv("QUORATE_TEST_NETWORK")); err == nil {
		network = fmt.Sprintf("127.31.%d.0/24", third*2%256)
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

func lastByte(network string) (int, error) {
	return strconv.Atoi(network[strings.LastIndexByte(network, '.')+1:])
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
