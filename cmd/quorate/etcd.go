package main

import (
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/etcdmain"
	"go.uber.org/zap"
	"google.golang.org/grpc"

	"github.com/quorate/quorate/internal/gate"
)

// etcdCmd is only for the help: Main starts etcd before any parsing.
type etcdCmd struct {
	Flags []string `arg:"" optional:"" help:"etcd's own flags."`
}

// runEtcd is the built-in etcd. The one that an agent starts serves behind a
// gate. All else is etcd's own main: help, versions, the gateway, and whatever
// is wrong with the flags, which it says best. It ends the process.
func runEtcd(args []string) {
	socket := os.Getenv(gate.SocketVar)
	_ = os.Unsetenv(gate.SocketVar)
	if socket != "" {
		if cfg, ok := etcdConfigOf(args[1:]); ok {
			os.Exit(serveEtcd(cfg, socket, args))
		}
	}
	etcdmain.Main(args)
}

// gated is an etcd that serves behind a gate.
type gated struct {
	etcd  *embed.Etcd
	log   *zap.Logger
	gate  gate.Gate
	mu    sync.Mutex
	grpcs []*grpc.Server
}

// serveEtcd runs the server until a signal or a failure ends it, and gives the
// exit code. It is etcdmain's way, with another end: see stop.
func serveEtcd(cfg *embed.Config, socket string, args []string) int {
	grpc.EnableTracing = false
	g := &gated{log: cfg.GetLogger()}
	g.log.Info("Running: ", zap.Strings("args", args))
	cfg.SetupGlobalLoggers()
	cfg.GRPCAdditionalServerOptions = append(cfg.GRPCAdditionalServerOptions, g.gate.Options()...)
	cfg.ServiceRegister = g.note
	signals := make(chan os.Signal, 1)
	var err error
	if g.etcd, err = embed.StartEtcd(cfg); err != nil {
		g.log.Error("starting etcd has failed", zap.Error(err))
		return 1
	}
	if err := g.gate.Serve(socket, g.etcd.Server); err != nil { // then it is as a stock etcd
		g.log.Warn("no gate: requests may fail when the lead is handed over", zap.Error(err))
	}
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	select {
	case err := <-g.etcd.Err():
		g.log.Error("listener failed", zap.Error(err))
		return 1
	case <-g.etcd.Server.StopNotify():
		return 0
	case s := <-signals:
		return g.stop(s)
	}
}

// note is called with each gRPC server before it serves.
func (g *gated) note(s *grpc.Server) {
	g.mu.Lock()
	g.grpcs = append(g.grpcs, s)
	g.mu.Unlock()
}

// Time limits of a stop.
const (
	// streamsAfter is when watches and keep-alives end after clients were told to
	// go elsewhere: they have gone by then, and do not come back to us with them.
	streamsAfter = 100 * time.Millisecond
	drainLimit   = 10 * time.Second // above etcd's own limit for one request, 7 s
)

// stop ends etcd so that no request fails: the clients are told to go elsewhere
// while this member still takes and answers what they send, and only then does it
// leave the cluster's traffic. etcd alone does the same, but waits for watches,
// which never end, and after 7 s cuts whatever is under way.
func (g *gated) stop(s os.Signal) int {
	g.log.Info("received signal; shutting down", zap.String("signal", s.String()))
	select {
	case <-g.etcd.Server.ReadyNotify():
	default: // it serves nobody yet, and without a quorum Close would wait for ever; etcd alone ends at once, too
		return g.end(s)
	}
	time.AfterFunc(streamsAfter, g.gate.EndStreams)
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		g.drain()
	}()
	select {
	case <-drained:
	case <-time.After(drainLimit):
	}
	g.etcd.Close()
	return g.end(s)
}

// end has the signal end the process, so that it is seen to have ended by it, as
// etcd's own is.
func (g *gated) end(s os.Signal) int {
	_ = g.log.Sync()
	signal.Reset(s)
	_ = syscall.Kill(syscall.Getpid(), s.(syscall.Signal))
	time.Sleep(time.Second) // it comes to any of our threads
	return 0
}

// drain has each gRPC server say GOAWAY and waits for what is under way. One
// that serves below an HTTP server, as with TLS, cannot: there Close does both.
func (g *gated) drain() {
	cfg := g.etcd.Config()
	for _, u := range cfg.ListenClientUrls {
		if u.Scheme == "https" || u.Scheme == "unixs" {
			return
		}
	}
	var all sync.WaitGroup
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, s := range g.grpcs {
		all.Go(s.GracefulStop)
	}
	all.Wait()
}
