package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/quorate/quorate/internal/config"
	"github.com/quorate/quorate/internal/hosts"
	"github.com/quorate/quorate/internal/hosts/deploy"
)

// sshDeployCmd makes hosts what its flags say.
type sshDeployCmd struct {
	sshHosts
	Check       bool          `group:"Hosts" help:"Only check the hosts: their numbers, go or no-go; installs nothing."`
	Binary      string        `group:"Hosts" placeholder:"FILE" help:"The quorate to deploy, for Linux on the hosts' kind of machine. Default: this one."`
	Files       []string      `group:"Hosts" name:"file" sep:"none" placeholder:"NAME=FILE" help:"Upload a file that only quorate may read there, as certificates and keys; flags name it {files}/NAME. In FILE and in every flag {name} is the host's name and {host} its address. May be repeated."`
	Env         []string      `group:"Hosts" placeholder:"VARIABLE" help:"Give the agents these variables of the environment here, as AWS_SECRET_ACCESS_KEY; their values are in no command line."`
	Within      time.Duration `group:"Hosts" default:"5m" placeholder:"TIME" help:"Longest wait for the cluster to be well, after each step (default ${default})."`
	DNSResolver string        `group:"Hosts" name:"dns-resolver" placeholder:"HOST:PORT" help:"With --dns: the resolver that must show the cluster in the end; none for none. Default: the first host's own."`
	MaxFsync    time.Duration `group:"Hosts" default:"100ms" placeholder:"TIME" help:"No-go where 1 of 100 writes to the disk takes longer (default ${default}); etcd's advice is 10ms."`
	MaxClock    time.Duration `group:"Hosts" default:"1s" placeholder:"TIME" help:"No-go where a clock is further off (default ${default})."`
	config.Config
}

// leastFree is the space without which no etcd is started: its log alone takes
// hundreds of MiB.
const leastFree = 1 << 30

func (c *sshDeployCmd) problems(ctx context.Context) []error {
	_, all := c.ready(ctx)
	return all
}

// ready is all that can be prepared here, and everything that is wrong.
func (c *sshDeployCmd) ready(ctx context.Context) (*deployment, []error) {
	d := &deployment{cmd: c}
	var problems []error
	d.hosts, problems = c.parse(ctx)
	if c.Within <= 0 {
		problems = append(problems, fmt.Errorf("within: %s: want a positive time", c.Within))
	}
	if _, err := resolverOf(c.DNSResolver); err != nil {
		problems = append(problems, fmt.Errorf("dns-resolver: %w", err))
	}
	problems = append(problems, c.sizeFits(len(d.hosts)), d.readBinary())
	problems = append(problems, d.ownPath()...)
	problems = append(problems, d.releases()...)
	return d, slices.DeleteFunc(problems, func(err error) bool { return err == nil })
}

// sizeFits says why these hosts alone could not become a cluster of --size.
func (c *sshDeployCmd) sizeFits(hosts int) error {
	switch size := c.Size.Voters(); {
	case c.Peers != "" || hosts == 0:
		return nil
	case size < 1:
		return fmt.Errorf("size: %s: want a number: a list of hosts tells none", c.Size)
	case size > hosts:
		return fmt.Errorf("size: %d, and --hosts are %d: name more, or give --size %d", size, hosts, hosts)
	}
	return nil
}

func (c *sshDeployCmd) Run(ctx context.Context, to streams) error {
	d, problems := c.ready(ctx)
	if err := errors.Join(problems...); err != nil {
		return usage{err}
	}
	nodes, end, err := c.connect(ctx, d.hosts)
	if err != nil {
		return err
	}
	defer end()
	f := d.fleet(nodes, teller(to.out))
	unlock, err := f.Lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if err := f.Look(ctx); err != nil {
		return err
	}
	if f.AsWanted() && !c.Check {
		fmt.Fprintf(to.out, "nothing to do: %d hosts run what they are to run; `quorate ssh status` shows the cluster\n", len(nodes))
		return nil
	}
	defer d.clean()
	verdict, err := f.Check(ctx)
	if err == nil {
		printCheck(to.out, f.Looked(), verdict)
	}
	if err != nil || !verdict.Go() || c.Check {
		return errors.Join(err, f.Unstage(ctx), noGo(verdict))
	}
	return d.apply(ctx, to.out, f)
}

// apply goes from what is to what is wanted.
func (d *deployment) apply(ctx context.Context, out io.Writer, f *deploy.Fleet) error {
	plan, err := f.Plan(ctx)
	if err != nil {
		return errors.Join(err, f.Unstage(ctx))
	}
	for i, turn := range plan {
		for _, a := range turn {
			fmt.Fprintf(out, "turn %d  %s\n", i+1, a)
		}
	}
	if err := f.Apply(ctx, plan); err != nil {
		return err
	}
	if d.cmd.DNS != "" {
		if err := f.WaitDNS(ctx, placeholders(d.hosts[0]).Replace(d.cmd.DNS), d.cmd.DNSResolver); err != nil {
			return err
		}
	}
	if s, err := f.Status(ctx); err == nil {
		printStatus(out, s)
	}
	return nil
}

// noGo is the verdict as an exit code; its reasons have been printed.
func noGo(v hosts.Verdict) error {
	if v.Go() {
		return nil
	}
	return exitWith(1)
}

// printCheck prints the numbers, and go or no-go with every reason.
func printCheck(out io.Writer, all []hosts.Looked, v hosts.Verdict) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "HOST\tADDRESS\tMACHINE\tCLOCK\tFSYNC P99\tFREE\tREACHES\tRUNS")
	for _, l := range all {
		fmt.Fprintln(w, checkRow(l))
	}
	w.Flush()
	for _, line := range v.Warnings {
		fmt.Fprintln(out, "warning:", line)
	}
	for _, line := range v.NoGo {
		fmt.Fprintln(out, "no-go:", line)
	}
	if v.Go() {
		fmt.Fprintln(out, "go")
	} else {
		fmt.Fprintln(out, "no-go: nothing was changed on any host")
	}
}

// clockOf is how far a clock is off: only its bounds where it may be right.
func clockOf(c hosts.Clock) string {
	if c.Offset.Abs() <= c.Doubt {
		return "±" + max(c.Doubt, time.Millisecond).Round(time.Millisecond).String()
	}
	if c.Offset > 0 {
		return "+" + c.Offset.Round(time.Millisecond).String()
	}
	return c.Offset.Round(time.Millisecond).String()
}

func checkRow(l hosts.Looked) string {
	cells := []string{l.Host.Name, l.Host.Address, "-", "-", "-", "-", "-", "-"}
	if f := l.Facts; l.Failed == "" {
		cells[2], cells[7] = orDash(f.Arch), "nothing"
		if f.Clock.Known {
			cells[3] = clockOf(f.Clock)
		}
		if f.ReleaseID != "" {
			cells[7] = f.ReleaseID
		}
		if f.ReleaseID != "" && !f.Active {
			cells[7] += " (stopped)"
		}
	}
	if m := l.Measured; l.Probed {
		if m.Fsync.N > 0 {
			cells[4] = fmt.Sprintf("%.1fms", float64(m.Fsync.P99)/1e6)
		}
		cells[5] = size(m.Free)
		reached := 0
		for _, c := range m.Calls {
			if c.Error == "" && c.Other == "" {
				reached++
			}
		}
		cells[6] = fmt.Sprintf("%d of %d", reached, len(m.Calls))
	}
	return strings.Join(cells, "\t")
}
