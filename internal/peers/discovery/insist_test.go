package discovery

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// deafFor is a way to an etcd on which nothing that begins within that time of the
// first connection ever arrives: an election, as who asks then sees it.
func deafFor(t *testing.T, deaf time.Duration, to string) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { ln.Close() })
	go func() {
		var first time.Time
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { conn.Close() })
			if first.IsZero() {
				first = time.Now()
			}
			if time.Since(first) < deaf {
				continue
			}
			there, err := net.Dial("tcp", to)
			if err != nil {
				conn.Close()
				continue
			}
			go func() { _, _ = io.Copy(there, conn); there.Close() }()
			go func() { _, _ = io.Copy(conn, there); conn.Close() }()
		}
	}()
	return ln.Addr().String()
}

// TestNewInElection: a token is made although the first attempt gets no answer.
func TestNewInElection(t *testing.T) {
	t.Parallel()
	addr, _ := startRegistry(t)
	client(t, clientv3.Config{Endpoints: []string{addr}})
	began := time.Now()
	raw, err := New(t.Context(), "etcd://"+deafFor(t, 3*time.Second, addr), 2)
	must(t, err)
	if took := time.Since(began); took > persistence+attempt {
		t.Errorf("it took %s", took)
	}
	s := open(t, "etcd://"+addr+raw[strings.LastIndex(raw, "/"):])
	if v, err := s.View(t.Context()); err != nil || v.Size != 2 {
		t.Errorf("%+v, %v", v, err)
	}
}

// TestNewGivesUp: in the end, and says for how long it has tried.
func TestNewGivesUp(t *testing.T) {
	t.Parallel()
	began := time.Now()
	_, err := New(t.Context(), "etcd://"+deafFor(t, time.Hour, ""), 1)
	if err == nil || !strings.Contains(err.Error(), "no answer within 10s") {
		t.Errorf("got %v", err)
	}
	if took := time.Since(began); took < persistence-attempt || took > persistence+2*attempt {
		t.Errorf("it took %s", took)
	}
}

// TestPasses: only what the next moment may mend is tried again.
func TestPasses(t *testing.T) {
	for err, want := range map[error]bool{
		nil: false, late(attempt): true, rpctypes.ErrNoLeader: true, rpctypes.ErrTimeoutDueToLeaderFail: true, rpctypes.ErrLeaderChanged: true,
		rpctypes.ErrPermissionDenied: false, rpctypes.ErrNoSpace: false, errors.New("connection refused"): false,
	} {
		if err != nil {
			err = fmt.Errorf("asking etcd: %w", err)
		}
		if got := passes(err); got != want {
			t.Errorf("%v: %v", err, got)
		}
	}
}
