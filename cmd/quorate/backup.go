package main

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/config"
	"github.com/quorate/quorate/internal/control"
)

// backupCmd is about full snapshots, the log behind them, and their keys.
type backupCmd struct {
	Create backupCreate `cmd:"" help:"Have a follower stream a full snapshot to the store, and wait for it."`
	List   backupList   `cmd:"" help:"List the backups in the store, newest first."`
	Verify backupVerify `cmd:"" help:"Read backups and the log behind them, and check every byte; needs no agent."`
	Prune  backupPrune  `cmd:"" help:"Let old backups go by rules, as the agents do; never the last good one."`
	Import backupImport `cmd:"" help:"Bring a backup of etcd-aws (the v2 keys) into a running cluster."`
	Keygen backupKeygen `cmd:"" help:"Make the keys that encrypt and sign backups."`
}

type backupCreate struct {
	config.Target
	Output string `short:"o" enum:"table,json" default:"table" help:"table or json."`
}

func (c *backupCreate) Run(ctx context.Context, out io.Writer) error {
	t := c.Target
	t.Timeout = max(t.Timeout, 6*time.Hour) // of the agent: a large database takes its time
	b, err := onAgent(ctx, t, func(ctx context.Context, a *control.Client) (cluster.Backup, error) {
		call, cancel := context.WithTimeout(ctx, c.Timeout)
		defer cancel()
		if _, err := a.Report(call); err != nil { // it is silent: the next one may do it
			return cluster.Backup{}, err
		}
		return a.Backup(ctx, control.BackupRequest{})
	})
	switch {
	case err != nil:
		return err
	case c.Output == "json":
		return writeJSON(out, b)
	}
	printBackups(out, []cluster.Backup{b})
	return nil
}

type backupList struct {
	config.Target
	config.Stored
	Output string `short:"o" enum:"table,json" default:"table" help:"table or json."`
}

func (c *backupList) Run(ctx context.Context, to streams) error {
	out := to.out
	all, err := c.list(ctx, to)
	switch {
	case err != nil:
		return err
	case c.Output == "json":
		return writeJSON(out, all)
	}
	printBackups(out, all)
	return nil
}

// list asks an agent, or with --store alone reads the store itself.
func (c *backupList) list(ctx context.Context, to streams) ([]cluster.Backup, error) {
	if c.Store == "" || c.Agent != "" || c.Peers != "" {
		return onAgent(ctx, c.Target, func(ctx context.Context, a *control.Client) ([]cluster.Backup, error) {
			return a.Backups(ctx)
		})
	}
	st, err := openStored(ctx, c.Stored)
	if err != nil {
		return nil, err
	}
	defer st.Close()
	return st.list(ctx, to.err)
}

func printBackups(out io.Writer, all []cluster.Backup) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "TAKEN\tEPOCH\tREVISION\tKEYS\tDB\tSTORED\tETCD\tBY\tKEY")
	for _, b := range all {
		keys := fmt.Sprint(b.Keys)
		if b.Keys < 0 {
			keys = "?"
		}
		fmt.Fprintf(w, "%s\t%d\t%d\t%s\t%s\t%s\t%s\t%s\t%s\n", b.At.UTC().Format(time.RFC3339), b.Epoch, b.Revision, keys,
			size(b.Size), size(b.StoredSize), b.Etcd, b.By, b.Key)
	}
	w.Flush()
}
