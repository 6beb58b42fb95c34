package discovery

import (
	"context"
	"errors"
	"fmt"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/peers/registry"
)

// Sync brings the registrations in step with the cluster's members, as somebody
// who has the list from a quorum knows them. Registrations of machines that
// never were members stay: they may wait to join. From then on nobody founds by
// this token. It changes all or, when another has written meanwhile, nothing;
// the next call looks anew.
func (s *Source) Sync(ctx context.Context, members []cluster.Member) error {
	b, c, err := s.compare(ctx, members)
	if err != nil {
		return fmt.Errorf("reading the discovery registry: %w", err)
	}
	if b.inStep(c) || len(members) == 0 {
		return nil
	}
	if err := s.write(ctx, c, b); err != nil {
		return fmt.Errorf("writing the discovery registry: %w", err)
	}
	return nil
}

// InStep says that Sync would change nothing.
func (s *Source) InStep(ctx context.Context, members []cluster.Member) (bool, error) {
	b, c, err := s.compare(ctx, members)
	if err != nil {
		return false, fmt.Errorf("reading the discovery registry: %w", err)
	}
	return b.inStep(c), nil
}

func (b book) inStep(c registry.Changes) bool { return c.Empty() && b.founders != "" }

func (s *Source) compare(ctx context.Context, members []cluster.Member) (book, registry.Changes, error) {
	b, err := s.read(ctx)
	if err != nil {
		return b, registry.Changes{}, err
	}
	if b.founders != "" {
		if _, err := registry.Founders(b.founders); err != nil {
			return b, registry.Changes{}, err
		}
	}
	return b, registry.InStep(b.entries, b.noted, members), nil
}

func (s *Source) write(ctx context.Context, c registry.Changes, b book) error {
	var ops []clientv3.Op
	for _, e := range c.Add {
		ops = append(ops, clientv3.OpPut(s.key(membersKey)+e.ID, e.Value))
	}
	for _, id := range c.Note {
		ops = append(ops, clientv3.OpPut(s.key(notedKey)+id, time.Now().UTC().Format(time.RFC3339)))
	}
	for _, id := range c.Drop {
		ops = append(ops, clientv3.OpDelete(s.key(membersKey)+id), clientv3.OpDelete(s.key(notedKey)+id))
	}
	if b.founders == "" {
		ops = append(ops, clientv3.OpPut(s.key(foundersKey), registry.Elsewhere))
	}
	unchanged := clientv3.Compare(clientv3.ModRevision(s.key("/")).WithPrefix(), "<", b.revision+1)
	return s.at.with(ctx, func(ctx context.Context, c *clientv3.Client) error {
		reply, err := c.Txn(ctx).If(unchanged).Then(ops...).Commit()
		if err == nil && !reply.Succeeded {
			err = errors.New("another wrote there meanwhile")
		}
		return err
	})
}
