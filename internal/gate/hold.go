package gate

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"sync"
)

var (
	// ErrNone says that the etcd has no gate: it is not the built-in one, or does
	// not run.
	ErrNone = errors.New("etcd has no gate")
	// ErrPassed says that another member leads already.
	ErrPassed = errors.New("another member leads")
)

// Hold shuts the gate of the etcd on quorate's data directory dir while leader
// leads, and returns when no proposal is under way there, or when ctx ends. After
// it the gate stays shut until release, unless it opens by itself before. An
// error means that it is open.
func Hold(ctx context.Context, dir string, leader uint64) (release func(), err error) {
	reach, free, err := reachable(filepath.Join(dir, socketFile))
	if err != nil {
		return nil, fmt.Errorf("holding requests: %w", err)
	}
	defer free()
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", reach)
	if err != nil {
		return nil, fmt.Errorf("holding requests: %w: %w", ErrNone, err)
	}
	release = sync.OnceFunc(func() { conn.Close() })
	stop := context.AfterFunc(ctx, release)
	err = ask(conn, leader)
	if !stop() || err != nil { // ctx has ended
		release()
		return nil, fmt.Errorf("holding requests: %w", cmp.Or(err, ctx.Err()))
	}
	go func() {
		_, _ = conn.Read(make([]byte, 1)) // until the gate has opened
		release()
	}()
	return release, nil
}

func ask(conn net.Conn, leader uint64) error {
	if _, err := fmt.Fprintf(conn, holdFormat, leader); err != nil {
		return err
	}
	switch answer, err := bufio.NewReader(conn).ReadString('\n'); {
	case err != nil:
		return fmt.Errorf("waiting for the requests under way: %w", err)
	case answer == passedFormat:
		return ErrPassed
	}
	return nil
}
