package config

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/etcd"
	"github.com/quorate/quorate/internal/peers"
	"github.com/quorate/quorate/internal/peers/entry"
)

// Filled sets what was not given and follows from the rest: the name from the
// machine, host and zone from the peers, the rest from these. What cannot be
// found stays empty, and Validate says so. It writes nothing.
func (c Config) Filled(ctx context.Context) Config {
	c = c.clone()
	c.identify(ctx)
	if here, ok := c.here(ctx); ok {
		c.Name = here.Name
	}
	if c.Name == "" {
		c.Name, _ = os.Hostname()
	}
	if me, ok := c.me(ctx); ok {
		c.Host = either(c.Host, me.Host)
		c.Zone = either(c.Zone, me.Zone)
	}
	if host, err := entry.Host(c.Host); err == nil {
		c.Host = host // an IP address as peers have it, so that URLs are equal
	}
	if c.ListenHost == "" {
		c.ListenHost = listen(c.Host)
	}
	if c.EtcdDataDir == "" && c.DataDir != "" {
		c.EtcdDataDir = filepath.Join(c.DataDir, "etcd")
	}
	c.takeArgs()
	c.absolute()
	return c
}

// absolute makes paths mean the same in whatever directory a process runs.
func (c *Config) absolute() {
	if found, err := exec.LookPath(c.Etcd); err == nil && !c.BuiltIn() {
		c.Etcd = found
	}
	paths := []*string{
		&c.File, &c.DataDir, &c.EtcdDataDir, &c.EtcdPasswordFile,
		&c.CertFile, &c.KeyFile, &c.TrustedCAFile,
		&c.PeerCertFile, &c.PeerKeyFile, &c.PeerTrustedCAFile,
	}
	if !c.BuiltIn() && !etcd.IsURL(c.Etcd) {
		paths = append(paths, &c.Etcd)
	}
	absolutePaths(append(paths, c.paths()...))
}

// takeArgs moves the words after -- where they belong: they are the command
// line's, so they beat the file and the environment, and add to other flags.
func (c *Config) takeArgs() {
	if len(c.Args) == 0 {
		return
	}
	if !c.byFlag["etcd-flags"] {
		c.EtcdFlags = nil
	}
	c.EtcdFlags = append(c.EtcdFlags, c.Args...)
	c.Args = nil
	if c.byFlag == nil {
		c.byFlag = map[string]bool{}
	}
	c.byFlag["etcd-flags"] = true
}

// me is this node as the peers source has it, where that is to tell something.
// An unknown view is no me.
func (c *Config) me(ctx context.Context) (cluster.Peer, bool) {
	source, err := peers.Open(c.Peers, c.Ports())
	if err != nil || c.nobody || c.Host != "" && c.Zone != "" {
		return cluster.Peer{}, false
	}
	c.asked = ask(ctx, source)
	if c.asked.err != nil {
		return cluster.Peer{}, false
	}
	return c.asked.view.Peer(c.Name)
}

// identify takes name, host and zone from the machine itself, where the peers
// source names peers by what their machines know of themselves.
func (c *Config) identify(ctx context.Context) {
	source, err := peers.Open(c.Peers, c.Ports())
	if err != nil || c.Name != "" && c.Host != "" && c.Zone != "" {
		return
	}
	namer, ok := source.(peers.Namer)
	if !ok {
		return
	}
	self, err := namer.Self(ctx)
	switch {
	case err != nil && c.Name != "" && c.Host != "": // the view tells the zone too
		return
	case err != nil:
		c.nobody = true
		c.unread = append(c.unread, fmt.Errorf("peers: finding this machine's name and host, for want of --name and --host: %w", err))
	case c.Name != "" && c.Name != self.Name:
		c.unread = append(c.unread, fmt.Errorf("name: %q, but peers will call this machine %q: leave name out", c.Name, self.Name))
	}
	c.Name, c.Host, c.Zone = either(c.Name, self.Name), either(c.Host, self.Host), either(c.Zone, self.Zone)
}

// here is this node where the source can tell it without a name.
func (c Config) here(ctx context.Context) (cluster.Peer, bool) {
	source, err := peers.Open(c.Peers, c.Ports())
	if err != nil || c.Name != "" || c.nobody {
		return cluster.Peer{}, false
	}
	if l, ok := source.(peers.Locator); ok {
		return l.Local(ctx)
	}
	return cluster.Peer{}, false
}

func listen(host string) string {
	if net.ParseIP(host) != nil {
		return host
	}
	return "0.0.0.0"
}

func either(given, found string) string {
	if given != "" {
		return given
	}
	return found
}
