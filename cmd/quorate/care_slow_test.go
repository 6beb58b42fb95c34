package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/quorate/quorate/internal/cluster"
)

// ails waits until the keeper's word on a member is that, and every agent's
// status shows it; empty: until nothing is the matter.
func (r *rig) ails(limit time.Duration, name, kind string) time.Duration {
	r.t.Helper()
	return r.eventually(limit, name+" ails: "+kind, func() error {
		for _, h := range r.nodes {
			s, err := h.status()
			if err != nil {
				continue // it may be the one that is cut off
			}
			for _, n := range s.Nodes {
				if got, _, _ := strings.Cut(n.Ails, ":"); n.Name == name && got == kind {
					return nil
				} else if n.Name == name {
					err = fmt.Errorf("%q", n.Ails)
				}
			}
			return errors.Join(err, errors.New(s.Reason))
		}
		return errors.New("no agent answers")
	})
}

// unchanged wants the very same members as before.
func (r *rig) unchanged(ids map[string]cluster.Member, by string) {
	r.t.Helper()
	if now := r.members(r.client(by)); fmt.Sprint(now) != fmt.Sprint(ids) {
		r.t.Errorf("members %v, before %v", now, ids)
	}
}

// TestPausedMember: an etcd that is stopped by a signal is named, for longer
// than --dead-after, while a newcomer waits for a place; nobody is removed.
func TestPausedMember(t *testing.T) {
	t.Parallel()
	r, _, _, _ := formed(t)
	leads := r.leader("a", "b", "c")
	ids := r.members(r.client(leads.name))
	h := r.nodes[r.others(leads, "a", "b", "c")[0]]
	d := r.machine("d", 14)
	r.list("a", "b", "c", "d")
	d.start()
	must(t, syscall.Kill(h.etcdPID(), syscall.SIGSTOP))
	defer func() { _ = syscall.Kill(h.etcdPID(), syscall.SIGCONT) }()
	r.ails(20*time.Second, h.name, "paused")
	leads.holds(20*time.Second, h.name+": paused, its etcd is stopped by a signal", 12) // --dead-after is 6 s
	if !strings.Contains(leads.metrics(), `quorate_voter_ails{kind="paused",member="`+h.name+`"} 1`) {
		t.Error("the metric does not tell")
	}
	r.unchanged(ids, leads.name)
	must(t, syscall.Kill(h.etcdPID(), syscall.SIGCONT))
	r.ails(20*time.Second, h.name, "")
	r.unchanged(ids, leads.name)
}

// TestPausedLeader: the others elect a leader, name the one that is paused, and
// keep it.
func TestPausedLeader(t *testing.T) {
	t.Parallel()
	r, _, _, _ := formed(t)
	old := r.leader("a", "b", "c")
	ids := r.members(r.client(old.name))
	must(t, syscall.Kill(old.etcdPID(), syscall.SIGSTOP))
	defer func() { _ = syscall.Kill(old.etcdPID(), syscall.SIGCONT) }()
	r.ails(30*time.Second, old.name, "paused")
	now := r.leader("a", "b", "c")
	if now == old {
		t.Fatal("the paused one leads")
	}
	r.put(r.client(now.name), "k", "v")
	must(t, syscall.Kill(old.etcdPID(), syscall.SIGCONT))
	r.voters(30*time.Second, "a", "b", "c")
	r.unchanged(ids, now.name)
}

// slowDisk is a file system over a directory whose fsync takes its time.
type slowDisk struct{ takes atomic.Int64 }

type slowNode struct {
	fs.LoopbackNode
	disk *slowDisk
}

// WrapChild makes a slow one of what the loopback finds below this one.
func (n *slowNode) WrapChild(_ context.Context, ops fs.InodeEmbedder) fs.InodeEmbedder {
	return &slowNode{LoopbackNode: fs.LoopbackNode{RootData: ops.(*fs.LoopbackNode).RootData}, disk: n.disk}
}

// Fsync waits as the disk would.
func (n *slowNode) Fsync(ctx context.Context, f fs.FileHandle, flags uint32) syscall.Errno {
	time.Sleep(time.Duration(n.disk.takes.Load()))
	if s, ok := f.(fs.FileFsyncer); ok {
		return s.Fsync(ctx, flags)
	}
	return fs.OK
}

// mountSlow puts the file system over dir. It goes when the test ends, after
// everything that runs on it.
func (r *rig) mountSlow(dir string) *slowDisk {
	r.t.Helper()
	disk := &slowDisk{}
	must(r.t, os.MkdirAll(dir, 0o700))
	must(r.t, os.MkdirAll(dir+".real", 0o700))
	root := &fs.LoopbackRoot{Path: dir + ".real"}
	var info syscall.Stat_t
	must(r.t, syscall.Stat(root.Path, &info))
	root.Dev = uint64(info.Dev)
	root.RootNode = &slowNode{LoopbackNode: fs.LoopbackNode{RootData: root}, disk: disk}
	srv, err := fs.Mount(dir, root.RootNode, &fs.Options{MountOptions: fuse.MountOptions{DirectMount: true}})
	must(r.t, err)
	r.t.Cleanup(func() {
		disk.takes.Store(0)
		r.end()
		if err := srv.Unmount(); err != nil {
			r.t.Errorf("unmounting: %v", err)
		}
	})
	return disk
}

