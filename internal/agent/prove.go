package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/quorate/quorate/internal/backup"
	"github.com/quorate/quorate/internal/control"
	"github.com/quorate/quorate/internal/durable"
	"github.com/quorate/quorate/internal/etcd"
	"github.com/quorate/quorate/internal/plan"
)

// Prover restores what a restore would take now, the newest backup and the log
// behind it, in a process of its own that takes only what is to spare, and hashes
// its keys as compacted at that revision. backup.ErrDamaged says that what is
// stored is no good, backup.ErrNoRoom that there is no place to try.
type Prover func(ctx context.Context, compact int64) (backup.Proof, error)

const (
	provenFile = "proven" // the key of the backup that was last proven here
	// proofLook is how often a node asks itself whether it is its turn.
	proofLook = 5 * time.Second
	// proofLimit bounds one proof.
	proofLimit = 6 * time.Hour
	// proofTries are made when the cluster compacts during a proof, so that its
	// hash cannot be compared any more.
	proofTries = 3
)

// errDiffers is damage that no hash of the store tells: what is restored is not
// what the cluster holds.
var errDiffers = fmt.Errorf("%w: the restored keys are not the cluster's", backup.ErrDamaged)

// proofs is what is known of proofs on this node; it has a lock of its own.
type proofs struct {
	mu     sync.Mutex
	last   time.Time // when one was begun
	proven string    // the last good one's backup
	at     time.Time // when that was

	results            *prometheus.CounterVec
	revision, duration prometheus.Gauge
	damaged            prometheus.Gauge
}

// provenKey is the backup that was last restored here and found good.
func (p *proofs) provenKey() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.proven
}

func (p *proofs) begun() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.last
}

func (p *proofs) begin(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last = now
}

// age is the metric: -1 when nothing was proven here yet.
func (p *proofs) age() float64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.at.IsZero() {
		return -1
	}
	return time.Since(p.at).Seconds()
}

// recall reads what an earlier agent has proven here, so that a restart does not
// let it go.
func (p *proofs) recall(file string) {
	if text, err := os.ReadFile(file); err == nil {
		p.proven = strings.TrimSpace(string(text))
	}
}

func writeProven(file, key string) error { return durable.WriteFile(file, []byte(key+"\n"), 0o600) }

// good notes a proof that has succeeded.
func (p *proofs) good(proof backup.Proof) {
	p.mu.Lock()
	p.proven, p.at = proof.Key, time.Now()
	p.mu.Unlock()
	p.revision.Set(float64(proof.Revision))
	p.duration.Set(proof.Took.Seconds())
	p.damaged.Set(0)
}

// register makes the metrics.
func (p *proofs) register(m *metrics) {
	gauge := func(name, help string) prometheus.Gauge {
		g := prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "quorate", Name: name, Help: help})
		m.registry.MustRegister(g)
		return g
	}
	p.revision = gauge("last_verified_restore_revision", "Revision up to which this node has last restored and compared what is stored; 0 when it never has.")
	p.duration = gauge("last_verified_restore_duration_seconds", "How long that restore took.")
	p.damaged = gauge("backup_damaged", "1 when the last restore for a proof has found damage.")
	p.results = prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "quorate", Name: "backup_proofs_total",
		Help: "Restores for a proof by this node, by result: good, uncompared (restored, but the cluster has compacted past it), no_room, damaged, failed."}, []string{"result"})
	m.registry.MustRegister(p.results, prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "quorate", Name: "last_verified_restore_age_seconds",
		Help: "Time since this node has last restored what is stored and found it good; -1 when it never has."}, p.age))
}

// watchProofs restores what is stored whenever it is this node's turn.
func (a *Agent) watchProofs(ctx context.Context) {
	if a.parts.Prove == nil || a.opt.ProveEvery <= 0 {
		return
	}
	for sleep(ctx, proofLook); ctx.Err() == nil; sleep(ctx, proofLook) {
		o := a.published.Load().observation
		p := plan.Proving{Every: a.opt.ProveEvery, Last: a.proofs.begun(), Began: a.since, Newest: a.newestBackup(o)}
		if due, _ := plan.ProvesBackup(o, p); due {
			a.proofs.begin(time.Now())
			a.proveNow(ctx)
		}
	}
}

// proveNow does it, and says what came out.
func (a *Agent) proveNow(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, proofLimit)
	defer cancel()
	c := a.parts.Dial(a.clientURL())
	defer c.Close()
	proof, compared, err := a.prove(ctx, c)
	switch {
	case ctx.Err() != nil:
	case errors.Is(err, backup.ErrNoRoom):
		a.proofs.results.WithLabelValues("no_room").Inc()
		a.log.Warn("no backup was proven", "error", err)
	case errors.Is(err, backup.ErrDamaged):
		a.proofs.results.WithLabelValues("damaged").Inc()
		a.proofs.damaged.Set(1)
		a.startAnew(ctx, err)
	case err != nil:
		a.proofs.results.WithLabelValues("failed").Inc()
		a.log.Warn("no backup was proven", "error", err)
	default:
		result := "good"
		if !compared {
			result = "uncompared"
		}
		a.proofs.results.WithLabelValues(result).Inc()
		a.proofs.good(proof)
		if err := writeProven(a.path(provenFile), proof.Key); err != nil {
			a.log.Warn("noting what was proven", "error", err)
		}
		a.log.Info("what is stored was restored and found good", "backup", proof.Key, "revision", proof.Revision, "compared", compared, "took", proof.Took)
	}
}

// prove restores, and holds the hash of the keys against that of our own etcd,
// which is not the one that the backup is of, as a rule.
func (a *Agent) prove(ctx context.Context, c *etcd.Client) (proof backup.Proof, compared bool, err error) {
	for range proofTries {
		live, err := c.HashKV(ctx, 0)
		if err != nil {
			return backup.Proof{}, false, err
		}
		if proof, err = a.parts.Prove(ctx, live.Compact); err != nil {
			return proof, false, err
		}
		now, err := c.HashKV(ctx, proof.Revision)
		switch {
		case ctx.Err() != nil:
			return proof, false, ctx.Err()
		case err != nil || now.Compact != proof.Compact: // it has compacted meanwhile
		case now.Hash != proof.Hash:
			return proof, false, fmt.Errorf("%w: at revision %d their hash is %d, the cluster's %d", errDiffers, proof.Revision, proof.Hash, now.Hash)
		default:
			return proof, true, nil
		}
		if live.Compact > proof.Revision {
			break // and it will not get better
		}
	}
	return proof, false, nil
}

// startAnew replaces what is damaged: a full snapshot, and a new chain of the log
// on it. Nothing is deleted.
func (a *Agent) startAnew(ctx context.Context, why error) {
	a.log.Error("WHAT IS STORED CANNOT BE RESTORED: a new full snapshot is taken", "error", why)
	if a.shipping != nil {
		a.shipping.Restart("a proof has failed: " + why.Error())
	}
	b, err := a.Backup(ctx, control.BackupRequest{})
	if err != nil {
		a.log.Warn("backup failed", "error", err)
		return
	}
	a.log.Info("a new full snapshot is there", "key", b.Key, "revision", b.Revision)
	a.proofs.begin(time.Now().Add(-a.opt.ProveEvery * 9 / 10)) // it is to be proven soon, but not all the time
}
