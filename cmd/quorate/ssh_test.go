package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

var abc = []string{"a", "b", "c"}

// trio boots three hosts.
func (r *sshRig) trio() (a, b, c *sshHost) {
	return r.boot("a", 11, nil), r.boot("b", 12, nil), r.boot("c", 13, nil)
}

// TestSSHDeploy: a cluster is made, is left alone when nothing is to be done,
// gets a new program host by host while a client writes, and gets rid of a
// program that does not run.
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
	r.voters(30*time.Second, abc...)
	r.put(r.client("a"), "kept", "1")

	before := a.traces() + b.traces() + c.traces()
	out = r.q(0, r.deploying([]string{"c", "a", "b"})...) // in whatever order
	r.says(out, "nothing to do: 3 hosts run what they are to run")
	if after := a.traces() + b.traces() + c.traces(); after != before {
		t.Errorf("a second run has changed\n%s\nto\n%s", before, after)
	}
	r.says(r.q(0, r.ssh("status", []string{"b"})...), "cluster test  healthy", "voters 3/3 healthy")
	r.says(a.sh("/opt/quorate/current/ask status"), "cluster test  healthy", "voters 3/3 healthy")
	r.says(a.sh("/opt/quorate/current/ask explain"), "found a new cluster")

	another, sum := r.another()
	longest := r.writing(func() { out = r.q(0, r.deploying(abc, "--binary", another)...) })
	t.Logf("three restarts: longest time without a write %s", longest.Round(time.Millisecond))
	if longest > 10*time.Second {
		t.Errorf("a client could not write for %s", longest)
	}
	r.says(out, "turn 1", "turn 3", "restart (another binary)", "voters 3/3 healthy")
	for _, h := range []*sshHost{a, b, c} {
		if got := h.runs(); got != "/opt/quorate/bin/"+sum {
			t.Errorf("%s runs %s", h.name, got)
		}
	}

	processes := map[string]string{}
	for _, h := range []*sshHost{a, b, c} {
		processes[h.name] = h.etcds()
	}
	out = r.q(1, r.deploying(abc, "--binary", r.broken())...)
	r.says(out, "its service ends again and again; it says:", "broken on purpose", "rolling back to release", "as it was")
	r.voters(30*time.Second, abc...)
	restarted := 0
	for _, h := range []*sshHost{a, b, c} {
		if got := h.runs(); got != "/opt/quorate/bin/"+sum {
			t.Errorf("%s runs %s", h.name, got)
		}
		if h.etcds() != processes[h.name] {
			restarted++
		}
		if got := h.sh("ls /opt/quorate/bin /opt/quorate/releases | wc -w"); got != h.kept() {
			t.Errorf("%s: the broken release has left something: %s", h.name, h.sh("ls -R /opt/quorate"))
		}
	}
	if restarted != 1 {
		t.Errorf("%d hosts had their etcd restarted, want the first one alone", restarted)
	}
	r.wantValue(r.client("c"), "kept", "1")

	out, code := r.interrupted(": started", r.deploying(abc)...)
	r.says(out, "rolling back to release", "as it was", "quorate: interrupted")
	if code != 1 {
		t.Errorf("exit code %d", code)
	}
	r.voters(30*time.Second, abc...)
	for _, h := range []*sshHost{a, b, c} {
		if got := h.runs(); got != "/opt/quorate/bin/"+sum {
			t.Errorf("%s runs %s", h.name, got)
		}
	}
}

// runs is the program of the host's agent.
func (h *sshHost) runs() string {
	return h.sh(`readlink /proc/$(pgrep -f -o '^/opt/quorate/current/quorate run')/exe`)
}

// etcds is the process id of the host's etcd; there must be one.
func (h *sshHost) etcds() string {
	h.r.t.Helper()
	got := h.sh(`pgrep -f '^/opt/quorate/bin/[0-9a-f]* etcd'`)
	if len(strings.Fields(got)) != 1 {
		h.r.t.Fatalf("%s: want one etcd, have %q", h.name, got)
	}
	return h.name + got + " "
}

// kept is how many words list a host's binaries and releases when each of
// current and previous has its own: two names of directories and four of these.
func (h *sshHost) kept() string { return "6" }

// writing writes without a pause while do runs, and is the longest time between
// two acknowledged writes.
func (r *sshRig) writing(do func()) time.Duration {
	r.t.Helper()
	c := r.client(abc...)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan time.Duration)
	go func() { ended <- longestGap(ctx, c) }()
	do()
	stop()
	return <-ended
}

func longestGap(ctx context.Context, c *clientv3.Client) (longest time.Duration) {
	last := time.Now()
	for i := 0; ctx.Err() == nil; i++ {
		call, cancel := context.WithTimeout(ctx, time.Second)
		_, err := c.Put(call, "counter", fmt.Sprint(i))
		cancel()
		if err == nil {
			longest, last = max(longest, time.Since(last)), time.Now()
		}
	}
	return max(longest, time.Since(last))
}

