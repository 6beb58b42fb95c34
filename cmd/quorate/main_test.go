package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// program is the real binary, built once for all tests of this package.
var program string

// network is the first three bytes of the loopback addresses of what runs beside
// the rigs; each rig has a network of its own, the same with another second byte,
// so that rigs can run at the same time.
var network = "127.0.0"

var rigs atomic.Int32

func nextNetwork() string {
	parts := strings.Split(network, ".")
	return fmt.Sprintf("127.%d.%s", rigs.Add(1)%250+1, parts[2])
}

func TestMain(m *testing.M) {
	if n := os.Getenv("QUORATE_TEST_NETWORK"); n != "" {
		network = n
	}
	if program = os.Getenv("QUORATE_TEST_PROGRAM"); program != "" { // a test that runs itself in another network
		os.Exit(m.Run())
	}
	dir, err := os.MkdirTemp("", "quorate-test")
	if err != nil {
		panic(err)
	}
	program = filepath.Join(dir, "quorate")
	build := exec.Command("go", "build", "-ldflags", "-s -w", "-o", program, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building quorate: %v\n%s", err, out)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}
