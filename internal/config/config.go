// Package config is quorate's one configuration: the structs whose comments
// and tags are the manual, filled from flags, environment and a YAML file (in
// this order of strength) by kong. Nothing else in quorate reads flags or
// environment variables of its own.
//
// A command embeds Config (an agent's settings) or Target (which cluster a
// client talks to). Then, for a Config:
//
//	cfg := cmd.Config.Filled(ctx)
//	problems, warnings := cfg.Validate(), cfg.Warnings()
package config

import (
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/peers"
	"github.com/quorate/quorate/internal/publish"
	"github.com/quorate/quorate/internal/smallfile"
	"github.com/quorate/quorate/internal/tlsfiles"
)

// Config is what an agent is told: the flags of `quorate run`. Each flag is
// also the variable QUORATE_… and, without dashes in front, a key of the file.
// Copies are independent.
type Config struct {
	File string `name:"config" env:"QUORATE_CONFIG" placeholder:"FILE" help:"YAML file with these settings: a key is a flag's name without dashes in front. A flag beats the environment, and that beats the file."`

	Machine    `group:"This node"`
	Membership `group:"The cluster"`
	Naming     `group:"The cluster"`
	Process    `group:"etcd"`
	Backups    `group:"Backups"`
	Sealing    `group:"Backups"`
	Cloud      `group:"AWS"`
	ServerTLS  `group:"TLS"`
	PeerTLS    `group:"TLS"`
	Logs       `group:"Logs"`

	// asRead are the values of all keys before Filled, for Reload to compare.
	asRead map[string]any
	// byFlag are the keys that the command line has set: no file changes them.
	byFlag map[string]bool
	// unread are the problems found before Validate, which reports them with the
	// rest: wrong types, those of the file, a machine that does not say who it is.
	unread []error
	// nobody says that this machine's name and host could not be found, and that
	// unread says why.
	nobody bool
	// asked is what the peers source has said already; nil: it was not asked.
	asked *answer
}

// Machine is who and where this node is.
type Machine struct {
	Name       string `env:"QUORATE_NAME" placeholder:"NODE" help:"This node's name, unique in the cluster; it becomes etcd's member name. Default: on AWS the instance id, else the host name."`
	Host       string `env:"QUORATE_HOST" placeholder:"ADDR" help:"IP address or DNS name at which the other nodes and clients reach this node, without a port. Default: what --peers says of this node's name; on AWS this instance's address."`
	ListenHost string `env:"QUORATE_LISTEN_HOST" placeholder:"IP" help:"IP address to listen on. Default: the host if that is an IP address, else 0.0.0.0 (all)."`
	Zone       string `env:"QUORATE_ZONE" placeholder:"ZONE" help:"Failure domain of this node; voters are spread over zones. Default: what --peers says."`
	DataDir    string `env:"QUORATE_DATA_DIR" default:"/var/lib/quorate" placeholder:"DIR" help:"Directory of all that this node must not forget (default ${default})."`
	ClientPort int    `type:"setting" env:"QUORATE_CLIENT_PORT" default:"2379" placeholder:"PORT" help:"etcd's port for clients (default ${default})."`
	PeerPort   int    `type:"setting" env:"QUORATE_PEER_PORT" default:"2380" placeholder:"PORT" help:"etcd's port for the other members (default ${default})."`
	AgentPort  int    `type:"setting" env:"QUORATE_AGENT_PORT" default:"2378" placeholder:"PORT" help:"The agent's port: API, metrics, health (default ${default})."`
	HealthPort int    `type:"setting" env:"QUORATE_HEALTH_PORT" default:"0" placeholder:"PORT" help:"A second port for load balancers, which serves /readyz and nothing else, in plain HTTP and without asking for a certificate; 0 is none (default ${default})."`
}

