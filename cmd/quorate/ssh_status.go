package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
)

// sshStatusCmd shows the cluster: its exit code is 0 healthy, 1 degraded, 2 no
// quorum.
type sshStatusCmd struct {
	sshHosts
	Output string `short:"o" enum:"table,json" default:"table" help:"table or json."`
}

func (c *sshStatusCmd) Run(ctx context.Context, to streams) error {
	f, end, err := c.reached(ctx, io.Discard)
	if err != nil {
		return noQuorum{err}
	}
	defer end()
	s, err := f.Status(ctx)
	if err != nil {
		return noQuorum{err}
	}
	if c.Output == "json" {
		err = writeJSON(to.out, s)
	} else {
		printStatus(to.out, s)
	}
	if err != nil {
		return err
	}
	return exitWith(s.State.ExitCode())
}

// sshDestroyCmd takes quorate off hosts.
type sshDestroyCmd struct {
	sshHosts
	Data bool `help:"Destroy the data on these hosts too, every key and value. Default: data stays."`
	Yes  bool `short:"y" help:"Do not ask."`
}

func (c *sshDestroyCmd) Run(ctx context.Context, to streams) error {
	if !c.Yes && !answers() {
		return unaskedRemoval()
	}
	f, end, err := c.reached(ctx, to.out)
	if err != nil {
		return err
	}
	defer end()
	unlock, err := f.Lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	r, err := f.Prepare(ctx)
	if err != nil {
		return err
	}
	if len(r.Gone) == len(f.Nodes) {
		fmt.Fprintln(to.out, "nothing to do: no host has anything of ours")
		return nil
	}
	for _, name := range r.Gone {
		line := name + ": nothing of ours is there"
		if c.Data {
			line += "; data that an earlier removal has left stays: what its directory is called is not known any more"
		}
		fmt.Fprintln(to.out, line)
	}
	if len(r.Stays) > 0 {
		fmt.Fprintf(to.out, "cluster %s goes on with %s; these leave it first: %s\n", r.Cluster, strings.Join(r.Stays, ", "), orDash(strings.Join(r.Leaves, ", ")))
	} else {
		fmt.Fprintf(to.out, "cluster %s ENDS: no member stays\n", r.Cluster)
	}
	question := "Take quorate off these hosts, data stays?"
	if c.Data {
		question = "Take quorate off these hosts and DESTROY their data?"
	}
	if !c.Yes && !agreed(ctx, to.out, question) {
		return notConfirmed()
	}
	return f.Remove(ctx, r, c.Data)
}

func unaskedRemoval() error {
	return usage{errors.New("nobody to ask: standard input is no terminal, and nothing was done (--yes answers for you)")}
}

func notConfirmed() error { return usage{errors.New("not confirmed: nothing was done")} }
