package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// TestPrintRegistry: three machines without agents, by a token of another etcd:
// a new cluster, restarts, a lost disk, and what is never done.
func TestPrintRegistry(t *testing.T) {
	t.Parallel()
	r := newRig(t, "--size", "auto")
	r.token("3")
	a, b, c := r.bare("a", 11), r.bare("b", 12), r.bare("c", 13)

	a.refused("with --register: RegisterSelf{a}")
	a.refused("the peers source is not complete yet (1 of 3)", "--register")
	a.sh(flagsLine, "--register", "--wait", "60s")
	b.sh(envLine, "--register", "--wait", "60s")
	c.sh(flagsLine, "--register", "--wait", "60s")
	before := r.votes(60*time.Second, "a", "b", "c")
	r.put(r.client("a"), "kept", "1")

	// A restart resumes, with and without leave to register.
	b.kill()
	b.sh(envLine)
	r.votes(30*time.Second, "a", "b", "c")

	// A lost disk comes back under another id.
	c.wipeDisk()
	c.refused("with --register: RemoveMember{c}")
	c.sh(flagsLine, "--register", "--as-voter", "--wait", "60s")
	after := r.votes(60*time.Second, "a", "b", "c")
	if after["c"].ID == before["c"].ID || after["a"].ID != before["a"].ID {
		t.Errorf("before %v, after %v", before, after)
	}
	r.wantValue(r.client("c"), "kept", "1")

	// All stop. A disk that is lost now founds nothing; the others resume.
	for _, h := range []*bare{a, b, c} {
		h.kill()
	}
	a.wipeDisk()
	a.refused("on a disk that is lost, and no member answers", "--register")
	b.sh(flagsLine, "--register")
	c.sh(flagsLine, "--register")
	r.wantValue(r.client("b", "c"), "kept", "1")
	a.sh(flagsLine, "--register", "--as-voter", "--wait", "60s")
	r.votes(60*time.Second, "a", "b", "c")
	r.wantValue(r.client("a"), "kept", "1")
}

// TestPrintMoved: kept data at another address: the member keeps its id.
func TestPrintMoved(t *testing.T) {
	t.Parallel()
	r := newRig(t, "--size", "auto")
	r.token("3")
	a, b, c := r.bare("a", 11), r.bare("b", 12), r.bare("c", 13)
	for _, h := range []*bare{a, b, c} {
		h.sh(flagsLine, "--register", "--wait", "60s")
	}
	before := r.votes(60*time.Second, "a", "b", "c")
	c.kill()
	c.addr = r.net + ".23"
	c.refused("with --register: UpdateMember{c " + c.url(2380) + "}")
	c.sh(flagsLine, "--register")
	after := r.votes(60*time.Second, "a", "b", "c")
	if m := after["c"]; m.ID != before["c"].ID || strings.Join(m.PeerURLs, ",") != c.url(2380) {
		t.Errorf("c was %v, and is %v", before["c"], m)
	}
}

// TestPrintGrow: one machine founds alone; 1→3→7, then without an upper limit.
// The second comes as a voter, and so before it starts there is no quorum; the
// others as learners, each promoted by its own machine. By a token of size 1.
func TestPrintGrow(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.token("1")
	names := []string{"a", "b", "c", "d", "e", "f", "g", "h"}
	hosts := map[string]*bare{}
	for i, n := range names {
		hosts[n] = r.bare(n, 11+i)
	}
	hosts["a"].sh(flagsLine, "--register", "--size", "1", "--wait", "30s")
	r.votes(60*time.Second, "a")
	hosts["b"].refused("the cluster is full (1 members of 1)", "--size", "1", "--register")
	join := func(name, size string, more ...string) {
		t.Helper()
		hosts[name].sh(flagsLine, append(more, "--size", size, "--register", "--wait", "60s")...)
		r.eventually(60*time.Second, name+" is promoted", func() error {
			_, errOut, code := r.quorate(append([]string{"explain", "-o", "flags"}, hosts[name].args("--register", "--size", size)...)...)
			if code != 0 {
				return errors.New(errOut)
			}
			if m := r.members(r.client("a"))[name]; m.Learner || m.Name == "" {
				return fmt.Errorf("%+v", m)
			}
			return nil
		})
	}
	join("b", "3", "--as-voter")
	join("c", "3")
	r.votes(30*time.Second, names[:3]...)
	hosts["d"].refused("the cluster is full (3 members of 3)", "--size", "3", "--register")
	for i, strategy := range []string{"add", "replace", "prune", "add"} {
		join(names[3+i], "7", "--join", strategy)
	}
	r.votes(30*time.Second, names[:7]...)
	hosts["h"].refused("the cluster is full (7 members of 7)", "--size", "7", "--register")
	join("h", "0")
	r.votes(30*time.Second, names...)
}

