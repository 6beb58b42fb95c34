package clustertest

import (
	"errors"
	"fmt"
	"slices"

	"github.com/quorate/quorate/internal/cluster"
)

var errStore = errors.New("the store answers 503")
var errConflict = errors.New("the object exists")

// store is the object store: create-if-absent objects, numbered where history
// matters, and the backups.
type store struct {
	down     bool
	charters []cluster.Charter // epoch n at n-1
	marks    map[string]cluster.StartedMark
	ready    map[cluster.Epoch]cluster.ReadyMark
	// checkpoints are overwritten: the last writer wins, even one that slept.
	checkpoints map[cluster.Epoch]cluster.Checkpoint
	locks       []cluster.Lock
	rolls       []cluster.Roll
	verdicts    map[cluster.Epoch]cluster.Verdict
	backups     []backup
}

type backup struct {
	cluster.Backup
	writes  []int
	damaged bool
}

func newStore() store {
	return store{marks: map[string]cluster.StartedMark{}, ready: map[cluster.Epoch]cluster.ReadyMark{},
		checkpoints: map[cluster.Epoch]cluster.Checkpoint{}, verdicts: map[cluster.Epoch]cluster.Verdict{}}
}

// storeCall makes one call to the store from m: do is applied unless the call
// is refused, and its answer may be lost.
func (w *World) storeCall(m *machine, do func() error) error {
	if w.store.down || m.storeCut || w.chance(w.faults.storeRefuse) {
		return errStore
	}
	err := do()
	if w.chance(w.faults.storeReplyLost) {
		return errStore
	}
	return err
}

// createCharter is create-if-absent, read back by its nonce.
func (w *World) createCharter(m *machine, c cluster.Charter) error {
	return w.storeCall(m, func() error {
		have := cluster.Epoch(len(w.store.charters))
		switch {
		case c.Epoch > have+1:
			w.fail("%s writes charter %d, but the ledger ends at %d", m.name, c.Epoch, have)
		case c.Epoch <= have:
			return nil // another was first: losing is no failure
		}
		w.onCharter(m, c)
		w.store.charters = append(w.store.charters, c)
		return nil
	})
}

func markKey(e cluster.Epoch, name string) string { return fmt.Sprintf("%d/started/%s", e, name) }

func (w *World) createMark(m *machine, e cluster.Epoch) error {
	return w.storeCall(m, func() error {
		k := markKey(e, m.name)
		if old, ok := w.store.marks[k]; ok {
			if old.DiskID != m.disk.id {
				return errConflict
			}
			return nil
		}
		w.store.marks[k] = cluster.StartedMark{Epoch: e, Name: m.name, DiskID: m.disk.id, At: w.clockOf(m)}
		return nil
	})
}

func (w *World) putCheckpoint(m *machine, e cluster.Epoch, members []cluster.Member) error {
	return w.storeCall(m, func() error {
		w.store.checkpoints[e] = cluster.Checkpoint{Epoch: e, Members: slices.Clone(members), By: m.name, At: w.clockOf(m)}
		return nil
	})
}

// newestBackup is the newest by history; good ones alone if they are verified.
func (s *store) newestBackup(verified bool) (backup, bool) {
	var best backup
	found := false
	for _, b := range s.backups {
		if verified && b.damaged {
			continue
		}
		if !found || b.Epoch > best.Epoch || b.Epoch == best.Epoch && b.Revision >= best.Revision {
			best, found = b, true
		}
	}
	return best, found
}

func (s *store) backupByKey(key string) (backup, bool) {
	for _, b := range s.backups {
		if b.Key == key {
			return b, true
		}
	}
	return backup{}, false
}
