package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/quorate/quorate/internal/hosts"
	"github.com/quorate/quorate/internal/hosts/deploy"
	"github.com/quorate/quorate/internal/hosts/probe"
	"github.com/quorate/quorate/internal/hosts/ssh"
)

// sshCmd is about machines that can only be reached by SSH.
type sshCmd struct {
	Deploy  sshDeployCmd  `cmd:"" help:"Check the hosts, install quorate there, and follow until every one votes; later, change it in turn."`
	Status  sshStatusCmd  `cmd:"" help:"Show the cluster, asked through SSH: exit code 0 healthy, 1 degraded, 2 no quorum."`
	Destroy sshDestroyCmd `cmd:"" help:"Take quorate off hosts; hosts of a cluster that goes on leave it first. Data stays unless --data."`
	Probe   sshProbeCmd   "cmd:\"\" hidden:\"\" help:\"What `ssh deploy` runs on a host to measure it.\""
}

// sshProbeCmd measures the host that it runs on.
type sshProbeCmd struct{}

func (sshProbeCmd) Run(ctx context.Context, to streams) error {
	return probe.Run(ctx, os.Stdin, to.out)
}

// sshHosts is which hosts, and how to get there.
type sshHosts struct {
	Hosts     []string `group:"Hosts" required:"" placeholder:"NAME=ADDRESS" help:"The hosts: a=10.0.0.1,b=10.0.0.2,c=10.0.0.3. The address is where nodes and clients reach the host; NAME=ADDRESS@DESTINATION tells ssh another. Aliases of ssh_config are understood."`
	User      string   `group:"Hosts" placeholder:"USER" help:"User to log in as: root, or one who may sudo without a password. Default: ssh_config's."`
	Identity  string   `group:"Hosts" placeholder:"FILE" help:"Private key to log in with. Default: ssh_config's, and the agent's."`
	Jump      string   `group:"Hosts" placeholder:"HOST" help:"Log in by way of this host, [USER@]HOST[:PORT], or several between commas. Default: ssh_config's ProxyJump."`
	Port      int      `group:"Hosts" placeholder:"PORT" help:"SSH's port. Default: ssh_config's, else 22."`
	AcceptNew bool     `group:"Hosts" help:"Note the keys of hosts that are not in known_hosts. A key that has changed is always refused."`
	SSHConfig string   `group:"Hosts" name:"ssh-config" placeholder:"FILE" help:"ssh_config to read instead of the usual ones."`
}

func (s sshHosts) options() ssh.Options {
	return ssh.Options{User: s.User, Identity: s.Identity, Jump: s.Jump, Port: s.Port, ConfigFile: s.SSHConfig, AcceptNew: s.AcceptNew}
}

// parse is the hosts, their addresses as ssh_config knows them where an alias
// was given.
func (s sshHosts) parse(ctx context.Context) ([]hosts.Host, []error) {
	all, err := hosts.Parse(s.Hosts)
	var problems []error
	if err != nil {
		problems = append(problems, withKey("hosts", err))
	}
	if s.Port < 0 || s.Port > 65535 {
		problems = append(problems, fmt.Errorf("port: %d: want 1 to 65535", s.Port))
	}
	for _, f := range []keyedPath{{"identity", s.Identity}, {"ssh-config", s.SSHConfig}} {
		if _, err := os.Stat(f.path); err != nil && f.path != "" {
			problems = append(problems, fmt.Errorf("%s: %w", f.key, err))
		}
	}
	for i, h := range all {
		if !h.Aliased || len(problems) > 0 {
			continue
		}
		if address, err := ssh.Resolve(ctx, s.options(), h.Dest); err != nil {
			problems = append(problems, err)
		} else {
			all[i].Address = address
		}
	}
	return all, problems
}

// connect opens a connection to every host at once: all, or none and every
// problem. The function ends them.
func (s sshHosts) connect(ctx context.Context, all []hosts.Host) ([]*deploy.Node, func(), error) {
	nodes, errs := make([]*deploy.Node, len(all)), make([]error, len(all))
	conns := make([]*ssh.Conn, len(all))
	var wait sync.WaitGroup
	for i, h := range all {
		wait.Go(func() {
			conns[i], errs[i] = ssh.Open(ctx, s.options(), h.Dest)
			nodes[i] = &deploy.Node{Host: h, Machine: conns[i]}
			if errs[i] != nil {
				errs[i] = fmt.Errorf("%s: %w", h.Name, errs[i])
			}
		})
	}
	wait.Wait()
	end := func() {
		for _, c := range conns {
			if c != nil {
				c.Close()
			}
		}
	}
	if err := errors.Join(errs...); err != nil {
		end()
		return nil, nil, err
	}
	return nodes, end, nil
}

// reached is a fleet of these hosts, for commands that need no more of it.
func (s sshHosts) reached(ctx context.Context, out io.Writer) (*deploy.Fleet, func(), error) {
	all, problems := s.parse(ctx)
	if err := errors.Join(problems...); err != nil {
		return nil, nil, usage{err}
	}
	nodes, end, err := s.connect(ctx, all)
	if err != nil {
		return nil, nil, err
	}
	return &deploy.Fleet{Nodes: nodes, Say: teller(out), Within: 5 * time.Minute}, end, nil
}

// teller prints progress, one line an event, with the time since the start.
func teller(out io.Writer) func(host, line string) {
	var mu sync.Mutex
	began := time.Now()
	return func(host, line string) {
		mu.Lock()
		defer mu.Unlock()
		if host != "" {
			line = host + ": " + line
		}
		fmt.Fprintf(out, "%6.1fs  %s\n", time.Since(began).Seconds(), line)
	}
}
