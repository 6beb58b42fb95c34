package agent

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"maps"
	"time"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/etcd"
	"github.com/quorate/quorate/internal/plan"
)

// How old a fact may be before it is unknown again, and how long a look may take.
const (
	reportFresh = 3 * time.Second
	etcdLook    = 1500 * time.Millisecond
)

// observe gathers what this node knows now. Its own disk and etcd are asked
// here, within a time limit; everything else was asked in the background, so
// that a black-holed peer or store delays no round:
//
//	disk, process    read here; an error makes the disk unread
//	removed          read here while no etcd holds the database; an error says nothing
//	offers, v2       found in the background; v2 content that is unread is said to be
//	authorities      their files are read here; half-written ones have not changed
//	ledger           the book's last reading; a failed one makes what could have changed unknown
//	view             the source's last answer; a failed or late one is unknown
//	reports          other agents' answers of the last 3 s; silence is no report
//	etcd, members    asked here; no answer, or no leader, is unknown
//	probes           the keeper's own look at each member, at most 3 s old
func (a *Agent) observe(ctx context.Context) plan.Observation {
	a.reap()
	now := time.Now() // after reap: an etcd without a back-off may start in this very round
	o := plan.Observation{Now: now, Nonce: nonce(), Self: a.self()}
	o.Disk = a.disks.Read()
	o.Staged = stagedEpoch(a.opt.DataDir)
	a.lookForForeign(ctx, &o)
	o.Process = plan.Process{Running: a.proc != nil || a.foreign, Foreign: a.foreign, NotBefore: a.launch.notBefore,
		Crashes: a.launch.crashes}
	o.Disk.Removed = a.removedHere(o)
	a.observeAuthorities(&o)
	if o.Disk.State == cluster.DiskData && o.Process.Running {
		a.launch.sawData = true
	}
	a.observeEtcd(ctx, &o)
	a.observeAgreed(ctx, &o)
	o.Local = a.ownList(o.Disk)
	a.observeVersions(&o)
	o.Publishing = a.publishing()

	a.mu.Lock()
	defer a.mu.Unlock()
	o.Settings = a.settings
	o.View = a.view
	o.Reports, o.Strangers = a.freshReports(now)
	o.Probes = a.probeResults(now)
	o.Invitations = maps.Clone(a.invited)
	o.Ledger = a.book.facts()
	o.Process.SeedFails = a.seedFails.of(o.Ledger.Charter.Value().Epoch) // of this very charter: what Claim says of it stays said
	o.Ledger.BackupTried, o.Ledger.FullWanted = a.backups.tried, a.fullWanted(o.Reports)
	if b, ok := a.book.(*storeBook); ok && leads(o) && !b.hasCompared() {
		o.Ledger.Backup = cluster.Unknown[cluster.Backup]() // nothing is backed up before what the store lacks is told
	}
	o.Stored = a.remember(o)
	a.observeMachines(&o)
	a.observeCare(&o)
	a.listen(&o)
	a.observeRoll(&o)
	a.observeSpace(&o)
	return o
}

func (a *Agent) self() plan.Self {
	a.mu.Lock()
	defer a.mu.Unlock()
	return plan.Self{Name: a.opt.Name, PeerURL: a.peerURL(), Scheme: a.parts.Secure.Peer, Since: a.since, Leaving: a.leaving}
}

// removedHere asks the database of data that nobody serves. An etcd whose
// database cannot be read is not kept from starting: it says itself what is wrong.
func (a *Agent) removedHere(o plan.Observation) bool {
	if o.Disk.State != cluster.DiskData || o.Process.Running {
		return false
	}
	removed, err := etcd.Removed(a.opt.Etcd.DataDir, o.Disk.MemberID)
	if err != nil {
		a.log.Debug("the database is unread", "error", err)
	}
	return removed
}

func (a *Agent) asPeer() cluster.Peer {
	return cluster.Peer{Name: a.opt.Name, Host: a.opt.Host, ClientPort: a.opt.Etcd.ClientPort, PeerPort: a.opt.Etcd.PeerPort, AgentPort: a.opt.AgentPort}
}

func (a *Agent) peerURL() string   { return a.asPeer().PeerURL(a.parts.Secure.Peer) }
func (a *Agent) clientURL() string { return a.asPeer().ClientURL(a.parts.Secure.Client) }
func (a *Agent) agentURL() string  { return a.asPeer().AgentURL(a.parts.Secure.Agent) }

