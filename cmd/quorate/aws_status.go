package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"

	"github.com/quorate/quorate/internal/stack/deploy"
)

// deployed names stacks that are there.
type deployed struct {
	Stack   string   `required:"" placeholder:"NAME" help:"Name of the stack."`
	Regions []string `placeholder:"A,B" help:"Regions to look in. Default: the region of your AWS configuration."`
}

// open is the regions, each named.
func (d deployed) open(ctx context.Context) ([]*deploy.Region, error) {
	names := d.Regions
	if len(names) == 0 {
		names = []string{""}
	}
	var all []*deploy.Region
	for _, name := range names {
		r, err := regionNamed(ctx, name)
		if err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, nil
}

// awsStatusCmd shows stacks: its exit code is 0 healthy, 1 not.
type awsStatusCmd struct {
	deployed
	Output string `short:"o" enum:"table,json" default:"table" help:"table or json (default ${default})."`
	Follow bool   `short:"f" help:"First follow what CloudFormation does to the stack now, to its end."`
}

func (c awsStatusCmd) Run(ctx context.Context, to streams) error {
	regions, err := c.open(ctx)
	if err != nil {
		return err
	}
	var errs []error
	if c.Follow {
		errs = append(errs, followAll(ctx, to.err, c.Stack, regions))
	}
	all, healthy := []deploy.Status{}, true
	for _, r := range regions {
		s, err := r.Status(ctx, c.Stack)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		all = append(all, s)
		healthy = healthy && len(s.Problems) == 0
	}
	if err := printStacks(to.out, c.Output, all); err != nil {
		return err
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if !healthy {
		return exitWith(1)
	}
	return nil
}

// followAll follows what goes on in the regions, if anything.
func followAll(ctx context.Context, out io.Writer, name string, regions []*deploy.Region) error {
	var names []string
	for _, r := range regions {
		names = append(names, r.Name)
	}
	board := boardOf(out, names...)
	errs := make(chan error)
	for _, r := range regions {
		go func() {
			op, busy, err := r.Running(ctx, name)
			if busy && err == nil {
				err = r.Follow(ctx, op, func(p deploy.Progress) { board.Show(r.Name, p) })
			}
			if errors.Is(err, deploy.ErrNoStack) {
				err = nil // which the status says
			}
			errs <- err
		}()
	}
	var all []error
	for range regions {
		all = append(all, <-errs)
	}
	return errors.Join(all...)
}

func printStacks(out io.Writer, form string, all []deploy.Status) error {
	if form == "json" {
		return writeJSON(out, all)
	}
	for _, s := range all {
		printStack(out, s)
	}
	return nil
}

func printStack(out io.Writer, s deploy.Status) {
	verdict := "healthy"
	if len(s.Problems) > 0 {
		verdict = "not healthy"
	}
	fmt.Fprintf(out, "stack %s in %s  %s  %s\n", s.Stack, s.Region, s.State, verdict)
	for _, p := range s.Problems {
		fmt.Fprintf(out, "  ! %s\n", p)
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, k := range slices.Sorted(maps.Keys(s.Outputs)) {
		fmt.Fprintf(w, "  %s\t%s\n", k, s.Outputs[k])
	}
	w.Flush()
	if len(s.Instances) > 0 {
		fmt.Fprintln(w, "\nINSTANCE\tZONE\tLIFECYCLE\tHEALTH")
	}
	for _, i := range s.Instances {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", i.ID, i.Zone, i.Lifecycle, i.Health)
	}
	w.Flush()
	if len(s.Alarms) > 0 {
		fmt.Fprintln(w, "\nALARM\tSTATE")
	}
	for _, a := range s.Alarms {
		fmt.Fprintf(w, "%s\t%s\n", a.Name, a.State)
	}
	w.Flush()
	fmt.Fprintln(out)
}
