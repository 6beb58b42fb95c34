package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/quorate/quorate/internal/cluster"
)

// bare is a machine without an agent: its owner's shell lines start its etcd.
type bare struct {
	*host
	cmd *exec.Cmd
	env []string // of its shell
}

// bare adds a machine: its etcd's data is in etcdDir.
func (r *rig) bare(name string, number int) *bare {
	b := &bare{host: r.machine(name, number)}
	r.t.Cleanup(func() {
		b.kill()
		if r.t.Failed() {
			log, _ := os.ReadFile(b.log())
			r.t.Logf("%s:\n%s", name, tail(log, 3000))
		}
	})
	return b
}

func (b *bare) log() string     { return filepath.Join(b.r.dir, b.name+".sh.log") }
func (b *bare) etcdDir() string { return filepath.Join(b.dataDir(), "etcd") }

// sh runs a shell line in its own process group, with the program, this
// machine's flags of explain as "$@", and what else a line needs.
func (b *bare) sh(line string, args ...string) {
	b.r.t.Helper()
	log, err := os.OpenFile(b.log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	must(b.r.t, err)
	defer log.Close()
	b.cmd = exec.Command("/bin/sh", append([]string{"-c", line, "sh"}, b.args(args...)...)...)
	b.cmd.Env = append(os.Environ(), "PROGRAM="+program, "ADDR="+b.addr, "NAME="+b.name, "DIR="+b.etcdDir())
	b.cmd.Env = append(b.cmd.Env, b.env...)
	b.cmd.Stdout, b.cmd.Stderr = log, log
	b.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	must(b.r.t, b.cmd.Start())
}

// flagsLine is the usual line: etcd's flags by command substitution.
const flagsLine = `args=$("$PROGRAM" explain "$@" -o flags) && exec "$PROGRAM" etcd $args`

// envLine is the same by eval.
const envLine = `vars=$("$PROGRAM" explain "$@" -o env) && set -a && eval "$vars" && exec "$PROGRAM" etcd`

// unit is sh as a systemd service with Restart=on-failure runs the line: again,
// from its beginning, until it ends well.
func (b *bare) unit(line string, args ...string) {
	b.r.t.Helper()
	b.sh("until ("+line+"); do sleep 1; done", args...)
}

// kill ends the shell and its etcd at once, and waits for both.
func (b *bare) kill() {
	if b.cmd == nil {
		return
	}
	_ = syscall.Kill(-b.cmd.Process.Pid, syscall.SIGKILL)
	_ = b.cmd.Wait() // killed, it says its error
	b.cmd = nil
}

// ends waits until the shell and its etcd have failed by themselves, and wants
// their last words to be those.
func (b *bare) ends(limit time.Duration, want string) {
	b.r.t.Helper()
	cmd := b.cmd
	late := time.AfterFunc(limit, func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
	err := cmd.Wait()
	if log, _ := os.ReadFile(b.log()); !late.Stop() || err == nil || !strings.Contains(tail(log, 3000), want) {
		b.r.t.Fatalf("%s: %v, within %s; want an end with %q", b.name, err, limit, want)
	}
	b.cmd = nil
}

func (b *bare) wipeDisk() {
	b.r.t.Helper()
	b.kill()
	must(b.r.t, os.RemoveAll(b.dataDir()))
}

// refused runs explain and wants an exit code of 1 and that reason, no output,
// and no advice that is an agent's.
func (b *bare) refused(want string, args ...string) {
	b.r.t.Helper()
	out, errOut, code := b.r.quorate(append([]string{"explain", "-o", "env"}, b.args(args...)...)...)
	if code != 1 || out != "" || !strings.Contains(errOut, want) || strings.Contains(errOut, "store: none") {
		b.r.t.Errorf("%s: exit code %d, %q, %s; want %q", b.name, code, out, errOut, want)
	}
}

// votes waits until exactly these are members that serve, all of them voters,
// and gives them by name.
func (r *rig) votes(limit time.Duration, names ...string) map[string]cluster.Member {
	r.t.Helper()
	var got map[string]cluster.Member
	r.eventually(limit, fmt.Sprintf("members %v", names), func() error {
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		defer cancel()
		for _, n := range names {
			c := r.client(n)
			list, err := c.MemberList(ctx)
			if err == nil && len(list.Members) != len(names) {
				err = fmt.Errorf("%s lists %d members", n, len(list.Members))
			}
			if err == nil {
				_, err = c.Get(ctx, "x")
			}
			c.Close()
			if err != nil {
				return fmt.Errorf("%s: %w", n, err)
			}
			got = map[string]cluster.Member{}
			for _, m := range list.Members {
				if m.IsLearner || len(m.ClientURLs) == 0 {
					return errors.New(m.Name + " does not vote yet")
				}
				got[m.Name] = cluster.Member{ID: cluster.MemberID(m.ID), Name: m.Name, PeerURLs: m.PeerURLs}
			}
		}
		return nil
	})
	return got
}

// token makes a registry of its own and a token in it, and is a client of that.
func (r *rig) token(size string) *clientv3.Client {
	r.t.Helper()
	addr, c, _ := registry(r.t.(*testing.T))
	r.eventually(30*time.Second, "the registry", func() error { _, err := registered(c); return err })
	out, errOut, code := r.quorate("discovery", "new", "--size", size, "--endpoints", addr)
	if code != 0 {
		r.t.Fatal(errOut)
	}
	r.store, r.peers = "", strings.TrimSpace(out)
	return c
}