// TestSSHGrow: hosts come, hosts go, and the cluster ends.
func TestSSHGrow(t *testing.T) {
	t.Parallel()
	r := newSSHRig(t)
	a, b, c := r.trio()
	d := r.boot("d", 14, nil)
	all := []string{"a", "b", "c", "d"}
	r.q(0, r.deploying(abc, "--accept-new")...)
	r.put(r.client("a"), "kept", "1")

	before := a.etcds() + b.etcds() + c.etcds()
	out := r.q(0, r.deploying(all, "--accept-new")...)
	r.says(out, "a: switch (another peers)", "d: start (nothing is there yet)", "cluster test  healthy")
	if after := a.etcds() + b.etcds() + c.etcds(); after != before {
		t.Errorf("a new host has restarted the etcds %s: now %s", before, after)
	}

	out = r.q(1, r.deploying([]string{"a", "b", "d"})...)
	r.says(out, "no-go: c: in the cluster, and not among --hosts")

	r.says(r.q(2, r.ssh("destroy", []string{"b"})...), "nobody to ask")
	out = r.q(0, r.ssh("destroy", []string{"b"}, "--yes")...)
	r.says(out, "cluster test goes on with a, c", "b: leaves the cluster", "b: removed")
	r.voters(60*time.Second, "a", "c", "d")
	if got := b.sh("ls -d /opt/quorate /etc/systemd/system/quorate.service 2>/dev/null; pgrep -f '^/opt/quorate'; ls /var/lib/quorate"); !strings.Contains(got, "agent.lock") || strings.Contains(got, "/opt") || strings.Contains(got, "/etc") {
		t.Errorf("b: want its data alone: %q", got)
	}
	r.wantValue(r.client("d"), "kept", "1")

	r.says(r.q(0, r.deploying(all)...), "b: start", "cluster test  healthy") // it has left, and is wanted back
	r.nodes["b"].says(30*time.Second, "standing by as a spare")
	r.q(0, r.ssh("destroy", []string{"b"}, "--yes")...)

	acd := []string{"a", "c", "d"}
	out = r.q(0, r.ssh("destroy", acd, "--yes")...)
	r.says(out, "cluster test ENDS")
	out = r.q(0, r.deploying(acd)...)
	r.says(out, "etcd's data of an earlier life is there", "voters 3/3 healthy")
	r.wantValue(r.client("a"), "kept", "1")

	r.says(r.q(0, r.ssh("destroy", append(acd, "b"), "--yes", "--data")...), "b: nothing of ours is there; data that an earlier removal has left stays")
	for _, h := range []*sshHost{a, c, d} {
		h.pristine()
	}
	r.says(r.q(0, r.ssh("destroy", acd, "--yes")...), "nothing to do")
}

// TestSSHNoGo: each host has another fault; all are told at once, and none is
// touched.
func TestSSHNoGo(t *testing.T) {
	t.Parallel()
	r := newSSHRig(t)
	taken := r.boot("taken", 11, nil)
	r.boot("full", 12, map[string]string{"data-size": "20m"})
	r.boot("late", 13, map[string]string{"usr/bin/date": "#!/bin/bash\necho $((EPOCHSECONDS - 3600)).000000000\n"})
	r.boot("arm", 14, map[string]string{"usr/bin/uname": "#!/bin/sh\n[ \"$1\" = -m ] && echo aarch64 || echo Linux\n"})
	unit := r.boot("theirs", 15, map[string]string{"etc/systemd/system/quorate.service": "[Service]\nExecStart=/bin/true\n"})
	r.boot("fine", 16, nil)
	ln, err := net.Listen("tcp", taken.addr+":2379")
	must(t, err)
	defer ln.Close()
	names := []string{"taken", "full", "late", "arm", "theirs", "fine"}

	before := unit.traces()
	out := r.q(1, r.deploying(names, "--accept-new")...)
	r.says(out,
		"no-go: taken: client-port 2379 is taken",
		"no-go: full: only 20 MiB are free for the data, and 1.0 GiB is the least",
		"no-go: late: its clock is 1h0m",
		"no-go: arm: it is Linux aarch64, and the binary is for Linux x86_64: give --binary of its kind",
		"no-go: theirs: a quorate.service is there that `quorate ssh deploy` has not made",
		"nothing was changed on any host")
	if strings.Contains(out, "no-go: fine") {
		t.Errorf("fine is blamed:\n%s", out)
	}
	for _, name := range []string{"taken", "full", "late", "arm", "fine"} {
		if name != "full" { // its data's directory is the test's
			r.hosts[name].pristine()
		}
	}
	if after := unit.traces(); after != before {
		t.Errorf("theirs was %s, is %s", before, after)
	}
}

