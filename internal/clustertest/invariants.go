package clustertest

import (
	"slices"
	"time"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/plan"
)

// truth is what really happened, which no planner sees.
type truth struct {
	clusters map[cluster.ClusterID]*incarnation
	epochs   map[cluster.Epoch]cluster.ClusterID // the one that led in the epoch
	charters map[cluster.Epoch]cluster.Charter
	epoch    cluster.Epoch // of the newest charter
	// must are the acknowledged writes that the newest epoch owes its clients.
	must     map[int]bool
	ready    map[cluster.Epoch]bool // its ready mark was written
	acks     int
	promised map[identity]promise
}

// incarnation is one etcd cluster: its membership as last committed.
type incarnation struct {
	epoch  cluster.Epoch
	conf   conf
	confAt int
	led    bool
	void   bool // quorate never knew of it
	acks   int
}

type identity struct {
	cluster cluster.ClusterID
	member  cluster.MemberID
}

// promise is what an identity has told others that its disk holds.
type promise struct {
	serial int
	term   uint64
	index  int
}

func newTruth() truth {
	return truth{clusters: map[cluster.ClusterID]*incarnation{}, epochs: map[cluster.Epoch]cluster.ClusterID{},
		charters: map[cluster.Epoch]cluster.Charter{}, must: map[int]bool{}, ready: map[cluster.Epoch]bool{}, promised: map[identity]promise{}}
}

// knowCluster notes a cluster when its first data directory is made.
func (w *World) knowCluster(d *data) {
	if w.truth.clusters[d.cluster] == nil {
		e := cluster.Epoch(1)
		if d.stamp != nil {
			e = d.stamp.Epoch
		}
		w.truth.clusters[d.cluster] = &incarnation{epoch: e, conf: d.conf, confAt: d.applied}
	}
}

// promise notes that the member has spoken for its disk: a vote, or an
// acknowledged entry. Nobody else may ever speak for that identity.
func (w *World) promise(q *proc) {
	k := identity{q.d.cluster, q.d.member}
	if old, ok := w.truth.promised[k]; ok && old.serial != q.d.serial {
		w.fail("amnesia: member %s of %s speaks from another disk", k.member, k.cluster)
	}
	w.truth.promised[k] = promise{q.d.serial, q.d.term, len(q.d.log)}
}

// onStart checks that the identity is started on the one disk that holds what
// it has promised, and once.
func (w *World) onStart(m *machine, d *data) error {
	k := identity{d.cluster, d.member}
	if old, ok := w.truth.promised[k]; ok && old.serial != d.serial {
		w.fail("amnesia: %s starts member %s of %s without the %d entries that it has acknowledged", m.name, k.member, k.cluster, old.index)
	}
	for _, p := range w.procs() {
		if p.m != m && p.d.cluster == d.cluster && p.d.member == d.member {
			w.fail("%s starts member %s, which runs on %s", m.name, d.member, p.m.name)
		}
	}
	return nil
}

// onElection checks that an epoch has one history, and that the newest one
// holds every write that it owes.
func (w *World) onElection(p *proc) {
	inc := w.truth.clusters[p.d.cluster]
	inc.led = true
	if inc.void {
		return
	}
	if other, ok := w.truth.epochs[inc.epoch]; ok && other != p.d.cluster {
		w.fail("two histories of epoch %d: %s and %s", inc.epoch, other, p.d.cluster)
	}
	w.truth.epochs[inc.epoch] = p.d.cluster
	if inc.epoch == w.truth.epoch || w.truth.epoch == 0 {
		w.owes(p.d, p.m.name+" leads")
	}
}

func (w *World) owes(d *data, when string) {
	has := map[int]bool{}
	for _, x := range d.writes(len(d.log)) {
		has[x] = true
	}
	for x := range w.truth.must {
		if !has[x] {
			w.fail("%s without the acknowledged write %d", when, x)
		}
	}
}

func (w *World) acknowledge(p *proc, write int) {
	inc := w.truth.clusters[p.d.cluster]
	if inc.void {
		return
	}
	if inc.epoch < w.truth.epoch && len(w.verdict) == 0 {
		w.fail("%s acknowledges a write in epoch %d after charter %d", p.m.name, inc.epoch, w.truth.epoch)
	}
	if inc.epoch >= w.truth.epoch {
		w.truth.must[write] = true
	}
	inc.acks++
	w.truth.acks++
}

// onChange checks, when a leader applies a change in the moment in which it was
// asked for, that a quorum which was healthy still is.
func (w *World) onChange(p *proc, before conf, ch change) {
	inc := w.truth.clusters[p.d.cluster]
	if p.d.applied > inc.confAt {
		inc.conf, inc.confAt = p.d.conf, p.d.applied
	}
	// What breaks between the keeper's last look and the change is not our act.
	if !p.leads || ch.at != w.now || w.now-w.struck <= actFresh || ch.op != "promote" && ch.op != "remove" {
		return
	}
	was, is := before.voters(), p.d.conf.voters()
	if w.reaches(p, was) >= cluster.Quorum(len(was)) && w.reaches(p, is) < cluster.Quorum(len(is)) {
		w.fail("%s of member %s leaves %d healthy of %d voters", ch.op, ch.id, w.reaches(p, is), len(is))
	}
}

