package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/quorate/quorate/internal/agent"
	"github.com/quorate/quorate/internal/config"
	"github.com/quorate/quorate/internal/etcd"
	"github.com/quorate/quorate/internal/peers"
	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/store"
	"github.com/quorate/quorate/internal/tlsfiles"
)

// wiring is an agent's parts, made of its configuration.
type wiring struct {
	cfg     config.Config
	level   *slog.LevelVar
	options agent.Options
	parts   agent.Parts
}

// wire makes the parts. Everything that is wrong with the configuration is
// said at once; nothing is written.
func wire(ctx context.Context, raw config.Config, errOut io.Writer) (*wiring, error) {
	debug.SetGCPercent(40) // the agent is small and shares its machine with etcd
	w := &wiring{cfg: raw.Filled(ctx), level: new(slog.LevelVar)}
	log := w.logger(errOut)
	offers, problems := w.problems(ctx)
	if err := allOf(problems); err != nil {
		return nil, usage{err}
	}
	source, err := peers.Open(w.cfg.Peers, w.cfg.Ports())
	if err != nil {
		return nil, usage{fmt.Errorf("peers: %w", err)}
	}
	var st *store.Store
	if w.cfg.Store != "" {
		if st, err = store.Open(ctx, w.cfg.Store, w.cfg.Cluster); err != nil {
			return nil, usage{fmt.Errorf("store: %w", err)}
		}
	}
	var second *store.Store
	if w.cfg.BackupCopy != "" {
		if second, err = store.Open(ctx, w.cfg.BackupCopy, w.cfg.Cluster); err != nil {
			return nil, usage{fmt.Errorf("backup-copy: %w", err)}
		}
	}
	auth, err := w.credentials()
	if err != nil {
		return nil, usage{err}
	}
	client, peer := etcdFiles(w.cfg.Files()), etcdFiles(w.cfg.PeerFiles())
	w.options = agent.Options{Settings: settings(w.cfg), Retention: retention(w.cfg), Name: w.cfg.Name, Zone: w.cfg.Zone, Host: w.cfg.Host,
		AgentPort: w.cfg.AgentPort, DataDir: w.cfg.DataDir, Etcd: etcdConfig(w.cfg), Deltas: w.cfg.BackupDelta, Version: version}
	w.parts = agent.Parts{Log: log, Source: source, Store: st, Seal: w.cfg.Sealer(), Copy: second, Offers: offers, Environ: os.Environ(),
		Dial:   func(endpoint string) *etcd.Client { return etcd.Dial(endpoint, client, auth) },
		HTTP:   w.httpClient(),
		AtPeer: func(ctx context.Context, u string) (etcd.PeerPort, error) { return etcd.ProbePeerPort(ctx, u, peer) },
		Secure: agent.Schemes{Client: scheme(w.cfg.Files()), Peer: scheme(w.cfg.PeerFiles()), Agent: scheme(w.agentFiles())}}
	w.parts.Take = taker(w.cfg, client, auth, log)
	if st != nil && (len(w.cfg.BackupRecipient) == 0 || w.cfg.BackupIdentityFile != "") { // else it cannot read them
		w.options.ProveEvery, w.parts.Prove = w.cfg.BackupVerify, prover(w.cfg)
	}
	if w.cfg.DNS != "" {
		if w.parts.Names, w.options.Naming, err = openNames(ctx, w.cfg.Naming, w.cfg.Cluster); err != nil {
			return nil, usage{err}
		}
		w.options.AdoptNames = w.cfg.DNSAdopt
	}
	if err := w.cloud(); err != nil {
		return nil, usage{err}
	}
	return w, nil
}

// warn says what will work and is probably not meant.
func (w *wiring) warn(all []string) {
	for _, warning := range all {
		w.parts.Log.Warn(warning)
	}
}

// problems is everything that is wrong with the configuration, and the etcds to
// run when nothing is: each is asked whether it knows the operator's flags.
func (w *wiring) problems(ctx context.Context) (*etcd.Offers, []error) {
	all := w.cfg.Validate()
	if slices.ContainsFunc(all, func(err error) bool { return strings.HasPrefix(err.Error(), "etcd: ") }) {
		return nil, all
	}
	offers, err := etcd.OpenOffers(ctx, w.cfg.Etcd, w.cfg.DataDir, etcd.Free(w.cfg.EtcdFlags)) // Validate says what is wrong with the others
	if err != nil {
		all = append(all, err)
	}
	return offers, all
}

// problemsOf is everything that is wrong with a configuration.
func problemsOf(ctx context.Context, c config.Config) []error {
	_, all := (&wiring{cfg: c.Filled(ctx)}).problems(ctx)
	return all
}

// withKey begins each part of an error with the key that it is about.
func withKey(key string, err error) error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return fmt.Errorf("%s: %w", key, err)
	}
	var parts []error
	for _, part := range joined.Unwrap() {
		parts = append(parts, fmt.Errorf("%s: %w", key, part))
	}
	return errors.Join(parts...)
}

