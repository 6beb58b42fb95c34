package plan

import (
	"fmt"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/cluster"
)

// ended is a cluster of a, b and c whose quorum is gone, as the store knows it.
func ended(opts ...opt) Observation {
	return see(append([]opt{charter(1, "a", "b", "c"), ready, checkpoint(voters("a", "b", "c")...), snapshot("k1", time.Hour)}, opts...)...)
}

// leftover is a survivor: its data is here, its etcd runs without a leader.
func leftover(opts ...opt) Observation {
	return ended(append([]opt{data(1), leaderless}, opts...)...)
}

// fresh is a new machine d in a group that has d, e and f only.
func fresh(opts ...opt) Observation {
	return ended(append([]opt{as("d"), peers("d", "e", "f"), empty("e", "f")}, opts...)...)
}

func TestRecoverFromASurvivor(t *testing.T) { check(t, recoverFromASurvivorRows()) }

func recoverFromASurvivorRows() map[string]row {
	return map[string]row{
		"two silent, in the source":                         {leftover(), "wait: a quorum of the last members may come back (waiting for b c)"},
		"two terminated":                                    {leftover(peers("a")), "recover: a majority is proven lost, and this survivor's log is the newest (term 5 index 100; in the store k1, term 0 index 0): WriteCharter{2 survivor a}"},
		"two terminated by state":                           {leftover(state("b", cluster.Terminated), state("c", cluster.Terminated)), "recover: a majority is proven lost, and this survivor's log is the newest (term 5 index 100; in the store k1, term 0 index 0): WriteCharter{2 survivor a}"},
		"two terminating: they may yet answer":              {leftover(state("b", cluster.Terminating), state("c", cluster.Terminating)), "wait: a quorum of the last members may come back (waiting for b c)"},
		"two missing from a mere list":                      {leftover(peers("a"), listOnly), "wait: a quorum of the last members may come back (waiting for b c)"},
		"two missing, the source is down":                   {leftover(sourceDown), "wait: a quorum of the last members may come back (waiting for b c)"},
		"two missing, but an etcd answers there":            {leftover(peers("a"), func(o *Observation) { o.Strangers = []string{at("b")} }), "wait: a quorum of the last members may come back (waiting for b)"},
		"two missing, but an agent has its data":            {leftover(peers("a"), holds("b", 1, 5, 50)), "wait: a quorum of the last members may come back (all that are left answer)"},
		"one missing: wait":                                 {leftover(peers("a", "b")), "wait: a quorum of the last members may come back (waiting for b)"},
		"one missing, one silent":                           {leftover(peers("a", "b"), empty("x")), "wait: a quorum of the last members may come back (waiting for b)"},
		"one missing, one wiped":                            {leftover(peers("a", "b"), disowns("b", id("b"))), "recover: a majority is proven lost, and this survivor's log is the newest (term 5 index 100; in the store k1, term 0 index 0): WriteCharter{2 survivor a}"},
		"two wiped":                                         {leftover(disowns("b", id("b")), disowns("c", id("c"))), "recover: a majority is proven lost, and this survivor's log is the newest (term 5 index 100; in the store k1, term 0 index 0): WriteCharter{2 survivor a}"},
		"one wiped, one only empty":                         {leftover(disowns("b", id("b")), empty("c")), "wait: a quorum of the last members may come back (waiting for c)"},
		"another machine at b's address proves nothing":     {leftover(disowns("c", id("c")), says("x", func(r *cluster.Report) { r.PeerURL, r.Disowns = at("b"), []cluster.MemberID{id("b")} })), "wait: a quorum of the last members may come back (waiting for b)"},
		"b's machine moved, and does not answer":            {leftover(peers("a", "b"), movedTo("b", "y"), disowns("c", id("c"))), "wait: a quorum of the last members may come back (waiting for b)"},
		"b's machine moved, with its data":                  {leftover(peers("a", "b"), movedTo("b", "y"), holds("b", 1, 5, 50), says("b", func(r *cluster.Report) { r.PeerURL = at("y") })), "wait: a quorum of the last members may come back (all that are left answer)"},
		"b's machine moved, without its data":               {leftover(peers("a", "b"), movedTo("b", "y"), empty("b"), says("b", func(r *cluster.Report) { r.PeerURL = at("y") })), "recover: a majority is proven lost, and this survivor's log is the newest (term 5 index 100; in the store k1, term 0 index 0): WriteCharter{2 survivor a}"},
		"b's machine moved, its disk unread":                {leftover(peers("a", "b"), movedTo("b", "y"), says("b", func(r *cluster.Report) { r.PeerURL, r.Disk = at("y"), cluster.Disk{} })), "wait: a quorum of the last members may come back (waiting for b)"},
		"another machine took b's address":                  {leftover(peers("a", "x"), movedTo("x", "b"), says("x", func(r *cluster.Report) { r.PeerURL = at("b") })), "recover: a majority is proven lost, and this survivor's log is the newest (term 5 index 100; in the store k1, term 0 index 0): WriteCharter{2 survivor a}"},
		"another machine took b's address, silent":          {leftover(peers("a", "x"), movedTo("x", "b")), "wait: a quorum of the last members may come back (waiting for b)"},
		"an operator says who is lost":                      {leftover(lost("b", "c")), "recover: a majority is proven lost, and this survivor's log is the newest (term 5 index 100; in the store k1, term 0 index 0): WriteCharter{2 survivor a}"},
		"an operator says who is lost: one answers":         {leftover(lost("b", "c"), holds("b", 1, 5, 1)), "recover: a majority is proven lost, and this survivor's log is the newest (term 5 index 100; in the store k1, term 0 index 0): WriteCharter{2 survivor a}"},
		"an operator says it for one":                       {leftover(lost("b")), "wait: a quorum of the last members may come back (waiting for c)"},
		"without a store, an operator":                      {leftover(noStore, lost("b", "c")), "recover: a majority is proven lost, and this survivor's log is the newest (term 5 index 100; in the store k1, term 0 index 0): WriteCharter{2 survivor a}"},
		"without a store, a source":                         {leftover(noStore, peers("a")), "wait: no quorum answers, and without a store only an operator can say who is lost: `quorate recover`"},
		"without a store, a word that has lapsed":           {leftover(lapsed, noStore, peers("a")), "wait: no quorum answers, and without a store only an operator can say who is lost: `quorate recover`"},
		"automatic recovery is off":                         {leftover(peers("a"), func(o *Observation) { o.Settings.AutoRecover = false }), "refuse: no quorum answers, and automatic recovery is off: use `quorate recover`"},
		"automatic recovery is off, a word that has lapsed": {leftover(lapsed, peers("a"), func(o *Observation) { o.Settings.AutoRecover = false }), "refuse: no quorum answers, and automatic recovery is off: use `quorate recover`"},
		"automatic recovery is off, an operator":            {leftover(lost("b", "c"), func(o *Observation) { o.Settings.AutoRecover = false }), "recover: a majority is proven lost, and this survivor's log is the newest (term 5 index 100; in the store k1, term 0 index 0): WriteCharter{2 survivor a}"},
		"paused":                                            {leftover(peers("a"), paused), "wait: no quorum answers, and housekeeping is paused (ann: upgrade)"},
		"the lock is unread":                                {leftover(peers("a"), ledger(func(l *Ledger) { l.Lock = cluster.Unknown[cluster.Lock]() })), "wait: no quorum answers, and the maintenance lock is unreadable"},
		"the store is down":                                 {leftover(peers("a"), storeDown), "wait: no quorum answers, and the ledger is unreadable"},
		"the list is unread":                                {leftover(peers("a"), ledger(func(l *Ledger) { l.Checkpoint = cluster.Unknown[cluster.Checkpoint]() })), "wait: no quorum answers, and the last member list is unreadable"},
		"the agent has just started":                        {leftover(peers("a"), justStarted), "wait: no quorum answers: waiting for agents to answer"},
		"five, three gone, the other is newer: index":       {leftover(checkpoint(voters("a", "b", "c", "d", "e")...), peers("a", "b"), holds("b", 1, 5, 101)), "wait: the survivor with the newest log founds the next epoch (b)"},
		"five, three gone, the other is older":              {leftover(checkpoint(voters("a", "b", "c", "d", "e")...), peers("a", "b"), holds("b", 1, 5, 99)), "recover: a majority is proven lost, and this survivor's log is the newest (term 5 index 100; in the store k1, term 0 index 0): WriteCharter{2 survivor a}"},
		"five, three gone, the other's term counts":         {leftover(checkpoint(voters("a", "b", "c", "d", "e")...), peers("a", "b"), holds("b", 1, 6, 1)), "wait: the survivor with the newest log founds the next epoch (b)"},
		"five, three gone, equal logs: by name":             {leftover(checkpoint(voters("a", "b", "c", "d", "e")...), peers("a", "b"), holds("b", 1, 5, 100)), "recover: a majority is proven lost, and this survivor's log is the newest (term 5 index 100; in the store k1, term 0 index 0): WriteCharter{2 survivor a}"},
		"five, three gone, the other silent":                {leftover(checkpoint(voters("a", "b", "c", "d", "e")...), peers("a", "b")), "wait: a silent member may hold the newest data (b)"},
		"a learner may hold the newest":                     {leftover(checkpoint(voter("a"), voter("b"), learner("d")), peers("a", "d")), "wait: a silent member may hold the newest data (d)"},
		"a learner holds the newest":                        {leftover(checkpoint(voter("a"), voter("b"), learner("d")), peers("a", "d"), holds("d", 1, 5, 200)), "wait: the survivor with the newest log founds the next epoch (d)"},
		"a newcomer that never had an entry":                {leftover(checkpoint(voter("a"), voter("b"), cluster.Member{PeerURLs: []string{at("d")}, Learner: true}), peers("a", "d"), empty("d")), "recover: a majority is proven lost, and this survivor's log is the newest (term 5 index 100; in the store k1, term 0 index 0): WriteCharter{2 survivor a}"},
		"a newcomer that never had an entry, silent":        {leftover(checkpoint(voter("a"), voter("b"), cluster.Member{PeerURLs: []string{at("d")}, Learner: true}), peers("a", "d")), "wait: a silent member may hold the newest data (http://d:2380)"},
		"not ours to stop":                                  {leftover(peers("a"), foreign), "refuse: this disk should seed the next epoch, but an etcd that quorate did not start runs on it"},
		"founders died before the first list":               {see(charter(1, "a", "b", "c"), data(1), leaderless, peers("a")), "recover: a majority is proven lost, and this survivor's log is the newest (term 5 index 100; in the store nothing of this epoch): WriteCharter{2 survivor a}"},
		"founders lost before the first list":               {see(charter(1, "a", "b", "c"), data(1), leaderless, says("b", func(r *cluster.Report) { r.Lost = 1 }), says("c", func(r *cluster.Report) { r.Lost = 1 })), "recover: a majority is proven lost, and this survivor's log is the newest (term 5 index 100; in the store nothing of this epoch): WriteCharter{2 survivor a}"},
		"adopted survivor without a stamp":                  {ended(unstamped, seed(cluster.Seed{Kind: cluster.SeedAdopted, ClusterID: 0x78}), disk(func(d *cluster.Disk) { d.ClusterID = 0x78; d.Stamp = nil }), leaderless, peers("a"), foreign), "adopt: the data is of the adopted cluster: WriteStartedMark{1}, AdoptData{1}"},
	}
}

