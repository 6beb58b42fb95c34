package agent

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/quorate/quorate/internal/chain"
	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/store"
)

// segments stores so many of one entry each, the first with index 1.
func segments(t *testing.T, st *store.Store, epoch cluster.Epoch, n uint64) {
	t.Helper()
	codec, err := chain.NewCodec(nil)
	if err != nil {
		t.Fatal(err)
	}
	end := cluster.LogEnd{Epoch: epoch, Chain: 1}
	for i := range n {
		index, term := i+1, uint64(1)
		s := chain.Segment{Header: chain.Header{Cluster: "rig", Epoch: epoch, Chain: 1, Number: i + 1, Previous: end.SHA256},
			Entries: []*raftpb.Entry{{Term: &term, Index: &index, Type: raftpb.EntryNormal.Enum(), Data: []byte("x")}}}
		if i == 0 {
			s.Base = "b"
		}
		object, next, err := codec.Encode(s)
		if err == nil {
			err = st.Create(t.Context(), s.Key(), object)
		}
		if err != nil {
			t.Fatal(err)
		}
		end = next
	}
}

// The log goes up to the snapshots that keep theirs, with the epochs before the
// oldest one, and at most once an hour.
func TestPruneLog(t *testing.T) {
	st, err := store.Open(t.Context(), "file://"+t.TempDir(), "rig")
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	for epoch := range cluster.Epoch(3) {
		segments(t, st, epoch+1, 9)
	}
	a := &Agent{retention: plan.Retention{Last: 1}, opt: Options{Deltas: true, Settings: plan.Settings{Cluster: "rig"}}, log: slog.New(slog.DiscardHandler)}
	a.opt.DataDir = t.TempDir()
	end := &cluster.LogReport{End: cluster.LogEnd{Epoch: 3, Chain: 1, Number: 9}}
	proven := cluster.Report{Name: "b", Proven: "p", Log: end}
	a.published.Store(&snapshot{observation: plan.Observation{Reports: []cluster.Report{proven}}})
	kept := []cluster.Backup{
		{Key: "m", Epoch: 2, Revision: 1, Index: 5},
		{Key: "p", Epoch: 3, Revision: 2, Index: 3},
		{Key: "n", Epoch: 3, Revision: 3, Index: 8},
	}
	var last logPruned
	left := func() string {
		t.Helper()
		if err := a.pruneLog(t.Context(), st, &last, kept); err != nil {
			t.Fatal(err)
		}
		chains, err := chain.List(t.Context(), st, 0)
		if err != nil {
			t.Fatal(err)
		}
		var s []string
		for _, c := range chains {
			s = append(s, fmt.Sprintf("%d: %d-%d", c.Epoch, c.First(), c.Last()))
		}
		return strings.Join(s, ", ")
	}
	if got := left(); got != "2: 6-9, 3: 4-9" { // of epoch 3 from the proven one on
		t.Errorf("left %s", got)
	}
	a.published.Store(&snapshot{observation: plan.Observation{Reports: []cluster.Report{{Log: &cluster.LogReport{End: cluster.LogEnd{Epoch: 3, Chain: 1, Number: 10}}}}}})
	if got := left(); got != "2: 6-9, 3: 4-9" {
		t.Errorf("at once again, left %s", got)
	}
	last.at = time.Now().Add(-2 * logPruneGap)
	if got := left(); got != "2: 6-9, 3: 9-9" {
		t.Errorf("an hour later, and nothing proven, left %s", got)
	}
	last.at = time.Now().Add(-2 * logPruneGap)
	kept = slices.Delete(kept, 0, 1)
	if got := left(); got != "2: 6-9, 3: 9-9" {
		t.Errorf("without new log, left %s", got)
	}
}

// What was proven here is known after a restart.
func TestProvenIsRemembered(t *testing.T) {
	var p proofs
	file := t.TempDir() + "/" + provenFile
	if p.recall(file); p.provenKey() != "" {
		t.Errorf("nothing was proven, and it recalls %q", p.provenKey())
	}
	if err := writeProven(file, "k"); err != nil {
		t.Fatal(err)
	}
	if p.recall(file); p.provenKey() != "k" {
		t.Errorf("it recalls %q", p.provenKey())
	}
}
