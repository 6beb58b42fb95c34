package ship

import (
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/quorate/quorate/internal/chain"
	"github.com/quorate/quorate/internal/cluster"
)

// TestRevisionIsABound: an index and a revision of one answer are not of one
// moment, and what a segment claims is never too much.
func TestRevisionIsABound(t *testing.T) {
	var m marks
	now := time.Unix(0, 0)
	for i, poll := range []struct {
		index    uint64
		revision int64
		want     int64
	}{{10, 8, 0}, {12, 11, 8}, {12, 11, 11}, {13, 13, 11}, {13, 13, 13}} {
		m.note(poll.index, poll.revision, now.Add(time.Duration(i)*time.Second))
		if got := m.revisionAt(poll.index); got != poll.want {
			t.Errorf("poll %d: %d, want %d", i, got, poll.want)
		}
	}
}

func TestMarksNeverUnderstate(t *testing.T) {
	var m marks
	start := time.Unix(0, 0)
	at := map[uint64]time.Time{}
	for i := uint64(1); i <= 3*maxMarks; i++ {
		at[i] = start.Add(time.Duration(i) * time.Second)
		m.note(i, int64(i), at[i])
	}
	if len(m.list) > maxMarks {
		t.Errorf("%d marks", len(m.list))
	}
	now := at[3*maxMarks]
	for safe := uint64(0); safe < 3*maxMarks; safe += 97 {
		m.settle(safe)
		if got, want := m.unshipped(now), now.Sub(at[safe+1]); got < want {
			t.Errorf("with %d stored: %s, want %s at least", safe, got, want)
		}
	}
	if m.settle(3 * maxMarks); m.unshipped(now) != 0 {
		t.Errorf("all is stored, and %s is told", m.unshipped(now))
	}
}

func TestOrder(t *testing.T) {
	for name, row := range map[string]struct {
		nodes []node
		age   time.Duration
		want  string // who ships
	}{
		"the first follower":              {[]node{{name: "a", leader: true}, {name: "c"}, {name: "b"}}, 0, "b"},
		"a leader alone":                  {[]node{{name: "a", leader: true}}, 0, "a"},
		"the second, after a while":       {[]node{{name: "a", leader: true}, {name: "b"}, {name: "c"}}, patience, "bc"},
		"the leader, after more":          {[]node{{name: "a", leader: true}, {name: "b"}, {name: "c"}}, patience + morePatience, "abc"},
		"not who cannot":                  {[]node{{name: "a", leader: true}, {name: "b", unable: true}, {name: "c"}}, 0, "c"},
		"the leader before who cannot":    {[]node{{name: "a", leader: true}, {name: "b", unable: true}}, 0, "a"},
		"the first, when nobody can":      {[]node{{name: "a", leader: true, unable: true}, {name: "b", unable: true}}, 0, "b"},
		"nobody, where there is no voter": {nil, time.Hour, ""},
	} {
		got := ""
		for _, name := range []string{"a", "b", "c"} {
			if turn(name, row.nodes, row.age) {
				got += name
			}
		}
		if got != row.want {
			t.Errorf("%s: %q, want %q", name, got, row.want)
		}
	}
}

func TestNodesOf(t *testing.T) {
	good := cluster.Report{Name: "a", Log: &cluster.LogReport{}, Etcd: cluster.EtcdState{Healthy: true, MemberID: 1, Leader: 2}, Charter: &cluster.Charter{Epoch: 3}}
	for name, row := range map[string]struct {
		change func(*cluster.Report)
		want   int
	}{
		"a voter":              {func(*cluster.Report) {}, 1},
		"a learner":            {func(r *cluster.Report) { r.Etcd.Learner = true }, 0},
		"one that is not well": {func(r *cluster.Report) { r.Etcd.Healthy = false }, 0},
		"one that ships not":   {func(r *cluster.Report) { r.Log = nil }, 0},
		"of another epoch":     {func(r *cluster.Report) { r.Charter = &cluster.Charter{Epoch: 2} }, 0},
		"of none":              {func(r *cluster.Report) { r.Charter = nil }, 0},
	} {
		r := good
		if row.change(&r); len(nodesOf(3, []cluster.Report{r})) != row.want {
			t.Errorf("%s: want %d", name, row.want)
		}
	}
}

// TestFits: not every segment that is there instead of ours is built upon.
func TestFits(t *testing.T) {
	before := cluster.LogEnd{Epoch: 1, Chain: 1, Number: 4, Index: 10, Term: 1, SHA256: "aa"}
	begin := cluster.LogEnd{Epoch: 1, Chain: 1, Index: 10, Term: 1, SHA256: "aa"}
	good := chain.Header{Epoch: 1, Chain: 1, Number: 5, First: 11, FirstTerm: 1, Previous: "aa", ClusterID: 7}
	for name, row := range map[string]struct {
		before cluster.LogEnd
		change func(*chain.Header)
		want   bool
	}{
		"another's, of the same log":      {before, func(*chain.Header) {}, true},
		"of another etcd cluster":         {before, func(h *chain.Header) { h.ClusterID = 8 }, false},
		"after another segment":           {before, func(h *chain.Header) { h.Previous = "bb" }, false},
		"a first one on another snapshot": {begin, func(h *chain.Header) { h.Number, h.Previous, h.First = 1, "bb", 5 }, true},
		"a first one of another cluster":  {begin, func(h *chain.Header) { h.Number, h.ClusterID = 1, 8 }, false},
	} {
		h := good
		row.change(&h)
		if err := fits(row.before, h, sending{etcd: 7}); (err == nil) != row.want {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestBatchDue(t *testing.T) {
	now := time.Unix(1000, 0)
	put := func(size int) *raftpb.Entry {
		e := request(t, &etcdserverpb.InternalRaftRequest{ID: 1, Put: &etcdserverpb.PutRequest{Key: []byte("k"), Value: make([]byte, size)}})
		e.Index = proto.Uint64(7)
		return e
	}
	read := &raftpb.Entry{Index: proto.Uint64(7)}
	for name, row := range map[string]struct {
		entry *raftpb.Entry
		age   time.Duration
		want  bool
	}{
		"nothing":                 {nil, 0, false},
		"a write":                 {put(1), flushAfter - 1, false},
		"a write of before":       {put(1), flushAfter, true},
		"a big write":             {put(flushBytes), 0, true},
		"what changes nothing":    {read, time.Minute, false},
		"and has waited for long": {read, harmlessAfter, true},
	} {
		var b batch
		if row.entry != nil {
			b.add([]*raftpb.Entry{row.entry}, func(uint64) time.Time { return now })
		}
		if got := b.due(now.Add(row.age)); got != row.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
