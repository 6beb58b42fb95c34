package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/control"
	"github.com/quorate/quorate/internal/etcd"
	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/seal"
	"github.com/quorate/quorate/internal/store"
)

// Options are what an agent is told at its start.
type Options struct {
	Settings  plan.Settings
	Retention plan.Retention
	Name      string
	Zone      string
	Host      string // others reach this machine by it
	AgentPort int
	DataDir   string // quorate's own
	Etcd      etcd.Config
	Version   string // quorate's
	// Naming says which DNS names Parts.Names is to show; AdoptNames takes over
	// names that nobody has claimed.
	Naming     plan.Naming
	AdoptNames bool
	Deltas     bool          // ship the raft log to the store
	ProveEvery time.Duration // between two restores for a proof; 0: none
}

// Parts are what an agent works with. Store may be nil: then founding is by
// unanimous consent, and there are no backups.
type Parts struct {
	Log     *slog.Logger
	Source  Source
	Store   *store.Store
	Seal    *seal.Sealer // of backups; nil: plain and unsigned
	Copy    *store.Store // a second store, for copies of backups; nil: none
	Take    Taker        // nil: backups are taken in this process
	Prove   Prover       // nil: nothing is proven
	Offers  *etcd.Offers // the etcds that this node could run
	Environ []string
	Dial    func(endpoint string) *etcd.Client                               // of etcd, with the right certificates and user
	HTTP    *http.Client                                                     // to other agents
	AtPeer  func(ctx context.Context, peerURL string) (etcd.PeerPort, error) // what an etcd tells on that peer port
	Secure  Schemes
	Names   Names // nil: nothing is published
	Cloud   Cloud // nil: nothing can be done to machines
	Hints   []Hints
}

// Source tells who should be in the cluster. An error means unknown, never
// "nobody". Safe for concurrent use.
type Source interface {
	View(context.Context) (cluster.View, error)
}

// Schemes are http or https, for each of the three ports.
type Schemes struct{ Client, Peer, Agent string }

// Agent is one node. Make it with New and give it to Run, once.
type Agent struct {
	opt   Options
	parts Parts
	log   *slog.Logger
	since time.Time
	disks *etcd.DiskReader
	book  book

	stopping  <-chan struct{} // closed once this agent is to end
	lockFile  *os.File        // held open while the agent lives: its lock
	wake      chan struct{}   // the loop looks again at once
	renamed   chan struct{}   // the DNS records have changed
	published atomic.Pointer[snapshot]
	work      sync.WaitGroup // exchanges, probes and backups under way
	abandoned atomic.Bool    // end without touching etcd
	readOnly  bool           // look, and tell nobody

	mu        sync.Mutex // guards what follows
	settings  plan.Settings
	retention plan.Retention
	view      cluster.Fact[cluster.View]
	viewErr   error
	heard     map[string]*contact // other agents, by agent URL
	guests    map[string]heardReport
	speeds    map[string]*lateness // of their reports, by peer URL
	probes    map[cluster.MemberID]*probe
	invited   map[cluster.MemberID]string
	backups   backupState
	copying   lagging  // has a lock of its own
	proofs    proofs   // likewise
	memory    memory   // likewise
	unpacked  unpacked // has a lock of its own
	pulse     pulse    // likewise

	logPruned logPruned // has a lock of its own
	names     names
	machines  machineState
	care      careState
	space     spaceState
	versions  versions
	v2        v2Look // has a lock of its own
	leaving   bool

	shipping *shipping // nil: the raft log is not shipped

	// Of the loop alone.
	proc       *etcd.Process
	foreign    bool
	local      []cluster.Member // the member list in our own data
	localOf    cluster.MemberID // whose data that is
	listened   time.Time        // when the last round looked
	own        *etcd.Client
	launch     launchState
	ca         authorities
	roll       rollState
	ordering   sync.Mutex // of rolls, by people
	unhealthy  time.Time
	seedFails  seedFailures
	lastReason string
	reasonAt   time.Time
	lastErr    string
	failing    string // the decision that failed last, and how: logged once
	metrics    *metrics
}

// snapshot is what a round publishes: immutable.
type snapshot struct {
	report      cluster.Report
	observation plan.Observation
	decision    plan.Decision
	ready       bool
	notReady    string
}

