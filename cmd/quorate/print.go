package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/etcd"
	"github.com/quorate/quorate/internal/peers"
	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/printed"
)

// printFlags are print mode's own: no agent runs anywhere, and before each start
// of its etcd a machine asks how to start it.
type printFlags struct {
	Register   bool          `group:"For those who run etcd themselves" help:"Make the decided change: register in the registry, add this node (as a learner), remove the entry of its lost disk or, by --join, dead members, tell etcd of a new address, promote this node's learner."`
	AsVoter    bool          `group:"For those who run etcd themselves" help:"Add this node as a voter at once, so that nobody need promote it."`
	FirstStart bool          `group:"For those who run etcd themselves" help:"Your word that this cluster has never run: a list of peers, unlike a registry, cannot tell a founder's first start from a disk that is lost."`
	Wait       time.Duration `group:"For those who run etcd themselves" placeholder:"TIME" help:"How long to wait until there is something to print, or a change can be made."`
	Elastic    bool          `hidden:""`
}

// prints says that the machine's etcd is its owner's, and no agent's: then the
// decision is print mode's.
func (c *explainCmd) prints(ctx context.Context, w *wiring) bool {
	if c.Register || c.AsVoter || c.FirstStart || c.Wait > 0 || c.Elastic {
		return true
	}
	if c.Output == "text" || c.Output == "json" || w.cfg.Store != "" || etcd.ReadDisk(w.cfg.DataDir, w.cfg.EtcdDataDir).Stamp != nil {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort(w.cfg.Host, fmt.Sprint(w.cfg.AgentPort)))
	if err == nil {
		conn.Close()
	}
	return err != nil
}

func (c *explainCmd) print(ctx context.Context, w *wiring, to streams) error {
	if c.Register && w.cfg.Store != "" {
		return usage{errors.New("register: want no --store with it: a ledger is kept by agents, so let quorate run keep this node")}
	}
	if err := c.sayable(to.out, w, etcd.Start{}); err != nil {
		return usage{err}
	}
	node := c.node(w)
	node.Sayable = func(s etcd.Start) error { return c.sayable(to.out, w, s) }
	d, err := node.Run(ctx, c.Wait)
	switch start, ok := printed.Start(d); {
	case err != nil && d.Reason != "":
		return fmt.Errorf("%s: %w", d, err)
	case err != nil:
		return err
	case c.Output == "json":
		return writeJSON(to.out, d)
	case c.Output == "text":
		_, err = fmt.Fprintln(to.out, d)
		return err
	case !ok:
		return fmt.Errorf("there is no etcd to configure now: %s", d)
	default:
		return c.write(to.out, w, start)
	}
}

func (c *explainCmd) node(w *wiring) *printed.Node {
	self := cluster.Peer{Name: w.cfg.Name, Host: w.cfg.Host, PeerPort: w.cfg.PeerPort}
	return &printed.Node{
		Asked: plan.Print{Name: w.cfg.Name, PeerURL: self.PeerURL(w.parts.Secure.Peer), Scheme: w.parts.Secure.Peer, Join: w.cfg.Join,
			Size: w.options.Settings.Size, Register: c.Register, AsVoter: c.AsVoter, First: c.FirstStart, Token: tokenOf(w.cfg.Cluster, w.cfg.Peers)},
		AutoSize: w.options.Settings.AutoSize,
		EtcdDir:  w.cfg.EtcdDataDir, Dir: w.cfg.DataDir, Scheme: w.parts.Secure.Client, Look: c.Look,
		Open:   func() (printed.Source, error) { return peers.Open(w.cfg.Peers, w.cfg.Ports()) },
		Dial:   w.parts.Dial,
		AtPeer: w.parts.AtPeer,
	}
}

// tokenOf is the --initial-cluster-token of founders: the same on each, of other
// groups another. By a registry it is the one of etcd's own --discovery-token and
// --discovery, so that those who found with these make the same cluster id.
func tokenOf(name, source string) string {
	base, _, _ := strings.Cut(source, "?") // options are ours alone
	base = strings.TrimRight(base, "/")
	switch scheme, _, _ := strings.Cut(base, "://"); scheme {
	case "etcd":
		return path.Base(base)
	case "http", "https":
		return base
	}
	return name
}

// elasticSettings are those that elastic-etcd printed: who changes to quorate
// has given etcd the others.
var elasticSettings = []string{"name", "data-dir", "initial-advertise-peer-urls", "initial-cluster-state", "initial-cluster", "initial-cluster-token"}

func (c *explainCmd) write(out io.Writer, w *wiring, start etcd.Start) error {
	text, err := c.text(w, start)
	if err == nil {
		_, err = io.WriteString(out, text)
	}
	return err
}

func (c *explainCmd) text(w *wiring, start etcd.Start) (string, error) {
	settings := etcd.Settings(w.parts.Offers.Newest().Version, w.options.Etcd, start)
	if c.Elastic {
		settings = slices.DeleteFunc(settings, func(s etcd.Setting) bool { return !slices.Contains(elasticSettings, s.Flag) })
	}
	return render(c.Output, settings)
}

// sayable says why a start could not be printed. It writes nothing, and so has
// the output say that it takes nothing.
func (c *explainCmd) sayable(out io.Writer, w *wiring, start etcd.Start) error {
	if _, err := out.Write(nil); err != nil {
		return fmt.Errorf("printing: %w", err)
	}
	if c.Output == "text" || c.Output == "json" {
		return nil
	}
	_, err := c.text(w, start)
	return err
}
