package etcd

import (
	"net"
	"strconv"
	"strings"
)

// TLSFiles name PEM files; all empty is plain text. They are read anew for
// each connection, so a renewed file needs no restart of the agent.
type TLSFiles struct {
	Cert string
	Key  string
	CA   string // signs the other side's certificates; empty is the system's roots
}

// Enabled says that connections are encrypted.
func (t TLSFiles) Enabled() bool { return t != TLSFiles{} }

func (t TLSFiles) scheme() string {
	if t.Enabled() {
		return "https"
	}
	return "http"
}

// Config is what stays the same in every start of one member.
type Config struct {
	Name          string
	DataDir       string // absolute: a later agent finds a stray etcd by it
	ListenHost    string // address to bind; empty is AdvertiseHost
	AdvertiseHost string // address or name by which others reach this machine
	ClientPort    int
	PeerPort      int
	Client        TLSFiles // etcd's server certificate for clients
	Peer          TLSFiles // for the traffic between members; with a CA it is mutual
	// ClientCertAuth demands a certificate signed by Client.CA from clients.
	ClientCertAuth bool
	Extra          []string // the operator's etcd flags, already through CheckExtra
	// Environ is the operator's environment: an ETCD_* setting in it, like a
	// flag in Extra, beats a default of quorate's.
	Environ []string
}

// The states in which a member starts on an empty disk.
const (
	StateNew      = "new"      // found a cluster with the others
	StateExisting = "existing" // join one that has this member's entry
)

// Start is what differs between starts. The zero value resumes on data.
type Start struct {
	State          string // StateNew, StateExisting, or empty: resume on data
	InitialCluster string // name=url,…
	Token          string
	// ForceNewCluster makes the data's one survivor a cluster of one and throws
	// away every log entry not known to be committed: only on a copy, after
	// ForceCommit.
	ForceNewCluster bool
}

// Setting is one etcd flag, without dashes, and its value.
type Setting struct{ Flag, Value string }

// Env is the setting's name as an environment variable.
func (s Setting) Env() string { return envName(s.Flag) }

// Settings are all flags of one start for etcd version v, ours first, in a
// stable order, each in one form only, none unknown to v.
func Settings(v Version, c Config, s Start) []Setting {
	listen := c.ListenHost
	if listen == "" {
		listen = c.AdvertiseHost
	}
	client, peer := c.Client.scheme(), c.Peer.scheme()
	all := []Setting{
		{"name", c.Name},
		{"data-dir", c.DataDir},
		{"listen-client-urls", hostURL(client, listen, c.ClientPort)},
		{"advertise-client-urls", hostURL(client, c.AdvertiseHost, c.ClientPort)},
		{"listen-peer-urls", hostURL(peer, listen, c.PeerPort)},
		{"initial-advertise-peer-urls", hostURL(peer, c.AdvertiseHost, c.PeerPort)},
		{"initial-cluster-state", s.State},
		{"initial-cluster", s.InitialCluster},
		{"initial-cluster-token", s.Token},
		{"force-new-cluster", yes(s.ForceNewCluster)},
	}
	all = append(all, tlsSettings(c)...)
	extra, _ := parseExtra(c.Extra) // CheckExtra has reported what this drops
	all = append(all, unless(given(extra, c.Environ), defaults(v))...)
	return append(withValues(all), extra...)
}

// Args is the command line: Settings as flags.
func Args(v Version, c Config, s Start) []string { return flagArgs(Settings(v, c, s)) }

// tlsSettings leave out the CA for clients unless certificates are demanded of
// them: for etcd a trusted CA alone already demands them.
func tlsSettings(c Config) []Setting {
	all := []Setting{
		{"cert-file", c.Client.Cert},
		{"key-file", c.Client.Key},
		{"peer-cert-file", c.Peer.Cert},
		{"peer-key-file", c.Peer.Key},
		{"peer-trusted-ca-file", c.Peer.CA},
		{"peer-client-cert-auth", yes(c.Peer.CA != "")},
	}
	if c.ClientCertAuth {
		all = append(all, Setting{"trusted-ca-file", c.Client.CA}, Setting{"client-cert-auth", "true"})
	}
	return all
}

// Authorities are the files of the authorities that etcd trusts: it reads them
// once, at its start, and every other TLS file for each connection.
func (c Config) Authorities() []string {
	var files []string
	for _, s := range tlsSettings(c) {
		if (s.Flag == "trusted-ca-file" || s.Flag == "peer-trusted-ca-file") && s.Value != "" {
			files = append(files, s.Value)
		}
	}
	return files
}

// defaults are what quorate sets unless the operator does: the check, at each
// compaction, that finds a corrupt member; off in etcd and renamed from line to
// line. (The check at the start is left off: it asks every peer first, up to 7 s
// for each that is down, and so delays the very restart of a whole cluster.)
func defaults(v Version) []Setting {
	switch {
	case !v.Less(Version{Major: 3, Minor: 6, Patch: 0}):
		return []Setting{{"feature-gates", "CompactHashCheck=true"}}
	case !v.Less(Version{Major: 3, Minor: 5, Patch: 5}):
		return []Setting{{"experimental-compact-hash-check-enabled", "true"}}
	}
	return nil
}

// given are the settings that the operator makes, as flag or environment.
func given(extra []Setting, environ []string) map[string]bool {
	names := map[string]bool{}
	for _, s := range extra {
		names[s.Env()] = true
	}
	for _, e := range environ {
		if name, value, _ := strings.Cut(e, "="); value != "" {
			names[name] = true
		}
	}
	return names
}

func unless(taken map[string]bool, settings []Setting) []Setting {
	var free []Setting
	for _, s := range settings {
		if !taken[s.Env()] {
			free = append(free, s)
		}
	}
	return free
}

func withValues(settings []Setting) []Setting {
	var set []Setting
	for _, s := range settings {
		if s.Value != "" {
			set = append(set, s)
		}
	}
	return set
}

func flagArgs(settings []Setting) []string {
	args := make([]string, len(settings))
	for i, s := range settings {
		args[i] = "--" + s.Flag + "=" + s.Value
	}
	return args
}

func envName(flag string) string {
	return "ETCD_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

func yes(b bool) string {
	if b {
		return "true"
	}
	return ""
}

func hostURL(scheme, host string, port int) string {
	return scheme + "://" + net.JoinHostPort(host, strconv.Itoa(port))
}