// New makes an agent on its data directory: it takes the directory's lock,
// reads what earlier agents left, and adopts an etcd that runs on it.
func New(opt Options, parts Parts) (*Agent, error) {
	a := newAgent(opt, parts)
	if err := a.lockDir(opt.DataDir); err != nil {
		return nil, err
	}
	if _, err := etcd.EnsureDiskID(opt.DataDir); err != nil {
		return nil, fmt.Errorf("preparing data-dir: %w", err)
	}
	if err := sweepStaging(opt.DataDir); err != nil {
		return nil, fmt.Errorf("preparing data-dir: %w", err)
	}
	switch _, err := os.Stat(a.path(leavingFile)); {
	case err == nil:
		a.leaving = true
	case !errors.Is(err, os.ErrNotExist):
		return nil, fmt.Errorf("reading whether this node leaves: %w", err)
	}
	var err error
	if a.shipping, err = a.newShipping(); err != nil {
		return nil, err
	}
	proc, found, err := etcd.Adopt(opt.DataDir, opt.Etcd.DataDir)
	if err != nil {
		return nil, err
	}
	if found {
		a.log.Info("adopted the etcd that runs here", "pid", proc.PID())
		a.proc, a.foreign = proc, isForeign(opt)
		a.recallAuthorities(proc)
	}
	return a, nil
}

// newAgent makes an agent without touching anything.
func newAgent(opt Options, parts Parts) *Agent {
	a := &Agent{
		opt: opt, parts: parts, log: parts.Log, since: time.Now(), settings: opt.Settings, retention: opt.Retention,
		disks: etcd.NewDiskReader(opt.DataDir, opt.Etcd.DataDir), v2: v2Look{reader: etcd.NewV2Reader(opt.Etcd.DataDir)},
		wake: make(chan struct{}, 1), renamed: make(chan struct{}, 1),
		heard: map[string]*contact{}, guests: map[string]heardReport{}, speeds: map[string]*lateness{},
		probes: map[cluster.MemberID]*probe{}, invited: map[cluster.MemberID]string{},
		metrics: newMetrics(parts.Store), machines: newMachineState(readAnnounced(filepath.Join(opt.DataDir, announcedFile))),
	}
	a.backups.turn = make(chan struct{}, 1)
	a.seedFails = loadSeedFailures(a.path(seedFailsFile))
	a.versions.ran = readRun(opt.Etcd.DataDir)
	a.recallRolled()
	a.published.Store(&snapshot{notReady: "the agent is starting", report: cluster.Report{Cluster: opt.Settings.Cluster, Name: opt.Name}})
	a.proofs.register(a.metrics)
	a.metrics.pulse(a.pulse.seconds)
	a.proofs.recall(a.path(provenFile))
	a.memory.recall(a)
	if parts.Copy != nil {
		a.metrics.copyLag(a.copying.seconds)
	}
	a.book = newOwnBook(opt.DataDir, a)
	if parts.Store != nil {
		a.book = newStoreBook(parts.Store, a)
	}
	return a
}

// Run serves the agent API on ln and keeps the node, until ctx ends; then it
// stops etcd, leadership handed over first. It returns when all its work has
// ended.
func (a *Agent) Run(ctx context.Context, ln net.Listener) error {
	work, stopWork := context.WithCancel(context.WithoutCancel(ctx))
	a.stopping = ctx.Done()
	srv := &http.Server{Handler: control.Handler(a), ReadHeaderTimeout: 5 * time.Second, IdleTimeout: 2 * time.Minute,
		ErrorLog: slog.NewLogLogger(a.log.Handler(), slog.LevelDebug)}
	a.round(work, false) // something to publish before anyone asks
	failed := make(chan error, 1)
	a.work.Go(func() {
		if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			failed <- fmt.Errorf("serving the agent API: %w", err)
		}
	})
	a.work.Go(func() { a.watchSource(work) })
	a.work.Go(func() { a.book.watch(work) })
	a.work.Go(func() { a.watchNames(work) })
	a.work.Go(func() { a.watchPulse(work) })
	if a.shipping != nil {
		a.work.Go(func() { a.shipping.run(work) })
	}
	a.work.Go(func() { a.watchOffers(work) })
	a.work.Go(func() { a.watchV2(work) })
	a.work.Go(func() { a.watchCopy(work) })
	a.work.Go(func() { a.watchProofs(work) })
	for _, h := range a.parts.Hints {
		a.work.Go(func() {
			if err := h.Run(work, a.hear); err != nil && work.Err() == nil {
				a.log.Warn("listening for notices has ended: the peers source alone tells of machines", "error", err)
			}
		})
	}

	err := a.loop(ctx, work, failed)
	if err == nil && !a.abandoned.Load() {
		a.shutdown(work)
	}
	stopWork()
	shut, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = srv.Shutdown(shut)
	_ = srv.Close()
	a.work.Wait()
	a.discard(a.unpacked.take())
	a.lockFile.Close()
	return err
}

