package plan

import (
	"fmt"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/cluster"
)

func TestStored(t *testing.T) { check(t, storedRows()) }

// reaching is a backup of this epoch that is good, and goes so far.
func reaching(key string, term, index uint64) opt {
	return func(o *Observation) {
		o.Ledger.Backup = cluster.Known(cluster.Backup{Key: key, Epoch: o.epoch(), Term: term, Index: index, SHA256: "5ha"})
	}
}

// logged is the log behind the backup, as far as it is stored.
func logged(term, index uint64) opt {
	return func(o *Observation) {
		b := o.Ledger.Backup.Value()
		b.Log = cluster.LogEnd{Epoch: b.Epoch, Chain: 1, Number: 7, Term: term, Index: index, SHA256: "7e9"}
		o.Ledger.Backup = cluster.Known(b)
	}
}

// onceHeld is what this disk remembers to have been in the store.
func onceHeld(e cluster.Epoch, term, index uint64, logged bool) opt {
	return func(o *Observation) { o.Stored = cluster.Stored{Epoch: e, Term: term, Index: index, Logged: logged} }
}

// saysHeld is what another one remembers.
func saysHeld(name string, e cluster.Epoch, term, index uint64) opt {
	return says(name, func(r *cluster.Report) { r.Stored = cluster.Stored{Epoch: e, Term: term, Index: index, Logged: true} })
}

func noBackup(o *Observation) { o.Ledger.Backup = cluster.Absent[cluster.Backup]() }

// insists is an operator who names a backup.
func insists(key string) opt {
	return ledger(func(l *Ledger) {
		v := l.Verdict.Value()
		v.Backup = key
		l.Verdict = cluster.Known(v)
	})
}