func (w *World) reaches(p *proc, members []cluster.Member) int {
	n := 0
	for _, m := range members {
		if m.ID == p.id() || w.peerProc(p, m.ID) != nil {
			n++
		}
	}
	return n
}

// holder is the data of that member, on a disk that survives.
func (w *World) holder(c cluster.ClusterID, id cluster.MemberID) *data {
	for _, m := range w.live {
		if d := m.disk.data; d != nil && d.cluster == c && d.member == id && !w.verdict[m.name] {
			return d
		}
	}
	return nil
}

// onCharter checks a founding against what is really lost.
func (w *World) onCharter(m *machine, c cluster.Charter) {
	w.logf("%s: CHARTER %d, seed %s %s%s: %s", m.name, c.Epoch, c.Seed.Kind, c.Seed.Backup, c.Seed.Survivor, c.Reason)
	before := w.truth.charters[c.Epoch-1]
	w.truth.charters[c.Epoch] = c
	w.truth.epoch = max(w.truth.epoch, c.Epoch)
	if c.Epoch == 1 {
		w.onFirstCharter(c)
		return
	}
	was := clusterIDOf(before)
	if before.Seed.Kind == cluster.SeedAdopted {
		was = before.Seed.ClusterID
	}
	var survivors []*data
	for _, x := range w.lastMembers(before, was) {
		if d := w.holder(was, x.ID); d != nil {
			survivors = append(survivors, d)
		}
	}
	for _, d := range survivors {
		if kept, voters := w.kept(d); d.conf.votes(d.member) && kept >= cluster.Quorum(voters) {
			w.fail("%s founds epoch %d, and %d of %d voters of epoch %d still have their data", m.name, c.Epoch, kept, voters, c.Epoch-1)
		}
	}
	w.settleDebts(m, c, was, survivors)
}

// kept counts the voters, in the configuration that d has applied, whose data
// survives and would vote for d: with a quorum of them d could be elected. A
// change that was committed, and that no survivor has applied, elects nobody.
func (w *World) kept(d *data) (kept, voters int) {
	for _, x := range d.conf.voters() {
		voters++
		if v := w.holder(d.cluster, x.ID); v != nil && !d.behind(v) && !w.banned(d.cluster, x.ID) {
			kept++
		}
	}
	return kept, voters
}

// banned says that some survivor knows that the member has been removed.
func (w *World) banned(c cluster.ClusterID, id cluster.MemberID) bool {
	return slices.ContainsFunc(w.live, func(m *machine) bool {
		return m.disk.data != nil && m.disk.data.cluster == c && m.disk.data.conf.removed[id]
	})
}

func (w *World) lastMembers(before cluster.Charter, was cluster.ClusterID) []cluster.Member {
	if inc := w.truth.clusters[was]; inc != nil {
		return inc.conf.members
	}
	var out []cluster.Member
	for _, f := range before.Founders {
		out = append(out, cluster.Member{ID: memberIDOf(before.Token, f.PeerURL), Name: f.Name, PeerURLs: []string{f.PeerURL}})
	}
	return out
}

// onRenew checks, when an etcd is stopped for its CA, that no other voter's is
// down for the same, and that a quorum which does without it is left. What a
// fault has just broken nobody may know yet.
func (w *World) onRenew(m *machine) {
	p := m.etcd
	if p == nil || !w.healthy(p) {
		return
	}
	for _, x := range w.live {
		if x != m && x.renewing != 0 && p.d.conf.votes(x.renewing) {
			w.fail("%s stops its etcd for its CA while that of %s is down for the same", m.name, x.name)
		}
	}
	m.renewing = p.id()
	const known = actFresh + 2*reportAge + time.Second
	voters := p.d.conf.voters()
	if n := w.reaches(p, voters) - 1; len(voters) > 2 && w.now-w.struck > known && n < cluster.Quorum(len(voters)) {
		w.fail("%s stops its etcd for its CA, and leaves %d healthy of %d voters", m.name, n, len(voters))
	}
}

