package discovery

import (
	"context"
	"fmt"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/quorate/quorate/internal/peers/registry"
)

// diskKey begins the marks of print mode: which disk last had a node's identity.
const diskKey = "/_quorate-disk/"

// Mark is the mark of the node of that name and address; empty when there is none.
func (s *Source) Mark(ctx context.Context, name, peerURL string) (mark string, err error) {
	err = s.at.with(ctx, func(ctx context.Context, c *clientv3.Client) error {
		reply, err := c.Get(ctx, s.key(diskKey)+registry.Of(name, peerURL).ID)
		if err == nil && len(reply.Kvs) > 0 {
			mark = string(reply.Kvs[0].Value)
		}
		return err
	})
	if err != nil {
		return "", fmt.Errorf("reading this node's mark in the discovery registry: %w", err)
	}
	return mark, nil
}

// SetMark replaces that mark.
func (s *Source) SetMark(ctx context.Context, name, peerURL, mark string) error {
	err := s.at.with(ctx, func(ctx context.Context, c *clientv3.Client) error {
		_, err := c.Put(ctx, s.key(diskKey)+registry.Of(name, peerURL).ID, mark)
		return err
	})
	if err != nil {
		return fmt.Errorf("writing this node's mark to the discovery registry: %w", err)
	}
	return nil
}