// allOf joins problems; nil entries are none.
func allOf(problems []error) error { return errors.Join(problems...) }

func (w *wiring) logger(to io.Writer) *slog.Logger {
	w.level.Set(w.cfg.Level())
	opts := &slog.HandlerOptions{Level: w.level}
	if w.cfg.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(to, opts))
	}
	return slog.New(slog.NewTextHandler(to, opts))
}

func (w *wiring) credentials() (etcd.Credentials, error) {
	secret, err := w.cfg.Password()
	return etcd.Credentials{User: w.cfg.EtcdUser, Password: secret.Reveal()}, err
}

// agentFiles are the certificates of the agent's port: the clients', or where
// there are none, the members'.
func (w *wiring) agentFiles() tlsfiles.Files {
	if files := w.cfg.Files(); !files.Empty() {
		return files
	}
	return w.cfg.PeerFiles()
}

// httpClient speaks to other agents; no call lasts longer than a backup may.
func (w *wiring) httpClient() *http.Client {
	if files := w.agentFiles(); !files.Empty() {
		return files.HTTPClient(0)
	}
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.Proxy = nil
	t.DialContext = (&net.Dialer{Timeout: time.Second, KeepAlive: 15 * time.Second}).DialContext
	t.MaxIdleConnsPerHost, t.IdleConnTimeout = 2, time.Minute
	return &http.Client{Transport: t}
}

func tlsListener(ln net.Listener, files tlsfiles.Files) net.Listener {
	return tls.NewListener(ln, files.Server())
}

func scheme(files tlsfiles.Files) string {
	if files.Empty() {
		return "http"
	}
	return "https"
}

func etcdFiles(f tlsfiles.Files) etcd.TLSFiles {
	return etcd.TLSFiles{Cert: f.Cert, Key: f.Key, CA: f.CA}
}

func etcdConfig(c config.Config) etcd.Config {
	return etcd.Config{Name: c.Name, DataDir: c.EtcdDataDir, ListenHost: c.ListenHost, AdvertiseHost: c.Host,
		ClientPort: c.ClientPort, PeerPort: c.PeerPort, Client: etcdFiles(c.Files()), Peer: etcdFiles(c.PeerFiles()),
		ClientCertAuth: c.ClientCertAuth, Extra: c.EtcdFlags, Environ: os.Environ()}
}

func settings(c config.Config) plan.Settings {
	return plan.Settings{Cluster: c.Cluster, Size: c.Size.Voters(), AutoSize: c.Size == config.Auto, Join: c.Join, HasStore: c.Store != "", AutoRecover: c.AutoRecover,
		FoundingWait: c.FoundingWait, DeadAfter: c.DeadAfter, LearnerPatience: c.LearnerWait, BackupEvery: c.BackupInterval,
		SurgeWait: c.SurgeWait, CrashLimit: c.CrashLimit, Care: careSettings(c)}
}

func retention(c config.Config) plan.Retention {
	return plan.Retention{Last: c.BackupKeep, Hourly: c.BackupKeepHourly, Daily: c.BackupKeepDaily, Weekly: c.BackupKeepWeekly, Monthly: c.BackupKeepMonthly}
}

// etcdRunsHere says that an etcd answers on the client port: ours from an
// earlier agent, or one to adopt.
func (w *wiring) etcdRunsHere() bool {
	if _, found, err := etcd.Adopt(w.cfg.DataDir, w.cfg.EtcdDataDir); found && err == nil {
		return true
	}
	c := w.parts.Dial(w.parts.Secure.Client + "://" + net.JoinHostPort(w.cfg.Host, fmt.Sprint(w.cfg.ClientPort)))
	defer c.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	_, err := c.Status(ctx)
	return err == nil
}

// reload takes over what may change while the agent runs: on SIGHUP, and when
// the file has changed.
func (w *wiring) reload(ctx context.Context, a *agent.Agent) {
	if w.cfg.File == "" {
		return
	}
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	last, said := modified(w.cfg.File), ""
	for {
		select {
		case <-ctx.Done():
			return
		case <-hup:
		case <-time.After(2 * time.Second):
			if modified(w.cfg.File) == last {
				continue
			}
		}
		last = modified(w.cfg.File)
		next, changed, err := w.cfg.Reload()
		if err != nil && err.Error() != said {
			said = err.Error()
			w.parts.Log.Warn("reloading the configuration", "error", err)
		}
		if len(changed) > 0 {
			w.cfg = next
			w.level.Set(next.Level())
			w.parts.Log.Info("configuration reloaded", "changed", changed)
			a.Reconfigure(settings(next), retention(next))
		}
	}
}

func modified(path string) time.Time {
	info, err := os.Stat(path)
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}
