package etcd

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestLaunchAndStop(t *testing.T) {
	m := newMember(t, "a", "127.0.0.60")
	before := time.Now()
	m.found()
	if pgid, err := unix.Getpgid(m.proc.PID()); err != nil || pgid != m.proc.PID() {
		t.Errorf("process group %d, %v; want its own, %d", pgid, err, m.proc.PID())
	}
	if off := m.proc.Started().Sub(before).Abs(); off > 5*time.Second {
		t.Errorf("Started is %s off", off)
	}
	m.stop()
	if !isClosed(m.proc.Done()) || m.proc.Exit() == "" {
		t.Errorf("after Stop: done %v, exit %q", isClosed(m.proc.Done()), m.proc.Exit())
	}
	if _, found, err := Adopt(m.dir, m.cfg.DataDir); found || err != nil {
		t.Errorf("Adopt after Stop: %v, %v; want none", found, err)
	}
	m.stop() // stopping what has ended is no error
}

func TestStopKillsWhatDoesNotListen(t *testing.T) {
	dir := t.TempDir()
	script := filepath.Join(dir, "deaf")
	if err := os.WriteFile(script, []byte("#!/bin/sh\ntrap '' TERM\necho ready\nwhile :; do sleep 1000; done\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	p, err := Launch(dir, Binary{Path: script}, nil, os.Environ())
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the script is deaf", func() error {
		if b, _ := os.ReadFile(filepath.Join(dir, logFile)); !strings.Contains(string(b), "ready") {
			return fmt.Errorf("the log says %q", b)
		}
		return nil
	})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.Stop(ctx); err != nil || !isClosed(p.Done()) {
		t.Errorf("Stop: %v, done %v", err, isClosed(p.Done()))
	}
	eventually(t, "the whole group is gone", func() error {
		if err := unix.Kill(-p.PID(), 0); err != unix.ESRCH {
			return fmt.Errorf("signalling the group: %v", err)
		}
		return nil
	})
}

func TestLaunchOfNothing(t *testing.T) {
	if _, err := Launch(t.TempDir(), Binary{Path: "/nowhere/etcd"}, nil, nil); err == nil {
		t.Error("a binary that is not there was started")
	}
}

// The agent is killed, etcd serves on, and the next agent finds it: by the
// pid file, without one, and with one that names another process.
func TestAdopt(t *testing.T) {
	spoil := map[string]func(t *testing.T, pidPath string){
		"by its pid file":        func(*testing.T, string) {},
		"before its pid file":    func(t *testing.T, path string) { must(t, os.Remove(path)) },
		"with a stale pid file":  staleOther,
		"with a broken pid file": func(t *testing.T, path string) { write(t, path, "{") },
		"after a reboot's file":  staleBoot,
	}
	for name, spoil := range spoil {
		t.Run(name, func(t *testing.T) {
			m := newMember(t, "a", "127.0.0.61")
			args := Args(sevenThree, m.cfg, Start{State: StateNew, InitialCluster: m.initialCluster(), Token: "t"})
			pid := launchAndKillTheAgent(t, m.dir, args)
			t.Cleanup(func() { _ = killPID(pid) }) // in case nobody adopts it
			m.waitHealthy()
			spoil(t, filepath.Join(m.dir, pidFile))

			p, found, err := Adopt(m.dir, m.cfg.DataDir)
			if err != nil || !found || p.PID() != pid {
				t.Fatalf("Adopt: %v, %v; want process %d", found, err, pid)
			}
			m.own(p)
			if id, recorded, err := readPID(m.dir); err != nil || !recorded || id != p.id {
				t.Errorf("the pid file says %v, %v, %v; want %v", id, recorded, err, p.id)
			}
			if isClosed(p.Done()) {
				t.Error("done while it serves")
			}
			m.waitHealthy()
			if name == "before its pid file" {
				must(t, p.Stop(limit(t)))
			} else {
				must(t, killPID(pid))
			}
			select {
			case <-p.Done():
			case <-time.After(patience):
				t.Fatal("it was killed, and Done does not say so")
			}
			if _, found, err := Adopt(m.dir, m.cfg.DataDir); found || err != nil {
				t.Errorf("Adopt of a dead etcd: %v, %v", found, err)
			}
		})
	}
}

// staleOther names a process that lives, under another start time.
func staleOther(t *testing.T, path string) {
	id, err := identify(os.Getpid())
	must(t, err)
	id.Start++
	b, err := json.Marshal(id)
	must(t, err)
	write(t, path, string(b))
}

func staleBoot(t *testing.T, path string) {
	var id identity
	_, err := readJSON(path, &id)
	must(t, err)
	id.Boot = "another"
	b, err := json.Marshal(id)
	must(t, err)
	write(t, path, string(b))
}

func launchAndKillTheAgent(t *testing.T, dir string, args []string) int {
	t.Helper()
	agent := exec.Command(os.Args[0], append([]string{"launch", dir}, args...)...)
	out, err := agent.StdoutPipe()
	must(t, err)
	must(t, agent.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || line != "launched\n" {
		t.Fatalf("the agent says %q, %v", line, err)
	}
	id, recorded, err := readPID(dir)
	if err != nil || !recorded {
		t.Fatalf("the pid file: %v, %v", recorded, err)
	}
	must(t, killPID(agent.Process.Pid))
	_ = agent.Wait() // killed, as it says
	wantAlive(t, id.PID)
	return id.PID
}

// A tool at work on the data directory is not a server on it.
func TestATool(t *testing.T) {
	for line, want := range map[string]bool{
		"quorate etcd --data-dir=/d/etcd --listen-peer-urls=x": true,
		"etcd -data-dir /d/etcd/ -listen-peer-urls x":          true,
		"etcdutl snapshot restore x --data-dir=/d/etcd":        false,
		"etcd --data-dir=/d/etcd2 --listen-peer-urls=x":        false,
		"quorate": false,
	} {
		if got := servesArgs(strings.Fields(line), "/d/etcd"); got != want {
			t.Errorf("%q serves: %v", line, got)
		}
	}
}

func TestLogRotation(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, logFile)
	write(t, path, "old")
	must(t, os.Truncate(path, logLimit+1))
	f, err := openLog(dir)
	must(t, err)
	defer f.Close()
	if info, err := f.Stat(); err != nil || info.Size() != 0 {
		t.Errorf("the new log: %v, %v", info, err)
	}
	if info, err := os.Stat(path + ".1"); err != nil || info.Size() != logLimit+1 {
		t.Errorf("the old log: %v, %v", info, err)
	}
}

func TestIsJournal(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "f"))
	must(t, err)
	defer f.Close()
	var st unix.Stat_t
	must(t, unix.Fstat(int(f.Fd()), &st))
	named := fmt.Sprintf("%d:%d", st.Dev, st.Ino)
	if !isJournal(f, named) || isJournal(f, "") || isJournal(f, named+"0") {
		t.Error("only the stream that the variable names is the journal")
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
