package discovery

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
)

// why says what keeps each host from being asked; nil where one of them may yet
// answer. The client itself tries on and on, and only says that time is over.
func (s server) why(ctx context.Context, cfg *tls.Config) error {
	found := make(chan error, len(s.hosts))
	for _, h := range s.hosts {
		go func() { found <- fault(ctx, h, cfg) }()
	}
	var all []error
	for range s.hosts {
		if err := <-found; err != nil {
			all = append(all, err)
		}
	}
	if len(all) < len(s.hosts) || ctx.Err() != nil {
		return nil
	}
	return errors.Join(all...)
}

// fault is what a host has decidedly said; silence is no fault.
func fault(ctx context.Context, host string, cfg *tls.Config) error {
	conn, err := dial(ctx, host)
	if err != nil {
		return decided(err)
	}
	defer conn.Close()
	if cfg == nil {
		return plainFault(ctx, host, conn)
	}
	cfg = cfg.Clone()
	cfg.ServerName, _, _ = net.SplitHostPort(host)
	err = tls.Client(conn, cfg).HandshakeContext(ctx)
	var noTLS tls.RecordHeaderError
	if errors.As(err, &noTLS) || errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) { // etcd without TLS hangs up
		return fmt.Errorf("%s does not speak TLS: want neither tls=true nor cacert= and cert=", host)
	}
	return decided(err)
}

// preface begins HTTP/2 as gRPC does: a fixed text, and an empty frame of settings.
const (
	preface       = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"
	frameSettings = 4
)

// plainFault sends the preface, and wants settings.
func plainFault(ctx context.Context, host string, conn net.Conn) error {
	_, err := io.WriteString(conn, preface)
	head := make([]byte, 9) // a frame's: length, type, flags, stream
	if err == nil {
		_, err = io.ReadFull(conn, head)
	}
	switch {
	case err != nil && decided(err) == nil:
		return nil
	case err == nil && head[3] == frameSettings && !bytes.HasPrefix(head, []byte("HTTP")):
		return nil
	case speaksTLS(ctx, host):
		return fmt.Errorf("%s speaks TLS: want tls=true or cacert=FILE", host)
	}
	return fmt.Errorf("%s does not speak as etcd's client port does", host)
}

// speaksTLS sends nothing but a hello, so whom it speaks to does not matter.
func speaksTLS(ctx context.Context, host string) bool {
	conn, err := dial(ctx, host)
	if err != nil {
		return false
	}
	defer conn.Close()
	return tls.Client(conn, &tls.Config{InsecureSkipVerify: true}).HandshakeContext(ctx) == nil
}

func dial(ctx context.Context, host string) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", host)
	if err != nil {
		return nil, err
	}
	if until, ok := ctx.Deadline(); ok {
		err = conn.SetDeadline(until)
	}
	return conn, err
}

// decided is err without time-outs.
func decided(err error) error {
	var late net.Error
	if errors.Is(err, context.Canceled) || errors.As(err, &late) && late.Timeout() {
		return nil
	}
	return err
}