// A is the survivor of three, and its log ends at term 5, index 100.
func storedRows() map[string]row {
	gone := peers("a")
	left := func(opts ...opt) Observation { return leftover(append([]opt{gone}, opts...)...) }
	survivor := "recover: a majority is proven lost, and this survivor's log is the newest (term 5 index 100; in the store "
	fromStore := "recover: a majority is proven lost, and a backup is newer than any survivor's log (term 5 index 100; in the store "
	doubt := "refuse: a majority is proven lost, and which is newer is not known, this survivor's log or a backup: use `quorate recover` (term 5 index 100; in the store "
	rolled := "refuse: the store once held more than it does now, and than this survivor's log: use `quorate recover` (term 5 index 100; in the store "
	over := and(charter(2, "a"), seed(cluster.Seed{Kind: cluster.SeedBackup, Backup: "k1", Over: "a"}), checkpoint(), func(o *Observation) { o.Ledger.Ready = cluster.Absent[cluster.ReadyMark]() })
	return map[string]row{
		"the log holds all of it":                       {left(reaching("k1", 5, 100)), survivor + "k1, term 5 index 100): WriteCharter{2 survivor a}"},
		"the backup is of an older term":                {left(reaching("k1", 4, 99)), survivor + "k1, term 4 index 99): WriteCharter{2 survivor a}"},
		"the backup goes farther":                       {left(reaching("k1", 5, 101)), fromStore + "k1, term 5 index 101): WriteCharter{2 backup a}"},
		"it goes farther, in a later term":              {left(reaching("k1", 6, 101)), fromStore + "k1, term 6 index 101): WriteCharter{2 backup a}"},
		"it goes as far, in a later term":               {left(reaching("k1", 6, 100)), fromStore + "k1, term 6 index 100): WriteCharter{2 backup a}"},
		"a later term, and it does not go as far":       {left(reaching("k1", 6, 99)), doubt + "k1, term 6 index 99)"},
		"so, and an operator has given b and c up":      {left(reaching("k1", 6, 99), lost("b", "c")), survivor + "k1, term 6 index 99): WriteCharter{2 survivor a}"},
		"so, and an operator names it":                  {left(reaching("k1", 6, 99), insists("k1")), fromStore + "k1, term 6 index 99): WriteCharter{2 backup a}"},
		"so, and an operator names another":             {left(reaching("k1", 6, 99), insists("k0")), survivor + "k1, term 6 index 99): WriteCharter{2 survivor a}"},
		"an operator names one that holds less":         {left(reaching("k1", 5, 99), insists("k1")), survivor + "k1, term 5 index 99): WriteCharter{2 survivor a}"},
		"it goes farther, and an operator has spoken":   {left(reaching("k1", 5, 101), lost("b", "c")), fromStore + "k1, term 5 index 101): WriteCharter{2 backup a}"},
		"the log in the store goes farther":             {left(reaching("k1", 4, 50), logged(5, 101)), fromStore + "k1, term 5 index 101): WriteCharter{2 backup a}"},
		"it ends where the survivor's does":             {left(reaching("k1", 4, 50), logged(5, 100)), survivor + "k1, term 5 index 100): WriteCharter{2 survivor a}"},
		"it does not go as far":                         {left(reaching("k1", 4, 50), logged(5, 99)), survivor + "k1, term 5 index 99): WriteCharter{2 survivor a}"},
		"it does not go as far, and is of a later term": {left(reaching("k1", 4, 50), logged(6, 99)), fromStore + "k1, term 6 index 99): WriteCharter{2 backup a}"},
		"it is of before the snapshot":                  {left(reaching("k1", 5, 101), logged(5, 60)), fromStore + "k1, term 5 index 101): WriteCharter{2 backup a}"},
		"it is of the epoch before":                     {left(charter(2, "a", "b", "c"), data(2), reaching("k1", 9, 999), func(o *Observation) { b := o.Ledger.Backup.Value(); b.Epoch = 1; o.Ledger.Backup = cluster.Known(b) }), survivor + "nothing of this epoch): WriteCharter{3 survivor a}"},
		"the store once held more":                      {left(reaching("k1", 5, 100), onceHeld(1, 5, 101, true)), rolled + "k1, term 5 index 100)"},
		"the store once held more, a word has lapsed":   {left(lapsed, reaching("k1", 5, 100), onceHeld(1, 5, 101, true)), rolled + "k1, term 5 index 100)"},
		"so, of a log in a later term":                  {left(reaching("k1", 5, 50), onceHeld(1, 6, 99, true)), rolled + "k1, term 5 index 50)"},
		"so, of a snapshot in a later term":             {left(reaching("k1", 5, 50), onceHeld(1, 6, 99, false)), survivor + "k1, term 5 index 50): WriteCharter{2 survivor a}"},
		"so, says another":                              {left(reaching("k1", 5, 100), saysHeld("x", 1, 5, 101)), rolled + "k1, term 5 index 100)"},
		"so, and there is no backup at all":             {left(noBackup, onceHeld(1, 5, 101, true)), rolled + "nothing of this epoch)"},
		"so, and an operator has spoken":                {left(reaching("k1", 5, 100), onceHeld(1, 5, 101, true), lost("b", "c")), survivor + "k1, term 5 index 100): WriteCharter{2 survivor a}"},
		"it held as much as the log has":                {left(reaching("k1", 5, 50), onceHeld(1, 5, 100, true)), survivor + "k1, term 5 index 50): WriteCharter{2 survivor a}"},
		"it still holds it":                             {left(reaching("k1", 5, 50), logged(5, 101), onceHeld(1, 5, 101, true)), fromStore + "k1, term 5 index 101): WriteCharter{2 backup a}"},
		"it holds more, and once still more":            {left(reaching("k1", 5, 50), logged(5, 101), onceHeld(1, 5, 102, true)), rolled + "k1, term 5 index 101)"},
		"it held more of the epoch before":              {left(reaching("k1", 5, 100), onceHeld(0, 9, 999, true)), survivor + "k1, term 5 index 100): WriteCharter{2 survivor a}"},
		"it held another epoch's: the ledger is old":    {left(reaching("k1", 5, 101), onceHeld(2, 1, 1, true)), rolled + "k1, term 5 index 101)"},
		"no backup":                                 {left(noBackup), survivor + "nothing of this epoch): WriteCharter{2 survivor a}"},
		"its manifest alone was read":               {left(ledger(func(l *Ledger) { l.Unread = true })), "wait: a majority is proven lost, and whether a backup is newer than this survivor's log is unread: `quorate recover --empty` goes on without backups"},
		"none reaches as far":                       {left(ledger(func(l *Ledger) { l.Outdone = true })), "recover: a majority is proven lost, and this survivor's log is the newest (term 5 index 100; in the store k1, term 0 index 0): WriteCharter{2 survivor a}"},
		"the backups are unread":                    {left(unknownBackup), "wait: a majority is proven lost, and whether a backup is newer than this survivor's log is unread: `quorate recover --empty` goes on without backups"},
		"they are unread, an operator has spoken":   {left(unknownBackup, lost("b", "c")), "wait: a majority is proven lost, and whether a backup is newer than this survivor's log is unread: `quorate recover --empty` goes on without backups"},
		"they are unread, an operator does without": {left(unknownBackup, orEmpty), survivor + "nobody knows what): WriteCharter{2 survivor a}"},
		"without a store there are none":            {left(unknownBackup, noStore, lost("b", "c")), survivor + "nobody knows what): WriteCharter{2 survivor a}"},
		"a quorum may come back: no backup counts":  {leftover(reaching("k1", 9, 999)), "wait: a quorum of the last members may come back (waiting for b c)"},
		"another's log is newer: it decides":        {leftover(checkpoint(voters("a", "b", "c", "d", "e")...), peers("a", "b"), holds("b", 1, 5, 101), reaching("k1", 9, 999)), "wait: the survivor with the newest log founds the next epoch (b)"},
		"an etcd that is not ours to stop":          {left(reaching("k1", 5, 101), foreign), "refuse: this disk should seed the next epoch, but an etcd that quorate did not start runs on it"},

		// Afterwards: the founder sets its own data aside and restores.
		"it stops":                                     {left(reaching("k1", 5, 101), over, checkpoint()), "fence: a newer epoch is in force (our data is of epoch 1, the charter of 2): StopEtcd{}"},
		"it sets its data aside":                       {ended(over, data(1)), "fence: a newer epoch is in force (our data is of epoch 1, the charter of 2): SetDataAside{epoch-1}"},
		"it restores":                                  {ended(over), "found: the charter seeds from a backup (founder of epoch 2, k1): RestoreSeed{2}"},
		"it cannot":                                    {ended(over, seedFails(3)), "refuse: the newest backup has been tried and cannot be restored: use `quorate recover` (k1)"},
		"it cannot: no older backup":                   {ended(over, seedFails(3), snapshot("k0", 0)), "refuse: the backup that was to seed this epoch is gone: the data that was set aside for it may be newer than any other: use `quorate recover` (a)"},
		"it cannot, and a word has lapsed":             {ended(lapsed, over, seedFails(3), snapshot("k0", 0)), "refuse: the backup that was to seed this epoch is gone: the data that was set aside for it may be newer than any other: use `quorate recover` (a)"},
		"it cannot: no backup is left":                 {ended(over, seedFails(3), noBackup), "refuse: every disk is lost and nothing can be restored: use `quorate recover --empty` (charter 2 exists)"},
		"it cannot: an operator may have an older one": {ended(over, seedFails(3), snapshot("k0", 0), insists("k0"), empty("b", "c")), "recover: every disk of the epoch is proven lost (seed: k0): WriteCharter{3 backup a+b+c}"},
		"it is lost: another restores":                 {fresh(over), "recover: every disk of the epoch is proven lost (seed: k1): WriteCharter{3 backup d+e+f}"},
		"it lived and is lost: the newest backup":      {fresh(over, ready, snapshot("k2", 0)), "recover: every disk of the epoch is proven lost (seed: k2): WriteCharter{3 backup d+e+f}"},
	}
}