func (a *Agent) loop(ctx, work context.Context, broken <-chan error) error {
	for {
		progress, failed := a.round(work, true)
		pace, wake := a.pace(), a.wake
		switch {
		case progress:
			pace = 0
		case failed: // what etcd or the store refuses now, it will refuse a millisecond later
			pace, wake = max(pace, retryPause), nil
		}
		timer := time.NewTimer(pace)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case err := <-broken:
			timer.Stop()
			return err
		case <-timer.C:
		case <-wake:
		case <-a.procDone():
		}
		timer.Stop()
	}
}

// retryPause parts a step that failed from the next round, whatever news comes.
const retryPause = 500 * time.Millisecond

// round is observe → decide → act. It says whether all steps were taken, so
// that the next round may look again at once, or whether one has failed.
func (a *Agent) round(ctx context.Context, mayAct bool) (progress, failed bool) {
	began := time.Now()
	o := a.observe(ctx)
	d := plan.Decide(o)
	a.metrics.round(d, time.Since(began))
	a.publish(o, d)
	a.gossip(ctx, o)
	a.probe(ctx, o)
	a.offerNames(o)
	if !mayAct || len(d.Steps) == 0 {
		return false, false
	}
	err := a.act(ctx, o, d)
	if err != nil {
		a.setError(err)
		a.sayFailure(d, err)
		return false, true
	}
	a.setError(nil)
	a.failing = ""
	return true, false
}

// sayFailure logs a step that has failed, unless the same decision has failed in
// the same way just before: a new leader's etcd refuses a learner for seconds.
func (a *Agent) sayFailure(d plan.Decision, err error) {
	level, failing := slog.LevelWarn, d.String()+": "+err.Error()
	if failing == a.failing {
		level = slog.LevelDebug
	}
	a.failing = failing
	a.log.Log(context.Background(), level, "step failed", "reason", d.Reason, "error", err)
}

// sayDecision logs what is about to be done, unless just that has failed before.
func (a *Agent) sayDecision(o plan.Observation, d plan.Decision) {
	level := slog.LevelInfo
	if strings.HasPrefix(a.failing, d.String()+": ") {
		level = slog.LevelDebug
	}
	a.log.Log(context.Background(), level, d.Reason, "decision", d.String(), "epoch", o.Ledger.Charter.Value().Epoch)
}

// setError keeps the last failed step in view until a step succeeds.
func (a *Agent) setError(err error) {
	a.lastErr = ""
	if err != nil {
		a.lastErr = err.Error()
	}
}

// pace is the pause between rounds: short while this node is on its way.
func (a *Agent) pace() time.Duration {
	s := a.published.Load()
	switch {
	case s.observation.Process.Running && s.observation.UnhealthySince.IsZero() && s.ready:
		return time.Second
	case time.Since(a.reasonAt) < 2*time.Minute:
		return 150 * time.Millisecond
	}
	return time.Second
}

// poke makes the loop look again now.
func (a *Agent) poke() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

func (a *Agent) procDone() <-chan struct{} {
	if a.proc == nil {
		return nil
	}
	return a.proc.Done()
}

// shutdown ends etcd as plan.Shutdown says; what fails is logged, and etcd
// still gets its signal.
func (a *Agent) shutdown(ctx context.Context) {
	o := a.observe(ctx)
	d := plan.Shutdown(o)
	a.log.Info(d.Reason, "decision", d.String())
	for _, s := range d.Steps {
		if err := a.do(ctx, o, s); err != nil {
			a.log.Warn("step failed", "step", s.String(), "error", err)
		}
	}
}
