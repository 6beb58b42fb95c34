package agent

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/control"
	"github.com/quorate/quorate/internal/ledger"
	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/store"
)

// TestNoWordWhileAQuorumLives: whoever's etcd reads from a quorum, our own, the
// leader's or a follower's, nothing is lost; and who has just lost its leader may
// not know it yet.
func TestNoWordWhileAQuorumLives(t *testing.T) {
	healthy := func(name string) cluster.Report {
		return cluster.Report{Name: name, Etcd: cluster.EtcdState{Healthy: true}}
	}
	for story, row := range map[string]struct {
		own    cluster.Report
		others []cluster.Report
		ends   bool // that quorum, a second later
		lives  string
	}{
		"nobody's reads":              {cluster.Report{Name: "a"}, []cluster.Report{{Name: "b"}}, false, ""},
		"our own":                     {healthy("a"), nil, false, "a"},
		"another's":                   {cluster.Report{Name: "a"}, []cluster.Report{{Name: "b"}, healthy("c")}, false, "c"},
		"our own, and then no longer": {healthy("a"), nil, true, ""},
	} {
		t.Run(story, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := &Agent{}
				a.published.Store(&snapshot{report: row.own, observation: plan.Observation{Reports: row.others}})
				if row.ends {
					time.AfterFunc(time.Second, func() { a.published.Store(&snapshot{}) })
				}
				began := time.Now()
				_, err := a.noQuorum(t.Context())
				took := time.Since(began)
				switch {
				case row.lives == "" && (err != nil || took > 1500*time.Millisecond):
					t.Errorf("%v after %s, want a word taken", err, took)
				case row.lives != "" && (!errors.Is(err, control.ErrRefused) || !strings.Contains(err.Error(), "of "+row.lives+" reads") || took > 5*time.Second):
					t.Errorf("%v after %s, want it refused for %s within 5s", err, took, row.lives)
				}
			})
		})
	}
}

