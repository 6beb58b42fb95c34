package main

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"
)

// acceptsOnly is a server that takes connections and never says a word.
func acceptsOnly(t *testing.T, addr string) {
	t.Helper()
	ln, err := net.Listen("tcp", addr)
	must(t, err)
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { c.Close() })
		}
	}()
}

// neverAccepts is a port whose queue is full: connecting to it hangs.
func neverAccepts(t *testing.T, host string, port int) {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	must(t, err)
	t.Cleanup(func() { syscall.Close(fd) })
	at := &syscall.SockaddrInet4{Port: port, Addr: [4]byte(net.ParseIP(host).To4())}
	must(t, syscall.Bind(fd, at))
	must(t, syscall.Listen(fd, 0))
	for range 8 {
		c, err := net.DialTimeout("tcp", fmt.Sprintf("%s:%d", host, port), 200*time.Millisecond)
		if err != nil {
			return
		}
		t.Cleanup(func() { c.Close() })
	}
	t.Fatal("the queue does not fill")
}

// TestBlackHoles: two of the peers are black holes, on each port, and yet the
// three others form and keep their pace.
func TestBlackHoles(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a, b, c := r.trio()
	mute, deaf := r.machine("mute", 15), r.machine("deaf", 16)
	for _, port := range []int{2378, 2379, 2380} {
		acceptsOnly(t, fmt.Sprintf("%s:%d", mute.addr, port))
		neverAccepts(t, deaf.addr, port)
	}
	r.list("a", "b", "c", "mute", "deaf")
	startAll(a, b, c)
	took := r.voters(20*time.Second, "a", "b", "c")
	t.Logf("three voters after %s", took.Round(time.Millisecond))
	r.keepsPace(a, b, c)
}

// TestHungStore: the store hangs after the founding; no round waits for it, and no
// restart on data.
func TestHungStore(t *testing.T) {
	r := newRig(t)
	a, b, c := r.trio()
	startAll(a, b, c)
	r.voters(30*time.Second, "a", "b", "c")
	r.put(r.client("a"), "kept", "1")
	for _, h := range []*host{a, b, c} {
		h.crash()
	}
	endpoint := network + ".70:9000"
	acceptsOnly(t, endpoint)
	for k, v := range map[string]string{"AWS_ENDPOINT_URL": "http://" + endpoint, "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_REGION": "eu-1"} {
		t.Setenv(k, v)
	}
	r.store = "s3://hangs"
	before := map[*host]int{a: len(a.log()), b: len(b.log()), c: len(c.log())}
	startAll(a, b, c)
	took := r.voters(60*time.Second, "a", "b", "c")
	t.Logf("serving again after %s", took.Round(time.Millisecond))
	r.wantValue(r.client("a"), "kept", "1")
	for h, n := range before {
		h.startsUnanswered(n)
	}
	r.keepsPace(a, b, c)
}

// startsUnanswered wants that the agent, whose log goes on from there, started
// its etcd before the first request to the store had ended: it has not waited.
func (h *host) startsUnanswered(from int) {
	h.r.t.Helper()
	const starts, ends = `msg="the data is usable"`, `msg="the store does not answer as it should"`
	h.r.eventually(30*time.Second, h.name+" gives the store up", func() error {
		if !strings.Contains(h.log()[from:], ends) {
			return errors.New("not yet")
		}
		return nil
	})
	if before, _, _ := strings.Cut(h.log()[from:], ends); !strings.Contains(before, starts) {
		h.r.t.Errorf("%s started its etcd only when the store had been given up", h.name)
	}
}

// keepsPace wants each host's agent to decide often, and nothing that hangs to
// hold its rounds up. One that waited for a black hole would take seconds in
// every round, one that waited for a store 10 s; a busy machine makes some of them
// take tenths. So, by the histogram's buckets, most rounds are to take less than
// 0.5 s, and none 8 s.
func (r *rig) keepsPace(hosts ...*host) {
	r.t.Helper()
	for _, h := range hosts {
		h.stays(5, "answers", because(""))
		var quick, bounded, all float64
		for _, line := range strings.Split(h.metrics(), "\n") {
			_, _ = fmt.Sscanf(line, `quorate_round_seconds_bucket{le="0.512"} %f`, &quick)
			_, _ = fmt.Sscanf(line, `quorate_round_seconds_bucket{le="8.192"} %f`, &bounded)
			_, _ = fmt.Sscanf(line, `quorate_round_seconds_count %f`, &all)
		}
		if quick <= all/2 || bounded < all {
			r.t.Errorf("%s: of %v rounds only %v took less than 0.5 s, and %v less than 8 s", h.name, all, quick, bounded)
		}
	}
}
