package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/quorate/quorate/internal/cluster"
)

// consent founds without a store: by unanimity. The first peer of the view that
// all share proposes; its proposal counts once every peer of that view, each
// with an empty disk, has granted and persisted it. Anyone silent: wait. Only
// the proposer can complete a proposal, and a peer grants one at a time.
func consent(o Observation) Decision {
	view := o.View.Value().Peers
	if size := o.foundingSize(); size <= 0 {
		return refuse("founding needs a size: give --size, or a peers source that knows it")
	} else if len(view) < size {
		return wait("the view is smaller than the size", len(view), " of ", size)
	}
	if d, ok := unanimous(o); !ok {
		return d
	}
	grant := o.Ledger.Grant
	proposer := view[0]
	switch {
	case grant.Unknown():
		return wait("our own grant is unreadable")
	case proposer.Name == o.Self.Name:
		return propose(o)
	}
	r, _ := o.reportAt(proposer.PeerURL(o.Self.Scheme))
	switch {
	case r.Grant == nil:
		return wait("the first peer of the view has not proposed yet", proposer.Name)
	case r.Grant.By != proposer.Name:
		return wait("the first peer of the view is bound to an older proposal", proposer.Name, " to ", r.Grant.By)
	case grant.Known() && grant.Value().Nonce == r.Grant.Nonce:
		return wait("granted: the proposer collects the others' consent", proposer.Name)
	case grant.Known() && !withdrawn(o, grant.Value()):
		return wait("bound to an older proposal that may still be completed", "by ", grant.Value().By)
	case !fair(o, *r.Grant):
		return refuse("the proposal names other founders than our view does", proposer.Name)
	}
	return do("found", "every peer answers with an empty disk and the same view: granting", []any{"to ", proposer.Name}, GrantCharter{*r.Grant})
}

// withdrawn says that the proposal's author can no longer complete it: it has
// bound itself to another one, for good; or it has lost the disk on which it had
// granted its own, as a report shows that it made later; or its machine is gone,
// as a source says that can prove it, and nobody has heard of a charter.
func withdrawn(o Observation, g cluster.Charter) bool {
	author := cluster.Member{Name: g.By}
	if f, ok := g.Founder(g.By); ok {
		author.PeerURLs = []string{f.PeerURL}
	}
	return goneFromSource(o, author) || slices.ContainsFunc(o.Reports, func(r cluster.Report) bool {
		return r.Name == g.By && (r.Grant != nil && r.Grant.Nonce != g.Nonce || r.Grant == nil && r.At.After(g.At))
	})
}

// propose is the first peer's part: bind yourself, collect, complete.
func propose(o Observation) Decision {
	g := o.Ledger.Grant
	if g.Known() && g.Value().By != o.Self.Name && !withdrawn(o, g.Value()) {
		return wait("bound to an older proposal that may still be completed", "by ", g.Value().By)
	}
	if g.Value().By != o.Self.Name || !fair(o, g.Value()) {
		c := newCharter(o, 1, viewFounders(o), cluster.Seed{Kind: cluster.SeedEmpty}, "first founding, by unanimous consent")
		return do("found", "every peer answers with an empty disk and the same view: proposing", nil, GrantCharter{c})
	}
	var without []string
	for _, p := range o.View.Value().Peers {
		r, _ := o.reportAt(p.PeerURL(o.Self.Scheme))
		if p.Name != o.Self.Name && (r.Grant == nil || r.Grant.Nonce != g.Value().Nonce) {
			without = append(without, p.Name)
		}
	}
	if len(without) > 0 {
		return wait("not every peer has granted our proposal", join2(without))
	}
	return do("found", "every peer has granted our proposal", nil, WriteCharter{g.Value()})
}

// unanimous says that every peer of the view answers, is empty, knows no
// charter and sees the same view.
func unanimous(o Observation) (Decision, bool) {
	own := ViewHash(o.View.Value())
	for _, p := range o.View.Value().Peers {
		if p.PeerURL(o.Self.Scheme) == o.Self.PeerURL {
			continue
		}
		r, ok := o.reportAt(p.PeerURL(o.Self.Scheme))
		switch {
		case !ok:
			return wait("a silent peer may know of a cluster", p.Name), false
		case r.Disk.State != cluster.DiskEmpty:
			return wait("a peer's disk is not empty", p.Name), false
		case r.Name != p.Name:
			return wait("a peer calls itself by another name", p.Name, " is ", r.Name), false
		case r.ViewHash != own:
			return wait("a peer sees another view", p.Name), false
		case !p.Alive():
			return wait("a peer of the view is going away", p.Name), false
		}
	}
	return Decision{}, true
}

// fair says that a proposal founds with the oldest `size` of our own view.
func fair(o Observation, c cluster.Charter) bool {
	return c.Epoch == 1 && c.Cluster == o.Settings.Cluster && slices.Equal(c.Founders, viewFounders(o))
}

func viewFounders(o Observation) []cluster.Founder {
	var out []cluster.Founder
	for _, p := range o.View.Value().Peers[:o.foundingSize()] {
		out = append(out, cluster.Founder{Name: p.Name, PeerURL: p.PeerURL(o.Self.Scheme)})
	}
	return out
}

// ViewHash names a view, so that two nodes can tell whether they see the same.
func ViewHash(v cluster.View) string {
	var b strings.Builder
	for _, p := range v.Peers {
		fmt.Fprintf(&b, "%s=%s:%d,", p.Name, p.Host, p.PeerPort)
	}
	return b.String()
}
