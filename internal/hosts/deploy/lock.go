package deploy

import (
	"bufio"
	"context"
	"errors"
	"io"
	"time"
)

// holder holds a lock for as long as its standard input is open, so that it goes
// with the connection, whatever ends that. The lock is on a directory that every
// host has: nothing of it stays behind.
const holder = `exec 9</etc/systemd/system || exit 1
if command -v flock >/dev/null; then flock -n 9 || { echo taken; exit 0; }; else echo none; exit 0; fi
echo held
exec cat >/dev/null`

var errTaken = errors.New("another `quorate ssh` is changing this host: wait until it has ended")

// Lock keeps every other deployment and removal away from the hosts, until unlock
// or the end of the connection: of two at once, one is refused, and so is one that
// shares a single host. It comes before the first Look. A host that cannot be
// locked (it is gone, we are not root there, it has no systemd) is not: a Look says
// what is wrong with it.
func (f *Fleet) Lock(ctx context.Context) (unlock func(), err error) {
	held := make([]func(), len(f.Nodes))
	at := map[*Node]int{}
	for i, n := range f.Nodes {
		at[n], held[i] = i, func() {}
	}
	unlock = func() {
		for _, release := range held {
			release()
		}
	}
	err = each(ctx, f.Nodes, func(ctx context.Context, n *Node) error {
		said, release := n.hold(ctx)
		switch held[at[n]] = release; said {
		case "taken\n":
			return errTaken
		case "none\n":
			f.Say(n.Name, "warning: it has no flock, so that nothing keeps another deployment away")
		}
		return ctx.Err()
	})
	if err != nil {
		unlock()
		return nil, stopped(ctx, err)
	}
	return unlock, nil
}

// hold is the holder's word. What it holds outlives the context: a run that is
// interrupted still undoes what it did.
func (n *Node) hold(ctx context.Context) (said string, release func()) {
	look, done := context.WithTimeout(ctx, lookLimit)
	defer done()
	if err := n.becomeRoot(look); err != nil {
		return "", func() {}
	}
	own, cancel := context.WithCancel(context.WithoutCancel(ctx))
	toHost, in := io.Pipe()
	fromHost, out := io.Pipe()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = n.exec(own, toHost, out, "sh", "-c", holder) // what it said tells
		out.Close()
		toHost.Close()
	}()
	stop := context.AfterFunc(look, cancel)
	said, _ = bufio.NewReader(fromHost).ReadString('\n')
	stop()
	return said, func() {
		in.Close()
		fromHost.Close()
		select {
		case <-ended:
		case <-time.After(5 * time.Second): // the connection hangs
		}
		cancel()
		<-ended
	}
}
