package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/quorate/quorate/internal/agent"
	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/peers"
	"github.com/quorate/quorate/internal/peers/discovery"
)

// discoveryCmd is about discovery registries in another etcd.
type discoveryCmd struct {
	New discoveryNewCmd `cmd:"" help:"Make a token in the registry of another etcd, and print it as --peers takes it."`
}

// discoveryNewCmd makes a token.
type discoveryNewCmd struct {
	Size         int      `default:"3" placeholder:"N" help:"How many nodes found the cluster (default ${default}); more may join later."`
	Endpoints    []string `required:"" placeholder:"HOST:PORT,…" help:"The etcd that holds the registry; any version with the v3 API."`
	TLS          bool     `name:"tls" help:"Use TLS with the system's authorities."`
	CACert       string   `name:"cacert" placeholder:"FILE" help:"PEM authorities of that etcd's certificates; the path is part of what is printed, so the same on each node. The same holds of the other files."`
	Cert         string   `placeholder:"FILE" help:"PEM certificate to show to that etcd."`
	Key          string   `placeholder:"FILE" help:"PEM key of --cert."`
	User         string   `placeholder:"USER" help:"User of that etcd with the right to read and write below /_etcd/registry/."`
	PasswordFile string   `placeholder:"FILE" help:"File that holds the user's password and nothing else."`
}

func (c *discoveryNewCmd) Run(ctx context.Context, to streams) error {
	hosts, problems := c.hosts()
	if c.Size < 1 {
		problems = append(problems, fmt.Errorf("size: %d: want a number, 1 or more", c.Size))
	}
	if (c.User == "") != (c.PasswordFile == "") {
		problems = append(problems, errors.New("user: want --user and --password-file together"))
	}
	if (c.Cert == "") != (c.Key == "") {
		problems = append(problems, errors.New("cert: want --cert and --key together"))
	}
	if err := errors.Join(append(problems, c.absolute())...); err != nil {
		return usage{err}
	}
	source, err := discovery.New(ctx, "etcd://"+strings.Join(hosts, ",")+c.options(), c.Size)
	if err == nil {
		_, err = fmt.Fprintln(to.out, source)
	}
	return err
}

// hosts are the endpoints as the source takes them.
func (c *discoveryNewCmd) hosts() (hosts []string, problems []error) {
	if len(c.Endpoints) == 0 {
		problems = append(problems, errors.New("endpoints: empty: want HOST:PORT"))
	}
	for _, e := range c.Endpoints {
		scheme, host, ok := strings.Cut(e, "://") // as etcdctl takes it
		if !ok {
			scheme, host = "http", e
		}
		host = strings.TrimSuffix(host, "/")
		switch err := discovery.CheckEndpoint(host); {
		case err != nil:
			problems = append(problems, fmt.Errorf("endpoints: %w", err))
		case scheme == "https" && !c.TLS && c.CACert == "" && c.Cert == "":
			problems = append(problems, fmt.Errorf("endpoints: %s: want --tls or --cacert with https", e))
		case scheme != "http" && scheme != "https":
			problems = append(problems, fmt.Errorf("endpoints: %s: want HOST:PORT", e))
		}
		hosts = append(hosts, host)
	}
	return hosts, problems
}

// absolute makes paths mean the same wherever the source is used.
func (c *discoveryNewCmd) absolute() error {
	for _, path := range []*string{&c.CACert, &c.Cert, &c.Key, &c.PasswordFile} {
		if *path == "" {
			continue
		}
		found, err := filepath.Abs(*path)
		if err != nil {
			return err
		}
		*path = found
	}
	return nil
}

// options are how to connect, as the source takes them.
func (c *discoveryNewCmd) options() string {
	q := url.Values{}
	for key, value := range map[string]string{"cacert": c.CACert, "cert": c.Cert, "key": c.Key, "user": c.User, "password-file": c.PasswordFile} {
		if value != "" {
			q.Set(key, value)
		}
	}
	if c.TLS {
		q.Set("tls", "true")
	}
	if len(q) == 0 {
		return ""
	}
	return "?" + q.Encode()
}

// register makes this node put itself into the source, where the source is a
// registry, until it leaves for good. Only an agent that runs does so.
func (w *wiring) register(leaves func() bool) {
	self := cluster.Peer{Name: w.cfg.Name, Host: w.cfg.Host, PeerPort: w.cfg.PeerPort}
	w.parts.Source = peers.Registering(w.parts.Source, self, w.parts.Secure.Peer, leaves)
}

// registryPace is how often a registry is compared while the members stay the same.
const registryPace = time.Minute

// keepRegistry brings a registry in step with the members while this node is
// the keeper: soon after they change, and now and then.
func (w *wiring) keepRegistry(ctx context.Context, source peers.Source, a *agent.Agent) {
	registry, ok := source.(peers.Syncer)
	if !ok {
		return
	}
	said, synced, at := "", "", time.Time{}
	for ctx.Err() == nil {
		r := a.Report()
		if members := fmt.Sprint(r.Members); r.Keeper && len(r.Members) > 0 && (members != synced || time.Since(at) > registryPace) {
			call, cancel := context.WithTimeout(ctx, 20*time.Second)
			err := registry.Sync(call, r.Members)
			cancel()
			switch {
			case err == nil:
				said, synced, at = "", members, time.Now()
			case err.Error() != said && ctx.Err() == nil:
				said = err.Error()
				w.parts.Log.Warn("the discovery registry is not in step", "error", err)
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(5 * time.Second):
		}
	}
}
