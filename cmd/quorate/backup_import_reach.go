package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"
)

// answerLimit is how long a cluster may take for a first answer, and one of its
// endpoints to be connected to.
const answerLimit = 5 * time.Second

// unanswered says of each endpoint why nobody has answered there, where an error is
// only that time ran out.
func (c *backupImport) unanswered(ctx context.Context, err error) error {
	if !errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil {
		return err
	}
	var all []error
	for _, e := range c.Endpoints {
		all = append(all, fmt.Errorf("endpoints: %s does not answer: %w", e, silence(ctx, e)))
	}
	all = append(all, errors.New("(nothing was written; want HOST:PORT, of the client URLs of a cluster that runs, and run it again)"))
	return errors.Join(all...)
}

// silence is what keeps an endpoint from answering.
func silence(ctx context.Context, endpoint string) error {
	ctx, cancel := context.WithTimeout(ctx, answerLimit)
	defer cancel()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", hostPort(endpoint))
	if err != nil {
		return err
	}
	conn.Close()
	return errors.New("it can be connected to, but no etcd answers: has it no quorum, or does it want TLS (--cacert, --cert, --key)?")
}

// hostPort is the address of an endpoint, with or without a scheme.
func hostPort(endpoint string) string {
	if _, rest, ok := strings.Cut(endpoint, "://"); ok {
		endpoint = rest
	}
	return strings.TrimSuffix(endpoint, "/")
}
