package clustertest

import (
	"time"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/plan"
)

// read is one look-up in the store for m: unknown when it fails, unless an
// older answer may stand in for it.
func read[T any](w *World, m *machine, old cluster.Fact[T], mayBeOld bool, look func() (T, bool)) cluster.Fact[T] {
	if w.store.down || m.storeCut || w.chance(w.faults.storeRefuse) {
		if mayBeOld {
			return old
		}
		return cluster.Unknown[T]()
	}
	if v, ok := look(); ok {
		return cluster.Known(v)
	}
	return cluster.Absent[T]()
}

// readLedger fills the agent's ledger facts. While its etcd follows a leader a
// few seconds' old answers do; without a quorum every fact is of this round, or
// unknown.
func (w *World) readLedger(m *machine, healthy bool) {
	a := m.agent
	if healthy && w.now-a.ledgerAt < 3*time.Second {
		return
	}
	a.ledgerAt = w.now
	s, l := &w.store, &a.ledger
	before := l.Charter.Value().Epoch
	l.Charter = read(w, m, l.Charter, healthy || l.Charter.Known() && w.profile.keepsCharter, func() (cluster.Charter, bool) {
		n := len(s.charters)
		if n == 0 {
			return cluster.Charter{}, false
		}
		return s.charters[n-1], true
	})
	e := l.Charter.Value().Epoch
	if e == 0 || e != before {
		*l = plan.Ledger{Charter: l.Charter}
	}
	if e == 0 {
		l.Backup = read(w, m, l.Backup, false, func() (cluster.Backup, bool) { b, ok := s.newestBackup(true); return b.Backup, ok })
		return
	}
	l.Mark = read(w, m, l.Mark, healthy, func() (cluster.StartedMark, bool) { v, ok := s.marks[markKey(e, m.name)]; return v, ok })
	l.Ready = read(w, m, l.Ready, healthy, func() (cluster.ReadyMark, bool) { v, ok := s.ready[e]; return v, ok })
	l.Checkpoint = read(w, m, l.Checkpoint, healthy, func() (cluster.Checkpoint, bool) {
		all := s.checkpoints[e]
		a.checkpoints = len(all)
		if len(all) == 0 {
			return cluster.Checkpoint{}, false
		}
		return all[len(all)-1], true
	})
	l.Lock = read(w, m, l.Lock, healthy, func() (cluster.Lock, bool) {
		n := len(s.locks)
		if n == 0 {
			return cluster.Lock{}, false
		}
		return s.locks[n-1], true
	})
	l.Verdict = read(w, m, l.Verdict, healthy, func() (cluster.Verdict, bool) { v, ok := s.verdicts[e]; return v, ok })
	l.Backup = read(w, m, l.Backup, healthy, func() (cluster.Backup, bool) { b, ok := s.newestBackup(!healthy); return b.Backup, ok })
}

// readConsent fills the ledger facts of a world without a store: what this disk
// has persisted, and what the others say.
func (w *World) readConsent(m *machine, o plan.Observation) {
	a, d := m.agent, m.disk
	l := plan.Ledger{Lock: cluster.Absent[cluster.Lock](), Backup: cluster.Absent[cluster.Backup](),
		Charter: cluster.Absent[cluster.Charter](), Grant: cluster.Absent[cluster.Charter](),
		Checkpoint: cluster.Absent[cluster.Checkpoint](), Verdict: cluster.Absent[cluster.Verdict]()}
	newest := func(c *cluster.Charter) {
		if c != nil && c.Epoch > l.Charter.Value().Epoch {
			l.Charter = cluster.Known(*c)
		}
	}
	newest(d.charter)
	if d.data != nil && d.data.stamp != nil {
		newest(&d.data.stamp.Charter)
	}
	for _, r := range o.Reports {
		newest(r.Charter)
	}
	c := l.Charter.Value()
	if d.grant != nil {
		l.Grant = cluster.Known(*d.grant)
	}
	// A founder's started mark lies on its disk. A disk that neither granted nor
	// wrote the charter is not the one that the founding counted on.
	switch {
	case d.mark[c.Epoch]:
		l.Mark = cluster.Known(cluster.StartedMark{Epoch: c.Epoch, Name: m.name, DiskID: d.id})
	case d.grant != nil && d.grant.Nonce == c.Nonce, d.charter != nil && d.charter.Nonce == c.Nonce:
		l.Mark = cluster.Absent[cluster.StartedMark]()
	default:
		l.Mark = cluster.Known(cluster.StartedMark{Epoch: c.Epoch, Name: m.name, DiskID: "none of ours"})
	}
	if d.ready >= c.Epoch && c.Epoch > 0 {
		l.Ready = cluster.Known(cluster.ReadyMark{Epoch: c.Epoch})
	}
	for _, r := range o.Reports {
		if r.Keeper && r.Charter != nil && r.Charter.Epoch == c.Epoch {
			d.members = r.Members
		}
	}
	if o.Members.Known() {
		d.members = o.Members.Value()
		l.Ready = known(l.Ready, cluster.ReadyMark{Epoch: c.Epoch}, d.ready >= c.Epoch)
	}
	if len(d.members) > 0 {
		l.Checkpoint = cluster.Known(cluster.Checkpoint{Epoch: c.Epoch, Members: d.members})
	}
	verdict := func(v *cluster.Verdict) {
		if v != nil && v.Epoch == c.Epoch && c.Epoch > 0 {
			d.verdict = v
			l.Verdict = cluster.Known(*v)
		}
	}
	verdict(d.verdict)
	for _, r := range o.Reports {
		verdict(r.Verdict)
	}
	a.ledger = l
}

// known is v when it holds, else absent: the keeper itself knows that it has
// not written the mark.
func known[T any](old cluster.Fact[T], v T, holds bool) cluster.Fact[T] {
	if holds {
		return cluster.Known(v)
	}
	if old.Known() {
		return old
	}
	return cluster.Absent[T]()
}