func TestRecoverFromABackup(t *testing.T) { check(t, recoverFromABackupRows()) }

func recoverFromABackupRows() map[string]row {
	noBackup := ledger(func(l *Ledger) { l.Backup = cluster.Absent[cluster.Backup]() })
	notReady := ledger(func(l *Ledger) { l.Ready = cluster.Absent[cluster.ReadyMark]() })
	fromK1 := seed(cluster.Seed{Kind: cluster.SeedBackup, Backup: "k1"})
	return map[string]row{
		"all gone, a backup":                               {fresh(), "recover: every disk of the epoch is proven lost (seed: k1): WriteCharter{2 backup d+e+f}"}, // trap 4
		"all gone, one of three new machines":              {fresh(silent("e"), silent("f")), "wait: not enough empty peers answer to found (1 of 3; without e f)"},
		"all gone, two of three new machines":              {fresh(silent("f")), "recover: every disk of the epoch is proven lost (seed: k1): WriteCharter{2 backup d+e}"},
		"all gone, no backup":                              {fresh(noBackup), "refuse: every disk is lost and nothing can be restored: use `quorate recover --empty` (charter 1 exists)"}, // never an empty cluster over a charter
		"all gone, no backup, an operator":                 {fresh(noBackup, orEmpty), "recover: every disk of the epoch is proven lost (seed: empty): WriteCharter{2 empty d+e+f}"},
		"all gone, no backup, but data set aside":          {fresh(noBackup, orEmpty, keptAside("e", "epoch-1-20260101T000000Z")), "refuse: an empty cluster would pass over data on a disk that answers: name it to `quorate recover --empty --give-up` (e)"},
		"so, on this very disk":                            {fresh(noBackup, orEmpty, disk(func(d *cluster.Disk) { d.Aside = []string{"epoch-1-x"} })), "refuse: an empty cluster would pass over data on a disk that answers: name it to `quorate recover --empty --give-up` (d)"},
		"so, and the operator gives it up":                 {fresh(noBackup, givesUp("e"), keptAside("e", "epoch-1-20260101T000000Z")), "recover: every disk of the epoch is proven lost (seed: empty): WriteCharter{2 empty d+e+f}"},
		"so, and the operator gives another up":            {fresh(noBackup, givesUp("f"), keptAside("e", "epoch-1-20260101T000000Z")), "refuse: an empty cluster would pass over data on a disk that answers: name it to `quorate recover --empty --give-up` (e)"},
		"so, and nobody has spoken":                        {fresh(noBackup, keptAside("e", "epoch-1-x")), "refuse: every disk is lost and nothing can be restored: use `quorate recover --empty` (charter 1 exists)"},
		"what was set aside never held an entry":           {fresh(noBackup, orEmpty, keptAside("e", "unused-20260101T000000Z")), "recover: every disk of the epoch is proven lost (seed: empty): WriteCharter{2 empty d+e+f}"},
		"a stray of an older epoch, no backup":             {fresh(charter(2, "a", "b", "c"), ready, noBackup, orEmpty, holds("e", 1, 5, 9)), "refuse: an empty cluster would pass over data on a disk that answers: name it to `quorate recover --empty --give-up` (e)"},
		"so, counted as lost":                              {fresh(charter(2, "a", "b", "c"), ready, noBackup, givesUp(), givesLost("e"), holds("e", 1, 5, 9)), "recover: every disk of the epoch is proven lost (seed: empty): WriteCharter{3 empty d+f}"},
		"data elsewhere, counted as lost, no backup":       {fresh(noBackup, givesUp(), givesLost("e"), says("e", func(r *cluster.Report) { r.Disk.State = cluster.DiskElsewhere })), "recover: every disk of the epoch is proven lost (seed: empty): WriteCharter{2 empty d+f}"},
		"the store once held more":                         {fresh(reaching("k1", 5, 9), onceHeld(1, 5, 10, true)), "refuse: the store once held more than it does now: use `quorate recover` (k1)"},
		"the store once held more, a word that has lapsed": {fresh(lapsed, reaching("k1", 5, 9), onceHeld(1, 5, 10, true)), "refuse: the store once held more than it does now: use `quorate recover` (k1)"},
		"so, says another":                                 {fresh(reaching("k1", 5, 9), saysHeld("e", 1, 5, 10)), "refuse: the store once held more than it does now: use `quorate recover` (k1)"},
		"so, and there is none at all":                     {fresh(noBackup, notReady, checkpoint(), onceHeld(1, 5, 10, true)), "refuse: the store once held more than it does now: use `quorate recover`"},
		"so, and an operator has spoken":                   {fresh(reaching("k1", 5, 9), onceHeld(1, 5, 10, true), lost("a")), "recover: every disk of the epoch is proven lost (seed: k1): WriteCharter{2 backup d+e+f}"},
		"more, of an epoch before, and now none":           {fresh(noBackup, notReady, checkpoint(), onceHeld(0, 5, 10, true)), "recover: every disk of the epoch is proven lost (seed: empty): WriteCharter{2 empty d+e+f}"},
		"the store holds what it once held":                {fresh(reaching("k1", 5, 10), onceHeld(1, 5, 10, false)), "recover: every disk of the epoch is proven lost (seed: k1): WriteCharter{2 backup d+e+f}"},
		"data set aside, and a backup":                     {fresh(orEmpty, keptAside("e", "epoch-1-x")), "recover: every disk of the epoch is proven lost (seed: k1): WriteCharter{2 backup d+e+f}"},
		"all gone, a backup, an operator":                  {fresh(orEmpty), "recover: every disk of the epoch is proven lost (seed: k1): WriteCharter{2 backup d+e+f}"},
		"all gone, the backups unread":                     {fresh(ledger(func(l *Ledger) { l.Backup = cluster.Unknown[cluster.Backup]() })), "wait: every disk is lost, and which backup is good is not known yet"}, // trap 4
		"all gone, the ready mark unread":                  {fresh(ledger(func(l *Ledger) { l.Ready = cluster.Unknown[cluster.ReadyMark]() })), "wait: the ready mark is unreadable"},
		"one silent":                                       {fresh(peers("c", "d", "e", "f")), "wait: a silent member may hold the newest data (c)"},
		"one holds data":                                   {fresh(holds("c", 1, 5, 9)), "wait: the survivor with the newest log founds the next epoch (c)"},
		"the source is down":                               {fresh(sourceDown), "wait: a quorum of the last members may come back (waiting for a b c)"},
		"a mere list":                                      {fresh(listOnly), "wait: a quorum of the last members may come back (waiting for a b c)"},
		"not in the source":                                {fresh(peers("e", "f")), "wait: this machine is not in the peers source"},
		"a stray holds data of the epoch":                  {fresh(holds("e", 1, 5, 9)), "wait: a machine that is no known member holds data of this epoch (e)"},
		"a stray holds data of an older epoch":             {fresh(charter(2, "a", "b", "c"), ready, holds("e", 1, 5, 9)), "recover: every disk of the epoch is proven lost (seed: k1): WriteCharter{3 backup d+f}"},
		"a stray holds data of a newer epoch":              {fresh(holds("e", 2, 5, 9)), "wait: a machine that is no known member holds data of this epoch (e)"},
		"a stray serves elsewhere":                         {fresh(says("e", func(r *cluster.Report) { r.Disk.State = cluster.DiskElsewhere })), "wait: a machine that is no known member holds data of this epoch (e)"},
		"a stray that an operator counts as lost":          {fresh(holds("e", 1, 5, 9), lost("e")), "recover: every disk of the epoch is proven lost (seed: k1): WriteCharter{2 backup d+f}"},
		// The story, by the simulator (seed 43443): an operator's entry for a learner was not in the store's list when its keeper died.
		"a stray learner, an operator says who is lost":       {fresh(holds("e", 1, 5, 9), learns("e"), lost("a", "b", "c")), "wait: the survivor with the newest log founds the next epoch (e)"},
		"a stray learner, says itself":                        {fresh(data(1), disk(func(d *cluster.Disk) { d.MemberID = id("d") }), leaderless, func(o *Observation) { e := o.Etcd.Value(); e.Learner = true; o.Etcd = cluster.Known(e) }, lost("a", "b", "c")), "recover: a majority is proven lost, and this survivor's log is the newest (term 5 index 100; in the store k1, term 0 index 0): WriteCharter{2 survivor d}"},
		"a stray learner, nobody has said who is lost":        {fresh(holds("e", 1, 5, 9), learns("e")), "wait: a machine that is no known member holds data of this epoch (e)"},
		"a stray learner, given up":                           {fresh(holds("e", 1, 5, 9), learns("e"), lost("a", "b", "c", "e")), "recover: every disk of the epoch is proven lost (seed: k1): WriteCharter{2 backup d+f}"},
		"a stray learner of another epoch":                    {fresh(holds("e", 2, 5, 9), learns("e"), lost("a", "b", "c")), "wait: a machine that is no known member holds data of this epoch (e)"},
		"a stray that may vote, an operator":                  {fresh(holds("e", 1, 5, 9), lost("a", "b", "c")), "wait: a machine that is no known member holds data of this epoch (e)"},
		"a stray learner beside one that may vote":            {fresh(holds("e", 1, 5, 9), learns("e"), holds("f", 1, 5, 9), lost("a", "b", "c")), "wait: a machine that is no known member holds data of this epoch (e)"},
		"a peer knows the next charter":                       {fresh(says("e", func(r *cluster.Report) { c := charterOf(2, "e"); r.Charter = &c })), "wait: a peer knows a charter that we have not read yet (e)"},
		"the operator names a backup":                         {fresh(func(o *Observation) { o.Ledger.Verdict = cluster.Known(cluster.Verdict{Backup: "k0"}) }), "wait: the backup that the operator has named is not the one that was verified (k0)"},
		"the named backup is verified":                        {fresh(func(o *Observation) { o.Ledger.Verdict = cluster.Known(cluster.Verdict{Backup: "k1"}) }), "recover: every disk of the epoch is proven lost (seed: k1): WriteCharter{2 backup d+e+f}"},
		"the epoch died before its birth":                     {fresh(notReady, noBackup, checkpoint()), "recover: every disk of the epoch is proven lost (seed: empty): WriteCharter{2 empty d+e+f}"}, // DESIGN 3.7
		"it died, but its seed was a backup":                  {fresh(fromK1, notReady, noBackup, checkpoint()), "refuse: every disk is lost and nothing can be restored: use `quorate recover --empty` (charter 1 exists)"},
		"the same backup has failed":                          {fresh(fromK1, notReady, checkpoint()), "recover: every disk of the epoch is proven lost (seed: k1): WriteCharter{2 backup d+e+f}"},
		"the same backup has failed, says a founder":          {fresh(fromK1, notReady, checkpoint(), says("e", func(r *cluster.Report) { r.SeedFailed = 1 })), "refuse: the newest backup has been tried and cannot be restored: use `quorate recover` (k1)"},
		"without a store: one is silent":                      {fresh(noStore, lost("a", "b", "c"), silent("e")), "wait: a silent peer may know of a cluster (e)"},
		"without a store: the first founds alone":             {fresh(noStore, lost("a", "b", "c"), says("e", sees("d", "e", "f")), says("f", sees("d", "e", "f"))), "recover: every disk of the epoch is proven lost (seed: backup): GrantCharter{2 by d}, WriteCharter{2 backup d}"},
		"without a store: the others wait for the first":      {fresh(noStore, lost("a", "b", "c"), as("e"), silent("e"), says("d", sees("d", "e", "f")), says("f", sees("d", "e", "f"))), "wait: the first peer of the view founds the next epoch (d)"},
		"without a store: no mark proves that it never lived": {fresh(noStore, lost("a", "b", "c"), notReady, noBackup), "refuse: every disk is lost and nothing can be restored: use `quorate recover --empty` (charter 1 exists)"},
		"the same backup, the epoch lived":                    {fresh(fromK1), "recover: every disk of the epoch is proven lost (seed: k1): WriteCharter{2 backup d+e+f}"},
		"the same backup, an operator insists":                {fresh(fromK1, notReady, checkpoint(), lost("a")), "recover: every disk of the epoch is proven lost (seed: k1): WriteCharter{2 backup d+e+f}"},
		"the founders could not restore":                      {ended(charter(2, "a", "b", "c"), fromK1, notReady, checkpoint(), snapshot("k2", 0), seedFails(3), says("b", func(r *cluster.Report) { r.SeedFailed = 2 }), says("c", func(r *cluster.Report) { r.SeedFailed = 2 })), "recover: every disk of the epoch is proven lost (seed: k2): WriteCharter{3 backup a+b+c}"},
		"a founder could not restore, two may":                {ended(charter(2, "a", "b", "c"), fromK1, notReady, checkpoint(), seedFails(3), empty("b", "c")), "wait: a quorum of the last members may come back (waiting for b c)"},
		"two could not restore, one may":                      {ended(charter(2, "a", "b", "c"), fromK1, notReady, checkpoint(), seedFails(3), empty("b"), says("c", func(r *cluster.Report) { r.SeedFailed = 2 })), "wait: a silent member may hold the newest data (b)"},
		"the epoch lived: a failed seed is no loss":           {ended(charter(2, "a", "b", "c"), fromK1, checkpoint(), seedFails(3), says("b", func(r *cluster.Report) { r.SeedFailed = 2 }), says("c", func(r *cluster.Report) { r.SeedFailed = 2 })), "wait: a quorum of the last members may come back (waiting for a b c)"},
		"all wiped at the same addresses":                     {ended(mark("x"), disowns("b", id("b")), disowns("c", id("c"))), "recover: every disk of the epoch is proven lost (seed: k1): WriteCharter{2 backup a+b+c}"},
		"all founders wiped, no list":                         {ended(mark("x"), checkpoint(), says("b", func(r *cluster.Report) { r.Lost = 1 }), says("c", func(r *cluster.Report) { r.Lost = 1 })), "recover: every disk of the epoch is proven lost (seed: k1): WriteCharter{2 backup a+b+c}"},
		"nobody knows the members":                            {fresh(checkpoint(), charter(1), ready), "wait: no quorum answers, and nothing says who the members were"},
		"the size of the old charter":                         {fresh(size(0)), "recover: every disk of the epoch is proven lost (seed: k1): WriteCharter{2 backup d+e+f}"},
		"a member's name lives on in a new machine":           {fresh(peers("a", "e", "f", "d"), empty("a")), "wait: a silent member may hold the newest data (a)"},
	}
}

