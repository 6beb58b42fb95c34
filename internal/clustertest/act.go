package clustertest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/plan"
)

// act is what an agent does for one step.
func (w *World) act(m *machine, step plan.Step) error {
	switch s := step.(type) {
	case plan.WriteCharter:
		return w.actCharter(m, s.Charter)
	case plan.GrantCharter:
		c := s.Charter
		m.disk.grant = &c
		return nil
	case plan.RestoreSeed:
		return w.actRestore(m, s.Charter)
	case plan.SeedFromSurvivor:
		return w.actSurvivor(m, s.Charter)
	case plan.WriteStartedMark:
		if !w.settings.HasStore {
			if l := m.agent.ledger.Mark; l.Known() && l.Value().DiskID != m.disk.id {
				return errConflict
			}
			return nil
		}
		return w.createMark(m, s.Epoch)
	case plan.InstallSeed:
		return w.actInstall(m, s.Epoch)
	case plan.StartEtcd:
		return w.actStart(m, s)
	case plan.StopEtcd:
		if m.etcd != nil && m.etcd.foreign {
			w.fail("%s stops an etcd that is not its own", m.name)
		}
		if m.agent.decision.Verb == "turn" {
			w.onRenew(m)
		}
		w.kill(m)
		return nil
	case plan.SetDataAside:
		return w.actAside(m)
	case plan.AdoptData:
		return w.actAdopt(m, s.Charter)
	case plan.WriteReadyMark:
		if !w.settings.HasStore {
			w.truth.ready[s.Epoch] = true
			m.disk.ready = &cluster.ReadyMark{Epoch: s.Epoch, By: m.name}
			return nil
		}
		return w.storeCall(m, func() error {
			w.truth.ready[s.Epoch] = true
			w.store.ready[s.Epoch] = cluster.ReadyMark{Epoch: s.Epoch, By: m.name, At: w.clockOf(m)}
			return nil
		})
	case plan.WriteCheckpoint:
		return w.actCheckpoint(m, s.Members)
	case plan.LapseVerdict:
		return w.actLapse(m, s.Verdict)
	case plan.DefragmentData: // what it holds stays the same
		if m.etcd != nil {
			w.fail("%s defragments a database that is in use", m.name)
		}
		return nil
	case plan.TakeBackup:
		m.agent.backupTried = w.clockOf(m)
		return w.actBackup(m, s.By)
	}
	if w.actMachine(m, step) {
		return nil
	}
	if done, err := w.actRoll(m, step); done {
		return err
	}
	return w.actMembership(m, step)
}

// actMembership is the steps that change etcd's own mind.
func (w *World) actMembership(m *machine, step plan.Step) error {
	if m.etcd == nil {
		return errNoLeader
	}
	switch s := step.(type) {
	case plan.AddLearner:
		id, err := w.changeMembers(m.etcd, change{op: "add", url: s.PeerURL})
		if err == nil && m.agent != nil {
			m.agent.invitations[id] = s.DiskID
		}
		return err
	case plan.PromoteLearner:
		_, err := w.changeMembers(m.etcd, change{op: "promote", id: s.ID})
		return err
	case plan.RemoveMember:
		w.onReplace(m, s.ID)
		_, err := w.changeMembers(m.etcd, change{op: "remove", id: s.ID})
		return err
	case plan.UpdateMember:
		_, err := w.changeMembers(m.etcd, change{op: "update", id: s.ID, url: s.PeerURL})
		return err
	case plan.TransferLeadership:
		return w.transfer(m.etcd, s.To)
	}
	w.fail("%s: unknown step %T", m.name, step)
	return nil
}

func (w *World) actCharter(m *machine, c cluster.Charter) error {
	switch {
	case c.Epoch == 0, c.Token == "", c.Nonce == "", len(c.Founders) == 0 && c.Seed.Kind != cluster.SeedAdopted:
		w.fail("%s writes an impossible charter %+v", m.name, c)
	case w.settings.HasStore:
		return w.createCharter(m, c)
	}
	if have := m.disk.charter; have != nil && have.Epoch >= c.Epoch {
		return nil
	}
	w.onCharter(m, c)
	m.disk.charter = &c
	return nil
}

