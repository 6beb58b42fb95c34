package ship

import (
	"context"
	"errors"
	"fmt"

	"github.com/quorate/quorate/internal/chain"
	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/store"
)

// sending is a segment that the store may hold or not. It is offered until the
// store says that it has one of that number.
type sending struct {
	key    string
	object []byte
	end    cluster.LogEnd
	etcd   cluster.ClusterID
}

// flush writes the batch that is due, or the one that may not have arrived.
func (s *Shipper) flush(ctx context.Context) {
	if s.sent == nil {
		if !s.batch.due(s.at) {
			return
		}
		if err := s.encode(); err != nil {
			s.fail("encoding a segment", err)
			return
		}
	}
	sent, end := *s.sent, s.end
	s.task(ctx, func(ctx context.Context) func() { return s.offer(ctx, sent, end) })
}

// encode makes the next segment of the batch.
func (s *Shipper) encode() error {
	entries := s.batch.entries
	first, last := entries[0].GetIndex(), entries[len(entries)-1].GetIndex()
	h := chain.Header{Cluster: s.parts.Cluster, ClusterID: s.member.ClusterID, Epoch: s.epoch, Chain: s.end.Chain, Number: s.end.Number + 1,
		FirstRevision: s.end.Revision, LastRevision: max(s.end.Revision, s.marks.revisionAt(last)),
		From: s.seen(first).Round(0).UTC(), To: s.seen(last).Round(0).UTC(),
		Previous: s.end.SHA256, Check: s.checkFor(last), By: s.parts.Node, Etcd: s.member.Version}
	if h.Number == 1 {
		h.Base = s.base
	}
	object, end, err := s.parts.Codec.Encode(chain.Segment{Header: h, Entries: entries})
	if err != nil {
		return err
	}
	s.sent, s.batch = &sending{h.Key(), object, end, h.ClusterID}, batch{}
	return nil
}

// offer creates the segment. If there is one of that number, it is read: it may
// be our own, after a lost reply, or another's, of the same entries.
func (s *Shipper) offer(ctx context.Context, sent sending, before cluster.LogEnd) func() {
	err := s.parts.Store.Create(ctx, sent.key, sent.object)
	if err == nil {
		return func() { s.arrived(sent.end, int64(len(sent.object))) }
	}
	if !errors.Is(err, store.ErrExists) {
		return func() { s.fail("writing to the store", err) }
	}
	h, end, err := s.chains().Header(ctx, before.Epoch, before.Chain, before.Number+1)
	if err == nil {
		err = fits(before, h, sent)
	}
	switch {
	case broken(err):
		return func() { s.breakOff(err.Error(), 0) }
	case err != nil:
		return func() { s.fail("reading from the store", err) }
	}
	return func() { s.arrived(end, int64(len(sent.object))) }
}

// fits says whether the segment that is there instead of ours may be built upon.
// Another one's first segment may begin on another snapshot.
func fits(before cluster.LogEnd, h chain.Header, sent sending) error {
	if h.ClusterID != sent.etcd {
		return fmt.Errorf("segment %d of chain %d: %w: it is of another etcd cluster, %s", h.Number, h.Chain, chain.ErrDamaged, h.ClusterID)
	}
	if before.Number == 0 {
		return nil
	}
	return chain.Verify(before, h)
}

// arrived notes that a segment is stored, unless we have heard of more since.
func (s *Shipper) arrived(end cluster.LogEnd, size int64) {
	s.well()
	s.growth.bytes += size
	if s.end.Before(end) {
		s.take(end)
		s.known = true
	}
}
