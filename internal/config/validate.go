package config

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/etcd"
	"github.com/quorate/quorate/internal/peers"
	"github.com/quorate/quorate/internal/peers/entry"
	"github.com/quorate/quorate/internal/store"
)

// problems collects what is wrong, each with its key.
type problems []error

// add takes joined errors apart, so that each line begins with its key.
func (p *problems) add(key string, err error) {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, each := range joined.Unwrap() {
			p.add(key, each)
		}
	} else if err != nil {
		*p = append(*p, fmt.Errorf("%s: %w", key, err))
	}
}

func (p *problems) say(key, format string, args ...any) {
	p.add(key, fmt.Errorf(format, args...))
}

// interval is a time between two doings of which none may follow the other at once.
func (p *problems) interval(key string, d time.Duration) {
	if d < 0 || 0 < d && d < time.Second {
		p.say(key, "%s: want 1s or more, or 0 for never", d)
	}
}

var clusterName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)

// Validate says everything that is wrong with a filled Config, each problem
// beginning with its key and a colon. It looks at the machine (directories,
// TLS files, what it was given to read) and changes nothing.
func (c Config) Validate() []error {
	p := problems(slices.Clone(c.unread))
	c.checkMachine(&p)
	c.checkMembership(&p)
	c.Naming.check(&p)
	c.checkEtcd(&p)
	c.checkBackups(&p)
	c.checkSealing(&p)
	c.Cloud.check(&p)
	p = append(p, c.ServerTLS.Files().Validate("")...)
	p = append(p, c.PeerFiles().Validate("peer-")...)
	checkServes(&p, "", c.CertFile, c.TrustedCAFile)
	checkServes(&p, "peer-", c.PeerCertFile, c.PeerTrustedCAFile)
	if _, ok := levels[c.LogLevel]; !ok {
		p.say("log-level", "%q: want debug, info, warn or error", c.LogLevel)
	}
	if c.LogFormat != "text" && c.LogFormat != "json" {
		p.say("log-format", "%q: want text or json", c.LogFormat)
	}
	return p
}

func (c Config) checkMachine(p *problems) {
	p.add("name", entry.CheckName(c.Name))
	if c.Host == "" && !c.nobody {
		p.say("host", "not given, and peers tell none for %q", c.Name)
	} else if _, err := entry.Host(c.Host); err != nil && c.Host != "" {
		p.add("host", err)
	}
	if addr, err := netip.ParseAddr(c.ListenHost); err != nil || addr.Zone() != "" {
		p.say("listen-host", "%q: want an IP address", c.ListenHost)
	}
	p.add("data-dir", creatable(c.DataDir))
	taken := map[int]string{}
	for _, port := range []struct {
		key    string
		number int
	}{{"client-port", c.ClientPort}, {"peer-port", c.PeerPort}, {"agent-port", c.AgentPort}, {"health-port", c.HealthPort}} {
		other, twice := taken[port.number]
		switch {
		case port.key == "health-port" && port.number == 0: // none
			continue
		case port.number < 1 || port.number > 65535:
			p.say(port.key, "%d: want 1 to 65535", port.number)
		case twice:
			p.say(port.key, "%d is %s too", port.number, other)
		}
		taken[port.number] = port.key
	}
}

func (c Config) checkMembership(p *problems) {
	if !clusterName.MatchString(c.Cluster) {
		p.say("cluster", "%q: want 1 to 63 letters, digits, dots, dashes or underscores, a letter or digit first", c.Cluster)
	}
	c.checkPeers(p)
	if c.Store != "" {
		p.add("store", validateStore(c.Store))
	}
	if c.Size < 0 && c.Size != Auto {
		p.say("size", "%s: want a number of voters, auto, or 0 for no upper limit", c.Size)
	}
	switch c.Join {
	case cluster.JoinPrepared, cluster.JoinAdd, cluster.JoinReplace, cluster.JoinPrune:
	default:
		p.say("join", "%q: want prepared, add, replace or prune", c.Join)
	}
	if c.LearnerWait <= 0 {
		p.say("learner-patience", "%s: want a time above zero", c.LearnerWait)
	}
	p.interval("compaction-keep", c.CompactKeep)
	if !(c.DefragBelow >= 0 && c.DefragBelow < 1) { // NaN is neither
		p.say("defragment-below", "%v: want a part from 0 to 1, less than 1", c.DefragBelow)
	}
	p.interval("hash-check-interval", c.HashCheck)
	if c.FoundingWait < 0 {
		p.say("founding-wait", "%s: want no negative time", c.FoundingWait)
	}
	if c.DeadAfter <= 0 {
		p.say("dead-after", "%s: want a positive time", c.DeadAfter)
	}
}

func validateStore(url string) error { return store.Validate(url) }

// checkPeers holds a static list against this node's own name and host: such
// a list does not change, so a difference will never heal.
func (c Config) checkPeers(p *problems) {
	if c.Peers == "" {
		p.say("peers", "not given: want a=10.0.0.1,b=10.0.0.2,c=10.0.0.3, or %s", peers.Sources)
		return
	}
	source, err := peers.Open(c.Peers, c.Ports())
	if err != nil {
		p.add("peers", err)
		return
	}
	if !peers.IsStatic(c.Peers) {
		return
	}
	view, err := source.View(context.Background())
	if err != nil {
		p.add("peers", err)
		return
	}
	me, ok := view.Peer(c.Name)
	switch {
	case !ok:
		p.say("name", "%q is not in peers: %s", c.Name, names(view))
	case c.Host != "" && !strings.ContainsAny(c.Host, "@/") && !sameHost(me.Host, c.Host):
		p.say("host", "%s, but peers say %s of %q", c.Host, me.Host, c.Name)
	}
}

