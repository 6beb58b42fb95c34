package etcd

import (
	"context"
	"errors"
	"fmt"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/quorate/quorate/internal/cluster"
)

// EnableDowngrade has etcd check that it can go back to the minor of v, and then
// bring every member's data to that format. Until that is done, and all members
// have been restarted as that minor, or it is cancelled, none newer may join.
func (c *Client) EnableDowngrade(ctx context.Context, v cluster.Version) error {
	etcd, err := c.open(ctx)
	if err != nil {
		return fmt.Errorf("enabling a downgrade: %w", err)
	}
	target := fmt.Sprintf("%d.%d.0", v.Major, v.Minor)
	if _, err := etcd.Downgrade(ctx, clientv3.DowngradeValidate, target); err != nil {
		return fmt.Errorf("validating a downgrade to %s: %w", target, refine(err))
	}
	if _, err := etcd.Downgrade(ctx, clientv3.DowngradeEnable, target); err != nil {
		return fmt.Errorf("enabling a downgrade to %s: %w", target, refine(err))
	}
	return nil
}

// CancelDowngrade takes it back; one that is not enabled is no failure.
func (c *Client) CancelDowngrade(ctx context.Context) error {
	etcd, err := c.open(ctx)
	if err == nil {
		_, err = etcd.Downgrade(ctx, clientv3.DowngradeCancel, "")
	}
	if err != nil && !errors.Is(rpctypes.Error(err), rpctypes.ErrNoInflightDowngrade) {
		return fmt.Errorf("cancelling the downgrade: %w", refine(err))
	}
	return nil
}
