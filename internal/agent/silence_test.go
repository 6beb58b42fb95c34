package agent

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/backup"
	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/control"
	"github.com/quorate/quorate/internal/plan"
)

// frozen is an agent that is stopped: its machine takes connections, and nobody
// answers.
func frozen(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return "http://" + l.Addr().String()
}

// dies is an agent that is killed over what it is asked for.
func dies() *otherAgent {
	return &otherAgent{answer: func(control.BackupRequest) (cluster.Backup, error) { panic(http.ErrAbortHandler) },
		roll: func() (control.RollAnswer, error) { panic(http.ErrAbortHandler) }}
}

func movesOn() *otherAgent {
	return &otherAgent{answer: func(control.BackupRequest) (cluster.Backup, error) { return cluster.Backup{}, control.ErrMoved }}
}

// impatient takes backups at once, and looks often at who takes them for it.
func impatient(t *testing.T, look time.Duration) (*Agent, *atomic.Int32) {
	taken := &atomic.Int32{}
	a := askedAgent(t, func(context.Context, string, backup.Meta) (cluster.Backup, error) {
		taken.Add(1)
		return cluster.Backup{Key: "here"}, nil
	})
	a.backups.look = look
	return a, taken
}

// TestTakerLost: a follower that is frozen, dies or ends over a backup does not
// hold up the schedule: the keeper takes it.
func TestTakerLost(t *testing.T) {
	for story, at := range map[string]func(*testing.T) string{
		"it is frozen": frozen,
		"it dies":      func(t *testing.T) string { return dies().serve(t) },
		"it ends":      func(t *testing.T) string { return movesOn().serve(t) },
	} {
		t.Run(story, func(t *testing.T) {
			t.Parallel()
			a, taken := impatient(t, 20*time.Millisecond)
			a.shows(true, cluster.Report{Name: "b", Agent: at(t)})
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			a.startBackup(ctx, "b")
			a.work.Wait()
			if a.backups.asked || taken.Load() != 1 || ctx.Err() != nil {
				t.Errorf("the next one still waits: %v; taken here %d times, want once", a.backups.asked, taken.Load())
			}
		})
	}
}

// TestKeeperLost: a backup is asked of the next keeper when the first is frozen,
// or dies over it.
func TestKeeperLost(t *testing.T) {
	for story, at := range map[string]func(*testing.T) string{
		"it is frozen": frozen,
		"it dies":      func(t *testing.T) string { return dies().serve(t) },
		"it ends":      func(t *testing.T) string { return movesOn().serve(t) },
	} {
		t.Run(story, func(t *testing.T) {
			t.Parallel()
			a, _ := impatient(t, 20*time.Millisecond)
			next := (&otherAgent{answer: takenAs("by next")}).serve(t)
			a.shows(false, keeperAt("b", at(t)), keeperAt("c", next))
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			time.AfterFunc(200*time.Millisecond, func() { a.shows(false, keeperAt("c", next)) }) // b is heard no more
			if b, err := a.Backup(ctx, control.BackupRequest{}); err != nil || b.Key != "by next" {
				t.Errorf("%q, %v: want it by next", b.Key, err)
			}
		})
	}
}

// TestKeeperLostAgain: a backup whose keeper is lost each time fails in the end.
func TestKeeperLostAgain(t *testing.T) {
	a, _ := impatient(t, 20*time.Millisecond)
	b := dies()
	a.shows(false, keeperAt("b", b.serve(t)))
	if _, err := a.Backup(t.Context(), control.BackupRequest{}); !lost(err) || b.asked.Load() != backupTries {
		t.Errorf("asked %d times, %v: want %d, and that it is lost", b.asked.Load(), err, backupTries)
	}
}

// TestSlowButWell: who takes long over a backup and answers meanwhile is waited
// for, be it the keeper no more.
func TestSlowButWell(t *testing.T) {
	a, _ := impatient(t, 200*time.Millisecond)
	b := &otherAgent{}
	b.answer = func(control.BackupRequest) (cluster.Backup, error) {
		for b.looks.Load() <= looksInVain {
			time.Sleep(10 * time.Millisecond) // between two looks at the condition
		}
		return cluster.Backup{Key: "by b"}, nil
	}
	next := &otherAgent{answer: takenAs("by next")}
	a.shows(false, keeperAt("b", b.serve(t)), keeperAt("c", next.serve(t)))
	if got, err := a.Backup(t.Context(), control.BackupRequest{}); err != nil || got.Key != "by b" || next.asked.Load() > 0 {
		t.Errorf("%q, %v, next asked %d times: want it by b alone", got.Key, err, next.asked.Load())
	}
}