func TestNobodyLeft(t *testing.T) { check(t, nobodyLeftRows()) }

// nobodyLeftRows: agents that have just started, on wiped disks. Who has only
// the word of the source or of an operator waits.
func nobodyLeftRows() map[string]row {
	wiped := func(opts ...opt) Observation {
		return ended(append([]opt{justStarted, mark("x"), saysLost("b"), saysLost("c")}, opts...)...)
	}
	yes, no := "recover: every disk of the epoch is proven lost (seed: k1): WriteCharter{2 backup a+b+c}", "wait: no quorum answers: waiting for agents to answer"
	noList := func(opts ...opt) Observation { return wiped(append([]opt{checkpoint()}, opts...)...) }
	return map[string]row{
		"all say so themselves":        {wiped(), yes},
		"all founders say so, no list": {noList(), yes},
		"nobody is known": {wiped(checkpoint(), func(o *Observation) {
			c := o.Ledger.Charter.Value()
			c.Founders = nil
			o.Ledger.Charter = cluster.Known(c)
		}), no},
		"one is silent":                         {wiped(silent("c")), no},
		"one is empty, and does not disown":     {wiped(says("c", func(r *cluster.Report) { r.Disowns = nil })), no},
		"one holds its data":                    {wiped(holds("c", 1, 5, 9), says("c", func(r *cluster.Report) { r.Disowns = nil })), no},
		"one founder of three has lost nothing": {noList(says("c", func(r *cluster.Report) { r.Lost = 0 })), no},
		"one sees other machines":               {wiped(says("c", sees("a", "b", "c", "d"))), no},
		"one is of another epoch's data":        {wiped(holds("c", 0, 5, 9), says("c", func(r *cluster.Report) { r.Disowns = []cluster.MemberID{id("c")} })), no},
		"a machine of the source is silent":     {wiped(peers("a", "b", "c", "d"), says("b", sees("a", "b", "c", "d")), says("c", sees("a", "b", "c", "d"))), no},
		"a mere list":                           {wiped(listOnly), no},
		"the source is down":                    {wiped(sourceDown), no},
		"the source says that one is gone":      {wiped(peers("a", "b"), says("b", sees("a", "b")), silent("c")), no},
		"an operator says that one is lost":     {wiped(says("c", func(r *cluster.Report) { r.Disowns = nil }), lost("c")), no},
		"somebody is coming in":                 {wiped(checkpoint(voter("a"), voter("b"), cluster.Member{PeerURLs: []string{at("c")}, Learner: true})), no},
		"its manifest alone was read":           {wiped(ledger(func(l *Ledger) { l.Unread = true })), "wait: every disk is lost, and which backup is good is not known yet"},
		"it was read when there was a disk":     {wiped(ledger(func(l *Ledger) { l.Outdone = true })), "wait: every disk is lost, and which backup is good is not known yet"},
		"the backups are unread":                {wiped(unknownBackup), "wait: every disk is lost, and which backup is good is not known yet"},
		"fewer than wanted":                     {wiped(size(5)), "wait: not enough empty peers answer to found (3 of 5)"},
		"a stray that is in no list holds data": {wiped(holds("e", 1, 5, 9)), "wait: a machine that is no known member holds data of this epoch (e)"},
		"a quorum answers":                      {wiped(leads("e", voters("e")...)), "wait: the keeper has been asked for an entry (keeper e)"},
	}
}

