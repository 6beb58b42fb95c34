package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/quorate/quorate/internal/agent"
	"github.com/quorate/quorate/internal/config"
	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/publish"
)

// dnsCmd is about the cluster's DNS records, which its keeper publishes by
// itself when it has --dns.
type dnsCmd struct {
	Plan dnsPlanCmd `cmd:"" help:"Print what differs between the zone and the cluster; changes nothing."`
	Sync dnsSyncCmd `cmd:"" help:"Bring the zone to what the cluster is, or with --delete take all of its names out."`
	Wait dnsWaitCmd `cmd:"" help:"Wait until the zone's own servers and this machine's resolver show the cluster."`
}

// dnsTarget is a zone and a cluster.
type dnsTarget struct {
	config.Target
	config.Naming
}

// dnsView is what the keeper would publish now.
type dnsView struct {
	publisher *publish.Publisher
	naming    plan.Naming
	wanted    plan.Publication
	wish      publish.Wish
}

// await is the view, once there is a keeper that has one.
func (t dnsTarget) await(ctx context.Context) (dnsView, error) {
	return soon(ctx, keeperWithin, t.view)
}

// view asks the agents for the keeper's own observation, and decides on it as
// the keeper does. It is notYet where that may change by itself.
func (t dnsTarget) view(ctx context.Context) (dnsView, error) {
	if err := errors.Join(t.Naming.Validate()...); err != nil {
		return dnsView{}, usage{err}
	}
	o, err := keeperSees(ctx, t.Target)
	if err != nil {
		return dnsView{}, err
	}
	p, naming, err := openNames(ctx, t.Naming, o.Settings.Cluster)
	if err != nil {
		return dnsView{}, usage{err}
	}
	v := dnsView{publisher: p, naming: naming, wanted: plan.Records(o, naming)}
	if v.wanted.Leave != "" {
		return dnsView{}, notYet{v.wanted.Leave}
	}
	v.wish = publish.Wish{Records: v.wanted.Records, Tolerated: v.wanted.Tolerated, Owner: agent.Owner(o), Adopt: t.DNSAdopt}
	return v, nil
}

// dnsPlanCmd shows the difference.
type dnsPlanCmd struct {
	dnsTarget
}

func (c *dnsPlanCmd) Run(ctx context.Context, out io.Writer) error {
	v, err := c.await(ctx)
	if err != nil {
		return err
	}
	p, err := v.publisher.Plan(ctx, v.wish)
	if err != nil {
		return err
	}
	printPlan(out, p)
	return nil
}

func printPlan(out io.Writer, p publish.Plan) {
	for _, c := range p.Changes {
		fmt.Fprintln(out, c)
	}
	for _, r := range p.Refused {
		fmt.Fprintln(out, "refused:", r)
	}
	if len(p.Changes)+len(p.Refused) == 0 {
		fmt.Fprintln(out, "nothing to change")
	}
}

// dnsSyncCmd makes it.
type dnsSyncCmd struct {
	dnsTarget
	Delete  bool   `help:"Take all names of this cluster out of the zone, of whatever epoch; no agent is asked. Agents that still have --dns put them back."`
	Cluster string `env:"QUORATE_CLUSTER" default:"quorate" placeholder:"NAME" help:"With --delete: whose names (default ${default})."`
	Yes     bool   `short:"y" help:"Do not ask."`
}

func (c *dnsSyncCmd) Run(ctx context.Context, out io.Writer) error {
	if c.Delete {
		return c.clean(ctx, out)
	}
	v, err := c.await(ctx)
	if err != nil {
		return err
	}
	return bring(ctx, out, v.publisher, v.wish)
}

func bring(ctx context.Context, out io.Writer, p *publish.Publisher, w publish.Wish) error {
	r, err := p.Reconcile(ctx, w)
	if err != nil {
		for _, c := range r.Changes { // that were made before
			fmt.Fprintln(out, c)
		}
		return err
	}
	printPlan(out, publish.Plan(r))
	if len(r.Refused) > 0 {
		return fmt.Errorf("%d names are not this cluster's", len(r.Refused))
	}
	return nil
}

// clean takes everything out that is claimed in the cluster's name.
func (c *dnsSyncCmd) clean(ctx context.Context, out io.Writer) error {
	named := config.Stored{Cluster: c.Cluster, Store: "file:///x"} // of which the name alone is in question
	if err := errors.Join(append(c.Naming.Validate(), named.Validate()...)...); err != nil {
		return usage{err}
	}
	p, _, err := openNames(ctx, c.Naming, c.Cluster)
	if err != nil {
		return usage{err}
	}
	w := publish.Wish{Owner: publish.Owner{Cluster: c.Cluster}, AnyEpoch: true}
	todo, err := p.Plan(ctx, w)
	if err != nil {
		return err
	}
	printPlan(out, todo)
	if len(todo.Changes) == 0 {
		return nil
	}
	if !c.Yes && !agreed(ctx, out, fmt.Sprintf("Take these records of cluster %s out for good?", c.Cluster)) {
		return usage{fmt.Errorf("not confirmed: nothing was done (--yes answers for you)")}
	}
	r, err := p.Reconcile(ctx, w)
	if err == nil {
		fmt.Fprintf(out, "%d changes made\n", len(r.Changes))
	}
	return err
}