// settleDebts works out which acknowledged writes the new epoch must hold:
// with a survivor every one that any surviving disk of a last member or a good
// backup holds, and the seed must hold them all; with a backup those that are in
// it, and then no such disk may hold another.
func (w *World) settleDebts(m *machine, c cluster.Charter, was cluster.ClusterID, survivors []*data) {
	owed := map[int]bool{}
	for x := range w.truth.must {
		if slices.ContainsFunc(survivors, func(d *data) bool { return d.holds(x) }) {
			owed[x] = true
		}
	}
	// An epoch that never lived leaves what it was to be seeded from: other disks
	// may still hold it, as data of an older epoch or set aside.
	if _, said := w.store.verdicts[c.Epoch-1]; !said && w.settings.HasStore && !w.truth.ready[c.Epoch-1] {
		for _, m := range w.live {
			for _, d := range append(slices.Clone(m.disk.aside), m.disk.data) {
				for x := range w.truth.must {
					if d != nil && d.holds(x) {
						owed[x] = true
					}
				}
			}
		}
	}
	switch c.Seed.Kind {
	case cluster.SeedSurvivor:
		seed := w.holder(was, c.Seed.Member)
		if seed == nil || len(seed.log) == 0 {
			w.fail("%s seeds epoch %d from member %s, whose data nobody has", m.name, c.Epoch, c.Seed.Member)
		}
		for _, b := range w.store.backups {
			for _, x := range b.writes {
				if !b.damaged && b.Epoch == c.Epoch-1 && w.truth.must[x] {
					owed[x] = true
				}
			}
		}
		w.truth.must = owed
		w.owes(seed, m.name+" seeds epoch "+itoa(c.Epoch))
	case cluster.SeedBackup:
		b, ok := w.store.backupByKey(c.Seed.Backup)
		if !ok {
			w.fail("%s seeds from the unknown backup %q", m.name, c.Seed.Backup)
		}
		for _, x := range b.writes {
			delete(owed, x)
		}
		if len(owed) > 0 {
			w.fail("%s restores a backup, and a surviving disk holds %d acknowledged writes", m.name, len(owed))
		}
		in := map[int]bool{}
		for _, x := range b.writes {
			if w.truth.must[x] {
				in[x] = true
			}
		}
		w.truth.must = in
	default:
		// Before the ready mark no client has been told that there is a cluster.
		ready := w.truth.ready[c.Epoch-1]
		v := w.operatorSaysEmpty(c.Epoch - 1)
		if len(w.truth.must) > 0 && ready && !v || len(owed) > 0 {
			w.fail("%s founds an empty epoch %d over %d acknowledged writes (%d on surviving disks)", m.name, c.Epoch, len(w.truth.must), len(owed))
		}
		w.truth.must = map[int]bool{}
	}
}

func (w *World) operatorSaysEmpty(e cluster.Epoch) bool {
	if v, ok := w.store.verdicts[e]; ok && v.Empty {
		return true
	}
	for _, m := range w.live {
		if v := m.disk.verdict; v != nil && v.Epoch == e && v.Empty {
			return true
		}
	}
	return false
}

// onFirstCharter checks that no data is there to be founded over. Without a
// store, or of one that quorate has not adopted yet, and with every disk gone,
// nobody is left who could know that there was a cluster: a new one is founded,
// and nothing is owed.
func (w *World) onFirstCharter(c cluster.Charter) {
	if c.Seed.Kind == cluster.SeedAdopted {
		if w.truth.clusters[c.Seed.ClusterID] == nil {
			w.fail("charter 1 adopts %s, which never was", c.Seed.ClusterID)
		}
		return
	}
	for _, m := range w.live {
		// What an unadopted cluster holds nobody knows whose agent is silent.
		if m.disk.data != nil && m.disk.data.stamp != nil {
			w.fail("charter 1 founds an empty cluster, and %s holds data", m.name)
		}
	}
	if !w.settings.HasStore || w.profile.adopts {
		for _, inc := range w.truth.clusters {
			inc.void = true
		}
		w.truth.must = map[int]bool{}
		clear(w.truth.epochs)
		w.truth.epoch = 1
	}
}

// onInstall checks that the seed holds what its epoch owes.
func (w *World) onInstall(m *machine, s *staged) {
	if s.epoch == w.truth.epoch && !w.truth.led(clusterIDOf(s.charter)) {
		w.owes(&data{base: s.base}, m.name+" installs the seed of epoch "+itoa(s.epoch))
	}
}

func (t *truth) led(id cluster.ClusterID) bool {
	inc := t.clusters[id]
	return inc != nil && inc.led
}

// onAside checks that only data that is over is set aside.
func (w *World) onAside(m *machine, d *data) {
	inc := w.truth.clusters[d.cluster]
	if inc.epoch >= w.truth.epoch && !inc.conf.removed[d.member] && len(d.log) > 0 {
		w.fail("%s sets the data of living member %s aside", m.name, d.member)
	}
}

// checkDecision is for what must hold of every decision, whatever the truth.
func (w *World) checkDecision(m *machine, o plan.Observation, d plan.Decision) {
	for i, s := range d.Steps {
		if _, ok := s.(plan.TakeBackup); ok && i > 0 {
			w.fail("%s: %s: a backup is a round of its own", m.name, d)
		}
		if _, ok := s.(plan.WriteCharter); ok && i != len(d.Steps)-1 {
			w.fail("%s: %s: acts on a charter that it may not have won", m.name, d)
		}
		if _, ok := s.(plan.AddLearner); ok && len(cluster.Learners(o.Members.Value())) > 0 {
			w.fail("%s: %s: a second learner", m.name, d)
		}
	}
}
