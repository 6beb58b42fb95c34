package replay

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/quorate/quorate/internal/backup"
	"github.com/quorate/quorate/internal/chain"
	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/store"
)

// sketch is a store whose snapshots and entries nobody will apply: an index is made
// a second, and is a revision.
type sketch struct {
	t   *testing.T
	st  *store.Store
	src Source
}

func newSketch(t *testing.T) *sketch {
	t.Helper()
	st, err := store.Open(t.Context(), "file://"+t.TempDir(), "c")
	if err != nil {
		t.Fatal(err)
	}
	codec, err := chain.NewCodec(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &sketch{t, st, Source{Store: st, Cluster: "c", Log: chain.Reader{Objects: st, Codec: codec, Cluster: "c"}}}
}

func second(index uint64) time.Time { return start.Add(time.Duration(index) * time.Second) }

func (s *sketch) snapshot(epoch cluster.Epoch, index uint64) cluster.Backup {
	s.t.Helper()
	db := filepath.Join(s.t.TempDir(), "db")
	if err := os.WriteFile(db, make([]byte, 512), 0o600); err != nil {
		s.t.Fatal(err)
	}
	state := cluster.EtcdState{Version: "3.7.0", Term: 1, Applied: index, Revision: int64(index)}
	b, err := backup.Take(s.t.Context(), snapshotFile{db, state}, s.st, backup.Meta{Cluster: "c", Epoch: epoch, By: "a", Now: second(index)})
	if err != nil {
		s.t.Fatal(err)
	}
	return b
}

// chain writes n segments of ten entries each, from an index on.
func (s *sketch) chain(epoch cluster.Epoch, number int, first uint64, n int) {
	s.t.Helper()
	end := cluster.LogEnd{Epoch: epoch, Chain: number, Index: first - 1, Revision: int64(first) - 1, SHA256: strings.Repeat("0", 64)}
	for range n {
		one := chain.Segment{Header: chain.Header{Cluster: "c", Epoch: epoch, Chain: number, Number: end.Number + 1, Previous: end.SHA256, Etcd: "3.7.0", By: "a",
			FirstRevision: end.Revision, LastRevision: end.Revision + 10, From: second(end.Index), To: second(end.Index + 10)}}
		if one.Number == 1 {
			one.Base = "backups/x.json"
		}
		for i := range uint64(10) {
			one.Entries = append(one.Entries, &raftpb.Entry{Term: proto.Uint64(1), Index: proto.Uint64(end.Index + 1 + i), Type: raftpb.EntryNormal.Enum(), Data: []byte("x")})
		}
		object, next, err := s.src.Log.Codec.Encode(one)
		if err == nil {
			err = s.st.Create(s.t.Context(), one.Key(), object)
		}
		if err != nil {
			s.t.Fatal(err)
		}
		end = next
	}
}

func (s *sketch) gone(keys ...string) {
	s.t.Helper()
	for _, key := range keys {
		if err := s.st.Delete(s.t.Context(), key); err != nil {
			s.t.Fatal(err)
		}
	}
}

// says is the first plan in a line.
func (s *sketch) says(cut Cut) string {
	s.t.Helper()
	plans, err := Survey(s.t.Context(), s.src, cut)
	if err != nil {
		return err.Error()
	}
	p := plans[0]
	line := fmt.Sprintf("epoch %d, %d and %d segments to %d", p.Base.Epoch, p.Base.Index, p.Segments, p.End())
	if p.Damage() != "" {
		line += ": " + p.Damage()
	}
	for _, b := range p.Passed {
		line += fmt.Sprintf("; passed over, lost: %v", b.Lost)
	}
	return line
}

// TestLost: each store has lost something, or only looks so.
func TestLost(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		make func(s *sketch)
		cut  Cut
		want string
	}{
		"chains on their snapshots": {make: func(s *sketch) {
			s.snapshot(1, 10)
			s.chain(1, 1, 5, 2)
			s.snapshot(1, 50)
			s.chain(1, 2, 45, 2)
		}, want: "epoch 1, 50 and 2 segments to 64"},
		"a hole in the log, before the newest snapshot": {make: func(s *sketch) {
			s.snapshot(1, 10)
			s.chain(1, 1, 11, 2)
			s.snapshot(1, 50)
			s.chain(1, 2, 51, 2)
		}, cut: Cut{Time: second(49)}, want: "epoch 1, 10 and 2 segments to 30"},
		"a chain that begins behind the cut": {make: func(s *sketch) {
			s.snapshot(1, 10)
			s.chain(1, 1, 11, 2)
			s.chain(1, 2, 51, 2)
		}, cut: Cut{Time: second(40)}, want: "epoch 1, 10 and 2 segments to 30"},
		"a chain that begins before the cut": {make: func(s *sketch) {
			s.snapshot(1, 10)
			s.chain(1, 1, 11, 2)
			s.chain(1, 2, 51, 2)
		}, cut: Cut{Time: second(60)}, want: "epoch 1, 10 and 2 segments to 30: segments 1 to 2 of chain 2 of epoch 1 begin at index 51, and no snapshot that is listed leads there: its manifest is gone, or the log before"},
		"pruned up to the oldest snapshot": {make: func(s *sketch) {
			s.snapshot(1, 28)
			s.chain(1, 1, 5, 5)
			s.gone(chain.Key(1, 1, 1), chain.Key(1, 1, 2))
		}, want: "epoch 1, 28 and 3 segments to 54"},
		"pruned beyond it": {make: func(s *sketch) {
			s.snapshot(1, 18)
			s.chain(1, 1, 5, 5)
			s.gone(chain.Key(1, 1, 1), chain.Key(1, 1, 2))
		}, want: "epoch 1, 18 and 0 segments to 18: segments 3 to 5 of chain 1 of epoch 1 begin at index 25, and no snapshot that is listed leads there: its manifest is gone, or the log before"},
		"a snapshot of a new epoch, and its log": {make: func(s *sketch) {
			s.snapshot(1, 10)
			s.chain(1, 1, 11, 2)
			b := s.snapshot(2, 5)
			s.chain(2, 1, 6, 1)
			s.gone(b.Key, b.Object)
		}, want: "epoch 1, 10 and 2 segments to 30: segments 1 to 1 of chain 1 of epoch 2 begin at index 6, and no snapshot that is listed leads there: its manifest is gone, or the log before"},
		"the manifest of a new epoch's only snapshot": {make: func(s *sketch) {
			s.snapshot(1, 10)
			s.gone(s.snapshot(2, 5).Key)
		}, want: "epoch 1, 10 and 0 segments to 10; passed over, lost: true"},
		"an orphan that the log reaches": {make: func(s *sketch) {
			s.snapshot(1, 10)
			s.chain(1, 1, 11, 2)
			s.gone(s.snapshot(1, 25).Key)
		}, want: "epoch 1, 10 and 2 segments to 30; passed over, lost: false"},
		"an orphan that is older": {make: func(s *sketch) {
			s.gone(s.snapshot(1, 5).Key)
			s.snapshot(1, 10)
		}, want: "epoch 1, 10 and 0 segments to 10"},
		"an orphan behind the cut": {make: func(s *sketch) {
			s.snapshot(1, 10)
			s.gone(s.snapshot(1, 25).Key)
		}, cut: Cut{Time: second(20)}, want: "epoch 1, 10 and 0 segments to 10"},
		"holes before and behind the snapshot": {make: func(s *sketch) {
			s.snapshot(1, 37)
			s.chain(1, 1, 1, 7)
			s.gone(chain.Key(1, 1, 2), chain.Key(1, 1, 6))
		}, want: "epoch 1, 37 and 2 segments to 50: segment 6 of chain 1 is missing"},
		"a hole right behind it, of two": {make: func(s *sketch) {
			s.snapshot(1, 30)
			s.chain(1, 1, 1, 7)
			s.gone(chain.Key(1, 1, 4), chain.Key(1, 1, 5))
		}, want: "epoch 1, 30 and 0 segments to 30: segment 4 of chain 1 is missing"},
		"a hole that the snapshot covers in part": {make: func(s *sketch) {
			s.snapshot(1, 33)
			s.chain(1, 1, 1, 7)
			s.gone(chain.Key(1, 1, 4))
		}, want: "epoch 1, 33 and 0 segments to 33: segment 4 of chain 1 is missing"},
		"nothing but data": {make: func(s *sketch) { s.gone(s.snapshot(1, 5).Key) },
			want: `no snapshot of cluster "c" is before the end: nothing that is stored leads there; `},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSketch(t)
			tt.make(s)
			if got := s.says(tt.cut); got != tt.want && !(strings.HasSuffix(tt.want, "; ") && strings.HasPrefix(got, tt.want)) {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

// TestBehindAHole: what a charter promises, too, needs no segment before its
// snapshot; and it is told why the log behind one is not promised.
func TestBehindAHole(t *testing.T) {
	t.Parallel()
	s := newSketch(t)
	b := s.snapshot(1, 37)
	s.chain(1, 1, 1, 7)
	s.gone(chain.Key(1, 1, 2))
	end, why, err := Behind(t.Context(), s.src, b)
	if err != nil || why != "" || end.Index != 70 {
		t.Errorf("the log ends at %+v, %q: %v", end, why, err)
	}
	p, err := Fixed(t.Context(), s.src, b, end)
	if err != nil || p.Segments != 4 || p.From.Number != 3 {
		t.Errorf("the charter's plan is %+v, %v", p, err)
	}
	if p, err := p.Whole(t.Context(), s.src); err != nil || p.Broken != "" {
		t.Errorf("it is read as %+v, %v", p, err)
	}
	s.gone(chain.Key(1, 1, 4))
	if end, why, err := Behind(t.Context(), s.src, b); err != nil || why != "segment 4 of chain 1 is missing" || end != (cluster.LogEnd{}) {
		t.Errorf("the log ends at %+v, %q: %v", end, why, err)
	}
}

// TestWhole: a plan ends before the first segment with a bad byte.
func TestWhole(t *testing.T) {
	t.Parallel()
	for bad, want := range map[uint64]uint64{4: 0, 5: 40, 7: 60} {
		s := newSketch(t)
		s.snapshot(1, 37)
		s.chain(1, 1, 1, 7)
		plans, err := Survey(t.Context(), s.src, Cut{})
		if err != nil {
			t.Fatal(err)
		}
		key := chain.Key(1, 1, bad)
		object, err := s.st.Read(t.Context(), key)
		if err == nil {
			object[len(object)-1] ^= 1
			err = s.st.Put(t.Context(), key, object)
		}
		if err != nil {
			t.Fatal(err)
		}
		p, err := plans[0].Whole(t.Context(), s.src)
		if err != nil || p.Broken == "" || p.Last.Index != want || p.Segments != int(bad)-4 || p.Bytes >= plans[0].Bytes || want == 0 && (p.From != cluster.LogEnd{}) {
			t.Errorf("segment %d: %+v, %v", bad, p, err)
		}
	}
}
