package discovery

import (
	"context"
	"fmt"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/peers/registry"
)

// diskKey begins the marks of print mode: which disk last had a node's identity.
// foundersKey is the record of who founds.
const (
	diskKey     = "/_quorate-disk/"
	foundersKey = "/_quorate-founders"
)

// Founders is the record of who founds by this token; false when there is none
// yet. An empty one founds nobody: a cluster runs.
func (s *Source) Founders(ctx context.Context) ([]cluster.Founder, bool, error) {
	var record string
	err := s.at.with(ctx, func(ctx context.Context, c *clientv3.Client) error {
		reply, err := c.Get(ctx, s.key(foundersKey))
		if err == nil && len(reply.Kvs) > 0 {
			record = string(reply.Kvs[0].Value)
		}
		return err
	})
	if err != nil {
		return nil, false, fmt.Errorf("reading who founds in the discovery registry: %w", err)
	}
	if record == "" {
		return nil, false, nil
	}
	founders, err := registry.Founders(record)
	return founders, true, err
}

// SetFounders writes that record. It is never changed: where there is one, that
// stays, and is no failure.
func (s *Source) SetFounders(ctx context.Context, founders []cluster.Founder) error {
	err := s.at.with(ctx, func(ctx context.Context, c *clientv3.Client) error {
		_, err := c.Txn(ctx).If(absent(s.key(foundersKey))).Then(clientv3.OpPut(s.key(foundersKey), registry.Record(founders))).Commit()
		return err
	})
	if err != nil {
		return fmt.Errorf("writing who founds to the discovery registry: %w", err)
	}
	return nil
}

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
