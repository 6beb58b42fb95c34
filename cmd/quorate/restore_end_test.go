package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/quorate/quorate/internal/replay"
)

// TestRestoreEnds: a restore that is interrupted, or killed, in whichever of its
// phases leaves nothing that an etcd would start on, no process, and a target that
// the next run fills.
func TestRestoreEnds(t *testing.T) {
	t.Parallel()
	r := newRig(t, "--size", "1")
	a := r.machine("a", 11)
	r.list("a")
	a.start()
	r.voters(60*time.Second, "a")
	c := r.client("a")
	r.fillRandom(c, 50<<20)
	taken := r.backup(a)
	r.fillRandom(c, 30<<20)
	status, err := c.Status(t.Context(), c.Endpoints()[0])
	must(t, err)
	args := append([]string{"restore"}, r.storeFlags(nil)...)
	r.eventually(120*time.Second, "the log is stored", func() error {
		if p := parsed[restorePlan](t, r.does(append(args, "--dry-run", "-o", "json")...)); p.Last.Index < status.RaftAppliedIndex {
			return fmt.Errorf("up to index %d of %d", p.Last.Index, status.RaftAppliedIndex)
		}
		return nil
	})
	a.term()

	dir := filepath.Join(t.TempDir(), "made")
	args = append(args, "--to", dir)
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGKILL} {
		for _, phase := range restorePhases {
			t.Run(fmt.Sprintf("%s, %s", sig, phase.name), func(t *testing.T) {
				run := startRestore(t, args, dir)
				run.until(t, phase.reached)
				run.endsBy(t, sig)
			})
		}
	}
	out := r.does(args...)
	if !strings.Contains(out, fmt.Sprintf("index %d", status.RaftAppliedIndex)) || !strings.Contains(out, taken.Key) {
		t.Errorf("and then: %s", out)
	}
	wantNames(t, dir, "member")
}

// fillRandom puts values that do not compress.
func (r *rig) fillRandom(c *clientv3.Client, size int) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), 2*time.Minute)
	defer cancel()
	random := rand.NewChaCha8([32]byte{1})
	value := make([]byte, 32<<10)
	for i := range size / len(value) {
		random.Read(value)
		_, err := c.Put(ctx, fmt.Sprintf("fill/%d/%d", size, i), string(value))
		must(r.t, err)
	}
}

// saysInterrupted is what a restore says that is interrupted: progress, when it
// takes long, and then one line that names the signal.
var saysInterrupted = regexp.MustCompile(`^((snapshot|log): [0-9]+ of [0-9]+ (MiB|segments)\n)*quorate: [^\n]+: interrupt signal received\n$`)

// restorePhases are how far a restore has come.
var restorePhases = []struct {
	name    string
	reached func(run *restoring) bool
}{
	{"at its start", func(run *restoring) bool { return exists(run.dir) }},
	{"in the snapshot", func(run *restoring) bool { return exists(run.database()) }},
	{"in the log", func(run *restoring) bool { return run.worker > 0 }},
	{"at its end", func(run *restoring) bool { return run.worker > 0 && !alive(run.worker) }},
}

// restoring is a restore that runs.
type restoring struct {
	cmd    *exec.Cmd
	said   bytes.Buffer
	dir    string
	worker int
	ended  chan struct{}
}

func startRestore(t *testing.T, args []string, dir string) *restoring {
	t.Helper()
	run := &restoring{cmd: exec.Command(program, args...), dir: dir, ended: make(chan struct{})}
	run.cmd.Stderr = &run.said
	must(t, run.cmd.Start())
	go func() {
		defer close(run.ended)
		run.cmd.Wait()
	}()
	t.Cleanup(func() { run.cmd.Process.Kill(); <-run.ended })
	return run
}

func (run *restoring) database() string {
	return filepath.Join(run.dir, unfinished, "default", "member", "snap", "db.new")
}

// until looks as often as it can: some phases are short.
func (run *restoring) until(t *testing.T, reached func(*restoring) bool) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(time.Millisecond) {
		if run.worker == 0 {
			run.worker = workerOf(run.cmd.Process.Pid)
		}
		if reached(run) {
			return
		}
		select {
		case <-run.ended:
			t.Fatalf("it ended before: %v: %s", run.cmd.ProcessState, &run.said)
		default:
		}
		if time.Now().After(deadline) {
			t.Fatal("it does not come so far")
		}
	}
}

// endsBy ends it and looks at what it leaves.
func (run *restoring) endsBy(t *testing.T, sig syscall.Signal) {
	t.Helper()
	run.cmd.Process.Signal(sig)
	<-run.ended
	for deadline := time.Now().Add(20 * time.Second); run.worker > 0 && alive(run.worker); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("its worker %d runs on", run.worker)
		}
	}
	if run.cmd.ProcessState.Success() { // the signal came too late
		wantNames(t, run.dir, "member")
		must(t, os.RemoveAll(run.dir))
		return
	}
	if said := run.said.String(); sig == syscall.SIGINT && !saysInterrupted.MatchString(said) {
		t.Errorf("it says %q, want how far it came, if that, and one line of what ended it", said)
	}
	left, err := os.ReadDir(run.dir)
	switch {
	case sig == syscall.SIGINT && !errors.Is(err, fs.ErrNotExist):
		t.Errorf("left %v, %v", left, err)
	case sig == syscall.SIGKILL && (len(left) > 1 || len(left) == 1 && left[0].Name() != unfinished):
		t.Errorf("left %v, want %s", left, unfinished)
	}
}

// workerOf is the process that replays for another; 0: none.
func workerOf(parent int) int {
	var children []byte
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", parent))
	for _, name := range tasks {
		more, _ := os.ReadFile(name)
		children = append(append(children, ' '), more...)
	}
	for _, field := range strings.Fields(string(children)) {
		if line, _ := os.ReadFile("/proc/" + field + "/cmdline"); strings.Contains(string(line), replay.Subcommand) {
			pid, _ := strconv.Atoi(field)
			return pid
		}
	}
	return 0
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

// alive says that a process has not ended.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, state, _ := strings.Cut(string(stat), ") ")
	return err == nil && !strings.HasPrefix(state, "Z")
}
