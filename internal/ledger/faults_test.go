package ledger_test

import (
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/ledger"
	"github.com/quorate/quorate/internal/store"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func charter(epoch cluster.Epoch, nonce string) cluster.Charter {
	return cluster.Charter{
		Cluster: name, Epoch: epoch, Token: "token-" + nonce, Nonce: nonce, By: nonce, At: noon, Reason: "test",
		Founders: []cluster.Founder{{Name: "m1", PeerURL: "http://10.0.0.1:2380"}},
		Seed:     cluster.Seed{Kind: cluster.SeedEmpty},
	}
}

// operation is one act of a caller that tries again until it hears a result.
type operation struct {
	before func(context.Context, *ledger.Ledger) error        // what must stand already, without faults
	act    func(context.Context, *ledger.Ledger) (any, error) // what the caller got to know
	look   func(context.Context, *ledger.Ledger) (any, error) // what stands
}

var theLock cluster.Lock // of the row under way; the tests here are sequential

var operations = map[string]operation{
	"first charter": {
		act: func(ctx context.Context, l *ledger.Ledger) (any, error) {
			return l.WriteCharter(ctx, charter(1, "me"))
		},
		look: func(ctx context.Context, l *ledger.Ledger) (any, error) { return l.Charter(ctx, 0) },
	},
	"next charter": {
		before: func(ctx context.Context, l *ledger.Ledger) error {
			_, err := l.WriteCharter(ctx, charter(1, "old"))
			return err
		},
		act: func(ctx context.Context, l *ledger.Ledger) (any, error) {
			return l.WriteCharter(ctx, charter(2, "me"))
		},
		look: func(ctx context.Context, l *ledger.Ledger) (any, error) { return l.Charter(ctx, 1) },
	},
	"started mark": {
		act: func(ctx context.Context, l *ledger.Ledger) (any, error) {
			return l.MarkStarted(ctx, cluster.StartedMark{Epoch: 1, Name: "m1", DiskID: "d1", At: noon})
		},
		look: func(ctx context.Context, l *ledger.Ledger) (any, error) { return l.Started(ctx, 1, "m1") },
	},
	"ready mark": {
		act: func(ctx context.Context, l *ledger.Ledger) (any, error) {
			m := cluster.ReadyMark{Epoch: 1, By: "m1", At: noon}
			return m, l.MarkReady(ctx, m)
		},
		look: func(ctx context.Context, l *ledger.Ledger) (any, error) { return l.Ready(ctx, 1) },
	},
	"checkpoint": {
		act: func(ctx context.Context, l *ledger.Ledger) (any, error) {
			c := cluster.Checkpoint{Epoch: 1, By: "m1", At: noon, Members: []cluster.Member{{ID: 1, Name: "m1"}}}
			return c, l.WriteCheckpoint(ctx, c)
		},
		look: func(ctx context.Context, l *ledger.Ledger) (any, error) { return l.Checkpoint(ctx, 1) },
	},
	"verdict": {
		act: func(ctx context.Context, l *ledger.Ledger) (any, error) {
			v := cluster.Verdict{Epoch: 1, Lost: []string{"m1"}, By: "me", At: noon}
			return v, l.WriteVerdict(ctx, v)
		},
		look: func(ctx context.Context, l *ledger.Ledger) (any, error) { return l.Verdict(ctx, 1) },
	},
	"acquire": {
		act: func(ctx context.Context, l *ledger.Ledger) (any, error) {
			return l.Acquire(ctx, "me", "test", noon, noon.Add(time.Hour))
		},
		look: func(ctx context.Context, l *ledger.Ledger) (any, error) { return l.Lock(ctx, 0) },
	},
	"release": {
		before: func(ctx context.Context, l *ledger.Ledger) (err error) {
			theLock, err = l.Acquire(ctx, "me", "test", noon, noon.Add(time.Hour))
			return err
		},
		act: func(ctx context.Context, l *ledger.Ledger) (any, error) {
			released := theLock
			released.Number, released.Released = theLock.Number+1, true
			return released, l.Release(ctx, theLock)
		},
		look: func(ctx context.Context, l *ledger.Ledger) (any, error) { return l.Lock(ctx, theLock.Number) },
	},
	"first roll": {
		act:  func(ctx context.Context, l *ledger.Ledger) (any, error) { return l.WriteRoll(ctx, roll(1, "me")) },
		look: func(ctx context.Context, l *ledger.Ledger) (any, error) { return l.Roll(ctx, 0) },
	},
	"next roll": {
		before: func(ctx context.Context, l *ledger.Ledger) error {
			_, err := l.WriteRoll(ctx, roll(1, "old"))
			return err
		},
		act:  func(ctx context.Context, l *ledger.Ledger) (any, error) { return l.WriteRoll(ctx, roll(2, "me")) },
		look: func(ctx context.Context, l *ledger.Ledger) (any, error) { return l.Roll(ctx, 1) },
	},
	"journal": {
		act: func(ctx context.Context, l *ledger.Ledger) (any, error) {
			return 1, l.Journal(ctx, ledger.Entry{Epoch: 1, At: noon, Nonce: "n", What: "remove m1"})
		},
		look: func(context.Context, *ledger.Ledger) (any, error) { return 1, nil },
	},
	"probe": {
		act:  func(ctx context.Context, l *ledger.Ledger) (any, error) { return 1, l.Probe(ctx) },
		look: func(context.Context, *ledger.Ledger) (any, error) { return 1, nil },
	},
}

// TestFaultsAreHarmless puts each fault at each request of each operation. The
// caller tries again until it hears a result; then that is what stands, also
// after a late write has arrived, and also for a node that has just started.
func TestFaultsAreHarmless(t *testing.T) {
	for what, op := range operations {
		t.Run(what, func(t *testing.T) {
			for f := refused; f < faultsEnd; f++ {
				t.Run(f.String(), func(t *testing.T) {
					kinds(t, func(t *testing.T, open func() *store.Store) {
						for at := 1; injected(t, op, open(), f, at); at++ {
						}
					})
				})
			}
		})
	}
}

// injected is false once the operation has fewer requests than at.
func injected(t *testing.T, op operation, s *store.Store, f fault, at int) bool {
	t.Helper()
	ctx := t.Context()
	if op.before != nil {
		must(t, op.before(ctx, ledger.Open(s, name)))
	}
	broken := &faulty{Store: s, at: at, fault: f}
	l := ledger.Open(broken, name)
	knows, err := op.act(ctx, l)
	met := broken.requests >= at
	if err != nil {
		if errors.Is(err, ledger.ErrNone) || errors.Is(err, ledger.ErrUnconditional) || !errors.Is(err, errFault) {
			t.Fatalf("%s at request %d became a verdict: %v", f, at, err)
		}
		knows, err = op.act(ctx, l)
		must(t, err)
	}
	broken.arrive()
	stands, err := op.look(ctx, ledger.Open(s, name))
	must(t, err)
	if !reflect.DeepEqual(knows, stands) {
		t.Errorf("%s at request %d: the caller knows\n%+v, and there stands\n%+v", f, at, knows, stands)
	}
	return met
}

// TestOwnWriteIsRecognised: the reply is lost and nothing else; the first try
// already knows that it has won.
func TestOwnWriteIsRecognised(t *testing.T) {
	stores(t, func(t *testing.T, s *store.Store) {
		l := ledger.Open(&faulty{Store: s, at: 1, fault: unheard}, name)
		winner, err := l.WriteCharter(t.Context(), charter(1, "me"))
		if err != nil || winner.Nonce != "me" {
			t.Errorf("%+v, %v", winner, err)
		}
	})
}

// TestCorruptionIsNotAbsence: each look-up, on each kind of damage.
func TestCorruptionIsNotAbsence(t *testing.T) {
	foreign := charter(1, "x")
	foreign.Cluster = "test"
	other, err := json.Marshal(foreign)
	must(t, err)
	ctx := t.Context()
	looks := map[string]func(*ledger.Ledger) error{
		"ledger/0000000001/charter.json":            func(l *ledger.Ledger) error { _, err := l.Charter(ctx, 0); return err },
		"ledger/0000000001/started/m1.json":         func(l *ledger.Ledger) error { _, err := l.Started(ctx, 1, "m1"); return err },
		"ledger/0000000001/ready.json":              func(l *ledger.Ledger) error { _, err := l.Ready(ctx, 1); return err },
		"ledger/0000000001/checkpoint.json":         func(l *ledger.Ledger) error { _, err := l.Checkpoint(ctx, 1); return err },
		"ledger/0000000001/verdict/0000000001.json": func(l *ledger.Ledger) error { _, err := l.Verdict(ctx, 1); return err },
		"ledger/rolls/0000000001.json":              func(l *ledger.Ledger) error { _, err := l.Roll(ctx, 0); return err },
		"ledger/lock/0000000001.json":               func(l *ledger.Ledger) error { _, err := l.Lock(ctx, 0); return err },
	}
	stores(t, func(t *testing.T, s *store.Store) {
		l := ledger.Open(s, name)
		for key, look := range looks {
			wantErr(t, key+" when absent", look(l), ledger.ErrNone)
			for _, damage := range []string{"", "{", `{"epoch":`, "null", "{}", `{"epoch":7}`, "[]", "<html>", string(other[:len(other)/2])} {
				must(t, s.Put(ctx, key, []byte(damage)))
				if err := look(l); err == nil || errors.Is(err, ledger.ErrNone) {
					t.Errorf("%s holding %q: %v", key, damage, err)
				}
			}
			broken := ledger.Open(&faulty{Store: s, at: 1, fault: refused}, name)
			if err := look(broken); !errors.Is(err, errFault) || errors.Is(err, ledger.ErrNone) {
				t.Errorf("%s unreadable: %v", key, err)
			}
		}
		must(t, s.Put(ctx, "ledger/0000000001/charter.json", other))
		if _, err := l.Charter(ctx, 0); err == nil || errors.Is(err, ledger.ErrNone) {
			t.Errorf("another cluster's charter: %v", err)
		}
		if _, err := l.WriteCharter(ctx, charter(1, "me")); err == nil {
			t.Error("lost to another cluster's charter, and accepted it")
		}
	})
}