func (w *World) actRestore(m *machine, c cluster.Charter) error {
	a := m.agent
	if a.seedEpoch != c.Epoch {
		a.seedEpoch, a.seedFails = c.Epoch, 0
	}
	b, ok := w.store.backupByKey(c.Seed.Backup)
	if !ok {
		w.fail("%s restores %q, which no store holds", m.name, c.Seed.Backup)
	}
	if w.store.down || m.storeCut || w.chance(w.faults.storeRefuse) {
		return errStore // a store that does not answer says nothing about the seed
	}
	if b.damaged {
		a.seedFails++
		return fmt.Errorf("restoring %s: the hash is wrong", b.Key)
	}
	a.seedFails = 0
	m.disk.staged = &staged{epoch: c.Epoch, charter: c, base: slices.Clone(b.writes)}
	return nil
}

func (w *World) actSurvivor(m *machine, c cluster.Charter) error {
	if m.etcd != nil || m.disk.data == nil {
		w.fail("%s seeds from its data: running %v, data %v", m.name, m.etcd != nil, m.disk.data != nil)
	}
	m.disk.staged = &staged{epoch: c.Epoch, charter: c, base: m.disk.data.writes(len(m.disk.data.log))}
	return nil
}

func (w *World) actInstall(m *machine, e cluster.Epoch) error {
	s := m.disk.staged
	if s == nil || s.epoch != e {
		w.fail("%s installs the seed of epoch %d, staged is %+v", m.name, e, s)
	}
	if m.etcd != nil || m.disk.data != nil {
		w.fail("%s installs a seed over data", m.name)
	}
	w.onInstall(m, s)
	m.disk.data = w.bootstrap(s.charter, m.name, m.peerURL(), s.base, int64(s.charter.Seed.Bump)*int64(e))
	m.disk.staged = nil
	w.knowCluster(m.disk.data)
	return nil
}

func (w *World) actAside(m *machine) error {
	d := m.disk.data
	if m.etcd != nil || d == nil {
		w.fail("%s sets its data aside: running %v, data %v", m.name, m.etcd != nil, d != nil)
	}
	w.onAside(m, d)
	m.disk.aside = append(m.disk.aside, d)
	m.disk.data = nil
	return nil
}

func (w *World) actAdopt(m *machine, c cluster.Charter) error {
	d := m.disk.data
	if d == nil || d.stamp != nil || c.Seed.ClusterID != d.cluster {
		w.fail("%s adopts data that is not the charter's", m.name)
	}
	d.stamp = &cluster.Stamp{Cluster: c.Cluster, Epoch: c.Epoch, Charter: c, Name: m.name}
	return nil
}

func (w *World) actStart(m *machine, s plan.StartEtcd) error {
	if m.etcd != nil {
		w.fail("%s starts a second etcd", m.name)
	}
	if s.Spends != "" && !slices.Contains(m.disk.spent, s.Spends) {
		m.disk.spent = append(m.disk.spent, s.Spends)
	}
	v, why := w.choose(m, s)
	if v.Zero() {
		return errors.New(why)
	}
	w.noteStart(m, s, v)
	switch s.State {
	case "resume":
		if m.disk.data == nil {
			w.fail("%s resumes without data", m.name)
		}
		if d := m.disk.data; d.conf.removed[d.member] {
			w.fail("%s starts member %s, whose own data says that it has been removed", m.name, d.member)
		}
	case "new":
		if m.disk.data != nil {
			w.fail("%s starts new over data", m.name)
		}
		if s.Spends == "" || s.Initial != s.Charter.InitialCluster() || s.Token != s.Charter.Token {
			w.fail("%s starts new, not as its charter says: %+v", m.name, s)
		}
		if s.Charter.Seed.Kind != cluster.SeedEmpty {
			w.fail("%s starts empty, and the charter's seed is a %s", m.name, s.Charter.Seed.Kind)
		}
		d := w.bootstrap(s.Charter, m.name, m.peerURL(), nil, 0)
		w.knowCluster(d)
		if err := w.onStart(m, d); err != nil {
			return err
		}
		m.disk.data = d
		w.runFirst(m, d, v)
		return nil
	case "existing":
		return w.startJoiner(m, s, v)
	default:
		w.fail("%s starts etcd in state %q", m.name, s.State)
	}
	w.run(m, m.disk.data, v)
	return nil
}

// runFirst is a first start, which writes its log in its own time.
func (w *World) runFirst(m *machine, d *data, v cluster.Version) {
	w.run(m, d, v)
	if m.etcd != nil {
		m.etcd.boots = w.now + w.between(0, time.Second)
	}
}