// TestLooksInVain: who is replaced already is given up sooner.
func TestLooksInVain(t *testing.T) {
	for replaced, want := range map[bool]int32{false: looksInVain, true: looksReplaced} {
		a, _ := impatient(t, 20*time.Millisecond)
		var looks atomic.Int32
		s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			looks.Add(1)
			panic(http.ErrAbortHandler)
		}))
		t.Cleanup(s.Close)
		alone := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}} // or a look is sent twice
		err := a.awaitSilence(t.Context(), control.NewClient(s.URL, alone), func() bool { return replaced })
		if !errors.Is(err, errSilent) || looks.Load() != want {
			t.Errorf("replaced: %v: %v after %d looks, want %d", replaced, err, looks.Load(), want)
		}
	}
}

// TestStopping: what fails in an agent that ends, whatever it is, another may do.
func TestStopping(t *testing.T) {
	for _, err := range []error{context.Canceled, control.ErrRefused} {
		a := askedAgent(t, func(context.Context, string, backup.Meta) (cluster.Backup, error) { return cluster.Backup{}, err })
		a.shows(true)
		if _, got := a.Backup(t.Context(), control.BackupRequest{Here: true}); !errors.Is(got, err) || undone(got) {
			t.Errorf("before: %v, want %v", got, err)
		}
		stop := make(chan struct{})
		close(stop)
		a.stopping = stop
		if _, got := a.Backup(t.Context(), control.BackupRequest{Here: true}); !errors.Is(got, control.ErrMoved) || errors.Is(got, control.ErrRefused) {
			t.Errorf("%v, want it passed back", got)
		}
	}
}

// TestOrderUnanswered: an order of a roll that the keeper does not answer is given
// once, and the asker learns in time whose silence it is and what may have become
// of it.
func TestOrderUnanswered(t *testing.T) {
	for story, row := range map[string]struct {
		q    control.RollRequest
		want string
	}{
		"a plan":         {control.RollRequest{Plan: true}, "the keeper, b, does not answer, and nothing was ordered"},
		"an order":       {control.RollRequest{}, "the keeper, b, does not answer, and whether it has been ordered is not known"},
		"a cancellation": {control.RollRequest{Cancel: true}, "the keeper, b, does not answer, and whether it has been cancelled is not known"},
	} {
		for end, at := range map[string]func(*testing.T) (string, *otherAgent){
			"frozen": func(t *testing.T) (string, *otherAgent) { return frozen(t), nil },
			"dies":   func(t *testing.T) (string, *otherAgent) { b := dies(); return b.serve(t), b },
		} {
			t.Run(story+", "+end, func(t *testing.T) {
				t.Parallel()
				a, _ := impatient(t, 0)
				url, b := at(t)
				a.shows(false, keeperAt("b", url))
				client, cancel := context.WithTimeout(t.Context(), 5*time.Second)
				defer cancel()
				_, err := a.Roll(client, row.q)
				if client.Err() != nil || err == nil || !strings.Contains(err.Error(), row.want) || !strings.Contains(err.Error(), url) {
					t.Errorf("%v, the client waits no more: %v; want %q of %s", err, client.Err(), row.want, url)
				}
				if b != nil && b.asked.Load() != 1 {
					t.Errorf("ordered %d times", b.asked.Load())
				}
			})
		}
	}
}

// TestLeaderNamed: where the leader's agent has been silent for a while, it is said
// whose it is.
func TestLeaderNamed(t *testing.T) {
	s := &snapshot{report: cluster.Report{Members: []cluster.Member{{ID: 1, Name: "a"}, {ID: 2, Name: "b"}}}}
	if got := nobodyLeads(s); got != "no agent beside a leader answers" {
		t.Errorf("without a leader: %q", got)
	}
	s.observation.Etcd = cluster.Known(cluster.EtcdState{Leader: 2})
	if got := nobodyLeads(s); !strings.HasSuffix(got, ": b leads, and its agent is silent") {
		t.Errorf("%q, want b named", got)
	}
}

func running(versions ...string) (members []plan.VersionFacts) {
	for i, v := range versions {
		f := plan.VersionFacts{Name: fmt.Sprintf("m%d", i)}
		f.Runs, _ = cluster.ParseVersion(v)
		members = append(members, f)
	}
	return members
}

// TestNotAllSay: an upgrade's plan says from where only when every member says
// what it runs.
func TestNotAllSay(t *testing.T) {
	at := func(v string) (f cluster.Version) { f, _ = cluster.ParseVersion(v); return f }
	for _, row := range []struct {
		runs []string // "": it does not say
		from string
	}{
		{[]string{"3.7.3", "3.6.14"}, "3.6.14"}, {[]string{"3.7.3", ""}, ""}, {[]string{"", "3.7.3"}, ""}, {nil, ""},
	} {
		if got := oldestOf(running(row.runs...)); got != at(row.from) {
			t.Errorf("%q: from %s, want %q", row.runs, got, row.from)
		}
	}
	if got := offersNothing(running("3.7.3", "")); !slices.Equal(got, []string{"m0 does not say which etcds it offers", "m1 does not say which etcds it offers"}) {
		t.Errorf("%q", got)
	}
}
