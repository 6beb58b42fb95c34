package main

import (
	"strings"
	"testing"
	"time"
)

var abc = []string{"a", "b", "c"}

// trio boots three hosts.
func (r *sshRig) trio() (a, b, c *sshHost) {
	return r.boot("a", 11, nil), r.boot("b", 12, nil), r.boot("c", 13, nil)
}

// TestSSHDeploy is a cluster's life on hosts that one can only SSH to.
func TestSSHDeploy(t *testing.T) {
	t.Parallel()
	r := newSSHRig(t)
	a, b, c := r.trio()

	out := r.q(1, r.deploying(abc)...)
	r.says(out, "a: connecting to "+a.addr+": the host's key is not in known_hosts: connect once by hand, or give --accept-new", "c: connecting")

	out = r.q(0, r.deploying(abc, "--accept-new", "--check")...)
	r.says(out, "FSYNC P99", "9 of 9", "go\n")
	for _, h := range []*sshHost{a, b, c} {
		h.pristine()
	}

	out = r.q(0, r.deploying(abc)...)
	r.says(out, "cluster test  healthy", "voters 3/3 healthy")
	r.voters(30*time.Second, "a", "b", "c")
	r.put(r.client("a"), "kept", "1")

	before := a.traces() + b.traces() + c.traces()
	out = r.q(0, r.deploying(abc)...)
	r.says(out, "nothing to do: 3 hosts run what they are to run")
	if after := a.traces() + b.traces() + c.traces(); after != before {
		t.Errorf("a second run has changed\n%s\nto\n%s", before, after)
	}
	r.says(r.q(0, r.ssh("status", []string{"b"})...), "cluster test  healthy")
	_ = strings.TrimSpace
}
