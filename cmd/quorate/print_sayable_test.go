package main

import (
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/quorate/quorate/internal/clustertest/etcdbin"
	"github.com/quorate/quorate/internal/clustertest/process"
)

// lone is a cluster of one etcd of its owner's, whose name has a space.
func (r *rig) lone(h *host) *clientv3.Client {
	r.t.Helper()
	process.Start(r.t, etcdbin.Etcd(r.t, etcdbin.V37), "--name=my node", "--data-dir="+filepath.Join(r.t.TempDir(), "data"), "--listen-client-urls="+h.url(2379),
		"--advertise-client-urls="+h.url(2379), "--listen-peer-urls="+h.url(2380), "--initial-advertise-peer-urls="+h.url(2380), "--initial-cluster=my node="+h.url(2380))
	c := r.client(h.name)
	r.eventually(60*time.Second, "the one member serves", func() error {
		ctx, cancel := brief()
		defer cancel()
		_, err := c.Get(ctx, "x")
		return err
	})
	return c
}

// TestPrintSayableFirst: what cannot be printed is not done: beside the one
// member, a voter that never starts would cost the quorum.
func TestPrintSayableFirst(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.store, r.peers = "", "a="+r.net+".11,b="+r.net+".12"
	a, b := r.machine("a", 11), r.bare("b", 12)
	c := r.lone(a)
	line := []string{"--register", "--as-voter", "--first-start", "--size", "2"}
	explain := func(more ...string) (out, errOut string, code int) {
		return r.quorate(append([]string{"explain"}, b.args(append(line, more...)...)...)...)
	}
	for _, row := range []struct {
		want string
		code int
		args []string
	}{
		{"data-dir: ", 2, []string{"-o", "flags", "--etcd-data-dir", filepath.Join(r.dir, "my data")}},
		{"systemd lets no variable hold", 2, []string{"-o", "dropin", "--etcd-data-dir", filepath.Join(r.dir, "a\x1bb")}},
		{"systemd lets no variable hold", 2, []string{"-o", "env", "--etcd-data-dir", filepath.Join(r.dir, "a\x1bb")}},
		{"my node", 1, []string{"-o", "flags"}}, // which only the cluster tells
	} {
		out, errOut, code := explain(row.args...)
		if code != row.code || out != "" || !strings.Contains(errOut, row.want) {
			t.Errorf("%q: exit code %d, %q, %s; want %d and %s", row.args, code, out, errOut, row.code, row.want)
		}
	}
	ctx, cancel := brief()
	defer cancel()
	if list, err := c.MemberList(ctx); err != nil || len(list.Members) != 1 {
		t.Fatalf("the members are %v, %v", list, err)
	}
	b.sh(envLine, append(line, "--wait", "30s")...)
	r.eventually(60*time.Second, "b votes", func() error {
		if m := r.members(c); len(m) != 2 || m["b"].Learner || m["b"].Name == "" {
			return fmt.Errorf("%v", m)
		}
		return nil
	})
}

// TestPrintFullOutput: an output that takes nothing is found out before a change.
func TestPrintFullOutput(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	c := r.token("1")
	a := r.bare("a", 11)
	a.sh(`"$PROGRAM" explain "$@" -o env > /dev/full`, "--register", "--size", "1")
	err := a.cmd.Wait()
	a.cmd = nil
	if got, unread := registered(c); err == nil || unread != nil || len(got) > 0 {
		t.Errorf("%v; registered are %v, %v", err, got, unread)
	}
}

// TestPrintIPv6: etcd starts by $(…) on an IPv6 host.
func TestPrintIPv6(t *testing.T) {
	t.Parallel()
	r := newRig(t, "--size", "1")
	r.store, r.peers = "", "a=[::1]"
	a := r.bare("a", 11)
	a.addr = "::1"
	line := []string{"--register", "--first-start"}
	port := "" // of the clients
	var held []net.Listener
	for _, flag := range []string{"--agent-port", "--peer-port", "--client-port"} {
		ln, err := net.Listen("tcp6", "[::1]:0")
		must(t, err)
		held = append(held, ln)
		_, port, err = net.SplitHostPort(ln.Addr().String())
		must(t, err)
		line = append(line, flag, port)
	}
	for _, ln := range held {
		ln.Close()
	}
	a.sh(flagsLine, line...)
	r.eventually(60*time.Second, "etcd is healthy", func() error {
		resp, err := http.Get("http://[::1]:" + port + "/health")
		if err == nil {
			defer resp.Body.Close()
			if resp.StatusCode != http.StatusOK {
				err = fmt.Errorf("%s", resp.Status)
			}
		}
		return err
	})
}
