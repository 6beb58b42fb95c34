package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestScripts drives the real program by the scripts in testdata/script.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "script"),
		Setup: func(e *testscript.Env) error {
			e.Setenv("PATH", filepath.Dir(program)+string(os.PathListSeparator)+e.Getenv("PATH"))
			e.Setenv("HOST", network+".61")
			e.Setenv("HOST2", network+".62")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits},
	})
}

// exits is `exits CODE program args…`: it runs the program and wants that code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE program args…")
	}
	err := ts.Exec("timeout", append([]string{"60", args[1]}, args[2:]...)...) // 124: what should be refused runs
	var exit *exec.ExitError
	code := 0
	if errors.As(err, &exit) {
		code = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if fmt.Sprint(code) != args[0] {
		ts.Fatalf("exit code %d, want %s", code, args[0])
	}
}

// TestPortsInUse: all four, each by its key, and nothing is written.
func TestPortsInUse(t *testing.T) {
	t.Parallel()
	r := newRig(t, "--size", "1")
	a := r.machine("a", 63)
	r.list("a")
	for _, port := range []int{2378, 2379, 2380, 2377} {
		ln, err := net.Listen("tcp", fmt.Sprintf("%s:%d", a.addr, port))
		must(t, err)
		defer ln.Close()
	}
	ports := []string{"agent-port: ", "health-port: ", "client-port: ", "peer-port: ", "address already in use"}
	for _, more := range []struct{ flags, says []string }{
		{nil, nil},
		{[]string{"--log-level=loud", "--size=-1"}, []string{"log-level: ", "size: "}},
		{[]string{"--nosuch", "--log-level=loud"}, []string{"unknown flag --nosuch", "log-level: "}},
		{[]string{"--data-dir=/proc/nope"}, []string{"data-dir: /proc is not writable"}},
	} {
		_, errOut, code := r.quorate(append([]string{"run"}, a.args(append(more.flags, "--health-port=2377")...)...)...)
		for _, want := range append(more.says, ports...) {
			if !strings.Contains(errOut, want) || strings.Count(errOut, "agent-port: ") != 1 {
				t.Errorf("%v: lacks %q, or says it twice: %s", more.flags, want, errOut)
			}
		}
		if _, err := os.Stat(a.dataDir()); code != 2 || !os.IsNotExist(err) {
			t.Errorf("exit code %d, data directory: %v", code, err)
		}
	}
}

// TestUnwritable: as somebody who may not write where the data should be.
func TestUnwritable(t *testing.T) {
	t.Parallel()
	r := newRig(t, "--size", "1")
	a := r.machine("a", 64)
	r.list("a")
	locked := filepath.Join(r.dir, "locked")
	must(t, os.Mkdir(locked, 0o555))
	args := append([]string{"run"}, a.args("--data-dir", filepath.Join(locked, "data"))...)
	cmd := exec.Command(program, args...)
	if os.Getuid() == 0 { // who may write anywhere
		must(t, os.Chmod(filepath.Dir(program), 0o755))
		must(t, os.Chmod(filepath.Dir(r.dir), 0o755))
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		cmd.Dir = "/"
	}
	out, _ := cmd.CombinedOutput()
	if code := cmd.ProcessState.ExitCode(); code != 2 || !strings.Contains(string(out), "data-dir: "+locked+" is not writable") {
		t.Errorf("exit code %d: %s", code, out)
	}
}

// TestSilentAgent: a backup may take hours, and the first word of an agent may not.
func TestSilentAgent(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", network+".65:0")
	must(t, err)
	defer silent.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, program, "backup", "create", "--agent", silent.Addr().String(), "--timeout", "1s").CombinedOutput()
	if err == nil || ctx.Err() != nil || !strings.Contains(string(out), "asking agent") {
		t.Errorf("%v: %s", err, out)
	}
}
