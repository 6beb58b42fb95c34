package agent

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

func (r *rig) allReady(names ...string) func() bool {
	return func() bool {
		for _, n := range names {
			if ok, _ := r.nodes[n].agent.Ready(); !ok {
				return false
			}
		}
		return true
	}
}

// lose ends a machine for good: agent, etcd, disk.
func (n *node) lose() {
	n.kill()
	_ = os.RemoveAll(filepath.Join(n.r.dir, n.name))
}

// kill ends the agent without its shutdown, and its etcd with SIGKILL.
func (n *node) kill() {
	pid := n.agent.Report().Etcd.PID
	n.agent.abandon()
	n.stop()
	<-n.done
	n.stop = nil
	if pid > 0 {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}

func TestHeal(t *testing.T) {
	r := newRig(t)
	r.add("a", "127.0.2.11")
	r.add("b", "127.0.2.12")
	r.add("c", "127.0.2.13")
	r.writePeers("a", "b", "c")
	for _, n := range r.nodes {
		n.start()
	}
	r.wait("all ready", 30*time.Second, r.allReady("a", "b", "c"))
	r.nodes["c"].lose()
	r.add("d", "127.0.2.14")
	r.writePeers("a", "b", "d")
	began := time.Now()
	r.nodes["d"].start()
	r.wait("d votes", 30*time.Second, r.allReady("a", "b", "d"))
	t.Logf("replaced in %s", time.Since(began))
	r.nodes["b"].lose()
	began = time.Now()
	r.nodes["b"].start()
	r.wait("b votes again", 40*time.Second, r.allReady("a", "b", "d"))
	t.Logf("wiped disk back in %s", time.Since(began))
	for _, n := range []string{"a", "b", "d"} {
		r.nodes[n].kill()
	}
	for _, n := range []string{"a", "b", "d"} {
		r.nodes[n].start()
	}
	began = time.Now()
	r.wait("all ready", 40*time.Second, r.allReady("a", "b", "d"))
	t.Logf("all back in %s", time.Since(began))
	r.nodes["a"].lose()
	r.nodes["b"].lose()
	r.writePeers("d")
	began = time.Now()
	r.wait("d recovers", 60*time.Second, func() bool {
		ok, _ := r.nodes["d"].agent.Ready()
		return ok && r.nodes["d"].agent.Status().Epoch == 2
	})
	t.Logf("recovered from a lost majority in %s", time.Since(began))
	r.add("e", "127.0.2.15")
	r.add("f", "127.0.2.16")
	r.writePeers("d", "e", "f")
	r.nodes["e"].start()
	r.nodes["f"].start()
	began = time.Now()
	r.wait("three again", 60*time.Second, r.allReady("d", "e", "f"))
	t.Logf("three again in %s", time.Since(began))
}