// TestSSHUndone: a first deployment that fails on one host, or is interrupted,
// leaves nothing on any.
func TestSSHUndone(t *testing.T) {
	t.Parallel()
	r := newSSHRig(t)
	a, b := r.boot("a", 11, nil), r.boot("b", 12, nil)
	c := r.boot("c", 13, map[string]string{"usr/sbin/useradd": "#!/bin/sh\necho 'useradd: no room' >&2\nexit 1\n"})
	out := r.q(1, r.deploying(abc, "--accept-new")...)
	r.says(out, "c: installing: useradd: no room", "a: undone: nothing of ours is there")
	for _, h := range []*sshHost{a, b, c} {
		h.pristine()
	}

	// An interrupt finds it at work, and so do those who come meanwhile.
	c.sh("printf '#!/bin/sh\\nuntil [ -e /run/go ]; do sleep 0.1; done\\n' >/usr/sbin/useradd")
	out, code := r.during("installed release", func(pid int) {
		for _, args := range [][]string{r.deploying(abc), r.ssh("destroy", []string{"b"}, "--yes")} {
			r.says(r.q(1, args...), "b: another `quorate ssh` is changing this host: wait until it has ended")
		}
		must(t, syscall.Kill(-pid, syscall.SIGINT))
		c.sh("touch /run/go")
	}, r.deploying(abc)...)
	r.says(out, "interrupted", "undone: nothing of ours is there")
	if code != 1 {
		t.Errorf("exit code %d", code)
	}
	for _, h := range []*sshHost{a, b, c} {
		h.pristine()
	}

	c.sh("rm /usr/sbin/useradd; cp " + filepath.Join("/proc/1/root", realUseradd(t)) + " /usr/sbin/useradd; touch /run/fake/refuses")
	out = r.q(1, r.deploying(abc)...)
	r.says(out, "c: starting: Job for quorate.service failed.", "undone: nothing of ours is there")
	for _, h := range []*sshHost{a, b, c} {
		if got := h.sh("ls -d /opt/quorate /etc/systemd/system/quorate.service /usr/local/bin/quorate 2>/dev/null; pgrep -f '^/opt/quorate'; true"); got != "" {
			t.Errorf("%s: left: %s", h.name, got)
		}
	}

	c.sh("rm /run/fake/refuses")
	r.says(r.q(0, r.deploying(abc)...), "voters 3/3 healthy")
}

func realUseradd(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile("/usr/sbin/useradd")
	must(t, err)
	path := filepath.Join(t.TempDir(), "useradd")
	must(t, os.WriteFile(path, data, 0o755))
	return path
}

// TestSSHLostHost: a host goes while it is being installed; the others get
// nothing to keep.
func TestSSHLostHost(t *testing.T) {
	t.Parallel()
	r := newSSHRig(t)
	a := r.boot("a", 11, nil)
	b := r.boot("b", 12, map[string]string{"usr/sbin/useradd": "#!/bin/sh\nsleep 60\n"})
	out, code := r.during("installed release", func(int) { _ = b.init.Process.Kill() }, r.deploying([]string{"a", "b"}, "--size", "2", "--accept-new")...)
	r.says(out, "b: installing: the connection is lost", "a: undone: nothing of ours is there", "b: UNDOING FAILED, look at it")
	if code != 1 {
		t.Errorf("exit code %d", code)
	}
	a.pristine()
}

// TestSSHStopped: a stopped member comes back before any other is restarted:
// there is no quorum to spare without it.
func TestSSHStopped(t *testing.T) {
	t.Parallel()
	r := newSSHRig(t)
	_, b, _ := r.trio()
	r.q(0, r.deploying(abc, "--accept-new")...)
	b.sh("systemctl stop quorate.service")
	out := r.q(0, r.deploying(abc, "--log-level", "debug")...)
	r.says(out, "turn 1  b: start (its service does not run)", "turn 2", "turn 3", "restart (another config)", "voters 3/3 healthy")
	r.voters(30*time.Second, abc...)

	// Beside a stopped member that stays stopped, none is restarted.
	b.sh("systemctl stop quorate.service; touch /run/fake/refuses")
	before := r.hosts["a"].etcds() + r.hosts["c"].etcds()
	out = r.q(1, r.deploying(abc, "--log-level", "info")...)
	r.says(out, "b: starting: Job for quorate.service failed.", "b: as it was")
	out = r.q(1, r.deploying([]string{"a", "c"}, "--size", "2", "--within", "3s")...)
	r.says(out, "no-go: b: in the cluster, and not among --hosts")
	if after := r.hosts["a"].etcds() + r.hosts["c"].etcds(); after != before {
		t.Errorf("the etcds were %s, are %s", before, after)
	}
}
