package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/quorate/quorate/internal/publish"
	"github.com/quorate/quorate/internal/publish/lookup"
)

// dnsWaitCmd waits for the records to be seen.
type dnsWaitCmd struct {
	dnsTarget
	Within   time.Duration `default:"5m" placeholder:"TIME" help:"Give up after that (default ${default})."`
	Servers  []string      `placeholder:"HOST:PORT" help:"The zone's own name servers. Default: server= of an rfc2136 zone, else those of its NS records."`
	Resolver string        `placeholder:"HOST:PORT" help:"The resolver that clients here use; none for none. Default: the first of /etc/resolv.conf."`
}

// check says everything that is wrong, and gives every server its port.
func (c *dnsWaitCmd) check() error {
	problems := c.Naming.Validate()
	if c.Within <= 0 {
		problems = append(problems, fmt.Errorf("within: %s: want a positive time", c.Within))
	}
	for i, server := range c.Servers {
		s, err := publish.Server(server)
		if err != nil {
			problems = append(problems, fmt.Errorf("servers: %w", err))
		}
		c.Servers[i] = s
	}
	var err error
	if c.Resolver, err = resolverOf(c.Resolver); err != nil {
		problems = append(problems, fmt.Errorf("resolver: %w", err))
	}
	return errors.Join(problems...)
}

// resolverOf is a resolver that was given, with its port; empty and none stay.
func resolverOf(given string) (string, error) {
	if given == "" || given == "none" {
		return given, nil
	}
	return publish.Server(given)
}

func (c *dnsWaitCmd) Run(ctx context.Context, out io.Writer) error {
	if err := c.check(); err != nil {
		return usage{err}
	}
	ctx, cancel := context.WithTimeout(ctx, c.Within)
	defer cancel()
	began, last := time.Now(), ""
	say := func(line string) {
		if line != last {
			fmt.Fprintf(out, "%5.1fs  %s\n", time.Since(began).Seconds(), line)
		}
		last = line
	}
	for {
		lacking, err := c.look(ctx)
		if err != nil {
			return err
		}
		if ctx.Err() == nil {
			say(lacking)
		}
		switch {
		case lacking == allShown:
			return nil
		case ctx.Err() != nil:
			return fmt.Errorf("not within %s: %s", c.Within, last)
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

const allShown = "every server shows every record"

// look is one round over the servers: what the first that lacks something
// lacks. The cluster is looked at anew, because it may change meanwhile. Only
// bad input is an error: everything else may heal.
func (c *dnsWaitCmd) look(ctx context.Context) (string, error) {
	v, err := c.view(ctx)
	var bad usage
	switch {
	case errors.As(err, &bad):
		return "", err
	case err != nil:
		return err.Error(), nil
	}
	servers, resolver, err := c.servers(ctx, v.naming.Zone)
	if err != nil {
		return err.Error(), nil
	}
	for _, s := range servers {
		if lacking := lacks(ctx, s, v, false); lacking != "" {
			return lacking, nil
		}
	}
	if resolver != "" {
		if lacking := lacks(ctx, lookup.Server{resolver}, v, true); lacking != "" {
			return "resolver " + lacking, nil
		}
	}
	return allShown, nil
}

func lacks(ctx context.Context, server lookup.Server, v dnsView, recursive bool) string {
	missing, err := lookup.Missing(ctx, server, v.wanted.Records, recursive)
	switch {
	case err != nil:
		return err.Error()
	case len(missing) == 0:
		return ""
	}
	more := ""
	if len(missing) > 3 {
		missing, more = missing[:3], fmt.Sprintf(" and %d more", len(missing)-3)
	}
	return server.String() + " lacks " + strings.Join(missing, ", ") + more
}

func (c *dnsWaitCmd) servers(ctx context.Context, zone string) (servers []lookup.Server, resolver string, err error) {
	resolver = c.Resolver
	if resolver == "" {
		if resolver, err = lookup.Resolver(); err != nil {
			return nil, "", err
		}
	}
	for _, given := range c.Servers {
		servers = append(servers, lookup.Server{given})
	}
	if t, _ := c.Naming.Target(); len(servers) == 0 && t.Server != "" {
		servers = []lookup.Server{{t.Server}}
	}
	if len(servers) == 0 {
		ask := resolver
		if ask == "none" {
			if ask, err = lookup.Resolver(); err != nil {
				return nil, "", err
			}
		}
		if servers, err = lookup.Authoritative(ctx, ask, zone); err != nil {
			return nil, "", err
		}
	}
	if resolver == "none" {
		resolver = ""
	}
	return servers, resolver, nil
}