// Membership is which cluster it is, who belongs to it, and how it changes.
type Membership struct {
	Cluster string `env:"QUORATE_CLUSTER" default:"quorate" placeholder:"NAME" help:"The cluster's name, which parts clusters that share a store: 1 to 63 letters, digits, dots, dashes, underscores (default ${default})."`
	Peers   string `env:"QUORATE_PEERS" placeholder:"SOURCE" help:"Who should be in the cluster: a list a=10.0.0.1,b=10.0.0.2,c=10.0.0.3, or file:///path of a YAML list, read again each round; aws-asg://GROUP or aws-tag://KEY=VALUE on AWS; dns+srv://DOMAIN; etcd://HOST:2379/TOKEN or https://HOST/TOKEN, discovery services; exec:///program. Required."`
	Store   string `env:"QUORATE_STORE" placeholder:"URL" help:"Where charters and backups are kept: s3://bucket?prefix=…, gs://bucket, azblob://container, or file:///dir of a directory that all nodes share. Default: none; then founding needs the consent of all nodes, and there are no backups."`

	Size Size                 `type:"setting" env:"QUORATE_SIZE" default:"3" placeholder:"N" help:"Wanted voters, best an odd number; auto is what --peers says, as an Auto Scaling group's desired capacity; 0 is no upper limit (default ${default}). May change while running."`
	Join cluster.JoinStrategy `env:"QUORATE_JOIN" default:"replace" placeholder:"STRATEGY" help:"How this node may get in: prepared (an operator has added it), add (until the cluster is full), replace (when full, one dead member goes first), prune (every dead member goes first) (default ${default}). May change while running."`

	FoundingWait time.Duration `type:"setting" env:"QUORATE_FOUNDING_WAIT" default:"30s" placeholder:"TIME" help:"How long to wait for all of --size nodes before a majority of them may found the cluster (default ${default})."`
	DeadAfter    time.Duration `type:"setting" env:"QUORATE_DEAD_AFTER" default:"5m" placeholder:"TIME" help:"How long a member must be unhealthy before a newcomer may replace it, where --peers cannot prove that its machine is gone (default ${default}). May change while running."`
	HashCheck    time.Duration `name:"hash-check-interval" type:"setting" env:"QUORATE_HASH_CHECK_INTERVAL" default:"1h" placeholder:"TIME" help:"Time between two comparisons of the members' keys, for which each reads its whole database: a minority that differs is replaced, its data kept; 0 is none but after an alarm of etcd's (default ${default}). May change while running."`
	LearnerWait  time.Duration `name:"learner-patience" type:"setting" env:"QUORATE_LEARNER_PATIENCE" default:"1m" placeholder:"TIME" help:"How long a newcomer may get no nearer, neither in entries nor in bytes, before it loses its place (default ${default}). May change while running."`
	CompactKeep  time.Duration `name:"compaction-keep" type:"setting" env:"QUORATE_COMPACTION_KEEP" default:"1h" placeholder:"TIME" help:"How long old revisions of keys are kept: without compaction a database grows until etcd takes no writes; an hour is what etcd's own guide advises, and ample for watches that resume. 0 is for ever. --auto-compaction-… among etcd's flags goes before (default ${default}). May change while running."`
	DefragBelow  float64       `name:"defragment-below" type:"setting" env:"QUORATE_DEFRAGMENT_BELOW" default:"0.5" placeholder:"PART" help:"A database of 100 MB and more of which less than this part is in use is defragmented, one member at a time, each as in a restart; so is one that is near its quota. 0 is never (default ${default}). May change while running."`
	AutoRecover  bool          `type:"setting" env:"QUORATE_AUTO_RECOVER" default:"true" negatable:"" help:"Found the next epoch by itself, from the best survivor or backup, when a majority is proven gone for good (default ${default}). May change while running."`
}

// Process is the etcd beside the agent.
type Process struct {
	Etcd             string `env:"QUORATE_ETCD" default:"built-in" placeholder:"ETCD" help:"The etcd to run: built-in; the path of another, or its name in $PATH; a directory of versions, as DIR/3.6.14/etcd, of which that runs which ran last and quorate upgrade goes to others; or https://…#sha256=HEX, a program or a release's .tar.gz, which is fetched once (default ${default})."`
	EtcdDataDir      string `env:"QUORATE_ETCD_DATA_DIR" placeholder:"DIR" help:"etcd's data directory, for adopting a cluster whose data is elsewhere. Default: etcd below --data-dir."`
	EtcdUser         string `env:"QUORATE_ETCD_USER" placeholder:"USER" help:"etcd user with the root role, once authentication is enabled. Default: none."`
	EtcdPasswordFile string `env:"QUORATE_ETCD_PASSWORD_FILE" placeholder:"FILE" help:"File that holds the password of --etcd-user and nothing else."`
	EtcdFlags        Words  `env:"QUORATE_ETCD_FLAGS" placeholder:"FLAGS" help:"More flags for etcd, separated by spaces; a list in the file. On the command line better: -- --flag=value …"`
	// Args are the words after --. Filled makes EtcdFlags of them.
	Args []string `arg:"" optional:"" name:"etcd flags" help:"After --: more flags for etcd, as --quota-backend-bytes=8589934592."`
}

