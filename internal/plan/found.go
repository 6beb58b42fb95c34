package plan

import (
	"strconv"

	"github.com/quorate/quorate/internal/cluster"
)

func itoa(e cluster.Epoch) string { return strconv.FormatUint(uint64(e), 10) }

// found writes charter 1. It is reached only with an empty disk and a ledger
// that was read and is empty.
func found(o Observation) Decision {
	if d, no := mayNotFound(o); no {
		return d
	}
	if !o.Settings.HasStore {
		return consent(o)
	}
	if v := o.View.Value(); v.Gathers && len(v.Peers) < o.foundingSize() {
		return wait("the peers source is not complete yet", len(v.Peers), " of ", o.foundingSize())
	}
	founders, d, ok := electFounders(o, o.foundingSize())
	if !ok {
		return d
	}
	c := newCharter(o, 1, founders, cluster.Seed{Kind: cluster.SeedEmpty}, "first founding")
	return do("found", "the ledger is empty, and enough empty peers answer", nil, WriteCharter{c})
}

// mayNotFound are the reasons for which this node may found nothing at all now.
func mayNotFound(o Observation) (Decision, bool) {
	if d, no := notOurPlace(o); no {
		return d, true
	}
	for _, r := range o.Reports {
		switch {
		case r.Cluster != o.Settings.Cluster:
			return refuse("a peer's agent belongs to another cluster", r.Name, " is of ", r.Cluster), true
		case r.Charter != nil && r.Charter.Epoch > o.epoch():
			return wait("a peer knows a charter that we have not read yet", r.Name), true
		case o.epoch() == 0 && (r.Disk.State == cluster.DiskData || r.Disk.State == cluster.DiskElsewhere):
			return wait("a peer holds data", r.Name), true
		}
	}
	if len(o.Strangers) > 0 && o.epoch() == 0 {
		return wait("an etcd answers at a peer whose agent does not: adopt it first", o.Strangers[0]), true
	}
	return Decision{}, false
}

// notOurPlace says that the environment does not count this machine in.
func notOurPlace(o Observation) (Decision, bool) {
	p, in := o.peer()
	switch {
	case o.View.Unknown():
		return wait("the peers source does not answer"), true
	case !in:
		return wait("this machine is not in the peers source"), true
	case p.Name != o.Self.Name:
		return refuse("the peers source calls this machine by another name", p.Name, ", not ", o.Self.Name), true
	case !p.Alive():
		return wait("this machine is being terminated"), true
	}
	return Decision{}, false
}

// electFounders are the oldest `size` peers that answer with an empty disk: as
// many as wanted, or after the founding wait a majority of that.
func electFounders(o Observation, size int) ([]cluster.Founder, Decision, bool) {
	if size <= 0 {
		return nil, refuse("founding needs a size: give --size, or a peers source that knows it"), false
	}
	empty, others := emptyPeers(o)
	waited := o.Now.Sub(o.Self.Since) >= o.Settings.FoundingWait
	switch {
	case len(empty) >= size:
		return empty[:size], Decision{}, true
	case waited && len(empty) >= cluster.Quorum(size):
		return empty, Decision{}, true
	}
	return nil, wait("not enough empty peers answer to found", len(empty), " of ", size, missing(others)), false
}

// emptyPeers splits the living peers of the view, oldest first, into those
// whose agents say that their disk is empty and the rest.
func emptyPeers(o Observation) (empty []cluster.Founder, others []string) {
	for _, p := range o.View.Value().Peers {
		if !p.Alive() {
			continue
		}
		u := p.PeerURL(o.Self.Scheme)
		r, _ := o.reportAt(u)
		if u == o.Self.PeerURL {
			r = o.me()
		}
		if r.Name == p.Name && r.Disk.State == cluster.DiskEmpty && !r.Leaving {
			empty = append(empty, cluster.Founder{Name: p.Name, PeerURL: u})
		} else {
			others = append(others, p.Name)
		}
	}
	return empty, others
}

func missing(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return "; without " + join2(names)
}

func join2(names []string) string {
	s := ""
	for i, n := range names {
		if i > 0 {
			s += " "
		}
		s += n
	}
	return s
}

func newCharter(o Observation, e cluster.Epoch, founders []cluster.Founder, seed cluster.Seed, reason string) cluster.Charter {
	return cluster.Charter{
		Cluster: o.Settings.Cluster, Epoch: e, Founders: founders, Seed: seed,
		Token: o.Settings.Cluster + "-" + itoa(e) + "-" + o.Nonce,
		By:    o.Self.Name, At: o.Now, Reason: reason, Nonce: o.Nonce,
	}
}

// execute starts a founder, as the charter says. It is reached only when this
// disk has never voted in the charter's epoch.
func execute(o Observation) Decision {
	c := o.Ledger.Charter.Value()
	detail := []any{"founder of epoch ", c.Epoch}
	switch {
	case o.Staged == c.Epoch:
		return do("found", "the seed is complete", detail, WriteStartedMark{c.Epoch}, InstallSeed{c.Epoch, founderIdentity(c.Epoch)})
	case c.Seed.Kind == cluster.SeedBackup:
		return do("found", "the charter seeds from a backup", append(detail, ", ", c.Seed.Backup), RestoreSeed{c})
	}
	return do("found", "the charter names this node", detail, WriteStartedMark{c.Epoch}, StartEtcd{
		State: "new", Initial: c.InitialCluster(), Token: c.Token, Spends: founderIdentity(c.Epoch), Charter: c, Roll: o.joinsFor()})
}

func founderIdentity(e cluster.Epoch) string { return "e" + itoa(e) }