// TestSlowDisk: the leader's disk takes seconds for each fsync. It is named, the
// lead leaves it, once, and everybody stays a member.
func TestSlowDisk(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a, b, c := r.trio()
	disk := r.mountSlow(a.dataDir())
	startAll(a, b, c)
	r.voters(60*time.Second, "a", "b", "c")
	ids := r.members(r.client("b"))
	r.leads(a)
	disk.takes.Store(int64(1200 * time.Millisecond))
	r.ails(40*time.Second, "a", "slow")
	r.eventually(40*time.Second, "the lead leaves the slow disk", func() error {
		if h := r.leader("a", "b", "c"); h == a {
			return errors.New("it has not")
		}
		return nil
	})
	for range 8 {
		r.put(r.client("b", "c"), "k", "v")
	}
	r.ails(40*time.Second, "a", "slow")
	if n := strings.Count(r.logs(), `msg="handed over"`); n > 1 {
		t.Errorf("the lead moved %d times", n)
	}
	r.unchanged(ids, "b")
	disk.takes.Store(0)
	r.ails(60*time.Second, "a", "")
	r.voters(30*time.Second, "a", "b", "c")
	r.unchanged(ids, "b")
}

// leads moves the lead to a host.
func (r *rig) leads(h *host) {
	r.t.Helper()
	r.eventually(40*time.Second, h.name+" leads", func() error {
		now := r.leader("a", "b", "c")
		if now == h {
			return nil
		}
		ctx, cancel := brief()
		defer cancel()
		to := uint64(r.members(r.client(h.name))[h.name].ID)
		_, err := r.client(now.name).MoveLeader(ctx, to)
		return errors.Join(err, errors.New("asked"))
	})
}

// apart gives each of the rig's machines a network of its own, joined by a
// bridge, so that any two of them can be parted.
func (r *rig) apart(bridge, net string) {
	r.t.Helper()
	r.net = net
	run := func(args ...string) {
		r.t.Helper()
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			r.t.Fatalf("ip %v: %v %s", args, err, out)
		}
	}
	run("link", "add", bridge, "type", "bridge")
	r.t.Cleanup(func() { run("link", "del", bridge) })
	run("addr", "add", net+".1/24", "dev", bridge)
	run("link", "set", bridge, "up")
	for n, h := range r.nodes {
		space, link := bridge+"-"+n, bridge+"v"+n
		h.addr = net + h.addr[strings.LastIndexByte(h.addr, '.'):]
		h.way = []string{"ip", "netns", "exec", space}
		run("netns", "add", space)
		r.t.Cleanup(func() {
			r.end()
			run("netns", "del", space)
		})
		run("link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", space)
		// The kernel takes its time with a name space that nobody has any more.
		r.t.Cleanup(func() { run("link", "del", link) })
		run("link", "set", link, "master", bridge)
		run("link", "set", link, "up")
		run("-n", space, "link", "set", "lo", "up")
		run("-n", space, "addr", "add", h.addr+"/24", "dev", "eth0")
		run("-n", space, "link", "set", "eth0", "up")
	}
}

// part ends the traffic between two hosts, in both directions; join lets it flow.
func (h *host) part(from *host) { h.route("add", from) }
func (h *host) join(to *host)   { h.route("del", to) }
func (h *host) route(act string, other *host) {
	h.r.t.Helper()
	out, err := exec.Command("ip", "-n", h.way[3], "route", act, "blackhole", other.addr+"/32").CombinedOutput()
	if err != nil {
		h.r.t.Fatalf("ip route %s: %v %s", act, err, out)
	}
}

// TestPartitionedMember: the leader and one follower do not reach each other,
// the third reaches both. The follower is named as cut off, by the third's word,
// and stays, though a newcomer waits for a place.
func TestPartitionedMember(t *testing.T) {
	r := newRig(t)
	r.trio()
	d := r.machine("d", 14)
	own := network[strings.LastIndexByte(network, '.')+1:] // no other process's
	r.apart("care"+own, "10.231."+own)
	r.list("a", "b", "c", "d")
	startAll(r.nodes["a"], r.nodes["b"], r.nodes["c"])
	r.voters(60*time.Second, "a", "b", "c")
	a, c := r.nodes["a"], r.nodes["c"]
	r.leads(a)
	ids := r.members(r.client("a"))
	d.start()
	a.part(c)
	r.ails(30*time.Second, "c", "cut off")
	a.holds(20*time.Second, "c: cut off", 12) // --dead-after is 6 s
	r.unchanged(ids, "a")
	a.join(c)
	r.ails(30*time.Second, "c", "")
	r.voters(30*time.Second, "a", "b", "c")
	r.unchanged(ids, "a")
}