func TestSeeksBackup(t *testing.T) { checkAs(t, seeksRows(), askSeeks) }

func askSeeks(o Observation) string { return fmt.Sprint(SeeksBackup(o)) }

// seeksRows: who reads a whole backup, to know that it is good.
func seeksRows() map[string]row {
	sick := func(d time.Duration) opt {
		return func(o *Observation) { o.UnhealthySince = o.Now.Add(-d) }
	}
	founder := and(charter(2, "a", "b", "c"), seed(cluster.Seed{Kind: cluster.SeedBackup, Backup: "k1"}), checkpoint())
	return map[string]row{
		"a new machine":                           {fresh(), "true"},
		"it has just started":                     {fresh(justStarted), "false"},
		"it has started half a founding wait ago": {fresh(func(o *Observation) { o.Self.Since = o.Now.Add(-15 * time.Second) }), "true"},
		"just started, nobody is left":            {ended(justStarted, mark("x"), saysLost("b"), saysLost("c")), "true"},
		"a cluster answers":                       {fresh(leads("e", voters("e")...)), "false"},
		"the charter says which":                  {see(founder), "false"},
		"its founder cannot restore it":           {see(founder, seedFails(3)), "true"},
		"its disk is unread":                      {fresh(unread), "false"},
		"its data lies elsewhere":                 {fresh(elsewhere), "false"},
		"a survivor":                              {leftover(sick(15 * time.Second)), "true"},
		"a survivor's quorum is just gone":        {leftover(sick(time.Second)), "false"},
		"a survivor that a leader answers":        {leftover(sick(time.Hour), leads("e", voters("e")...)), "true"},
		"a voter that is well":                    {leftover(sick(time.Hour), func(o *Observation) { e := o.Etcd.Value(); e.Healthy = true; o.Etcd = cluster.Known(e) }), "false"},
	}
}

// saysLost has a wiped machine say so of its member, as founder and as listed.
func saysLost(name string) opt {
	return and(disowns(name, id(name)), says(name, func(r *cluster.Report) { r.Lost, r.ViewHash = 1, hash("a", "b", "c") }))
}

// keptAside has a node hold what was once set aside.
func keptAside(name string, what ...string) opt {
	return says(name, func(r *cluster.Report) { r.Disk.Aside = what })
}

// givesUp is an operator who wants an empty cluster whatever is on these disks.
func givesUp(names ...string) opt {
	return func(o *Observation) {
		o.Ledger.Verdict = cluster.Known(cluster.Verdict{Empty: true, GiveUp: names})
	}
}

// givesLost is one who says besides that these are lost.
func givesLost(names ...string) opt {
	return ledger(func(l *Ledger) {
		v := l.Verdict.Value()
		v.Lost = names
		l.Verdict = cluster.Known(v)
	})
}

// learns has a node's etcd say that it is a learner.
func learns(name string) opt {
	return says(name, func(r *cluster.Report) { r.Etcd.Learner = true })
}

func sees(names ...string) func(*cluster.Report) {
	return func(r *cluster.Report) { r.ViewHash = hash(names...) }
}
