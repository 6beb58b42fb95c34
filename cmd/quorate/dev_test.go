package main

import (
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
	"go.uber.org/zap"

	"github.com/quorate/quorate/internal/control"
)

// devRig is a `quorate dev` in a directory, on ports far from the usual.
type devRig struct {
	*rig
	dir string
	cmd *exec.Cmd
}

const devPort = 23379

// up starts it; what it prints goes to a file, as it does without a terminal.
func (d *devRig) up() {
	d.t.Helper()
	log, err := os.OpenFile(d.dir+".out", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	must(d.t, err)
	defer log.Close()
	d.cmd = exec.Command(program, "dev", "--dir", d.dir, "--base-port", fmt.Sprint(devPort))
	d.cmd.Stdout, d.cmd.Stderr = log, log
	must(d.t, d.cmd.Start())
}

func (d *devRig) output() string {
	raw, _ := os.ReadFile(d.dir + ".out")
	return string(raw)
}

// end ends it as Ctrl-C or a closed terminal does, and wants exit code 0 and no
// process left.
func (d *devRig) end(sig os.Signal) {
	d.t.Helper()
	must(d.t, d.cmd.Process.Signal(sig))
	if err := d.cmd.Wait(); err != nil {
		d.t.Errorf("after %v: %v\n%s", sig, err, d.output())
	}
	d.cmd = nil
	if pids, _ := exec.Command("pgrep", "-f", d.dir).Output(); len(pids) > 0 {
		d.t.Errorf("after %v processes are left: %s", sig, pids)
	}
}

// refused wants exit code 2 and these words of `quorate dev` with args.
func (d *devRig) refused(want string, args ...string) {
	d.t.Helper()
	if _, errOut, code := d.quorate(append([]string{"dev"}, args...)...); code != 2 || !strings.Contains(errOut, want) {
		d.t.Errorf("dev %v: exit code %d, %s", args, code, errOut)
	}
}

// healthy waits for exactly these nodes, and gives their member ids.
func (d *devRig) healthy(nodes ...string) map[string]string {
	d.t.Helper()
	ids := map[string]string{}
	d.eventually(60*time.Second, fmt.Sprintf("%v are healthy", nodes), func() error {
		out, errOut, code := d.quorate("status", "--peers", "file://"+filepath.Join(d.dir, "peers.yaml"), "-o", "json")
		if code != 0 {
			return errors.New(out + errOut)
		}
		s := parsed[control.Status](d.t, out)
		clear(ids)
		for _, n := range s.Nodes {
			if n.Health == "healthy" {
				ids[n.Name] = n.MemberID.String()
			}
		}
		for _, n := range nodes {
			if ids[n] == "" {
				return fmt.Errorf("%s is not healthy: %+v", n, s.Nodes)
			}
		}
		if s.Voters != len(nodes) {
			return fmt.Errorf("%d voters", s.Voters)
		}
		return nil
	})
	return ids
}

// TestDev is a newcomer's first quarter of an hour.
func TestDev(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	d := &devRig{rig: r, dir: filepath.Join(r.dir, "dev")}
	t.Cleanup(func() {
		if d.cmd != nil {
			_ = d.cmd.Process.Signal(syscall.SIGTERM)
			_ = d.cmd.Wait()
		}
		if t.Failed() {
			t.Log(d.output())
		}
	})
	d.up()
	first := d.healthy("n1", "n2", "n3")
	d.eventually(10*time.Second, "the line to paste", func() error {
		if !strings.Contains(d.output(), fmt.Sprintf("etcdctl --endpoints=127.0.0.1:%d,127.0.0.1:%d,127.0.0.1:%d put hello world", devPort, devPort+10, devPort+20)) {
			return errors.New(d.output())
		}
		return nil
	})
	etcd, err := clientv3.New(clientv3.Config{Endpoints: []string{fmt.Sprintf("127.0.0.1:%d", devPort+20), fmt.Sprintf("127.0.0.1:%d", devPort)}, DialTimeout: 5 * time.Second, Logger: zap.NewNop()})
	must(t, err)
	defer etcd.Close()
	r.put(etcd, "hello", "world")

	d.refused("another `quorate dev` runs in", "--dir", d.dir, "--base-port", "24379")
	other := filepath.Join(r.dir, "other")
	d.refused("base-port: the port of the agent of n2", "--dir", other, "--base-port", fmt.Sprint(devPort))
	if _, err := os.Stat(other); err == nil {
		t.Error("a cluster whose ports are taken has been written down")
	}
	if out := r.does("dev", "kill", "n1", "--dir", d.dir); !strings.Contains(out, "killed etcd of n1") {
		t.Errorf("kill says %q", out)
	}
	if again := d.healthy("n1", "n2", "n3"); again["n1"] != first["n1"] {
		t.Error("a killed etcd has come back as another member")
	}
	r.does("dev", "wipe", "n2", "--dir", d.dir)
	r.eventually(60*time.Second, "n2 is a new member", func() error {
		if d.healthy("n1", "n2", "n3")["n2"] == first["n2"] {
			return errors.New("still the old one")
		}
		return nil
	})
	r.does("dev", "lose", "n3", "--dir", d.dir)
	r.does("dev", "add", "n4", "--dir", d.dir)
	d.healthy("n1", "n2", "n4")
	for _, args := range [][]string{{"kill", "nobody"}, {"lose", "n3"}, {"wipe", "n3"}, {"add", "n1"}, {"add", "no/name"}} {
		d.refused("node: ", append(args, "--dir", d.dir)...)
	}
	d.end(os.Interrupt)
	if out := d.output(); !strings.Contains(out, "the data stays in "+d.dir) {
		t.Errorf("the end says nothing:\n%s", out)
	}
	d.refused("base-port: the cluster in", "--dir", d.dir, "--base-port", "24379")

	// One that was killed has left its agents, and the next takes their place.
	d.up()
	d.healthy("n1", "n2", "n4")
	must(t, d.cmd.Process.Kill())
	_ = d.cmd.Wait()
	d.up()
	d.eventually(60*time.Second, "the next one shows the cluster", func() error {
		if !strings.Contains(d.output(), "cluster  healthy") {
			return errors.New(d.output())
		}
		return nil
	})
	d.healthy("n1", "n2", "n4")
	r.wantValue(etcd, "hello", "world")
	d.end(syscall.SIGHUP)
}

// TestDevLinesTwins: a wiped node whose old member is not removed yet is there
// twice, and is told of once.
func TestDevLinesTwins(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	var table devTable
	twins := control.Status{State: control.NoQuorum, Nodes: []control.Node{{Name: "n3", Role: "voter", Health: "silent", MemberID: 7}, {Name: "n3", Role: "spare", Health: "idle"}}}
	for range 3 {
		table.lines(&out, devState{}, twins)
	}
	if n := strings.Count(out.String(), "n3"); n != 2 {
		t.Errorf("%d lines:\n%s", n, out.String())
	}
}
