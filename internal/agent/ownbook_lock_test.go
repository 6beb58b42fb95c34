package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/control"
	"github.com/quorate/quorate/internal/plan"
)

// alone is a node without a store that hears of nobody.
func alone(t *testing.T) *Agent {
	t.Helper()
	return newAgent(Options{Name: "a", DataDir: t.TempDir(), Settings: plan.Settings{Cluster: "test"}}, Parts{Log: slog.New(slog.DiscardHandler)})
}

// says has a hear from node b that the newest lock there is l.
func (a *Agent) says(l cluster.Lock) {
	a.Exchange(cluster.Report{Cluster: "test", Name: "b", PeerURL: "http://b:2380", At: time.Now().Round(0), Lock: &l})
}

// TestLockTie: of two locks under one number all nodes keep the same, in whatever
// order they hear of them, and over a restart.
func TestLockTie(t *testing.T) {
	at := func(d time.Duration) time.Time { return time.Unix(1e9, 0).UTC().Add(d) }
	alice := cluster.Lock{Number: 1, Holder: "alice", Nonce: "x", Expires: at(time.Hour)}
	bob := cluster.Lock{Number: 1, Holder: "bob", Nonce: "b", Expires: at(time.Hour)}
	short := cluster.Lock{Number: 1, Holder: "carol", Nonce: "z", Expires: at(time.Second)}
	ended := cluster.Lock{Number: 1, Holder: "dave", Nonce: "zz", Expires: at(2 * time.Hour), Released: true}
	next := cluster.Lock{Number: 2, Holder: "dave", Nonce: "a", Released: true}
	for name, row := range map[string]struct {
		told []cluster.Lock
		want cluster.Lock
	}{
		"two at once":              {[]cluster.Lock{alice, bob}, alice},
		"the longer one":           {[]cluster.Lock{short, bob}, bob},
		"a pause and a resume":     {[]cluster.Lock{ended, short}, short},
		"all of them":              {[]cluster.Lock{short, bob, ended, alice}, alice},
		"what came after them all": {[]cluster.Lock{alice, next, bob}, next},
	} {
		for turn := range row.told {
			for _, backward := range []bool{false, true} {
				a := alone(t)
				for i := range row.told {
					if backward {
						i = len(row.told) - 1 - i
					}
					a.says(row.told[(turn+i)%len(row.told)])
				}
				raw, err := os.ReadFile(a.path(lockFile))
				var kept cluster.Lock
				if err = errors.Join(err, json.Unmarshal(raw, &kept)); err != nil {
					t.Fatal(err)
				}
				if got := a.ledgerFacts().Lock.Value(); got != row.want || kept != row.want {
					t.Errorf("%s, from %d on: in force %+v, kept %+v", name, turn, got, kept)
				}
			}
		}
	}
}

// TestOnePauseOfMany: of many operators at one node at once, one is told yes.
func TestOnePauseOfMany(t *testing.T) {
	for range 100 {
		a, told := alone(t), make(chan string, 8)
		var ready, all sync.WaitGroup
		ready.Add(1)
		for i := range cap(told) {
			q := control.PauseRequest{For: time.Duration(1+i) * time.Hour, Reason: "disks", Holder: fmt.Sprint("operator ", i)}
			all.Go(func() {
				ready.Wait()
				switch _, err := a.Pause(t.Context(), q); {
				case err == nil:
					told <- q.Holder
				case !errors.Is(err, control.ErrRefused):
					t.Error(err)
				}
			})
		}
		ready.Done()
		all.Wait()
		if l := a.ledgerFacts().Lock.Value(); len(told) != 1 || l.Holder != <-told || l.Number != 1 {
			t.Fatalf("%d more were told yes; lock %d is of %s", len(told), l.Number, l.Holder)
		}
	}
}

// TestLostPause: who took the lock at the same moment as another operator, at
// another node, hears of it if his does not count.
func TestLostPause(t *testing.T) {
	for name, row := range map[string]struct {
		theirs cluster.Lock
		want   string // what he hears; empty: it is his
	}{
		"a longer one":  {cluster.Lock{Number: 1, Holder: "bob", Reason: "a new switch", Nonce: "b", Expires: time.Now().Add(2 * time.Hour).Round(0)}, "bob holds the lock"},
		"a shorter one": {cluster.Lock{Number: 1, Holder: "bob", Nonce: "b", Expires: time.Now().Add(time.Minute).Round(0)}, ""},
		"a resume":      {cluster.Lock{Number: 2, Holder: "bob", Nonce: "b", Released: true}, "another operator has ended the pause"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := alone(t)
			a.says(cluster.Lock{}) // b answers, and knows of none
			told := make(chan error)
			go func() {
				_, err := a.Pause(t.Context(), control.PauseRequest{For: time.Hour, Reason: "disks", Holder: "alice"})
				told <- err
			}()
			for a.ledgerFacts().Lock.Value().Holder == "" {
				time.Sleep(time.Millisecond) // a poll's pause
			}
			a.says(row.theirs)
			err := <-told
			if row.want == "" && err != nil || row.want != "" && (!errors.Is(err, control.ErrRefused) || !strings.Contains(err.Error(), row.want)) {
				t.Errorf("heard %v", err)
			}
		})
	}
}

// TestPauseReplaces: who pauses anew is told what he had, for that is over.
func TestPauseReplaces(t *testing.T) {
	a := alone(t)
	pause := func(d time.Duration) control.PauseAnswer {
		answer, err := a.Pause(t.Context(), control.PauseRequest{For: d, Reason: d.String(), Holder: "alice"})
		if err != nil {
			t.Fatal(err)
		}
		return answer
	}
	if first := pause(time.Hour); first.Replaces != nil {
		t.Errorf("the first one replaces %+v", first.Replaces)
	}
	if second := pause(time.Minute); second.Number != 2 || second.Replaces == nil || second.Replaces.Reason != "1h0m0s" {
		t.Errorf("the second one: %+v", second)
	}
	if _, err := a.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	if third := pause(time.Minute); third.Number != 4 || third.Replaces != nil {
		t.Errorf("the third one: %+v", third)
	}
}

// TestLeaveAndUndo: said at the same moment, the agent that lives and the one that
// follows it mean the same.
func TestLeaveAndUndo(t *testing.T) {
	a := alone(t)
	for range 100 {
		var both sync.WaitGroup
		for _, undo := range []bool{false, true} {
			both.Go(func() {
				if err := a.Leave(t.Context(), control.LeaveRequest{Undo: undo}); err != nil {
					t.Error(err)
				}
			})
		}
		both.Wait()
		_, err := os.Stat(a.path(leavingFile))
		if kept := err == nil; kept != a.leaving {
			t.Fatalf("in the file %v, in memory %v", kept, a.leaving)
		}
	}
}
