package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/quorate/quorate/internal/backup"
	"github.com/quorate/quorate/internal/chain"
	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/config"
	"github.com/quorate/quorate/internal/store"
)

// storedBackups are a cluster's backups, read without any agent.
type storedBackups struct {
	*store.Store
	sealed  backup.Store
	log     chain.Reader
	cluster string
}

// openStored says all that is wrong with the settings at once.
func openStored(ctx context.Context, c config.Stored) (*storedBackups, error) {
	if err := errors.Join(c.Validate()...); err != nil {
		return nil, usage{err}
	}
	codec, err := chain.NewCodec(c.Sealer())
	if err != nil {
		return nil, err
	}
	st, err := store.Open(ctx, c.Store, c.Cluster)
	if err != nil {
		return nil, usage{fmt.Errorf("store: %w", err)}
	}
	return &storedBackups{Store: st, sealed: backup.Sealed(st, c.Sealer()), cluster: c.Cluster,
		log: chain.Reader{Objects: st, Codec: codec, Cluster: c.Cluster}}, nil
}

// list is every backup that is ours, newest first; the others are told of.
func (s *storedBackups) list(ctx context.Context, to io.Writer) ([]cluster.Backup, error) {
	all, problems, err := backup.List(ctx, s.sealed)
	for _, p := range problems {
		fmt.Fprintf(to, "left out: %s\n", p)
	}
	if err == nil && len(all)+len(problems) == 0 {
		fmt.Fprintf(to, "%s holds no backups of cluster %s\n", s.Store, s.cluster)
	}
	return all, err
}
