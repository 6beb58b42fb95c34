package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/clustertest/named"
)

// listed is a source that cannot tell a first start from a lost disk, and how
// a machine gets into it.
type listed struct {
	peers string
	add   func(*bare)
}

// TestPrintLists: machines without agents, by SRV records of BIND's, by a list,
// by a program, and by a file: a new cluster, restarts, both kinds of lost disk, and one
// more machine; and nothing on a guess.
func TestPrintLists(t *testing.T) {
	for name, open := range map[string]func(*rig) listed{"srv": bySRV, "static": byList, "exec": byProgram, "file": byFile} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.store = ""
			a, b, c, d := r.bare("a", 11), r.bare("b", 12), r.bare("c", 13), r.bare("d", 14)
			source := open(r)
			r.peers = source.peers
			r.listLife(source, a, b, c, d)
		})
	}
}

func (r *rig) listLife(source listed, a, b, c, d *bare) {
	source.add(a)
	source.add(b)
	if source.peers != "" { // a list names all at once
		a.refused("the peers source is not complete yet (2 of 3)", "--register", "--first-start")
		c.refused("this machine is not in the peers source", "--register", "--first-start")
	}
	source.add(c)
	a.refused("nothing tells a first start from a lost disk", "--register")
	for _, h := range []*bare{a, b, c} {
		h.sh(flagsLine, "--register", "--first-start", "--wait", "60s")
	}
	before := r.votes(90*time.Second, "a", "b", "c")
	r.put(r.client("a"), "kept", "1")
	b.kill()
	b.sh(envLine) // no word, and no leave to register
	r.votes(60*time.Second, "a", "b", "c")
	dropin, errOut, code := r.quorate(append([]string{"explain", "-o", "dropin"}, b.args()...)...)
	if got := systemdEnvironment(r.t, dropin); code != 0 || got["ETCD_NAME"] != "b" || got["ETCD_DATA_DIR"] != b.etcdDir() {
		r.t.Errorf("%d %s: the drop-in is\n%s", code, errOut, dropin)
	}
	verifyUnit(r.t, dropin)

	// etcd's directory is lost; then a whole machine.
	c.kill()
	must(r.t, os.RemoveAll(c.etcdDir()))
	c.sh(envLine, "--register", "--as-voter", "--wait", "60s")
	r.votes(60*time.Second, "a", "b", "c")
	c.wipeDisk()
	c.refused("with --register: RemoveMember{c}")
	c.sh(flagsLine, "--register", "--as-voter", "--wait", "60s")
	after := r.votes(60*time.Second, "a", "b", "c")
	if after["c"].ID == before["c"].ID || after["a"].ID != before["a"].ID {
		r.t.Errorf("before %v, after %v", before, after)
	}

	source.add(d)
	d.sh(flagsLine, "--register", "--as-voter", "--size", "4", "--join", "add", "--wait", "60s")
	r.votes(60*time.Second, "a", "b", "c", "d")

	// All stop: who has lost its disk founds nothing, the others resume.
	for _, h := range []*bare{a, b, c, d} {
		h.kill()
	}
	a.wipeDisk()
	a.refused("nothing tells a first start from a lost disk", "--register")
	must(r.t, os.RemoveAll(b.etcdDir()))
	b.refused("on a disk that is lost, and no member answers", "--register", "--first-start")
	c.sh(envLine, "--register")
	d.sh(envLine, "--register")
	r.eventually(30*time.Second, "a hears of the others", func() error {
		_, errOut, _ := r.quorate(append([]string{"explain", "-o", "env"}, a.args()...)...)
		if !strings.Contains(errOut, "an etcd answers, and no quorum does") {
			return errors.New(errOut)
		}
		return nil
	})
	a.refused("an etcd answers, and no quorum does", "--register", "--first-start", "--wait", "1s")
}

// bySRV is a zone of BIND's that lists machines one by one.
func bySRV(r *rig) listed {
	server := named.Start(r.t, "example.org")
	return listed{peers: "dns+srv://example.org?host=address&size=3&every=0s&server=" + server.Addr,
		add: func(b *bare) { server.Add(r.t, "example.org", b.inZone()...) }}
}

