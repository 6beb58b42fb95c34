package discovery

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
)

// How long a person waits for an answer in all, and for one attempt: what is asked
// in an election gets none, and what is asked anew after it does.
const (
	persistence = 10 * time.Second
	attempt     = 2 * time.Second
	respite     = 250 * time.Millisecond // between two of them
)

// late is that there was no answer within that time.
type late time.Duration

func (l late) Error() string { return fmt.Sprintf("no answer within %s", time.Duration(l)) }

// insist is with, again and again while nobody answers. It is for what may be done
// twice: an attempt without an answer may have been heard.
func (s server) insist(ctx context.Context, ask func(context.Context, *clientv3.Client) error) error {
	for end := time.Now().Add(persistence); ; {
		err := s.within(ctx, min(attempt, time.Until(end)), ask)
		switch left := time.Until(end); {
		case !passes(err) || ctx.Err() != nil:
			return err
		case left <= respite:
			return fmt.Errorf("no answer within %s of asking again and again; the last time: %w", persistence, err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(respite):
		}
	}
}

// passes says that a failure is one of the moment: nobody has answered, or etcd
// has said that it has no leader now.
func passes(err error) bool {
	var silence late
	var said rpctypes.EtcdError
	return errors.As(err, &silence) || errors.As(err, &said) && said.Code() == codes.Unavailable
}