// Backups is how often there is a snapshot, and which ones stay.
type Backups struct {
	BackupInterval    time.Duration `type:"setting" env:"QUORATE_BACKUP_INTERVAL" default:"1h" placeholder:"TIME" help:"Time between full snapshots to --store; 0 is none. Without --backup-delta, what is written in this time can be lost with all disks (default ${default}). May change while running."`
	BackupDelta       bool          `type:"setting" env:"QUORATE_BACKUP_DELTA" default:"true" negatable:"" help:"Ship the raft log to --store between full snapshots, each half second in which something is written: all disks lost lose a second, and a restore can be of any moment (default ${default})."`
	BackupKeep        int           `type:"setting" env:"QUORATE_BACKUP_KEEP" default:"10" placeholder:"N" help:"Keep the newest N snapshots (default ${default}). May change while running."`
	BackupKeepHourly  int           `type:"setting" env:"QUORATE_BACKUP_KEEP_HOURLY" default:"24" placeholder:"N" help:"Keep the newest of each of the last N hours that have one (default ${default}). May change while running."`
	BackupKeepDaily   int           `type:"setting" env:"QUORATE_BACKUP_KEEP_DAILY" default:"7" placeholder:"N" help:"Keep the newest of each of the last N days, in UTC, that have one (default ${default}). May change while running."`
	BackupKeepWeekly  int           `type:"setting" env:"QUORATE_BACKUP_KEEP_WEEKLY" default:"4" placeholder:"N" help:"Keep the newest of each of the last N weeks, from Monday in UTC, that have one (default ${default}). May change while running."`
	BackupKeepMonthly int           `type:"setting" env:"QUORATE_BACKUP_KEEP_MONTHLY" default:"0" placeholder:"N" help:"Keep the newest of each of the last N months, in UTC, that have one (default ${default}). May change while running."`
	BackupVerify      time.Duration `name:"backup-verify-interval" type:"setting" env:"QUORATE_BACKUP_VERIFY_INTERVAL" default:"6h" placeholder:"TIME" help:"Time between two restores for a proof: a follower restores what is stored below --data-dir, has an etcd serve it, and compares it with the cluster; 0 is none (default ${default})."`
	BackupCopy        string        `env:"QUORATE_BACKUP_COPY" placeholder:"URL" help:"A second store, of the same kinds as --store, that gets a copy of every backup and may lag behind; the first never waits for it. Default: none."`
}

// ServerTLS is for etcd's client port and the agent's port, and for quorate's
// own connections to them. Changed files count without a restart.
type ServerTLS struct {
	CertFile       string `env:"QUORATE_CERT_FILE" placeholder:"FILE" help:"PEM certificate of this node for clients of etcd and the agent; quorate shows it as a client too. Changed files are picked up without a restart, as all TLS files are. Default: plain text."`
	KeyFile        string `env:"QUORATE_KEY_FILE" placeholder:"FILE" help:"PEM key of --cert-file."`
	TrustedCAFile  string `name:"trusted-ca-file" env:"QUORATE_TRUSTED_CA_FILE" placeholder:"FILE" help:"PEM authorities that sign these certificates. Default: the system's."`
	ClientCertAuth bool   `type:"setting" env:"QUORATE_CLIENT_CERT_AUTH" help:"Demand from clients a certificate signed by --trusted-ca-file."`
}