// byProgram is a program that prints who has been added.
func byProgram(r *rig) listed {
	path := filepath.Join(r.dir, "peers.sh")
	var all []string
	return listed{peers: "exec://" + path + "?every=0s", add: func(b *bare) {
		all = append(all, fmt.Sprintf(`{"name":%q,"host":%q}`, b.name, b.addr))
		must(r.t, os.WriteFile(path+".tmp", []byte("#!/bin/sh\necho '{\"size\":3,\"peers\":["+strings.Join(all, ",")+"]}'\n"), 0o700))
		must(r.t, os.Rename(path+".tmp", path))
	}}
}

// byFile is a file, whose word is that who is not in it is gone.
func byFile(r *rig) listed {
	var all []string
	return listed{peers: "file://" + r.peersFile(), add: func(b *bare) {
		all = append(all, b.name)
		r.list(all...)
	}}
}

// byList is the list itself: each machine has all of it from the start.
func byList(r *rig) listed {
	var all []string
	for _, n := range []string{"a", "b", "c"} {
		all = append(all, n+"="+r.nodes[n].addr)
	}
	r.peers = strings.Join(all, ",")
	return listed{add: func(b *bare) {
		if r.peers = strings.Join(all, ","); b.name == "d" { // whose owner adds it to its own list
			r.peers += ",d=" + b.addr
		}
	}}
}

// TestPrintPrepared: what only an operator adds joins, without leave to change
// anything; nobody adds itself.
func TestPrintPrepared(t *testing.T) {
	t.Parallel()
	r := newRig(t, "--size", "3", "--join", "prepared")
	r.store = ""
	a, b, c := r.bare("a", 11), r.bare("b", 12), r.bare("c", 13)
	r.peers = fmt.Sprintf("a=%s,b=%s,c=%s", a.addr, b.addr, c.addr)
	only := []string{"--peers", "a=" + a.addr, "--size", "1"} // a's own list, of old
	a.sh(flagsLine, append(only, "--first-start", "--register")...)
	r.votes(60*time.Second, "a")
	admin, names := r.client("a"), []string{"a"}
	for _, h := range []*bare{b, c} {
		h.refused("no entry has been prepared for this node (strategy prepared)", "--register")
		r.eventually(60*time.Second, h.name+" is added by hand", func() error {
			ctx, cancel := brief()
			defer cancel()
			_, err := admin.MemberAdd(ctx, []string{h.url(2380)})
			return err
		})
		h.sh(envLine)
		names = append(names, h.name)
		r.votes(60*time.Second, names...)
	}
	c.wipeDisk()
	c.refused("the entry of a lost disk has this node's address: remove it and add a new one (c)", "--register")
}

// TestPrintTLS: every port is encrypted and asks for certificates; by a
// registry, with a restart, a lost disk and a newcomer.
func TestPrintTLS(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	r := newRig(t, "--size", "4")
	r.token("3")
	hosts := map[string]*bare{}
	var addrs []string
	for i, n := range []string{"a", "b", "c", "d"} {
		hosts[n] = r.bare(n, 11+i)
		addrs = append(addrs, hosts[n].addr)
	}
	ca.issue("server", 10, addrs...)
	ca.issue("peer", 20, append(addrs, "127.0.0.1")...) // etcd holds a peer's certificate against where it comes from
	ca.issue("admin", 30)
	r.flags = append(r.flags, "--cert-file", ca.file("server"), "--key-file", ca.file("server-key"), "--trusted-ca-file", ca.file("ca"), "--client-cert-auth",
		"--peer-cert-file", ca.file("peer"), "--peer-key-file", ca.file("peer-key"), "--peer-trusted-ca-file", ca.file("ca"), "--peer-client-cert-auth")
	r.secure = ca.client("admin")
	for _, n := range []string{"a", "b", "c"} {
		hosts[n].sh(envLine, "--register", "--wait", "60s")
	}
	before := r.votes(90*time.Second, "a", "b", "c")
	for _, m := range before {
		if !strings.HasPrefix(m.PeerURLs[0], "https://") {
			t.Errorf("%v", m.PeerURLs)
		}
	}
	hosts["a"].refusesPlain(ca)
	hosts["b"].kill()
	hosts["b"].sh(flagsLine)
	hosts["c"].wipeDisk()
	hosts["c"].unit(flagsLine, "--register", "--as-voter", "--wait", "60s")
	hosts["d"].unit(flagsLine, "--register", "--as-voter", "--wait", "60s")
	if after := r.votes(90*time.Second, "a", "b", "c", "d"); after["c"].ID == before["c"].ID {
		t.Errorf("c lost its disk, and is %v again", after["c"])
	}
}
