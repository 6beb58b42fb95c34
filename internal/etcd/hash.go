package etcd

import (
	"context"
	"fmt"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// Hash is what a member says of its keys: etcd's HashKV up to Revision, of what
// is left after the compaction at Compact.
type Hash struct {
	Revision int64
	Compact  int64
	Hash     uint32
}

// HashKV asks the endpoint for the hash of its keys up to a revision; 0 is its
// newest. It reads the whole database. A revision that is compacted is
// ErrCompacted, one that is yet to come ErrFutureRevision.
func (c *Client) HashKV(ctx context.Context, rev int64) (Hash, error) {
	etcd, err := c.open(ctx)
	if err != nil {
		return Hash{}, fmt.Errorf("hashing the keys of %s: %w", c.endpoint, err)
	}
	// The client's own HashKV would dial a connection for each call.
	api := clientv3.RetryMaintenanceClient(etcd, etcd.ActiveConnection())
	r, err := api.HashKV(ctx, &etcdserverpb.HashKVRequest{Revision: rev})
	if err != nil {
		return Hash{}, fmt.Errorf("hashing the keys of %s: %w", c.endpoint, refine(err))
	}
	h := Hash{Revision: r.HashRevision, Compact: r.CompactRevision, Hash: r.Hash}
	if h.Revision == 0 { // etcd before 3.5.13 does not say
		h.Revision = rev
	}
	return h, nil
}
