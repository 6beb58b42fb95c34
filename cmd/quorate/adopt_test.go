package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/cluster"
)

// byHand starts etcd on the hosts as people do, with a static configuration.
func (r *rig) byHand(hosts ...*host) map[string]*exec.Cmd {
	r.t.Helper()
	var initial []string
	for _, h := range hosts {
		initial = append(initial, h.name+"="+h.url(2380))
	}
	out := map[string]*exec.Cmd{}
	for _, h := range hosts {
		log, err := os.Create(filepath.Join(r.dir, h.name+".etcd-by-hand.log"))
		must(r.t, err)
		cmd := exec.Command(program, "etcd", "--name", h.name, "--data-dir", h.handDir(),
			"--listen-client-urls", h.url(2379), "--advertise-client-urls", h.url(2379),
			"--listen-peer-urls", h.url(2380), "--initial-advertise-peer-urls", h.url(2380),
			"--initial-cluster", strings.Join(initial, ","), "--initial-cluster-token", "by-hand")
		cmd.Stdout, cmd.Stderr = log, log
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		must(r.t, cmd.Start())
		log.Close()
		gone := make(chan struct{})
		go func() { _ = cmd.Wait(); close(gone) }()
		r.t.Cleanup(func() { _ = cmd.Process.Kill(); <-gone })
		out[h.name] = cmd
	}
	return out
}

func (h *host) handDir() string { return filepath.Join(h.r.dir, h.name+".etcd-by-hand") }

// TestAdopt: a cluster that was started by hand goes on serving, by the same
// processes, while quorate takes it over; later it heals it.
func TestAdopt(t *testing.T) {
	t.Parallel()
	for name, known := range map[string]bool{"data elsewhere": false, "with --etcd-data-dir": true} {
		t.Run(name, func(t *testing.T) { adopt(t, known) })
	}
}

func adopt(t *testing.T, dirKnown bool) {
	r := newRig(t)
	a, b, c := r.trio()
	names := []string{"a", "b", "c"}
	hand := r.byHand(a, b, c)
	client := r.client(names...)
	r.put(client, "before", "yes")
	id, before := clusterOf(t, r), r.members(client)
	writes := r.load(client, "w", 5*time.Second)
	for _, h := range []*host{a, b, c} {
		if dirKnown {
			h.start("--etcd-data-dir", h.handDir())
		} else {
			h.start()
		}
	}
	r.voters(40*time.Second, names...)
	r.eventually(20*time.Second, "a charter of the adopted cluster", func() error {
		c, err := r.charter(firstCharter)
		if err == nil && (c.Seed.Kind != cluster.SeedAdopted || c.Seed.ClusterID != id || len(c.Founders) != 3) {
			t.Fatalf("charter %+v", c)
		}
		return err
	})
	r.eventually(20*time.Second, "status is healthy", func() error {
		if out, _, code := r.quorate("status", "--agent", b.addr+":2378"); code != 0 {
			return fmt.Errorf("exit code %d: %s", code, out)
		}
		return nil
	})
	for n, cmd := range hand {
		rep, err := r.nodes[n].report()
		must(t, err)
		if err := cmd.Process.Signal(syscall.Signal(0)); err != nil || rep.Etcd.Restarts != 0 {
			t.Errorf("etcd of %s: %v, restarts %d", n, err, rep.Etcd.Restarts)
		}
		if dirKnown && rep.Etcd.PID != cmd.Process.Pid {
			t.Errorf("%s has adopted pid %d, not %d", n, rep.Etcd.PID, cmd.Process.Pid)
		}
	}
	if now := r.oneCluster(names...); now != id {
		t.Errorf("cluster %s, before %s", now, id)
	}
	writes.end()
	if failed := writes.tries - len(writes.acked); failed > 1 {
		t.Errorf("%d of %d writes failed during the adoption", failed, writes.tries)
	}
	r.wantAcked(client, writes, "w")

	// Later: a machine is lost, and one of quorate's replaces it.
	c.killAgent()
	must(t, hand["c"].Process.Kill())
	d := r.machine("d", 14)
	d.start()
	r.list("a", "b", "d")
	r.voters(60*time.Second, "a", "b", "d")
	rest := r.client("a", "b", "d")
	r.wantNames(10*time.Second, rest, "a", "b", "d")
	if now := r.members(rest); now["a"].ID != before["a"].ID || now["b"].ID != before["b"].ID {
		t.Errorf("members %v, before %v", now, before)
	}
	r.wantValue(r.client("d"), "before", "yes")
	if now := r.oneCluster("a", "b", "d"); now != id {
		t.Errorf("cluster %s, before %s", now, id)
	}
	r.onlyEpochOne()
	if _, err := net.DialTimeout("tcp", c.addr+":2379", time.Second); err == nil {
		t.Error("the lost machine's etcd answers")
	}
}

// clusterOf asks etcd itself for its cluster's id.
func clusterOf(t *testing.T, r *rig) cluster.ClusterID {
	t.Helper()
	ctx, cancel := brief()
	defer cancel()
	list, err := r.client("a").MemberList(ctx)
	must(t, err)
	return cluster.ClusterID(list.Header.ClusterId)
}
