package plan

import (
	"testing"

	"github.com/quorate/quorate/internal/cluster"
)

func proposal(by, nonce string, names ...string) cluster.Charter {
	c := charterOf(1, names...)
	c.By, c.Nonce = by, nonce
	return c
}

func hash(names ...string) string { return ViewHash(cluster.View{Peers: machines(names...)}) }

// agrees has empty peers see the view of a, b and c.
func agrees(names ...string) opt {
	return func(o *Observation) {
		for _, n := range names {
			says(n, func(r *cluster.Report) { r.ViewHash = hash("a", "b", "c") })(o)
		}
	}
}

func granted(name string, c cluster.Charter) opt {
	return says(name, func(r *cluster.Report) { r.Grant = &c })
}

func bound(c cluster.Charter) opt { return ledger(func(l *Ledger) { l.Grant = cluster.Known(c) }) }

// as makes another machine the observer.
func as(name string) opt {
	return func(o *Observation) {
		o.Self.Name, o.Self.PeerURL, o.Disk.ID = name, at(name), "disk-"+name
	}
}

func TestConsent(t *testing.T) { check(t, consentRows()) }

func consentRows() map[string]row {
	abc := proposal("a", "p1", "a", "b", "c")
	old := proposal("c", "p0", "c", "a", "b")
	return map[string]row{
		"one of three silent":                       {see(noStore, agrees("b")), "wait: a silent peer may know of a cluster (c)"},
		"a peer's disk is not empty":                {see(noStore, agrees("b", "c"), says("c", func(r *cluster.Report) { r.Disk = cluster.Disk{} })), "wait: a peer's disk is not empty (c)"},
		"a peer sees another view":                  {see(noStore, agrees("b", "c"), says("c", func(r *cluster.Report) { r.ViewHash = hash("a", "b", "c", "d") })), "wait: a peer sees another view (c)"}, // trap 1
		"a peer has another name":                   {see(noStore, agrees("b"), says("x", func(r *cluster.Report) { r.PeerURL, r.ViewHash = at("c"), hash("a", "b", "c") })), "wait: a peer calls itself by another name (c is x)"},
		"a peer is going away":                      {see(noStore, agrees("b", "c"), state("c", cluster.Terminating)), "wait: a peer of the view is going away (c)"},
		"the view is too small":                     {see(noStore, peers("a", "b"), agrees("b")), "wait: the view is smaller than the size (2 of 3)"},
		"no size":                                   {see(noStore, size(0), agrees("b", "c")), "refuse: founding needs a size: give --size, or a peers source that knows it"},
		"our grant is unread":                       {see(noStore, agrees("b", "c"), ledger(func(l *Ledger) { l.Grant = cluster.Unknown[cluster.Charter]() })), "wait: our own grant is unreadable"},
		"the first of the view proposes":            {see(noStore, agrees("b", "c")), "found: every peer answers with an empty disk and the same view: proposing: GrantCharter{1 by a}"},
		"the proposer collects":                     {see(noStore, agrees("b", "c"), bound(abc), granted("b", abc)), "wait: not every peer has granted our proposal (c)"},
		"the proposer does not count another grant": {see(noStore, agrees("b", "c"), bound(abc), granted("b", abc), granted("c", old)), "wait: not every peer has granted our proposal (c)"},
		"all have granted":                          {see(noStore, agrees("b", "c"), bound(abc), granted("b", abc), granted("c", abc)), "found: every peer has granted our proposal: WriteCharter{1 empty a+b+c}"},
		"all have granted, one is silent now":       {see(noStore, agrees("b", "c"), bound(abc), granted("b", abc), granted("c", abc), silent("c")), "wait: a silent peer may know of a cluster (c)"},
		"a proposal of an older view is made anew":  {see(noStore, agrees("b", "c"), bound(proposal("a", "p0", "a", "c", "d"))), "found: every peer answers with an empty disk and the same view: proposing: GrantCharter{1 by a}"},
		"the proposer is bound to another's":        {see(noStore, agrees("b", "c"), bound(old), granted("c", old)), "wait: bound to an older proposal that may still be completed (by c)"},
		"the other has withdrawn: propose":          {see(noStore, agrees("b", "c"), bound(old), granted("c", abc)), "found: every peer answers with an empty disk and the same view: proposing: GrantCharter{1 by a}"},
		"a node of one proposes to itself":          {see(noStore, size(1), peers("a")), "found: every peer answers with an empty disk and the same view: proposing: GrantCharter{1 by a}"},
		"a node of one completes":                   {see(noStore, size(1), peers("a"), bound(proposal("a", "p1", "a"))), "found: every peer has granted our proposal: WriteCharter{1 empty a}"},
		"follower, no proposal yet":                 {see(noStore, as("b"), agrees("a", "c")), "wait: the first peer of the view has not proposed yet (a)"},
		"follower, the proposer is bound elsewhere": {see(noStore, as("b"), agrees("a", "c"), granted("a", old)), "wait: the first peer of the view is bound to an older proposal (a to c)"},
		"follower grants":                           {see(noStore, as("b"), agrees("a", "c"), granted("a", abc)), "found: every peer answers with an empty disk and the same view: granting (to a): GrantCharter{1 by a}"},
		"follower has granted":                      {see(noStore, as("b"), agrees("a", "c"), granted("a", abc), bound(abc)), "wait: granted: the proposer collects the others' consent (a)"},
		"follower bound to another's":               {see(noStore, as("b"), agrees("a", "c"), granted("a", abc), bound(old)), "wait: bound to an older proposal that may still be completed (by c)"},
		"follower freed, the other has withdrawn":   {see(noStore, as("b"), agrees("a", "c"), granted("a", abc), bound(old), granted("c", abc)), "found: every peer answers with an empty disk and the same view: granting (to a): GrantCharter{1 by a}"},
		"follower, the proposer proposes anew":      {see(noStore, as("b"), agrees("a", "c"), granted("a", abc), bound(proposal("a", "p0", "a", "b", "c"))), "found: every peer answers with an empty disk and the same view: granting (to a): GrantCharter{1 by a}"},
		"follower, an unfair proposal":              {see(noStore, as("b"), agrees("a", "c"), granted("a", proposal("a", "p1", "a", "b", "d"))), "refuse: the proposal names other founders than our view does (a)"},
		"follower, another cluster's proposal":      {see(noStore, as("b"), agrees("a", "c"), granted("a", func() cluster.Charter { c := abc; c.Cluster = "x"; return c }())), "refuse: the proposal names other founders than our view does (a)"},
		"follower, a proposal of a later epoch":     {see(noStore, as("b"), agrees("a", "c"), granted("a", func() cluster.Charter { c := abc; c.Epoch = 2; return c }())), "refuse: the proposal names other founders than our view does (a)"},
	}
}
