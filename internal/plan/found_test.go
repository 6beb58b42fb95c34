package plan

import (
	"testing"
	"time"

	"github.com/quorate/quorate/internal/cluster"
)

// gathers is a source into which machines get one by one.
func gathers(o *Observation) {
	v := o.View.Value()
	v.Gathers, v.Authoritative = true, false
	o.View = cluster.Known(v)
}

func TestFound(t *testing.T) { check(t, foundRows()) }

func foundRows() map[string]row {
	return map[string]row{
		"nothing is known":                               {Observation{}, "wait: the data directory is unread"},
		"the disk is unread":                             {see(unread), "wait: the data directory is unread (permission denied)"},
		"lone node, silent peers":                        {see(), "wait: not enough empty peers answer to found (1 of 3; without b c)"}, // trap 2
		"lone node, not in the view":                     {see(peers("b", "c")), "wait: this machine is not in the peers source"},
		"three empty machines":                           {see(justStarted, empty("b", "c")), "found: the ledger is empty, and enough empty peers answer: WriteCharter{1 empty a+b+c}"},
		"the oldest three of five found":                 {see(justStarted, peers("a", "b", "c", "d", "e"), empty("b", "c", "d", "e")), "found: the ledger is empty, and enough empty peers answer: WriteCharter{1 empty a+b+c}"},
		"two of three at once wait":                      {see(justStarted, empty("b")), "wait: not enough empty peers answer to found (2 of 3; without c)"}, // trap 1
		"two of three after a while found":               {see(empty("c")), "found: the ledger is empty, and enough empty peers answer: WriteCharter{1 empty a+c}"},
		"one of two is no majority":                      {see(size(2)), "wait: not enough empty peers answer to found (1 of 2; without b c)"},
		"two of three in a source that gathers wait":     {see(gathers, empty("b"), peers("a", "b")), "wait: the peers source is not complete yet (2 of 3)"},                         // DNS, half done
		"two of a whole source that lists but two found": {see(empty("b"), peers("a", "b")), "found: the ledger is empty, and enough empty peers answer: WriteCharter{1 empty a+b}"}, // a zone without capacity
		"two of three of a whole one found":              {see(gathers, empty("c")), "found: the ledger is empty, and enough empty peers answer: WriteCharter{1 empty a+c}"},
		"a source that gathers, for an automatic size":   {see(auto(3), gathers, empty("b"), peers("a", "b")), "wait: the peers source is not complete yet (2 of 3)"},
		"a node of one":                                  {see(justStarted, size(1), peers("a")), "found: the ledger is empty, and enough empty peers answer: WriteCharter{1 empty a}"},
		"a dying peer is no founder":                     {see(justStarted, empty("b", "c"), state("c", cluster.Terminating)), "wait: not enough empty peers answer to found (2 of 3)"}, // trap 9
		"a leaving peer is no founder":                   {see(justStarted, empty("b", "c"), says("c", func(r *cluster.Report) { r.Leaving = true })), "wait: not enough empty peers answer to found (2 of 3; without c)"},
		"a peer of another name is no founder":           {see(justStarted, empty("b"), says("x", func(r *cluster.Report) { r.PeerURL = at("c") })), "wait: not enough empty peers answer to found (2 of 3; without c)"},
		"a pending machine founds":                       {see(justStarted, empty("b", "c"), state("c", cluster.Pending)), "found: the ledger is empty, and enough empty peers answer: WriteCharter{1 empty a+b+c}"},
		"the machine itself is dying":                    {see(empty("b", "c"), state("a", cluster.Terminating)), "wait: this machine is being terminated"}, // trap 9
		"the source names this machine otherwise":        {see(empty("b", "c"), peers("x", "b", "c"), movedTo("x", "a")), "refuse: the peers source calls this machine by another name (x, not a)"},
		"the source is down":                             {see(empty("b", "c"), sourceDown), "wait: the peers source does not answer"},
		"the store is down":                              {see(empty("b", "c"), storeDown), "wait: the ledger is unreadable, and the disk is empty"}, // trap 4
		"the store ignores the condition":                {see(empty("b", "c"), ledger(func(l *Ledger) { l.Unfit = "two creates won" })), "refuse: the store cannot hold a ledger (two creates won)"},
		"a peer holds data":                              {see(empty("b"), holds("c", 1, 2, 3)), "wait: a peer holds data (c)"},
		"a peer runs an etcd of its own":                 {see(empty("b", "c"), says("c", func(r *cluster.Report) { r.Disk.State = cluster.DiskElsewhere })), "wait: a peer holds data (c)"},
		"an etcd without an agent answers":               {see(empty("b"), func(o *Observation) { o.Strangers = []string{at("c")} }), "wait: an etcd answers at a peer whose agent does not: adopt it first (http://c:2380)"},
		"a peer knows a charter":                         {see(empty("b", "c"), says("c", func(r *cluster.Report) { c := charterOf(1, "c"); r.Charter = &c })), "wait: a peer knows a charter that we have not read yet (c)"},
		"a peer's disk is unread":                        {see(justStarted, empty("b"), says("c", func(r *cluster.Report) { r.Disk = cluster.Disk{} })), "wait: not enough empty peers answer to found (2 of 3; without c)"},
		"a peer is of another cluster":                   {see(empty("b"), says("c", func(r *cluster.Report) { r.Cluster = "other" })), "refuse: a peer's agent belongs to another cluster (c is of other)"},
		"the size is the source's":                       {see(auto(3), empty("b", "c")), "found: the ledger is empty, and enough empty peers answer: WriteCharter{1 empty a+b+c}"},
		"the size is the source's, which is down":        {see(auto(3), empty("b", "c"), sourceDown), "wait: the peers source does not answer"},
		"the size is a source's that knows none":         {see(auto(0), empty("b", "c")), "refuse: founding needs a size: give --size, or a peers source that knows it"},
		"no size, and a source without one":              {see(size(0), empty("b", "c")), "refuse: founding needs a size: give --size, or a peers source that knows it"},
		"no size, and a source that has one":             {see(size(0), empty("b", "c"), func(o *Observation) { v := o.View.Value(); v.Size = 3; o.View = cluster.Known(v) }), "found: the ledger is empty, and enough empty peers answer: WriteCharter{1 empty a+b+c}"},
		"it has left":                                    {see(leaving, empty("b", "c")), "wait: this node has left the cluster"},
		"etcd that served here elsewhere is down":        {see(elsewhere), "wait: the etcd that served here is down, and its data is not in our data directory"},
		"etcd ended too soon":                            {see(empty("b", "c"), func(o *Observation) { o.Process.NotBefore = o.Now.Add(time.Second) }), "wait: etcd ended too soon: backing off (until 12:00:01)"},
		"founder, first start":                           {see(charter(1, "a", "b", "c")), "found: the charter names this node (founder of epoch 1): WriteStartedMark{1}, StartEtcd{new}"},
		"founder, marked by this disk":                   {see(charter(1, "a", "b", "c"), mark("disk-a")), "found: the charter names this node (founder of epoch 1): WriteStartedMark{1}, StartEtcd{new}"}, // a crash between mark and start
		"founder, late, the others live":                 {see(charter(1, "a", "b", "c"), leads("b", unpublished("a"), voter("b"), voter("c"))), "found: the charter names this node (founder of epoch 1): WriteStartedMark{1}, StartEtcd{new}"},
		"founder, the others' last list waits for it":    {see(charter(1, "a", "b", "c"), checkpoint(unpublished("a"), voter("b"), voter("c"))), "found: the charter names this node (founder of epoch 1): WriteStartedMark{1}, StartEtcd{new}"},
		"founder, its mark is unread":                    {see(charter(1, "a", "b", "c"), ledger(func(l *Ledger) { l.Mark = cluster.Unknown[cluster.StartedMark]() })), "wait: the charter names this node, and whether it has started is unread"},
		"founder, the list is unread":                    {see(charter(1, "a", "b", "c"), ledger(func(l *Ledger) { l.Checkpoint = cluster.Unknown[cluster.Checkpoint]() })), "wait: no quorum answers, and the last member list is unreadable"},
		"founder without a store":                        {see(noStore, charter(1, "a", "b", "c"), ledger(func(l *Ledger) { l.Checkpoint = cluster.Unknown[cluster.Checkpoint]() })), "found: the charter names this node (founder of epoch 1): WriteStartedMark{1}, StartEtcd{new}"},
		"founder, wiped: another disk has started":       {see(charter(1, "a", "b", "c"), mark("disk-lost")), "wait: a quorum of the last members may come back (waiting for b c)"},                                                                // trap 5
		"founder, wiped beside a kept disk id":           {see(charter(1, "a", "b", "c"), mark("disk-a"), spent("e1")), "wait: a quorum of the last members may come back (waiting for b c)"},                                                      // trap 5
		"founder, wiped, cluster alive":                  {see(charter(1, "a", "b", "c"), mark("disk-lost"), leads("b", voters("a", "b", "c")...)), "wait: the keeper must first remove the entry that a lost disk has left (member a, keeper b)"}, // ETCD-FACTS 6.4
		"founder, unmarked, but its entry has published": {see(charter(1, "a", "b", "c"), leads("b", voters("a", "b", "c")...)), "wait: the keeper must first remove the entry that a lost disk has left (member a, keeper b)"},                    // the mark was lost with the ledger
		"founder, replaced, no entry":                    {see(charter(1, "a", "b", "c"), leads("b", voters("b", "c", "d")...)), "wait: the cluster is full: standing by as a spare (3 voters of 3)"},
		"founder, replaced, invited as a learner":        {see(charter(1, "a", "b", "c"), leads("b", voter("b"), voter("c"), unstarted(cluster.Member{ID: 9, PeerURLs: []string{at("a")}, Learner: true})), invites("b", 9, "disk-a")), "join: an entry awaits this disk (member 9): StartEtcd{existing}"}, // it used to start under its old identity
		"founder, two clusters answer":                   {see(charter(1, "a", "b", "c"), leads("b", voters("b")...), leads("c", voters("c")...), says("c", func(r *cluster.Report) { r.Etcd.ClusterID = 9 })), "refuse: two clusters answer: end one of them"},
		"founder at another address":                     {see(charter(1, "b", "c"), writtenFor("x")), "wait: a quorum of the last members may come back (waiting for b c)"},
		"founder of a backup seed":                       {see(charter(2, "a", "b", "c"), seed(cluster.Seed{Kind: cluster.SeedBackup, Backup: "k1"})), "found: the charter seeds from a backup (founder of epoch 2, k1): RestoreSeed{2}"},
		"founder, seed staged":                           {see(charter(2, "a", "b", "c"), seed(cluster.Seed{Kind: cluster.SeedBackup, Backup: "k1"}), staged(2)), "found: the seed is complete (founder of epoch 2): WriteStartedMark{2}, InstallSeed{2}"},
		"founder, seed staged, crash after spending":     {see(charter(2, "a", "b", "c"), seed(cluster.Seed{Kind: cluster.SeedBackup, Backup: "k1"}), staged(2), mark("disk-a"), spent("e2")), "found: the seed is complete (founder of epoch 2): WriteStartedMark{2}, InstallSeed{2}"},
		"founder, seed staged, another disk voted":       {see(charter(2, "a", "b", "c"), seed(cluster.Seed{Kind: cluster.SeedBackup, Backup: "k1"}), staged(2), mark("disk-x")), "wait: a quorum of the last members may come back (waiting for b c)"}, // amnesia by a returning disk
		"founder, seed staged for another epoch":         {see(charter(3, "a", "b", "c"), seed(cluster.Seed{Kind: cluster.SeedBackup, Backup: "k1"}), staged(2)), "found: the charter seeds from a backup (founder of epoch 3, k1): RestoreSeed{3}"},
		"founder, restored data wiped":                   {see(charter(2, "a", "b", "c"), seed(cluster.Seed{Kind: cluster.SeedBackup, Backup: "k1"}), mark("disk-a"), spent("e2")), "wait: a quorum of the last members may come back (waiting for b c)"},
		"founder, seed failed thrice":                    {see(charter(2, "a", "b", "c"), seed(cluster.Seed{Kind: cluster.SeedBackup, Backup: "k1"}), seedFails(3)), "wait: a quorum of the last members may come back (waiting for b c)"},
		"founder, seed failed twice":                     {see(charter(2, "a", "b", "c"), seed(cluster.Seed{Kind: cluster.SeedBackup, Backup: "k1"}), seedFails(2)), "found: the charter seeds from a backup (founder of epoch 2, k1): RestoreSeed{2}"},
		"survivor's disk gone before it seeded":          {see(charter(2, "a"), seed(cluster.Seed{Kind: cluster.SeedSurvivor, Survivor: "a", Member: id("a")})), "refuse: every disk is lost and nothing can be restored: use `quorate recover --empty` (charter 2 exists)"},
		"survivor, crash between aside and install":      {see(charter(2, "a"), seed(cluster.Seed{Kind: cluster.SeedSurvivor, Survivor: "a", Member: id("a")}), staged(2)), "found: the seed is complete (founder of epoch 2): WriteStartedMark{2}, InstallSeed{2}"},
		"adopted founder with an empty disk":             {see(charter(1, "a", "b", "c"), seed(cluster.Seed{Kind: cluster.SeedAdopted, ClusterID: 7})), "wait: a quorum of the last members may come back (waiting for a b c)"},
	}
}
