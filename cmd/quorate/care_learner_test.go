package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// link is a slow line to one port: it lets so many bytes a second through in
// each connection, and at 0 nothing.
type link struct{ rate atomic.Int64 }

// throttle serves from, and passes what comes on to to.
func (l *link) throttle(t *testing.T, from, to string) {
	t.Helper()
	ln, err := net.Listen("tcp", from)
	must(t, err)
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			in, err := ln.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", to)
			if err != nil {
				in.Close()
				continue
			}
			t.Cleanup(func() { in.Close(); out.Close() })
			go func() { l.copy(out, in); out.Close() }()
			go func() { _, _ = io.Copy(in, out); in.Close() }()
		}
	}()
}

func (l *link) copy(to io.Writer, from io.Reader) {
	const beat = 10 * time.Millisecond
	for buf := make([]byte, 64<<10); ; time.Sleep(beat) { // the line's pace is what is tested
		n := min(int64(len(buf)), l.rate.Load()/int64(time.Second/beat))
		if n == 0 {
			continue
		}
		got, err := from.Read(buf[:n])
		if _, failed := to.Write(buf[:got]); err != nil || failed != nil {
			return
		}
	}
}

// slowJoiner is a host behind slow lines, on which what it listens to is another
// address than the one that others know.
func (r *rig) slowJoiner(t *testing.T, name string, number int, rate int64) (*host, *link, string) {
	h := r.machine(name, number)
	inner := fmt.Sprintf("%s.%d", r.net, number+100)
	l, fast := &link{}, &link{}
	l.rate.Store(rate)
	fast.rate.Store(1 << 40)
	l.throttle(t, h.addr+":2380", inner+":2380")
	for _, port := range []string{":2378", ":2379"} {
		fast.throttle(t, h.addr+port, inner+port)
	}
	return h, l, inner
}

const slowRate = 2 << 20

// heavy is two voters with 60 MB that a newcomer gets as one database.
func heavy(t *testing.T) *rig {
	t.Helper()
	r := newRig(t, "--learner-patience", "4s")
	a := r.machine("a", 11)
	b := r.machine("b", 12)
	r.list("a", "b")
	last := []string{"--", "--snapshot-count=20", "--snapshot-catchup-entries=5", "--max-request-bytes=3000000"} // a newcomer gets the database, not the log
	a.start(last...)
	b.start(last...)
	r.voters(40*time.Second, "a", "b")
	c := r.client("a", "b")
	for i := range 60 {
		r.put(c, fmt.Sprint("big", i), strings.Repeat(fmt.Sprintf("%03d ", i), 256<<10))
	}
	return r
}

// grow lets a third voter in.
func (r *rig) grow(h *host, inner string) {
	r.list("a", "b", h.name)
	r.flags = append(r.flags, "--listen-host", inner)
	h.start()
}

// TestSlowLink: a joiner that takes seconds times the patience to receive the
// database is left alone; once the line is dead it loses its place.
func TestSlowLink(t *testing.T) {
	r := heavy(t)
	d, _, inner := r.slowJoiner(t, "d", 14, slowRate)
	began := time.Now()
	r.grow(d, inner)
	r.eventually(4*time.Minute, "d votes", func() error { return d.ready() })
	took := time.Since(began)
	if strings.Contains(r.logs(), "a learner has stopped getting nearer") {
		t.Error("the joiner lost its place")
	}
	if took < 20*time.Second {
		t.Errorf("60 MB at 2 MB/s in %s: the line is not slow", took)
	}
	t.Logf("60 MB at 2 MB/s with a patience of 4 s: a vote after %s", took.Round(time.Second))
}

// TestDeadLink: the line dies in the middle.
func TestDeadLink(t *testing.T) {
	r := heavy(t)
	d, line, inner := r.slowJoiner(t, "d", 14, slowRate)
	r.grow(d, inner)
	r.eventually(time.Minute, "some of it has arrived", func() error {
		rep, err := d.report()
		if err == nil && rep.Care.Catching.Bytes < 8<<20 {
			err = fmt.Errorf("%d bytes, %s", rep.Care.Catching.Bytes, rep.Reason)
		}
		return err
	})
	if strings.Contains(r.logs(), "a learner has stopped getting nearer") {
		t.Error("it was evicted before the line died")
	}
	line.rate.Store(0)
	died := time.Now()
	r.eventually(time.Minute, "the learner loses its place", func() error {
		if !strings.Contains(r.logs(), "a learner has stopped getting nearer") {
			return errors.New("not yet")
		}
		return nil
	})
	t.Logf("evicted %s after the line died, with a patience of 4 s", time.Since(died).Round(100*time.Millisecond))
}
