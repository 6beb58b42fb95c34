package agent

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/backup"
	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/control"
	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/store"
)

// otherAgent answers /v1/backup, /v1/roll and /v1/report; nothing else of it is asked.
type otherAgent struct {
	control.Agent
	asked  atomic.Int32 // for backups and rolls
	looks  atomic.Int32 // reports that it has given
	answer func(control.BackupRequest) (cluster.Backup, error)
	roll   func() (control.RollAnswer, error)
}

func (o *otherAgent) Metrics() http.Handler { return http.NotFoundHandler() }

func (o *otherAgent) Backup(_ context.Context, q control.BackupRequest) (cluster.Backup, error) {
	o.asked.Add(1)
	return o.answer(q)
}

func (o *otherAgent) Roll(context.Context, control.RollRequest) (control.RollAnswer, error) {
	o.asked.Add(1)
	return o.roll()
}

func (o *otherAgent) Report() cluster.Report {
	o.looks.Add(1)
	return cluster.Report{}
}

func (o *otherAgent) serve(t *testing.T) string {
	s := httptest.NewServer(control.Handler(o))
	t.Cleanup(s.Close)
	return s.URL
}

// askedAgent is node a with a store, beside a healthy etcd, that takes a backup
// by take.
func askedAgent(t *testing.T, take Taker) *Agent {
	t.Helper()
	st, err := store.Open(t.Context(), "mem://asked-"+nonce(), "test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	return newAgent(Options{Name: "a", DataDir: t.TempDir(), Settings: plan.Settings{Cluster: "test", HasStore: true}},
		Parts{Log: slog.New(slog.DiscardHandler), HTTP: http.DefaultClient, Store: st, Take: take})
}

// shows publishes whether a is the keeper, and whom it hears.
func (a *Agent) shows(keeper bool, reports ...cluster.Report) {
	s := &snapshot{report: cluster.Report{Keeper: keeper}, observation: plan.Observation{Reports: reports}}
	s.observation.Etcd = cluster.Known(cluster.EtcdState{Healthy: true})
	s.observation.Ledger.Charter = cluster.Known(cluster.Charter{Cluster: "test", Epoch: 2})
	s.observation.Disk = cluster.Disk{State: cluster.DiskData, Stamp: &cluster.Stamp{Cluster: "test", Epoch: 2}}
	s.observation.Settings.Cluster = "test"
	a.published.Store(s)
}

func keeperAt(name, url string) cluster.Report {
	return cluster.Report{Name: name, Agent: url, Keeper: true, Etcd: cluster.EtcdState{Healthy: true}}
}

func takenAs(key string) func(control.BackupRequest) (cluster.Backup, error) {
	return func(control.BackupRequest) (cluster.Backup, error) { return cluster.Backup{Key: key}, nil }
}

// TestBackupAcrossAnElection: a backup that is asked for while a leader is
// elected waits for the next keeper: one that is not known yet, one that has
// died, one that is the keeper no more.
func TestBackupAcrossAnElection(t *testing.T) {
	moved := &otherAgent{answer: func(q control.BackupRequest) (cluster.Backup, error) {
		if !q.PassedOn {
			t.Error("passed on without saying so")
		}
		return cluster.Backup{}, control.ErrMoved
	}}
	dead := httptest.NewServer(nil)
	dead.Close()
	next := (&otherAgent{answer: takenAs("by next")}).serve(t)
	for _, row := range []struct {
		story  string
		before []cluster.Report
		keeper bool // a itself comes to be it
		want   string
	}{
		{"none is known", nil, false, "by next"},
		{"it has died", []cluster.Report{keeperAt("b", dead.URL)}, false, "by next"},
		{"it is the keeper no more", []cluster.Report{keeperAt("b", moved.serve(t))}, false, "by next"},
		{"the next is this node", nil, true, "here"},
	} {
		t.Run(row.story, func(t *testing.T) {
			a := askedAgent(t, func(context.Context, string, backup.Meta) (cluster.Backup, error) {
				return cluster.Backup{Key: "here"}, nil
			})
			a.shows(false, row.before...)
			time.AfterFunc(300*time.Millisecond, func() {
				if row.keeper {
					a.shows(true)
					return
				}
				a.shows(false, keeperAt("c", next))
			})
			b, err := a.Backup(t.Context(), control.BackupRequest{})
			if err != nil || b.Key != row.want {
				t.Errorf("%q, %v: want %q", b.Key, err, row.want)
			}
		})
	}
	if moved.asked.Load() == 0 {
		t.Error("the former keeper has not been asked")
	}
}