// PeerTLS is for the traffic between members.
type PeerTLS struct {
	PeerCertFile       string `env:"QUORATE_PEER_CERT_FILE" placeholder:"FILE" help:"PEM certificate of this node for the other members, as server and client. Default: plain text."`
	PeerKeyFile        string `env:"QUORATE_PEER_KEY_FILE" placeholder:"FILE" help:"PEM key of --peer-cert-file."`
	PeerTrustedCAFile  string `name:"peer-trusted-ca-file" env:"QUORATE_PEER_TRUSTED_CA_FILE" placeholder:"FILE" help:"PEM authorities that sign the members' certificates."`
	PeerClientCertAuth bool   `type:"setting" env:"QUORATE_PEER_CLIENT_CERT_AUTH" help:"Demand from members a certificate signed by --peer-trusted-ca-file."`
}

// Logs is how the agent logs; etcd's own log is set by its flags.
type Logs struct {
	LogLevel  string `env:"QUORATE_LOG_LEVEL" default:"info" placeholder:"LEVEL" help:"What to log at least: debug, info, warn, error (default ${default}). May change while running."`
	LogFormat string `env:"QUORATE_LOG_FORMAT" default:"text" placeholder:"FORMAT" help:"text or json (default ${default})."`
}

// Files are the TLS files of the client port and the agent's port.
func (t ServerTLS) Files() tlsfiles.Files {
	return tlsfiles.Files{Cert: t.CertFile, Key: t.KeyFile, CA: t.TrustedCAFile, ClientCertAuth: t.ClientCertAuth}
}

// PeerFiles are the TLS files of the peer port.
func (t PeerTLS) PeerFiles() tlsfiles.Files {
	return tlsfiles.Files{Cert: t.PeerCertFile, Key: t.PeerKeyFile, CA: t.PeerTrustedCAFile, ClientCertAuth: t.PeerClientCertAuth}
}

// Ports are this node's, and so the group's usual ones. Where one is none,
// Validate says so by its key, and no peer is said to be wrong by it too.
func (c Config) Ports() peers.Ports {
	p := peers.Ports{Client: c.ClientPort, Peer: c.PeerPort, Agent: c.AgentPort, Scheme: "https"}
	if slices.ContainsFunc([]int{p.Client, p.Peer, p.Agent}, func(n int) bool { return n < 1 || n > 65535 }) {
		p.Client, p.Peer, p.Agent = 2379, 2380, 2378
	}
	if c.PeerFiles().Empty() {
		p.Scheme = "http"
	}
	return p
}

// BuiltIn says that the etcd to run is the one in this binary.
func (p Process) BuiltIn() bool { return p.Etcd == "built-in" }

// Level is the level to log at; info when LogLevel is no level.
func (l Logs) Level() slog.Level {
	return levels[l.LogLevel]
}

var levels = map[string]slog.Level{
	"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError,
}

// Password reads the password of EtcdUser: the file's text without the end of
// its last line; empty when no file is set. It is read anew each time.
func (p Process) Password() (Secret, error) {
	if p.EtcdPasswordFile == "" {
		return Secret{}, nil
	}
	text, err := smallfile.Read(p.EtcdPasswordFile)
	if err != nil {
		return Secret{}, fmt.Errorf("etcd-password-file: %w: want the path of a file", publish.WithoutPath("reading it", err))
	}
	password := strings.TrimRight(string(text), "\r\n")
	if password == "" || strings.ContainsAny(password, "\r\n") {
		return Secret{}, fmt.Errorf("etcd-password-file: %s: want one line, the password", p.EtcdPasswordFile)
	}
	return Secret{password}, nil
}

// Words are words separated by spaces, or a list in the file.
type Words []string

// Decode is how kong reads them; a repeated flag adds to them.
func (w *Words) Decode(ctx *kong.DecodeContext) error {
	token, err := ctx.Scan.PopValue("words")
	if err != nil {
		return err
	}
	switch v := token.Value.(type) {
	case string:
		*w = append(*w, strings.Fields(v)...)
	case []string:
		*w = append(*w, v...)
	default:
		return fmt.Errorf("want words, got %v", v)
	}
	return nil
}

func (c Config) clone() Config {
	c.EtcdFlags, c.Args = slices.Clone(c.EtcdFlags), slices.Clone(c.Args)
	c.BackupRecipient, c.BackupVerifyKeyFile = slices.Clone(c.BackupRecipient), slices.Clone(c.BackupVerifyKeyFile)
	c.asRead, c.byFlag = maps.Clone(c.asRead), maps.Clone(c.byFlag)
	c.unread = slices.Clone(c.unread)
	return c
}
