package lifecycle

import (
	"context"
	"log/slog"
	"time"

	machine "github.com/quorate/quorate/internal/aws"
	"github.com/quorate/quorate/internal/cluster"
)

// Spot watches the metadata service for the interruption of this very machine:
// without a queue the only word of it there is.
type Spot struct {
	metadata *machine.Metadata
	log      *slog.Logger
	every    time.Duration
}

// WatchSpot asks nothing yet. AWS advises to ask every five seconds.
func WatchSpot(metadata *machine.Metadata, log *slog.Logger) *Spot {
	return &Spot{metadata, log, 5 * time.Second}
}

// Run asks until ctx ends. What the service says stays said, so each notice is
// passed on once; where it does not answer nothing is concluded.
func (s *Spot) Run(ctx context.Context, hear func(cluster.Notice)) error {
	id, quiet := "", false
	said := map[cluster.NoticeKind]bool{}
	for ctx.Err() == nil {
		err := s.look(ctx, &id, said, hear)
		if err != nil && !quiet && ctx.Err() == nil {
			s.log.Debug("watching for a spot interruption", "error", err)
		}
		quiet = err != nil
		sleep(ctx, s.every)
	}
	return nil
}

func (s *Spot) look(ctx context.Context, id *string, said map[cluster.NoticeKind]bool, hear func(cluster.Notice)) error {
	if *id == "" {
		me, err := s.metadata.Identity(ctx)
		if err != nil {
			return err
		}
		*id = me.InstanceID
	}
	pass := func(kind cluster.NoticeKind, is bool) {
		if is && !said[kind] {
			said[kind] = true
			hear(cluster.Notice{Kind: kind, PeerID: *id})
		}
	}
	_, doomed, err := s.metadata.SpotNotice(ctx)
	if err != nil {
		return err
	}
	pass(cluster.NoticeSpot, doomed)
	_, uneasy, err := s.metadata.RebalanceNotice(ctx)
	pass(cluster.NoticeRebalance, uneasy)
	return err
}
