package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/quorate/quorate/internal/config"
	"github.com/quorate/quorate/internal/control"
)

// statusCmd shows the cluster: its exit code is 0 healthy, 1 degraded, 2 no quorum.
type statusCmd struct {
	config.Target
	Output string `short:"o" enum:"table,json" default:"table" help:"table or json."`
	Watch  bool   `short:"w" help:"Show it again each second, until interrupted."`
}

func (c *statusCmd) Run(ctx context.Context, out io.Writer) error {
	for {
		s, err := c.ask(ctx)
		if err != nil && !c.Watch {
			return noQuorum{err}
		}
		if c.Watch && c.Output == "table" {
			fmt.Fprint(out, "\x1b[H\x1b[2J")
		}
		switch {
		case err != nil:
			fmt.Fprintln(out, err)
		case c.Output == "json":
			if err := writeJSON(out, s); err != nil {
				return err
			}
		default:
			printStatus(out, s)
		}
		if !c.Watch {
			return exitWith(s.State.ExitCode())
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Second):
		}
	}
}

func writeJSON(out io.Writer, v any) error {
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

func printStatus(out io.Writer, s control.Status) {
	fmt.Fprintf(out, "cluster %s  %s", s.Cluster, s.State)
	if s.Reason != "" {
		fmt.Fprintf(out, ": %s", s.Reason)
	}
	fmt.Fprintf(out, "\nepoch %d  voters %d/%d healthy", s.Epoch, s.Healthy, s.Voters)
	if s.Vouched > 0 {
		fmt.Fprintf(out, ", %d more whose agents are silent", s.Vouched)
	}
	switch {
	case s.Tolerance > 0:
		fmt.Fprintf(out, "  can lose %d", s.Tolerance)
	case s.Tolerance == 0 && s.Voters > 0:
		fmt.Fprint(out, "  can lose none")
	}
	if s.Backup != nil {
		fmt.Fprintf(out, "  last backup %s ago (revision %d, %s)", s.BackupAge.Round(time.Second), s.Backup.Revision, size(s.Backup.StoredSize))
	} else {
		fmt.Fprint(out, "  no backup")
	}
	if s.Log != nil {
		fmt.Fprintf(out, "  log stored up to revision %d or later (index %d, %s ago)", s.Log.Revision, s.Log.Index, s.At.Sub(s.Log.At).Round(time.Second))
	}
	fmt.Fprintln(out)
	if s.Store != "" && s.Store != s.Reason {
		fmt.Fprintln(out, s.Store)
	}
	if s.Lock != nil {
		fmt.Fprintf(out, "paused until %s by %s: %s\n", s.Lock.Expires.Format(time.RFC3339), s.Lock.Holder, s.Lock.Reason)
	}
	if r := s.Roll; r != nil {
		printRoll(out, *r)
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NODE\tROLE\tHEALTH\tLAG\tDB\tETCD\tAGENT")
	for _, n := range s.Nodes {
		doing := n.Doing
		if n.Error != "" {
			doing += " [" + n.Error + "]"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\t%s\t%s\n", n.Name, n.Role, health(n), n.Lag, size(n.DBSize), orDash(n.Etcd), foreignEtcd(n)+turn(n)+doing)
	}
	w.Flush()
}

func health(n control.Node) string {
	if kind, _, ails := strings.Cut(n.Ails, ":"); ails {
		n.Health += ", " + kind
	}
	if len(n.Alarms) > 0 {
		return n.Health + " " + strings.Join(n.Alarms, ",")
	}
	return n.Health
}

// foreignEtcd says of a node why no roll and no other restart is done there.
func foreignEtcd(n control.Node) string {
	if !n.Foreign {
		return ""
	}
	return "[etcd not started by quorate] "
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// size is a number of bytes for people.
func size(n int64) string {
	switch {
	case n <= 0:
		return "-"
	case n < 1<<10:
		return fmt.Sprintf("%d B", n)
	case n < 1<<20:
		return fmt.Sprintf("%d KiB", n>>10)
	case n < 1<<30:
		return fmt.Sprintf("%d MiB", n>>20)
	}
	return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
}