// observeEtcd asks our own etcd. The member list is read linearizably, which
// proves that a quorum follows; a learner cannot be asked for it.
func (a *Agent) observeEtcd(ctx context.Context, o *plan.Observation) {
	if !o.Process.Running {
		a.unhealthy = time.Time{}
		a.closeOwn()
		return
	}
	s, members, err := a.askOwn(ctx)
	a.keepLocal(ctx, s, members)
	switch {
	case err != nil && s.MemberID == 0:
		o.Etcd = cluster.Unknown[cluster.EtcdState]()
	default:
		s.Healthy = err == nil && s.Leader != 0
		s.Foreign, s.Restarts = a.foreign, a.launch.restarts
		o.Etcd = cluster.Known(s)
		if s.Healthy && !s.Learner {
			o.Members = cluster.Known(members)
		}
	}
	if o.Etcd.Value().Healthy {
		a.unhealthy = time.Time{}
		a.launch.settle(o.Now)
	} else if a.unhealthy.IsZero() {
		a.unhealthy = o.Now
	}
	o.UnhealthySince = a.unhealthy
}

// listsLinearizably is the first etcd whose member list is what a quorum agrees
// on: an older one tells its own without asking, and is read through before.
var listsLinearizably = cluster.Version{Major: 3, Minor: 5}

func (a *Agent) askOwn(ctx context.Context) (cluster.EtcdState, []cluster.Member, error) {
	if a.own == nil {
		a.own = a.parts.Dial(a.clientURL())
	}
	ctx, cancel := context.WithTimeout(ctx, etcdLook)
	defer cancel()
	s, err := a.own.Status(ctx)
	s.Running, s.PID = true, a.pid()
	if err != nil || s.Leader == 0 || s.Learner {
		return s, nil, err
	}
	if v, err := cluster.ParseVersion(s.Version); err == nil && v.Less(listsLinearizably) {
		if err := a.own.Healthy(ctx); err != nil {
			return s, nil, err
		}
	}
	members, _, err := a.own.Members(ctx)
	return s, members, err
}

// keepLocal notes the member list in our own data: the linearizable one, or
// without a quorum what our etcd tells without asking anyone.
func (a *Agent) keepLocal(ctx context.Context, s cluster.EtcdState, members []cluster.Member) {
	if members == nil && s.MemberID != 0 && !s.Learner && s.Leader == 0 {
		ctx, cancel := context.WithTimeout(ctx, etcdLook)
		defer cancel()
		members, _, _ = a.own.LocalMembers(ctx) // no answer: we keep what we had
	}
	if members != nil {
		a.local = members
	}
}

// ownList is the list that keepLocal has noted, of the member whose data the disk
// holds now: the one before may have been in another epoch.
func (a *Agent) ownList(d cluster.Disk) []cluster.Member {
	if d.State != cluster.DiskData || d.MemberID != a.localOf {
		a.local = nil
	}
	a.localOf = d.MemberID
	return a.local
}

func (a *Agent) closeOwn() {
	if a.own != nil {
		a.own.Close()
		a.own = nil
	}
}

func (a *Agent) pid() int {
	if a.proc == nil {
		return 0
	}
	return a.proc.PID()
}

// watchSource asks the peers source, again and again. A slow answer is late
// for itself alone: the view becomes unknown until it comes.
func (a *Agent) watchSource(ctx context.Context) {
	const limit = 10 * time.Second
	for ctx.Err() == nil {
		call, cancel := context.WithTimeout(ctx, limit)
		late := time.AfterFunc(limit/2, func() { a.setView(cluster.View{}, context.DeadlineExceeded) })
		v, err := a.parts.Source.View(call)
		late.Stop()
		cancel()
		a.setView(v, err)
		sleep(ctx, time.Second)
	}
}

func (a *Agent) setView(v cluster.View, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	changed := a.viewErr == nil && err != nil || err == nil && (!a.view.Known() || plan.ViewHash(a.view.Value()) != plan.ViewHash(v))
	if err != nil && (a.viewErr == nil || a.viewErr.Error() != err.Error()) {
		a.log.Warn("the peers source does not answer", "error", err)
	}
	a.viewErr = err
	a.view = cluster.Unknown[cluster.View]()
	if err == nil {
		a.view = cluster.Known(v)
	}
	if changed {
		a.poke()
	}
}

func nonce() string {
	b := make([]byte, 8)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// leads says that our etcd leads a quorum: this node is the keeper, or about to be.
func leads(o plan.Observation) bool {
	e := o.Etcd.Value()
	return e.Healthy && e.Leader != 0 && e.Leader == e.MemberID
}
