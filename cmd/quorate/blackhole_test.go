package main

import (
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

// TestHungStore: the store hangs after the founding; it delays no round, and no
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
	startAll(a, b, c)
	took := r.voters(25*time.Second, "a", "b", "c")
	t.Logf("serving again after %s", took.Round(time.Millisecond))
	r.wantValue(r.client("a"), "kept", "1")
	r.keepsPace(a, b, c)
}

// keepsPace wants each host's agent to decide often, and its rounds to be
// short: by the histogram's largest buckets, at most one in ten takes 0.5 s.
func (r *rig) keepsPace(hosts ...*host) {
	r.t.Helper()
	for _, h := range hosts {
		h.stays(5, "answers", because(""))
		var slow, all float64
		for _, line := range strings.Split(h.metrics(), "\n") {
			_, _ = fmt.Sscanf(line, `quorate_round_seconds_bucket{le="0.512"} %f`, &slow)
			_, _ = fmt.Sscanf(line, `quorate_round_seconds_count %f`, &all)
		}
		if all == 0 || slow < 0.9*all {
			r.t.Errorf("%s: only %v of %v rounds took less than 0.5 s", h.name, slow, all)
		}
	}
}
