package main

import (
	"flag"
	"io"
	"os"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/logutil"
	"go.etcd.io/etcd/pkg/v3/flags"
	"go.etcd.io/etcd/server/v3/config"
	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/etcdserver/api/rafthttp"
	"go.uber.org/zap"
)

// etcdConfigOf makes of etcd's flags, variables and file what etcdmain makes of
// them, whose own way is not exported. Not ok is everything that it does not
// take as it stands: etcdmain then says what is the matter, or knows better.
func etcdConfigOf(args []string) (cfg *embed.Config, ok bool) {
	cfg = embed.NewConfig()
	defaultCluster := cfg.InitialCluster
	fs, file, state := etcdFlags(cfg)
	if fs.Parse(args) != nil || fs.NArg() > 0 {
		return nil, false
	}
	var err error
	if *file != "" {
		cfg, err = embed.ConfigFromFile(*file)
	} else {
		err = fromFlags(cfg, fs, state)
	}
	if err != nil {
		return nil, false
	}
	cfg.V2Deprecation = config.V2DeprDefault
	if cfg.WarningUnaryRequestDuration == 0 {
		cfg.WarningUnaryRequestDuration = embed.DefaultWarningUnaryRequestDuration
	}
	_, _ = cfg.UpdateDefaultClusterFromName(defaultCluster)
	// Without a data directory etcd makes one up, and a mixed one it refuses.
	return cfg, cfg.Dir != ""
}

// etcdFlags are those of cfg and the two that etcdmain adds and quorate needs.
// Of its others, one asks for the version, and those that do nothing any more make
// an etcd without a gate.
func etcdFlags(cfg *embed.Config) (fs *flag.FlagSet, file *string, state *flags.SelectiveStringValue) {
	fs = flag.NewFlagSet("etcd", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.Usage = func() {}
	cfg.AddFlags(fs)
	file = fs.String("config-file", os.Getenv(flags.FlagToEnv("ETCD", "config-file")), "")
	state = flags.NewSelectiveStringValue(embed.ClusterStateFlagNew, embed.ClusterStateFlagExisting)
	fs.Var(state, "initial-cluster-state", "")
	return fs, file, state
}

// fromFlags takes over what the flag set holds apart, as etcdmain does, and
// validates.
func fromFlags(cfg *embed.Config, fs *flag.FlagSet, state *flags.SelectiveStringValue) error {
	log, err := logutil.CreateDefaultZapLogger(zap.InfoLevel)
	if err == nil {
		err = flags.SetFlagsFromEnv(log, "ETCD", fs)
	}
	if err != nil {
		return err
	}
	atLeast(&rafthttp.ConnReadTimeout, rafthttp.DefaultConnReadTimeout)
	atLeast(&rafthttp.ConnWriteTimeout, rafthttp.DefaultConnWriteTimeout)
	cfg.ListenPeerUrls = flags.UniqueURLsFromFlag(fs, "listen-peer-urls")
	cfg.AdvertisePeerUrls = flags.UniqueURLsFromFlag(fs, "initial-advertise-peer-urls")
	cfg.ListenClientUrls = flags.UniqueURLsFromFlag(fs, "listen-client-urls")
	cfg.ListenClientHttpUrls = flags.UniqueURLsFromFlag(fs, "listen-client-http-urls")
	cfg.AdvertiseClientUrls = flags.UniqueURLsFromFlag(fs, "advertise-client-urls")
	cfg.ListenMetricsUrls = flags.UniqueURLsFromFlag(fs, "listen-metrics-urls")
	cfg.DiscoveryCfg.Endpoints = flags.UniqueStringsFromFlag(fs, "discovery-endpoints")
	cfg.CORS = flags.UniqueURLsMapFromFlag(fs, "cors")
	cfg.HostWhitelist = flags.UniqueStringsMapFromFlag(fs, "host-whitelist")
	cfg.ClientTLSInfo.AllowedHostnames = flags.StringsFromFlag(fs, "client-cert-allowed-hostname")
	cfg.PeerTLSInfo.AllowedCNs = flags.StringsFromFlag(fs, "peer-cert-allowed-cn")
	cfg.PeerTLSInfo.AllowedHostnames = flags.StringsFromFlag(fs, "peer-cert-allowed-hostname")
	cfg.CipherSuites = flags.StringsFromFlag(fs, "cipher-suites")
	cfg.MaxConcurrentStreams = flags.Uint32FromFlag(fs, "max-concurrent-streams")
	cfg.LogOutputs = flags.UniqueStringsFromFlag(fs, "log-outputs")
	cfg.ClusterState = state.String()
	if flags.IsSet(fs, "listen-client-urls") && !flags.IsSet(fs, "advertise-client-urls") {
		cfg.AdvertiseClientUrls = nil
	}
	if (cfg.DNSCluster != "" || cfg.DNSClusterServiceName != "" || len(cfg.DiscoveryCfg.Endpoints) > 0) && !flags.IsSet(fs, "initial-cluster") {
		cfg.InitialCluster = ""
	}
	fs.Visit(func(f *flag.Flag) { cfg.FlagsExplicitlySet[f.Name] = true })
	return cfg.Validate()
}

func atLeast(d *time.Duration, least time.Duration) { *d = max(*d, least) }
