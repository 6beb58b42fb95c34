package etcd

import (
	"context"
	"crypto/rand"
	"fmt"

	"golang.org/x/sync/errgroup"
)

// Propose makes n entries in the raft log that change nothing, not even the
// revision: each deletes a key that there is not. So many are under way at once.
func (c *Client) Propose(ctx context.Context, n, atOnce int) error {
	etcd, err := c.open(ctx)
	if err != nil {
		return fmt.Errorf("writing past the log's old entries: %w", err)
	}
	work, ctx := errgroup.WithContext(ctx)
	work.SetLimit(atOnce)
	for range n {
		work.Go(func() error {
			_, err := etcd.Delete(ctx, "\x00quorate/none/"+rand.Text())
			return err
		})
	}
	if err := work.Wait(); err != nil {
		return fmt.Errorf("writing past the log's old entries: %w", refine(err))
	}
	return nil
}
