package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/quorate/quorate/internal/aws"
	"github.com/quorate/quorate/internal/stack"
	"github.com/quorate/quorate/internal/stack/deploy"
)

// awsDeployCmd makes a cluster's stack what its flags say.
type awsDeployCmd struct {
	stackFlags
	Yes    bool `short:"y" help:"Do not ask."`
	DryRun bool `help:"Print the template; touch nothing."`
	InTurn bool `help:"Finish the first of two --regions before the second begins, as moving a cluster of one region to two needs."`
}

func (c awsDeployCmd) Run(ctx context.Context, to streams) error {
	p, err := c.checked()
	if err != nil {
		return err
	}
	if c.DryRun {
		return printTemplates(to.out, p)
	}
	if !c.Yes && !answers() {
		return unasked()
	}
	parts, err := partsOf(ctx, p)
	if err != nil {
		return err
	}
	prepared := deploy.PrepareAll(ctx, parts)
	begins := showChanges(to.out, prepared)
	switch {
	case begins == 0:
		return failures(prepared)
	case !c.Yes && !agreed(ctx, to.out, fmt.Sprintf("Execute in %d region(s)?", begins)):
		return errors.Join(failures(prepared), discard(ctx, prepared), usage{errors.New("not confirmed: nothing was changed")})
	}
	execute := deploy.ExecuteAll
	if c.InTurn {
		execute = deploy.ExecuteInTurn
	}
	board := boardOf(to.out, names(parts)...)
	if err := execute(ctx, prepared, board.Show); err != nil {
		return err
	}
	fmt.Fprintf(to.out, "stack %s is as it should be; `quorate aws status --stack %s --regions %s` shows it\n", p.Stack, p.Stack, strings.Join(names(parts), ","))
	return nil
}

// partsOf is a part for each region. The second of a pair is lent the first
// one's bucket, unless one is given.
func partsOf(ctx context.Context, p stack.Params) ([]deploy.Part, error) {
	var parts []deploy.Part
	for _, name := range regionsOf(p) {
		t, err := p.Template(name)
		if err != nil {
			return nil, usage{err}
		}
		text, err := t.JSON()
		if err != nil {
			return nil, err
		}
		r, err := regionNamed(ctx, name)
		if err != nil {
			return nil, err
		}
		part := deploy.Part{Region: r, Input: deploy.Input{Stack: p.Stack, Template: string(text)}}
		if _, wants := t.Parameters[stack.BucketParameter]; wants {
			part.Loan = &deploy.Loan{Parameter: stack.BucketParameter, From: parts[0].Region, Resource: "Bucket"}
		}
		parts = append(parts, part)
	}
	return parts, nil
}

func names(parts []deploy.Part) []string {
	var all []string
	for _, p := range parts {
		all = append(all, p.Region.Name)
	}
	return all
}

// regionsOf are the regions to deploy in; the empty name is that of the AWS
// configuration.
func regionsOf(p stack.Params) []string {
	if len(p.Regions) == 0 {
		return []string{""}
	}
	return p.Regions
}

func regionNamed(ctx context.Context, name string) (*deploy.Region, error) {
	cfg, err := aws.Load(ctx, name)
	if err != nil {
		return nil, err
	}
	return deploy.In(cfg), nil
}

// printTemplates prints the templates as `aws template` does, one a region.
func printTemplates(out io.Writer, p stack.Params) error {
	for i, name := range regionsOf(p) {
		t, err := p.Template(name)
		if err != nil {
			return usage{err}
		}
		text, err := t.YAML()
		if err != nil {
			return err
		}
		if name != "" {
			fmt.Fprintf(out, "%s# %s\n", strings.Repeat("---\n", min(i, 1)), name)
		}
		if _, err := out.Write(text); err != nil {
			return err
		}
	}
	return nil
}

// showChanges shows what would change in each region, and is the number of
// regions where something would.
func showChanges(out io.Writer, prepared []deploy.Prepared) (begins int) {
	for _, p := range prepared {
		name := p.Region.Name
		switch {
		case p.Err != nil:
			fmt.Fprintf(out, "%s: %v\n", name, p.Err)
			continue
		case !p.Begins():
			fmt.Fprintf(out, "%s: no changes: stack %s is as it should be\n", name, p.Input.Stack)
			continue
		case p.Waits:
			fmt.Fprintf(out, "%s: a new stack %s, begun once %s has made its %s\n", name, p.Input.Stack, p.Loan.From.Name, strings.ToLower(p.Loan.Resource))
		case p.Changes.Creates:
			fmt.Fprintf(out, "%s: a new stack %s\n", name, p.Input.Stack)
		default:
			fmt.Fprintf(out, "%s: changes to stack %s\n", name, p.Input.Stack)
		}
		p.Changes.Table(out)
		begins++
	}
	return begins
}

func failures(prepared []deploy.Prepared) error {
	var errs []error
	for _, p := range prepared {
		errs = append(errs, p.Err)
	}
	return errors.Join(errs...)
}

// discard leaves nothing of changes that nobody wanted.
func discard(ctx context.Context, prepared []deploy.Prepared) error {
	var errs []error
	for _, p := range prepared {
		if p.Begins() && !p.Waits {
			errs = append(errs, p.Changes.Discard(ctx))
		}
	}
	return errors.Join(errs...)
}

// answers says that somebody is there to be asked.
func answers() bool { return term.IsTerminal(int(os.Stdin.Fd())) }

func unasked() error {
	return usage{errors.New("nobody to ask: standard input is no terminal, and nothing was done (--yes answers for you, --dry-run only shows)")}
}

// agreed asks; an interrupt is a no.
func agreed(ctx context.Context, out io.Writer, question string) bool {
	fmt.Fprint(out, question, " [y/N] ")
	said := make(chan string, 1)
	go func() { // ends with the process: a read of a terminal cannot be called off
		line, _ := bufio.NewReader(os.Stdin).ReadString('\n')
		said <- strings.ToLower(strings.TrimSpace(line))
	}()
	select {
	case <-ctx.Done():
		fmt.Fprintln(out)
		return false
	case line := <-said:
		return line == "y" || line == "yes"
	}
}

// boardOf is a progress display for out.
func boardOf(out io.Writer, regions ...string) *deploy.Board {
	if f, isFile := out.(*os.File); isFile && term.IsTerminal(int(f.Fd())) {
		if width, _, err := term.GetSize(int(f.Fd())); err == nil {
			return deploy.NewBoard(out, width, regions...)
		}
	}
	return deploy.NewBoard(out, 0, regions...)
}