// The charter says who was passed over, and how far both go.
func TestStoredCharter(t *testing.T) {
	o := leftover(peers("a"), reaching("k1", 6, 101))
	c, wrote := written(Decide(o))
	want := cluster.Seed{Kind: cluster.SeedBackup, Backup: "k1", SHA256: "5ha", Over: "a", Term: 6, Index: 101, Bump: revisionBump}
	if !wrote || c.Seed != want || c.Reason != "a majority is proven lost, and a backup is newer than any survivor's log: term 5 index 100; in the store k1, term 6 index 101" {
		t.Errorf("seed %+v, reason %q", c.Seed, c.Reason)
	}
}

// So does it with a log: all founders restore to its end.
func TestStoredLogCharter(t *testing.T) {
	o := leftover(peers("a"), reaching("k1", 4, 50), logged(6, 101))
	c, wrote := written(Decide(o))
	want := cluster.Seed{Kind: cluster.SeedBackup, Backup: "k1", SHA256: "5ha", Log: o.Ledger.Backup.Value().Log, Over: "a", Term: 6, Index: 101, Bump: revisionBump}
	if !wrote || c.Seed != want {
		t.Errorf("seed %+v, want %+v", c.Seed, want)
	}
}

func TestMayOutrun(t *testing.T) { checkAs(t, outrunRows(), askOutrun) }

func askOutrun(o Observation) string {
	return fmt.Sprint(MayOutrun(o.Ledger.Backup.Value(), o.Disk))
}

// outrunRows: which backups a survivor must read whole before it concludes.
func outrunRows() map[string]row {
	made := func(b cluster.Backup) Observation {
		return see(data(2), func(o *Observation) { o.Ledger.Backup = cluster.Known(b) })
	}
	return map[string]row{
		"farther":                 {made(cluster.Backup{Epoch: 2, Term: 5, Index: 101}), "true"},
		"as far, of a later term": {made(cluster.Backup{Epoch: 2, Term: 6, Index: 100}), "true"},
		"of a later term":         {made(cluster.Backup{Epoch: 2, Term: 6, Index: 1}), "true"},
		"of a later epoch":        {made(cluster.Backup{Epoch: 3}), "true"},
		"the log has it":          {made(cluster.Backup{Epoch: 2, Term: 5, Index: 100}), "false"},
		"of an older term":        {made(cluster.Backup{Epoch: 2, Term: 4, Index: 1}), "false"},
		"of an older epoch":       {made(cluster.Backup{Epoch: 1, Term: 9, Index: 999}), "false"},
		"none":                    {made(cluster.Backup{}), "false"},
	}
}

