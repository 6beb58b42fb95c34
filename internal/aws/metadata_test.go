package aws

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/aws/awstest"
)

var machine = awstest.Instance{
	ID: "i-0abc", Type: "m7g.large", Region: "eu-central-1", Zone: "eu-central-1b", AccountID: "123456789012",
	PrivateIPv4: "10.0.0.7", PublicIPv4: "198.51.100.7", IPv6: "2001:db8::7", Launched: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC),
}

func open(t *testing.T) *Metadata {
	t.Helper()
	m, err := OpenMetadata()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestIdentity(t *testing.T) {
	server := awstest.Serve(t, machine)
	server.Point(t)
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1") // whose metadata would that be?
	want := Identity{InstanceID: "i-0abc", InstanceType: "m7g.large", Region: "eu-central-1", Zone: "eu-central-1b", AccountID: "123456789012",
		PrivateIPv4: "10.0.0.7", PublicIPv4: "198.51.100.7", IPv6: "2001:db8::7", Launched: machine.Launched}
	m := open(t)
	if got, err := m.Identity(t.Context()); err != nil || got != want {
		t.Errorf("got %+v, %v\nwant %+v", got, err, want)
	}
	if n := server.Calls("api/token"); n != 1 {
		t.Errorf("%d tokens for one identity", n)
	}
	server.Revoke()
	server.Change(func(i *awstest.Instance) { i.PublicIPv4, i.IPv6 = "", "" })
	want.PublicIPv4, want.IPv6 = "", ""
	if got, err := m.Identity(t.Context()); err != nil || got != want {
		t.Errorf("with a token that holds no more, and no public address: got %+v, %v\nwant %+v", got, err, want)
	}
}

func TestNotices(t *testing.T) {
	server := awstest.Serve(t, machine)
	server.Point(t)
	m := open(t)
	if _, found, err := m.SpotNotice(t.Context()); found || err != nil {
		t.Error(found, err)
	}
	if _, found, err := m.RebalanceNotice(t.Context()); found || err != nil {
		t.Error(found, err)
	}
	at := time.Date(2026, 3, 1, 13, 0, 0, 0, time.UTC)
	server.Interrupt("terminate", at)
	server.Rebalance(at)
	if n, found, err := m.SpotNotice(t.Context()); !found || err != nil || n != (SpotNotice{"terminate", at}) {
		t.Error(n, found, err)
	}
	if n, found, err := m.RebalanceNotice(t.Context()); !found || err != nil || !n.Equal(at) {
		t.Error(n, found, err)
	}
}

func TestErrorsSayWhatToDo(t *testing.T) {
	server := awstest.Serve(t, machine)
	server.Point(t)
	for _, c := range []struct {
		name, want string
		prepare    func()
	}{
		{"401", "hop limit 2", func() { server.Refuse(http.StatusUnauthorized) }},
		{"403", "turned off", func() { server.Refuse(http.StatusForbidden) }},
		{"500", "is this an EC2 instance?", func() { server.Refuse(http.StatusInternalServerError) }},
		{"404", "not found", func() { server.Refuse(http.StatusNotFound) }},
		{"hangs", "hop limit 2", func() { server.Refuse(0); server.Hang(true) }},
	} {
		c.prepare()
		unhelpful(t, c.name, c.want, server.URL())
	}
	nobody := "http://" + closedPort(t)
	t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", nobody)
	unhelpful(t, "refused", "is this an EC2 instance?", nobody)
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	unhelpful(t, "disabled", "AWS_EC2_METADATA_DISABLED", nobody)
}

// unhelpful wants an identity's error in time, with the service's address and
// advice, and no notice taken for "none".
func unhelpful(t *testing.T, name, want, endpoint string) {
	t.Helper()
	m, began := open(t), time.Now()
	_, err := m.Identity(t.Context())
	if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), endpoint) {
		t.Errorf("%s: got %v, want %q", name, err, want)
	}
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("%s: %s", name, took)
	}
	if _, found, err := m.SpotNotice(t.Context()); found || err == nil && name != "404" {
		t.Errorf("%s: spot notice %t, %v", name, found, err)
	}
}

// A black hole accepts nothing and refuses nothing.
func TestBlackHole(t *testing.T) {
	hole := fullBacklog(t)
	t.Setenv("AWS_EC2_METADATA_DISABLED", "false")
	t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://"+hole)
	unhelpful(t, "black hole", "hop limit 2", hole)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := open(t).Identity(ctx); err == nil || !strings.Contains(err.Error(), "nobody waits") {
		t.Error(err)
	}
}

func closedPort(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// fullBacklog is an address whose queue is full: connecting to it hangs.
func fullBacklog(t *testing.T) string {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(fd) })
	if err := errors.Join(syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), syscall.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	addr := fmt.Sprintf("127.0.0.1:%d", name.(*syscall.SockaddrInet4).Port)
	for range 8 {
		c, err := net.DialTimeout("tcp", addr, 200*time.Millisecond)
		if err != nil {
			return addr
		}
		t.Cleanup(func() { c.Close() })
	}
	t.Fatal("the queue does not fill")
	return ""
}
