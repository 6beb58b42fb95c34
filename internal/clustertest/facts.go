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
	l.Charter = read(w, m, l.Charter, l.Charter.Known(), func() (cluster.Charter, bool) {
		n := len(s.charters)
		if n == 0 {
			return cluster.Charter{}, false
		}
		return s.charters[n-1], true
	})
	e := l.Charter.Value().Epoch
	if e == 0 || e != before {
		*l = plan.Ledger{Charter: l.Charter, Roll: l.Roll}
	}
	if e == 0 {
		l.Backup = read(w, m, l.Backup, false, func() (cluster.Backup, bool) { b, ok := s.newestBackup(true); return b.Backup, ok })
		return
	}
	l.Mark = read(w, m, l.Mark, healthy, func() (cluster.StartedMark, bool) { v, ok := s.marks[markKey(e, m.name)]; return v, ok })
	l.Ready = read(w, m, l.Ready, healthy, func() (cluster.ReadyMark, bool) { v, ok := s.ready[e]; return v, ok })
	l.Checkpoint = read(w, m, l.Checkpoint, healthy, func() (cluster.Checkpoint, bool) {
		c, ok := s.checkpoints[e]
		return c, ok
	})
	l.Lock = read(w, m, l.Lock, healthy, func() (cluster.Lock, bool) {
		n := len(s.locks)
		if n == 0 {
			return cluster.Lock{}, false
		}
		return s.locks[n-1], true
	})
	if !l.Roll.Known() || w.chance(0.1) { // news comes from others
		l.Roll = read(w, m, l.Roll, l.Roll.Known(), func() (cluster.Roll, bool) {
			n := len(s.rolls)
			if n == 0 {
				return cluster.Roll{}, false
			}
			return s.rolls[n-1], true
		})
	}
	l.Verdict = read(w, m, l.Verdict, healthy, func() (cluster.Verdict, bool) { v, ok := s.verdicts[e]; return v, ok })
	l.Backup = read(w, m, l.Backup, healthy, func() (cluster.Backup, bool) { b, ok := s.newestBackup(!healthy); return b.Backup, ok })
}

// readConsent fills the ledger facts of a world without a store: what this disk
// has persisted of what was decided here or heard from the others.
func (w *World) readConsent(m *machine, o plan.Observation) {
	d := m.disk
	for _, r := range o.Reports {
		hearConsent(d, r)
	}
	if o.Members.Known() && d.charter != nil {
		d.members, d.epochOf = o.Members.Value(), d.charter.Epoch
	}
	l := plan.Ledger{Charter: fact(d.charter), Grant: fact(d.grant), Lock: cluster.Absent[cluster.Lock](), Roll: fact(d.roll), Backup: cluster.Absent[cluster.Backup](),
		Checkpoint: cluster.Absent[cluster.Checkpoint](), Verdict: cluster.Absent[cluster.Verdict](),
		Mark: cluster.Absent[cluster.StartedMark](), Ready: cluster.Absent[cluster.ReadyMark]()}
	c := l.Charter.Value()
	if c.Epoch > 0 && (d.grant == nil || d.grant.Nonce != c.Nonce) && c.Seed.Survivor != m.name {
		l.Mark = cluster.Known(cluster.StartedMark{Epoch: c.Epoch, Name: m.name, DiskID: "not this disk"})
	}
	if d.ready != nil && d.ready.Epoch == c.Epoch {
		l.Ready = fact(d.ready)
	}
	if d.epochOf == c.Epoch && len(d.members) > 0 {
		l.Checkpoint = cluster.Known(cluster.Checkpoint{Epoch: c.Epoch, Members: d.members})
	}
	if d.verdict != nil && d.verdict.Epoch == c.Epoch {
		l.Verdict = fact(d.verdict)
	}
	m.agent.ledger = l
}

func hearConsent(d *disk, r cluster.Report) {
	if r.Charter != nil && (d.charter == nil || r.Charter.Epoch > d.charter.Epoch) {
		d.charter = r.Charter
	}
	if r.Verdict != nil && (d.verdict == nil || r.Verdict.At.After(d.verdict.At)) {
		d.verdict = r.Verdict
	}
	if r.Roll != nil && (d.roll == nil || r.Roll.Number > d.roll.Number || r.Roll.Number == d.roll.Number && r.Roll.Nonce > d.roll.Nonce) {
		d.roll = r.Roll
	}
	if d.charter == nil || !r.Keeper || r.Charter == nil || r.Charter.Epoch != d.charter.Epoch {
		return
	}
	if r.Ready {
		d.ready = &cluster.ReadyMark{Epoch: d.charter.Epoch}
	}
	d.members, d.epochOf = r.Members, d.charter.Epoch
}

func fact[T any](v *T) cluster.Fact[T] {
	if v == nil {
		return cluster.Absent[T]()
	}
	return cluster.Known(*v)
}