func (w *World) run(m *machine, d *data, v cluster.Version) {
	if !w.fits(m, d, v) || v == m.bad {
		w.etcdEnds(m)
		return
	}
	if err := w.onStart(m, d); err != nil {
		return
	}
	d.ran = v
	m.etcd = &proc{m: m, d: d, version: v, ca: m.ca, heard: w.now, started: w.now, patient: electionTimeout + w.between(0, 2*time.Second)}
}

// startJoiner is etcd's `existing` start: it asks a running member for the list
// and finds itself in it by its peer URL, or exits.
func (w *World) startJoiner(m *machine, s plan.StartEtcd, v cluster.Version) error {
	if m.disk.data != nil || s.Spends == "" {
		w.fail("%s joins over data", m.name)
	}
	// The agent first asks every member that answers: one that is behind may still
	// list, at our address, the entry that our last disk has spent; and one that
	// lists it as started knows more than the report on which we decided.
	for _, q := range w.procs() {
		if w.linked(layerEtcd, m, q.m) && strings.Contains(s.Initial, q.m.peerURL()) &&
			!slices.ContainsFunc(q.d.conf.members, func(x cluster.Member) bool {
				return x.Listens(m.peerURL()) && x.ID.String() == s.Spends && !x.Started()
			}) {
			return fmt.Errorf("%s does not list us as %s yet", q.m.name, s.Spends)
		}
	}
	for _, q := range w.procs() {
		if !w.linked(layerEtcd, m, q.m) || !strings.Contains(s.Initial, q.m.peerURL()) {
			continue
		}
		urls := strings.Count(s.Initial, "=")
		at := slices.IndexFunc(q.d.conf.members, func(x cluster.Member) bool { return x.Listens(m.peerURL()) })
		if at < 0 || urls != len(q.d.conf.members) {
			continue
		}
		d := &data{cluster: q.d.cluster, member: q.d.conf.members[at].ID, serial: w.serial(), conf: conf{removed: map[cluster.MemberID]bool{}},
			stamp: &cluster.Stamp{Cluster: s.Charter.Cluster, Epoch: s.Charter.Epoch, Charter: s.Charter, Name: m.name}}
		// etcd finds itself by its peer URL: an entry that was removed and made
		// anew meanwhile is another member than the one that the agent meant.
		m.disk.data = d
		w.runFirst(m, d, v)
		if m.etcd == nil {
			m.disk.data = nil // it ended before it wrote anything
		}
		return nil
	}
	w.etcdEnds(m) // it ran, and exited with an error
	return errTimeout
}

func (w *World) actCheckpoint(m *machine, members []cluster.Member) error {
	e := m.agent.ledger.Charter.Value().Epoch
	if e == 0 {
		w.fail("%s writes a checkpoint of epoch 0", m.name)
	}
	if !w.settings.HasStore {
		m.disk.members, m.disk.epochOf = members, e
		return nil
	}
	err := w.putCheckpoint(m, e, members)
	m.agent.ledger.Checkpoint = cluster.Unknown[cluster.Checkpoint]() // it may have been written
	if err == nil {
		m.agent.ledger.Checkpoint = cluster.Known(cluster.Checkpoint{Epoch: e, Members: members})
	}
	return err
}

// actBackup has the named node copy what it has applied.
func (w *World) actBackup(m *machine, by string) error {
	other := w.byName(by)
	if other == nil || other.etcd == nil || other.agent == nil || !w.linked(layerAgent, m, other) {
		return errTimeout
	}
	d := other.etcd.d
	if d.stamp == nil {
		return errTimeout
	}
	return w.storeCall(other, func() error {
		b := backup{writes: d.writes(d.applied), damaged: w.chance(w.profile.damagedBackups)}
		b.Backup = cluster.Backup{Key: fmt.Sprintf("backup-%d", w.serial()), Cluster: w.settings.Cluster, Epoch: d.stamp.Epoch,
			Revision: d.bump + int64(len(b.writes)), Index: uint64(d.applied), Term: d.term, ClusterID: d.cluster, At: w.clockOf(other), By: by}
		w.store.backups = append(w.store.backups, b)
		other.disk.stored = other.disk.stored.Farther(b.Stored())
		return nil
	})
}
