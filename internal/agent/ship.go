package agent

import (
	"context"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/quorate/quorate/internal/chain"
	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/etcd"
	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/ship"
)

// shipping is what ships the raft log of the etcd beside, and its connection.
type shipping struct {
	*ship.Shipper
	member *statusOf
}

// run ships until ctx ends.
func (s *shipping) run(ctx context.Context) {
	defer s.member.close()
	_ = s.Run(ctx) // it ends with ctx alone
}

// newShipping makes it; nil when that is not wanted, or there is no store.
func (a *Agent) newShipping() (*shipping, error) {
	if !a.opt.Deltas || a.parts.Store == nil {
		return nil, nil
	}
	codec, err := chain.NewCodec(a.parts.Seal)
	if err != nil {
		return nil, err
	}
	member := &statusOf{dial: a.parts.Dial, url: a.clientURL()}
	s := ship.New(ship.Parts{Log: a.log, Cluster: a.opt.Settings.Cluster, Node: a.opt.Name,
		WALDir: filepath.Join(a.opt.Etcd.DataDir, "member", "wal"), Store: a.parts.Store, Codec: codec,
		Status: member.ask, Hash: member.hash, Look: a.shipScene})
	a.metrics.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "quorate", Name: "backup_unshipped_seconds",
		Help: "Age of the oldest committed entry of this member that is not in the store yet, by whomever; 0 when all are."},
		func() float64 { return s.Unshipped(time.Now()).Seconds() }))
	return &shipping{s, member}, nil
}

// statusOf asks our own etcd, through a connection that is made when it is
// first wanted.
type statusOf struct {
	dial   func(string) *etcd.Client
	url    string
	mu     sync.Mutex
	client *etcd.Client
}

func (s *statusOf) ask(ctx context.Context) (cluster.EtcdState, error) {
	return s.dialled().Status(ctx)
}

// hash is for another goroutine than ask's.
func (s *statusOf) hash(ctx context.Context) (chain.HashKV, error) {
	h, err := s.dialled().HashKV(ctx, 0)
	return chain.HashKV(h), err
}

func (s *statusOf) dialled() *etcd.Client {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.client == nil {
		s.client = s.dial(s.url)
	}
	return s.client
}

func (s *statusOf) close() {
	if s.client != nil {
		s.client.Close()
	}
}

// shipScene is what the shipper goes by. Its epoch is that of the data on this
// disk, as long as that is the charter's: whether etcd runs on it, the shipper
// sees for itself.
func (a *Agent) shipScene() ship.Scene {
	o := a.published.Load().observation
	a.mu.Lock()
	defer a.mu.Unlock()
	reports, _ := a.freshReports(time.Now())
	return ship.Scene{Epoch: shipEpoch(o), Reports: reports, Backup: a.backups.newest}
}

// shipEpoch is 0 where there is nothing to ship, or no epoch to ship it as.
func shipEpoch(o plan.Observation) cluster.Epoch {
	c := o.Ledger.Charter
	switch {
	case o.OfAnother() || !c.Known() || o.Disk.State != cluster.DiskData:
		return 0
	case o.Disk.Stamp == nil && c.Value().Seed.Kind == cluster.SeedAdopted && c.Value().Seed.ClusterID == o.Disk.ClusterID:
		return c.Value().Epoch
	case o.Disk.Epoch() != c.Value().Epoch:
		return 0
	}
	return c.Value().Epoch
}

// Unshipped is the metric quorate_backup_unshipped_seconds; false where the raft log
// is not shipped.
func (a *Agent) Unshipped() (time.Duration, bool) {
	if a.shipping == nil {
		return 0, false
	}
	return a.shipping.Unshipped(time.Now()), true
}

// logReport is what the others are to know of our shipping.
func (a *Agent) logReport() *cluster.LogReport {
	if a.shipping == nil {
		return nil
	}
	r := a.shipping.Report()
	return &r
}

// fullWanted says that a shipper, ours or another, needs a full snapshot before
// its time; without shippers, that the store lacks what only a new one brings back:
// a shipper wants one that its new chain may begin on.
func (a *Agent) fullWanted(reports []cluster.Report) bool {
	own := a.logReport()
	return a.shipping == nil && a.memory.lacking() != "" || own != nil && own.WantsFull || slices.ContainsFunc(reports, func(r cluster.Report) bool { return r.Log != nil && r.Log.WantsFull })
}