// TestPassedOnOnce: two agents that each take the other for the keeper must not
// pass one request to and fro.
func TestPassedOnOnce(t *testing.T) {
	a := askedAgent(t, nil)
	b := &otherAgent{answer: takenAs("by b")}
	a.shows(false, keeperAt("b", b.serve(t)))
	_, err := a.Backup(t.Context(), control.BackupRequest{PassedOn: true})
	if !errors.Is(err, control.ErrMoved) || b.asked.Load() > 0 {
		t.Errorf("%v, b asked %d times: want it given back, and b not asked", err, b.asked.Load())
	}
	if _, err = a.Roll(t.Context(), control.RollRequest{PassedOn: true}); !errors.Is(err, control.ErrMoved) {
		t.Errorf("a roll: %v, want it given back", err)
	}
}

// TestBackupByAnother: what a follower refuses or has died of, the keeper does
// itself; what has failed there has failed.
func TestBackupByAnother(t *testing.T) {
	dead := httptest.NewServer(nil)
	dead.Close()
	answers := func(err error) string {
		return (&otherAgent{answer: func(control.BackupRequest) (cluster.Backup, error) { return cluster.Backup{Key: "by b"}, err }}).serve(t)
	}
	for _, row := range []struct{ story, at, want, fails string }{
		{"it does it", answers(nil), "by b", ""},
		{"it has died", dead.URL, "here", ""},
		{"it refuses", answers(control.ErrRefused), "here", ""},
		{"it fails", answers(errors.New("the store is full")), "", "the store is full"},
		{"it is not heard any more", "", "here", ""},
	} {
		t.Run(row.story, func(t *testing.T) {
			a := askedAgent(t, func(context.Context, string, backup.Meta) (cluster.Backup, error) {
				return cluster.Backup{Key: "here"}, nil
			})
			a.shows(true)
			if row.at != "" {
				a.shows(true, cluster.Report{Name: "b", Agent: row.at})
			}
			b, err := a.backupAt(t.Context(), "b")
			switch {
			case row.fails == "" && (err != nil || b.Key != row.want):
				t.Errorf("%q, %v: want %q", b.Key, err, row.want)
			case row.fails != "" && (err == nil || !strings.Contains(err.Error(), row.fails)):
				t.Errorf("%v, want %q", err, row.fails)
			}
		})
	}
}

// TestBackupsInTurn: a backup that is asked for while another is taken waits and
// is taken then: the other may lack what has been written since.
func TestBackupsInTurn(t *testing.T) {
	var under, most, taken atomic.Int32
	begun, end := make(chan struct{}, 2), make(chan struct{})
	a := askedAgent(t, func(context.Context, string, backup.Meta) (cluster.Backup, error) {
		most.Store(max(most.Load(), under.Add(1)))
		defer under.Add(-1)
		taken.Add(1)
		begun <- struct{}{}
		<-end
		return cluster.Backup{}, nil
	})
	a.shows(true)
	done := make(chan error, 2)
	for range 2 {
		go func() { _, err := a.backupHere(t.Context()); done <- err }()
	}
	<-begun
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := a.backupHere(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("who waits no longer: %v", err)
	}
	close(end)
	for range 2 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if taken.Load() != 2 || most.Load() != 1 {
		t.Errorf("%d taken, at most %d at a time: want 2, one after the other", taken.Load(), most.Load())
	}
}

// TestBackupOfTheEpochAlone: what runs on data of an epoch that is over, or of
// another cluster, is not stored as this epoch's.
func TestBackupOfTheEpochAlone(t *testing.T) {
	for story, row := range map[string]struct {
		change func(*plan.Observation)
		epoch  cluster.Epoch // 0: refused
	}{
		"of the epoch":            {func(*plan.Observation) {}, 2},
		"of an older one":         {func(o *plan.Observation) { o.Disk.Stamp.Epoch = 1 }, 0},
		"of another cluster":      {func(o *plan.Observation) { o.Disk.Stamp.Cluster = "x" }, 0},
		"the charter is not read": {func(o *plan.Observation) { o.Ledger.Charter = cluster.Unknown[cluster.Charter]() }, 0},
		"etcd is not healthy":     {func(o *plan.Observation) { o.Etcd = cluster.Known(cluster.EtcdState{}) }, 0},
		"of an etcd elsewhere":    {func(o *plan.Observation) { o.Disk = cluster.Disk{State: cluster.DiskEmpty} }, 2},
	} {
		t.Run(story, func(t *testing.T) {
			var taken cluster.Epoch
			a := askedAgent(t, func(_ context.Context, _ string, m backup.Meta) (cluster.Backup, error) {
				taken = m.Epoch
				return cluster.Backup{}, nil
			})
			a.shows(true)
			row.change(&a.published.Load().observation)
			_, err := a.backupHere(t.Context())
			if taken != row.epoch || (row.epoch == 0) != errors.Is(err, control.ErrRefused) {
				t.Errorf("taken as epoch %d, %v: want %d", taken, err, row.epoch)
			}
		})
	}
}
