package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/quorate/quorate/internal/stack/deploy"
)

// awsDeleteCmd ends stacks, and only when told by name the bucket they leave.
type awsDeleteCmd struct {
	deployed
	Yes           bool   `short:"y" help:"Do not ask."`
	DestroyBucket string `placeholder:"NAME" help:"Afterwards destroy this bucket and every version of every backup in it. Works when the stack is gone already, too. Default: buckets stay."`
}

func (c awsDeleteCmd) Run(ctx context.Context, to streams) error {
	if !c.Yes && !answers() {
		return unasked()
	}
	regions, err := c.open(ctx)
	if err != nil {
		return err
	}
	ends, err := deletions(ctx, c.Stack, regions)
	if err != nil && (c.DestroyBucket == "" || !errors.Is(err, deploy.ErrNoStack)) {
		return err
	}
	for _, d := range ends {
		printDeletion(to.out, d)
	}
	if !c.Yes && !agreed(ctx, to.out, c.question()) {
		return usage{errors.New("not confirmed: nothing was deleted")}
	}
	if err := deleteAll(ctx, to.out, ends, regions); err != nil {
		return err
	}
	if c.DestroyBucket != "" {
		return destroy(ctx, to.out, regions[0], c.DestroyBucket)
	}
	for _, d := range ends {
		for _, b := range d.Buckets {
			fmt.Fprintf(to.out, "%s: bucket %s stays, with the backups; destroy it with\n  quorate aws delete --stack %s --regions %s --destroy-bucket %s\n", d.Region, b, c.Stack, d.Region, b)
		}
	}
	return nil
}

func (c awsDeleteCmd) question() string {
	q := "Delete stack " + c.Stack
	if c.DestroyBucket != "" {
		q += " and DESTROY bucket " + c.DestroyBucket + " with every backup in it"
	}
	return q + "?"
}

// deletions find out what would go. A region that has no such stack is passed
// over, unless none has it.
func deletions(ctx context.Context, name string, regions []*deploy.Region) ([]*deploy.Deletion, error) {
	var all []*deploy.Deletion
	var missing, other []error
	for _, r := range regions {
		d, err := r.Deletion(ctx, name)
		switch {
		case err == nil:
			all = append(all, d)
		case errors.Is(err, deploy.ErrNoStack):
			missing = append(missing, err)
		default:
			other = append(other, err)
		}
	}
	if len(all) == 0 && len(other) == 0 {
		return nil, errors.Join(missing...)
	}
	return all, errors.Join(other...)
}

func printDeletion(out io.Writer, d *deploy.Deletion) {
	fmt.Fprintf(out, "stack %s in %s (%s)\n  goes:\n", d.Stack, d.Region, d.State)
	for _, g := range d.Goes {
		fmt.Fprintf(out, "    %s\n", g)
	}
	if len(d.Stays) > 0 {
		fmt.Fprintln(out, "  stays:")
	}
	for _, s := range d.Stays {
		fmt.Fprintf(out, "    %s\n", s)
	}
}

// deleteAll deletes the stacks at the same time and follows them to the end.
func deleteAll(ctx context.Context, out io.Writer, ends []*deploy.Deletion, regions []*deploy.Region) error {
	byName := map[string]*deploy.Region{}
	var names []string
	for _, r := range regions {
		byName[r.Name] = r
	}
	for _, d := range ends {
		names = append(names, d.Region)
	}
	board := boardOf(out, names...)
	errs := make(chan error)
	for _, d := range ends {
		go func() {
			op, err := d.Execute(ctx)
			if err == nil {
				err = byName[d.Region].Follow(ctx, op, func(p deploy.Progress) { board.Show(d.Region, p) })
			}
			errs <- err
		}()
	}
	var all []error
	for range ends {
		all = append(all, <-errs)
	}
	return errors.Join(all...)
}

func destroy(ctx context.Context, out io.Writer, r *deploy.Region, bucket string) error {
	n, err := r.DestroyBucket(ctx, bucket)
	if err != nil {
		return fmt.Errorf("%w (%d versions are destroyed; repeat the command)", err, n)
	}
	fmt.Fprintf(out, "%s: bucket %s is destroyed, %d versions with it\n", r.Name, bucket, n)
	return nil
}
