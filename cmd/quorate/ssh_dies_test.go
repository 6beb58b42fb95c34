package main

import (
	"syscall"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/hosts"
)

// TestSSHDies: a deployment that dies after it has switched a host, and before
// it has restarted it, leaves a process of the release before. The next one
// sees that, and restarts it.
func TestSSHDies(t *testing.T) {
	t.Parallel()
	r := newSSHRig(t)
	a := r.boot("a", 11, nil)
	one := func(more ...string) []string { return r.deploying([]string{"a"}, append(more, "--size", "1")...) }
	r.q(0, one("--accept-new")...)
	before := a.etcds()
	r.says(r.q(0, one()...), "nothing to do")

	a.sh("touch /run/fake/hangs") // the restart never comes to be
	_, code := r.during("a: restarting", func(pid int) {
		r.eventually(30*time.Second, "systemctl restart is told", func() error { _, err := a.try("test -s /run/fake/hanging"); return err })
		must(t, syscall.Kill(-pid, syscall.SIGKILL))
	}, one("--log-level", "debug")...)
	if code == 0 {
		t.Error("it was to die")
	}
	a.sh("rm /run/fake/hangs; kill $(cat /run/fake/hanging)")
	if got := a.sh("cat /opt/quorate/current/config.yaml | grep -c debug"); got != "1" || a.etcds() != before {
		t.Fatalf("it has died too early or too late: %s", got)
	}

	out := ""
	r.eventually(30*time.Second, "the dead one's lock is free", func() error {
		text, err := r.try(one("--log-level", "debug")...)
		out = text
		return err
	})
	r.says(out, "a: restart (its process was started from another release)", "voters 1/1 healthy")
	if a.etcds() == before {
		t.Error("etcd is the old one")
	}
	r.says(r.q(0, one("--log-level", "debug")...), "nothing to do")
}

// TestPeersFileOrder: --hosts in another order is the same release.
func TestPeersFileOrder(t *testing.T) {
	a, b := hosts.Host{Name: "a", Address: "10.0.0.1"}, hosts.Host{Name: "b", Address: "10.0.0.2"}
	one, other := string(peersFile([]hosts.Host{a, b})), string(peersFile([]hosts.Host{b, a}))
	if one != other || one != "- {name: \"a\", host: \"10.0.0.1\"}\n- {name: \"b\", host: \"10.0.0.2\"}\n" {
		t.Errorf("%s\nand\n%s", one, other)
	}
}
