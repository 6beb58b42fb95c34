package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/quorate/quorate/internal/chain"
	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/durable"
	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/seal"
)

const (
	storedFile = "stored.json" // the farthest that was in the store, as far as this node knows
	// storedEvery is how often that is written, at most: what is in between is known
	// to the other nodes too.
	storedEvery = 10 * time.Second
)

// memory is what this node knows to have been in the store. It outlives the agent.
type memory struct {
	mu      sync.Mutex
	known   cluster.Stored
	written cluster.Stored
	at      time.Time      // of the last write
	lacks   string         // what the store lacks of it, as this node has found as the keeper
	owed    cluster.Stored // a full snapshot that reaches as far makes up for it
}

// recall reads what an earlier agent has known. A file that makes no sense is no
// memory: it says nothing of the store.
func (m *memory) recall(a *Agent) {
	raw, err := os.ReadFile(a.path(storedFile))
	if err == nil {
		err = json.Unmarshal(raw, &m.known)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		a.log.Warn("reading what was once stored", "error", err)
	}
	m.written = m.known
	a.metrics.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "quorate", Name: "store_rolled_back",
		Help: "1 when this node, as the keeper, has found that the store lacks what was once stored in it, until a new full snapshot holds it all."},
		func() float64 {
			if m.lacking() != "" {
				return 1
			}
			return 0
		}))
}

func (m *memory) farthest() cluster.Stored {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.known
}

func (m *memory) lacking() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.lacks
}

// hold takes in what is in the store now. It ends a lack that it makes up for.
func (m *memory) hold(s cluster.Stored) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.known = m.known.Farther(s)
	if s.Farther(m.owed) == s {
		m.lacks = ""
	}
}

// lack notes that the store does not reach as far as it did.
func (m *memory) lack(why string, was cluster.Stored) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lacks, m.owed = why, was
}

// leave forgets what was found: another is the keeper, and looks for itself.
func (m *memory) leave() { m.lack("", cluster.Stored{}) }

// hear takes in what others know. It makes up for no lack: they may know what is
// not there any more.
func (m *memory) hear(s cluster.Stored) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.known = m.known.Farther(s)
}

// due is what is to be written now; false for nothing.
func (m *memory) due(now time.Time) (cluster.Stored, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.known == m.written || now.Sub(m.at) < storedEvery {
		return m.known, false
	}
	m.at = now
	return m.known, true
}

func (m *memory) wrote(s cluster.Stored) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.written = s
}

// remember takes in what is told of the store. Called with mu held.
func (a *Agent) remember(o plan.Observation) cluster.Stored {
	if a.parts.Store == nil {
		return cluster.Stored{}
	}
	far := a.memory.farthest()
	if own := a.logReport(); own != nil {
		far = far.Farther(own.End.Stored())
	}
	for _, r := range o.Reports {
		far = far.Farther(r.Stored)
		if r.Log != nil {
			far = far.Farther(r.Log.End.Stored())
		}
		if r.Backup != nil {
			far = far.Farther(r.Backup.Stored())
		}
	}
	a.memory.hear(far)
	return a.memory.farthest()
}

// keepStored writes it down. Called without mu: a disk may be slow.
func (a *Agent) keepStored(now time.Time) {
	s, due := a.memory.due(now)
	if !due || a.readOnly {
		return
	}
	raw, err := json.Marshal(s)
	if err == nil {
		err = durable.WriteFile(a.path(storedFile), raw, 0o600)
	}
	if err != nil {
		a.log.Warn("keeping what is stored", "error", err)
		return
	}
	a.memory.wrote(s)
}

// compareStore holds what the store lists, the newest snapshot first, and the log
// behind it against what was known before it was asked. If it lacks something,
// that is told, and a new chain begins on a new full snapshot: then the store
// is again as new as it was.
func (a *Agent) compareStore(ctx context.Context, before cluster.Stored, all []cluster.Backup) error {
	var now cluster.Stored
	if len(all) > 0 {
		now = all[0].Stored()
	}
	if a.opt.Deltas && now.Farther(before) != now {
		src, err := a.archive()
		if err != nil {
			return err
		}
		end, err := src.Log.End(ctx, before.Epoch)
		damaged := errors.Is(err, chain.ErrDamaged) || errors.Is(err, seal.ErrUnsigned) || errors.Is(err, seal.ErrForged)
		if err != nil && !damaged {
			return err
		}
		now = now.Farther(end.Stored())
	}
	if now.Farther(before) == now {
		return nil
	}
	why := fmt.Sprintf("the store reaches epoch %d, index %d, and once reached epoch %d, index %d: is it an old copy?", now.Epoch, now.Index, before.Epoch, before.Index)
	a.lack(why, before)
	return nil
}

// lack tells that the store lacks what was stored in it, and has it made up for.
func (a *Agent) lack(why string, was cluster.Stored) {
	a.memory.lack(why, was)
	a.log.Error("THE STORE LACKS WHAT WAS STORED IN IT: a new full snapshot is taken", "why", why)
	if a.shipping != nil {
		a.shipping.Restart("the store lacks what was stored in it")
	}
}