// passesOver: a backup beats a survivor that provably lacks something, or that
// an operator has passed over by naming the backup, and the charter says both.
func passesOver(o Observation, c cluster.Charter, newest cluster.Disk) string {
	b, named := o.Ledger.Backup.Value(), o.Ledger.Verdict.Value().Backup != "" && o.Ledger.Verdict.Value().Backup == o.Ledger.Backup.Value().Key
	provably := b.Index > newest.Index || b.Index == newest.Index && b.Term > newest.Term
	switch {
	case !o.Ledger.Backup.Known() || b.Key != c.Seed.Backup || b.Epoch != o.Ledger.Charter.Value().Epoch:
		return "a backup that is not there, or of another epoch, over data"
	case !provably && !(named && b.Term > newest.Term):
		return "a backup over data that may be newer"
	case c.Seed.Over != o.Self.Name || len(c.Founders) != 1 || c.Founders[0].Name != o.Self.Name:
		return "a backup over data, and not in the hands of who holds it"
	}
	return ""
}

// forgets: a log seeds, and the store may hold what it lacks.
func forgets(o Observation, newest cluster.Disk) bool {
	b := o.Ledger.Backup
	switch {
	case !o.Settings.HasStore:
		return false
	case b.Unknown():
		return !o.Ledger.Verdict.Value().Empty
	}
	if !b.Known() || b.Value().Epoch != o.Ledger.Charter.Value().Epoch || b.Value().Term <= newest.Term && b.Value().Index <= newest.Index {
		return false
	}
	return b.Value().Index > newest.Index || !o.Ledger.Verdict.Known() || b.Value().Key == o.Ledger.Verdict.Value().Backup
}

// watched is what a keeper knew to be in the store, what it knows now, and since when.
type watched struct {
	w, newest Witness
	ago       time.Duration
}

// TestLooksForWitness: how soon the keeper notices an old copy of the store.
func TestLooksForWitness(t *testing.T) { checkAs(t, looksRows(), askLooks) }

func askLooks(o watched) string { return fmt.Sprint(LooksForWitness(o.w, o.newest, o.ago)) }

func looksRows() map[string]rowOf[watched] {
	none, one, two := Witness{}, Witness{Key: "1"}, Witness{Key: "2"}
	return map[string]rowOf[watched]{
		"nothing is stored":          {watched{none, none, time.Hour}, "false"},
		"the first":                  {watched{none, one, 0}, "true"},
		"it is the newest":           {watched{one, one, lookIdle - 1}, "false"},
		"it is the newest, and old":  {watched{one, one, lookIdle}, "true"},
		"more is stored":             {watched{one, two, lookBusy - 1}, "false"},
		"more is stored, for a time": {watched{one, two, lookBusy}, "true"},
	}
}

// TestOutlived: a full snapshot that reaches as far makes up for what has gone.
func TestOutlived(t *testing.T) {
	w := Witness{Key: "k", Stored: cluster.Stored{Epoch: 1, Index: 10, Term: 2, Logged: true}}
	for name, row := range map[string]struct {
		full cluster.Stored
		want bool
	}{
		"none":             {cluster.Stored{}, false},
		"shorter":          {cluster.Stored{Epoch: 1, Index: 9}, false},
		"as far":           {cluster.Stored{Epoch: 1, Index: 10}, true},
		"of a later epoch": {cluster.Stored{Epoch: 2, Index: 1}, true},
	} {
		if got := w.Outlived(row.full); got != row.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestGap: which segments must be there since the last look.
func TestGap(t *testing.T) { checkAs(t, gapRows(), askGap) }

func askGap(o watched) string {
	from, to := o.w.Gap(o.newest)
	return fmt.Sprintf("%d-%d", from, to)
}

func gapRows() map[string]rowOf[watched] {
	at := func(epoch cluster.Epoch, chain int, number uint64) Witness {
		return Witness{Key: "k", Log: cluster.LogEnd{Epoch: epoch, Chain: chain, Number: number}}
	}
	return map[string]rowOf[watched]{
		"two more":      {watched{w: at(1, 1, 7), newest: at(1, 1, 9)}, "8-9"},
		"nothing":       {watched{w: at(1, 1, 7), newest: at(1, 1, 7)}, "8-7"},
		"no log yet":    {watched{w: at(0, 0, 0), newest: at(0, 0, 0)}, "1-0"},
		"the first two": {watched{w: at(1, 1, 0), newest: at(1, 1, 2)}, "1-2"},
		"another chain": {watched{w: at(1, 1, 7), newest: at(1, 2, 9)}, "1-9"},
		"another epoch": {watched{w: at(1, 1, 7), newest: at(2, 1, 9)}, "1-9"},
	}
}
