package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/quorate/quorate/internal/clustertest/loopback"
)

// program is the real binary, built once for all tests of this package.
var program string

// network is the first three bytes of the loopback addresses of what runs beside
// the rigs; each rig has a network of its own, the same with another second byte,
// so that rigs can run at the same time.
var network = "127.0.100"

var rigs atomic.Int32

func nextNetwork() string {
	var third int
	if _, err := fmt.Sscanf(network, "127.0.%d", &third); err != nil {
		panic(fmt.Sprintf("QUORATE_TEST_NETWORK is %q: want 127.0.N", network))
	}
	return loopback.Rig(int(rigs.Add(1)), third)
}

// heldNetwork keeps the network that this process has taken; the rigs' agents inherit it.
var heldNetwork []*os.File

// takeNetwork has this process's hosts meet no other's.
func takeNetwork() error {
	n, file, err := loopback.Take("rigs", 156)
	network, heldNetwork = fmt.Sprintf("127.0.%d", 100+n), []*os.File{file}
	return err
}

// waitsMostly runs more tests at a time than there are processors, unless whoever
// runs them says how many: each is some real processes that mostly wait for each
// other's time-outs.
func waitsMostly() {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given {
		_ = flag.Set("test.parallel", strconv.Itoa(runtime.GOMAXPROCS(0)+1))
	}
}

func TestMain(m *testing.M) {
	waitsMostly()
	if program = os.Getenv("QUORATE_TEST_PROGRAM"); program != "" { // a test that runs itself in another network
		os.Exit(m.Run())
	}
	if n := os.Getenv("QUORATE_TEST_NETWORK"); n != "" {
		network = n
	} else if err := takeNetwork(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
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