func names(view cluster.View) string {
	all := make([]string, len(view.Peers))
	for i, p := range view.Peers {
		all[i] = p.Name
	}
	return strings.Join(all, ", ")
}

func sameHost(a, b string) bool {
	a, _ = entry.Host(a)
	b, _ = entry.Host(b)
	return strings.EqualFold(a, b)
}

func isDirectory(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

func (c Config) checkEtcd(p *problems) {
	switch {
	case c.Etcd == "":
		p.say("etcd", "empty: want built-in, a path, a directory of versions or a URL")
	case etcd.IsURL(c.Etcd):
		p.add("etcd", etcd.CheckURL(c.Etcd))
	case isDirectory(c.Etcd): // what is in it is asked when it is opened
	case !c.BuiltIn():
		_, err := exec.LookPath(c.Etcd)
		p.add("etcd", err)
	}
	if c.EtcdDataDir == "" || filepath.Clean(c.EtcdDataDir) == filepath.Clean(c.DataDir) {
		p.say("etcd-data-dir", "%q: want a directory other than data-dir", c.EtcdDataDir)
	} else if filepath.Dir(filepath.Clean(c.EtcdDataDir)) != filepath.Clean(c.DataDir) {
		p.add("etcd-data-dir", creatable(c.EtcdDataDir)) // else data-dir's problem is this one
	}
	p.add("etcd-flags", etcd.CheckExtra(slices.Concat(c.EtcdFlags, c.Args)))
	if c.EtcdUser != "" && c.EtcdPasswordFile == "" {
		p.say("etcd-password-file", "not given, and etcd-user is")
	}
	if c.EtcdUser == "" && c.EtcdPasswordFile != "" {
		p.say("etcd-user", "not given, and etcd-password-file is")
	}
	if _, err := c.Password(); err != nil {
		*p = append(*p, err) // names its key
	}
}

func (c Config) checkBackups(p *problems) {
	p.interval("backup-interval", c.BackupInterval)
	p.interval("backup-verify-interval", c.BackupVerify)
	if c.BackupKeep < 1 {
		p.say("backup-keep", "%d: want 1 or more", c.BackupKeep)
	}
	for _, class := range []struct {
		key string
		n   int
	}{{"backup-keep-hourly", c.BackupKeepHourly}, {"backup-keep-daily", c.BackupKeepDaily}, {"backup-keep-weekly", c.BackupKeepWeekly}, {"backup-keep-monthly", c.BackupKeepMonthly}} {
		if class.n < 0 {
			p.say(class.key, "%d: want 0 or more", class.n)
		}
	}
}

// checkServes wants a certificate where there is an authority: a server with
// an authority alone serves nobody.
func checkServes(p *problems, prefix, cert, ca string) {
	if ca != "" && cert == "" {
		p.say(prefix+"cert-file", "not given, and %strusted-ca-file is", prefix)
	}
}

// viewLimit is how long a warning is worth waiting for.
const viewLimit = 3 * time.Second

// Warnings are what will work and is probably not meant, each beginning with
// its key.
func (c Config) Warnings() []string {
	all := c.WithoutAgent()
	if c.Store == "" {
		all = append(all, "store: none: founding needs the consent of all nodes, and there are no backups to recover from")
	}
	return all
}

// WithoutAgent are the Warnings of a node that runs no agent: it has no use for
// a store.
func (c Config) WithoutAgent() []string {
	var all []string
	warn := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	if c.Size > 0 && c.Size%2 == 0 {
		warn("size: %s is even: it survives no more failures than %s does", c.Size, c.Size-1)
	}
	if c.Size > 7 {
		warn("size: each write waits for a majority of %s voters; 3 or 5 are usual", c.Size)
	}
	all = append(all, c.Sealing.warnings()...)
	source, err := peers.Open(c.Peers, c.Ports())
	if err != nil {
		return all
	}
	ctx, cancel := context.WithTimeoutCause(context.Background(), viewLimit, fmt.Errorf("no answer within %s", viewLimit))
	defer cancel()
	view, err := c.Heard(source).View(ctx)
	if err != nil {
		warn("peers: unknown for now: %v", err)
		return all
	}
	if c.Size.Voters() == 0 && view.Size == 0 {
		warn("size: %s, and peers do not tell the size: this node can join a cluster and never found one", c.Size)
	}
	if peers.IsStatic(c.Peers) && len(view.Peers) < c.Size.Voters() {
		warn("size: %s, and only %d nodes are in peers", c.Size, len(view.Peers))
	}
	return append(all, c.unlike(view)...)
}

// unlike compares this node with what a changing source says of it now.
func (c Config) unlike(view cluster.View) []string {
	if peers.IsStatic(c.Peers) {
		return nil // Validate has compared them
	}
	me, ok := view.Peer(c.Name)
	switch {
	case !ok:
		for _, p := range view.Peers {
			if p.Alive() && sameHost(p.Host, c.Host) && p.PeerPort == c.PeerPort {
				return []string{fmt.Sprintf("name: %q, but peers call the machine at %s %q: it will not take part", c.Name, c.Host, p.Name)}
			}
		}
		return []string{fmt.Sprintf("name: %q is not in peers yet", c.Name)}
	case !sameHost(me.Host, c.Host):
		return []string{fmt.Sprintf("host: %s, but peers say %s of %q", c.Host, me.Host, c.Name)}
	case me.ClientPort != c.ClientPort || me.PeerPort != c.PeerPort || me.AgentPort != c.AgentPort:
		return []string{fmt.Sprintf("client-port, peer-port, agent-port: %d, %d, %d, but peers say %d, %d, %d of %q",
			c.ClientPort, c.PeerPort, c.AgentPort, me.ClientPort, me.PeerPort, me.AgentPort, c.Name)}
	}
	return nil
}