// TestWordLapsesInTheStore: what the keeper takes back is the word that it knows; a
// newer one stands, and it learns of that.
func TestWordLapsesInTheStore(t *testing.T) {
	ctx := t.Context()
	st, err := store.Open(ctx, "mem://word-"+nonce(), "test")
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	l := ledger.Open(st, "test")
	a := askedAgent(t, nil)
	b := newStoreBook(st, a)
	a.book = b
	b.setCharter(cluster.Charter{Cluster: "test", Epoch: 1, Nonce: "n"})
	now := time.Now()
	old := cluster.Verdict{Epoch: 1, Lost: []string{"b"}, By: "op", At: now.Add(time.Hour)} // by a clock that is ahead
	newer := old
	newer.At = newer.At.Add(time.Minute)
	for _, v := range []cluster.Verdict{old, newer} {
		if err := l.WriteVerdict(ctx, v); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.lapse(ctx, old); !errors.Is(err, errAnotherWord) {
		t.Errorf("an older word: %v", err)
	}
	got := b.facts().Verdict
	if !got.Value().Stands() || !got.Value().At.Equal(newer.At) {
		t.Errorf("it knows %+v, want the newer word", got.Value())
	}
	if err := a.lapse(ctx, got.Value()); err != nil {
		t.Fatal(err)
	}
	stored, err := l.Verdict(ctx, 1)
	if known := b.facts().Verdict.Value(); err != nil || stored.Stands() || known.Stands() || !stored.At.After(newer.At) {
		t.Errorf("stored %+v, known %+v, %v: want it taken back, later than it was given", stored, known, err)
	}
}

// TestWordLapsesByMouth: without a store every node hears that a word has lapsed,
// and one that is given meanwhile stands.
func TestWordLapsesByMouth(t *testing.T) {
	ctx := t.Context()
	a, b := askedAgent(t, nil), askedAgent(t, nil)
	one, two := newOwnBook(t.TempDir(), a), newOwnBook(t.TempDir(), b)
	a.book, b.book = one, two
	c := cluster.Charter{Cluster: "test", Epoch: 1, Nonce: "n"}
	word := cluster.Verdict{Epoch: 1, Lost: []string{"b"}, By: "op", At: time.Now()}
	for _, book := range []*ownBook{one, two} {
		if err := book.writeCharter(ctx, plan.Ledger{}, c); err != nil {
			t.Fatal(err)
		}
		book.hear(cluster.Report{Verdict: &word})
	}
	if err := a.lapse(ctx, word); err != nil {
		t.Fatal(err)
	}
	gone := one.facts().Verdict.Value()
	two.hear(cluster.Report{Verdict: &gone})
	two.hear(cluster.Report{Verdict: &word}) // who has not heard of it yet
	if two.facts().Verdict.Value().Stands() {
		t.Error("the word stands where its end was heard of")
	}
	again := word
	again.At = gone.At.Add(time.Second)
	one.hear(cluster.Report{Verdict: &again})
	if err := a.lapse(ctx, word); !errors.Is(err, errAnotherWord) || !one.facts().Verdict.Value().Stands() {
		t.Errorf("a word given meanwhile: %v, stands %v", err, one.facts().Verdict.Value().Stands())
	}
}

// TestKeeperLearnsOfAWord: what was said while this keeper was not heard is read
// soon after somebody tells of it.
func TestKeeperLearnsOfAWord(t *testing.T) {
	word := cluster.Verdict{Epoch: 1, Lost: []string{"b"}, By: "op", At: time.Now()}
	for story, row := range map[string]struct {
		keeper bool
		epoch  cluster.Epoch
		at     time.Duration
		due    bool
	}{
		"news":              {true, 1, 0, true},
		"not the keeper":    {false, 1, 0, false},
		"of an older epoch": {true, 2, 0, false},
		"an older word":     {true, 1, -time.Second, false},
	} {
		a := askedAgent(t, nil)
		b := a.book.(*storeBook)
		b.setCharter(cluster.Charter{Cluster: "test", Epoch: row.epoch, Nonce: "n"})
		b.updateOf(row.epoch, func(l *plan.Ledger) {
			l.Verdict = cluster.Known(cluster.Verdict{Epoch: row.epoch, At: word.At.Add(-time.Millisecond)})
		})
		b.listIsDue(row.keeper)
		said := word
		said.At = word.At.Add(row.at)
		b.hear(cluster.Report{Verdict: &said})
		if due := b.listIsDue(row.keeper); due != row.due {
			t.Errorf("%s: read %v, want %v", story, due, row.due)
		}
	}
}

// TestKeeperReadsTheWord: what the keeper has heard of, it reads in the store.
func TestKeeperReadsTheWord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, _, l := settledKeeper(t)
		word := cluster.Verdict{Epoch: 1, Lost: []string{"b"}, By: "op", At: time.Now()}
		if err := l.WriteVerdict(t.Context(), word); err != nil {
			t.Fatal(err)
		}
		b.hear(cluster.Report{Verdict: &word})
		time.Sleep(time.Second)
		if got := b.facts().Verdict; !got.Value().Stands() {
			t.Errorf("the keeper knows %+v, want the word that it has heard of", got)
		}
	})
}

// sayingBook keeps the last word.
type sayingBook struct {
	book
	said *cluster.Verdict
}

func (b sayingBook) writeVerdict(_ context.Context, v cluster.Verdict) error { *b.said = v; return nil }

// TestWordAfterAWord: a new word is later than the one before, by whatever clocks:
// the latest counts.
func TestWordAfterAWord(t *testing.T) {
	before := cluster.Verdict{Epoch: 1, By: "keeper", At: time.Now().Add(time.Hour)}
	o := plan.Observation{Settings: plan.Settings{Cluster: "test"}}
	o.Ledger.Charter = cluster.Known(cluster.Charter{Cluster: "test", Epoch: 1})
	o.Ledger.Checkpoint = cluster.Known(cluster.Checkpoint{Epoch: 1, Members: []cluster.Member{{ID: 1, Name: "a"}, {ID: 2, Name: "b"}}})
	o.Ledger.Verdict = cluster.Known(before)
	var said cluster.Verdict
	a := &Agent{log: slog.New(slog.DiscardHandler), book: sayingBook{said: &said}, wake: make(chan struct{}, 1)}
	a.published.Store(&snapshot{observation: o})
	if _, err := a.Recover(t.Context(), control.RecoverRequest{Lost: []string{"b"}}); err != nil || !said.At.After(before.At) {
		t.Errorf("%v, said at %s: want it after %s", err, said.At, before.At)
	}
}