// TestPrintPrune: of five two are dead. Replace takes one away, though only when
// the cluster is full; prune takes both, one by one, and nobody's unstarted entry.
// The registry follows, and founds nothing beside a cluster that is down.
func TestPrintPrune(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	registry := r.token("5")
	names := []string{"a", "b", "c", "d", "e"}
	hosts := map[string]*bare{}
	for i, n := range append(names, "f", "g", "h") {
		hosts[n] = r.bare(n, 11+i)
	}
	for _, n := range names {
		hosts[n].sh(envLine, "--size", "5", "--register", "--wait", "60s")
	}
	r.votes(90*time.Second, names...)
	admin := r.client("a", "b", "c")
	hosts["d"].kill()
	hosts["e"].kill()
	hosts["f"].refused("the cluster is full (5 members of 5)", "--size", "5", "--register", "--join", "add")
	hosts["f"].refused("with --register: RemoveMember{", "--size", "5", "--join", "replace", "--look", "1s", "--peers", r.peers) // registered by the line before
	if n := len(r.members(admin)); n != 5 {
		t.Fatalf("asking has left %d members", n)
	}
	hosts["f"].sh(flagsLine, "--size", "5", "--register", "--as-voter", "--look", "1s", "--wait", "60s")
	r.eventually(60*time.Second, "f replaces one", func() error {
		m := r.members(admin)
		_, d := m["d"]
		_, e := m["e"]
		if len(m) != 5 || d == e || m["f"].Name == "" {
			return fmt.Errorf("%v", m)
		}
		return nil
	})
	// One more dies: of five, three live; prune takes both that are dead.
	hosts["c"].kill()
	admin = r.client("a", "b", "f")
	hosts["g"].sh(flagsLine, "--size", "5", "--register", "--as-voter", "--join", "prune", "--look", "1s", "--wait", "60s")
	r.votes(60*time.Second, "a", "b", "f", "g")
	hosts["c"].refused("this member has been removed from its cluster", "--size", "5")
	got, err := registered(registry)
	if slices.Sort(got); err != nil || !slices.Equal(got, []string{"a", "b", "f", "g"}) {
		t.Errorf("registered are %v, %v", got, err)
	}
	for _, h := range hosts {
		h.kill()
	}
	hosts["h"].refused("this node is no founder, and no member answers", "--size", "5", "--register") // the fifth of five, on a new disk
}

// TestPrintConcurrent: three join at once, with prune: one after the other, and
// none takes the entry of another that has yet to start. An etcd that starts with
// flags from before another was added ends; the next look tells it better ones.
func TestPrintConcurrent(t *testing.T) {
	t.Parallel()
	r := newRig(t, "--size", "6")
	r.token("3")
	names := []string{"a", "b", "c", "d", "e", "f"}
	hosts := map[string]*bare{}
	for i, n := range names {
		hosts[n] = r.bare(n, 11+i)
	}
	for _, n := range names[:3] {
		hosts[n].sh(flagsLine, "--register", "--wait", "60s")
	}
	r.votes(90*time.Second, names[:3]...)
	admin := r.client("a", "b", "c")
	// A joiner that has its entry and never starts: --register prints, no etcd follows.
	out, errOut, code := r.quorate(append([]string{"explain", "-o", "flags"}, hosts["d"].args("--register", "--as-voter", "--wait", "20s")...)...)
	if code != 0 || !strings.Contains(out, "--initial-cluster-state=existing") {
		t.Fatalf("%d %s %s", code, out, errOut)
	}
	entry := memberAt(r, admin, hosts["d"].url(2380))
	for _, n := range []string{"e", "f"} {
		hosts[n].unit(flagsLine, "--register", "--as-voter", "--join", "prune", "--look", "1s", "--wait", "90s")
	}
	r.eventually(2*time.Minute, "another joins beside d's entry", func() error {
		if m := r.members(admin); len(m) < 5 {
			return fmt.Errorf("%v", m)
		}
		return nil
	})
	if now := memberAt(r, admin, hosts["d"].url(2380)); now != entry {
		t.Errorf("d's entry was %x, and is %x", entry, now)
	}
	hosts["d"].sh(`exec "$PROGRAM" etcd ` + out)
	hosts["d"].ends(time.Minute, "member count is unequal")
	hosts["d"].unit(flagsLine, "--register", "--as-voter", "--wait", "60s") // its own entry, again
	r.votes(2*time.Minute, names...)
	if now := memberAt(r, admin, hosts["d"].url(2380)); now != entry {
		t.Errorf("d's entry was %x, and is %x", entry, now)
	}
}

// memberAt is the id of the member at that address; 0 when there is none.
func memberAt(r *rig, c *clientv3.Client, url string) (id uint64) {
	r.eventually(20*time.Second, "the member list", func() error {
		ctx, cancel := brief()
		defer cancel()
		list, err := c.MemberList(ctx)
		if err == nil {
			for _, m := range list.Members {
				if slices.Contains(m.PeerURLs, url) {
					id = m.ID
				}
			}
		}
		return err
	})
	return id
}
