package probe

import (
	"bufio"
	"context"
	"errors"
	"net"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/quorate/quorate/internal/hosts"
)

// callLimit is how long a port may take to answer: a firewall that drops lets
// it pass.
const callLimit = 4 * time.Second

// call tries every port of every host at once.
func call(ctx context.Context, task hosts.Task) []hosts.Call {
	var calls []hosts.Call
	for _, p := range task.Peers {
		for _, port := range p.Ports {
			calls = append(calls, hosts.Call{To: p.Name, Port: port})
		}
	}
	at := map[string]string{}
	for _, p := range task.Peers {
		at[p.Name] = p.Host
	}
	var wait sync.WaitGroup
	for i := range calls {
		wait.Go(func() { one(ctx, task.Nonce, at[calls[i].To], &calls[i]) })
	}
	wait.Wait()
	return calls
}

// one makes one call. Whoever answers without our greeting is a service that
// runs there already; the others' own look has found it.
func one(ctx context.Context, nonce, host string, c *hosts.Call) {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort(host, strconv.Itoa(c.Port.Number)))
	if err != nil {
		c.Error = why(err)
		return
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Second))
	line, err := bufio.NewReader(conn).ReadString('\n')
	if name, ok := strings.CutPrefix(strings.TrimSpace(line), greeting(nonce)); ok && err == nil && name != c.To {
		c.Other = name
	}
}

// why is an error of a call in few words, without addresses: they are said.
func why(err error) string {
	var timeout net.Error
	var name *net.DNSError
	switch {
	case errors.As(err, &name):
		return "its name is not known there"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refused, as by a firewall"
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTUNREACH):
		return "no way there"
	case errors.As(err, &timeout) && timeout.Timeout():
		return "no answer within " + callLimit.String() + ", as by a firewall"
	}
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err.Error()
	}
	return err.Error()
}

func isErrno(err error, no syscall.Errno) bool { return errors.Is(err, no) }
