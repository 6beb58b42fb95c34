package raftlog

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.etcd.io/etcd/server/v3/storage/wal/walpb"
	"go.etcd.io/raft/v3/raftpb"
	"go.uber.org/zap"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"
)

func entry(term, index uint64) *raftpb.Entry {
	return &raftpb.Entry{Term: &term, Index: &index, Type: raftpb.EntryNormal.Enum(), Data: fmt.Appendf(nil, "%d@%d", index, term)}
}

func rec(kind int64, m proto.Message) *walpb.Record {
	raw, err := proto.Marshal(m)
	if err != nil {
		panic(err)
	}
	return &walpb.Record{Type: &kind, Data: raw}
}

func entries(term, from, to uint64) (out []*walpb.Record) {
	for i := from; i <= to; i++ {
		out = append(out, rec(wal.EntryType, entry(term, i)))
	}
	return out
}

func commit(index uint64) []*walpb.Record {
	return []*walpb.Record{rec(wal.StateType, &raftpb.HardState{Commit: &index})}
}

func snap(term, index uint64) []*walpb.Record {
	return []*walpb.Record{rec(wal.SnapshotType, &walpb.Snapshot{Term: &term, Index: &index})}
}

func seq(parts ...[]*walpb.Record) (all []*walpb.Record) {
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

// TestTail says what is final, and when.
func TestTail(t *testing.T) {
	for name, row := range map[string]struct {
		records []*walpb.Record
		applied Applied
		want    string // term of each final entry from index 5 on
		err     error
	}{
		"nothing is known of its commit":                  {entries(1, 1, 9), Applied{}, "", nil},
		"a hard state commits":                            {seq(entries(1, 1, 9), commit(7)), Applied{}, "111", nil},
		"a hard state of before":                          {seq(commit(4), entries(1, 1, 9)), Applied{}, "", nil},
		"the member has applied them":                     {entries(1, 1, 9), Applied{8, 1}, "1111", nil},
		"it has applied another entry of that index":      {entries(1, 1, 9), Applied{8, 2}, "", nil},
		"it has applied more than the file has":           {entries(1, 1, 9), Applied{10, 1}, "", nil},
		"it has applied less than is wanted":              {entries(1, 1, 9), Applied{4, 1}, "", nil},
		"a later leader writes over the tail":             {seq(entries(1, 1, 9), entries(2, 7, 8)), Applied{8, 2}, "1122", nil},
		"and over all that is wanted":                     {seq(entries(1, 1, 9), entries(2, 3, 8)), Applied{8, 2}, "2222", nil},
		"what was written over was never committed":       {seq(entries(1, 1, 9), entries(2, 7, 7)), Applied{9, 1}, "", nil},
		"its own snapshot":                                {seq(entries(1, 1, 9), snap(1, 8)), Applied{}, "1111", nil},
		"a snapshot of before":                            {seq(entries(1, 1, 9), snap(1, 3)), Applied{}, "", nil},
		"a snapshot in place of entries":                  {seq(entries(1, 1, 6), snap(2, 20), entries(2, 21, 22)), Applied{22, 2}, "", ErrGap},
		"a snapshot in place of entries that lost":        {seq(entries(1, 1, 9), snap(2, 8), commit(8)), Applied{8, 2}, "", ErrGap},
		"an entry is not there":                           {seq(entries(1, 1, 6), entries(1, 8, 9)), Applied{}, "", ErrGap},
		"the wanted one is not there":                     {entries(1, 6, 9), Applied{9, 1}, "", ErrGap},
		"a committed entry is written over":               {seq(entries(1, 1, 9), commit(8), entries(2, 8, 9)), Applied{}, "", ErrDamaged},
		"what is no entry":                                {[]*walpb.Record{{Type: proto.Int64(wal.EntryType), Data: []byte{0xff}}}, Applied{}, "", ErrDamaged},
		"only entries from before the wanted one are new": {seq(entries(1, 1, 4), entries(2, 3, 4)), Applied{4, 2}, "", nil},
	} {
		tl := tail{next: 5}
		var err error
		for _, r := range row.records {
			if err = tl.record(r); err != nil {
				break
			}
		}
		if !errors.Is(err, row.err) || row.err == nil && err != nil {
			t.Errorf("%s: %v, want %v", name, err, row.err)
			continue
		}
		if row.err != nil {
			continue
		}
		tl.confirm(row.applied)
		var got strings.Builder
		for i, e := range tl.take(1 << 20) {
			if e.GetIndex() != 5+uint64(i) {
				t.Errorf("%s: entry %d is of index %d", name, i, e.GetIndex())
			}
			fmt.Fprint(&got, e.GetTerm())
		}
		if got.String() != row.want {
			t.Errorf("%s: terms %q, want %q", name, got.String(), row.want)
		}
	}
}

func TestTakeBySize(t *testing.T) {
	tl := tail{next: 1}
	for _, r := range seq(entries(1, 1, 9), commit(8)) {
		if err := tl.record(r); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []int{1, 3, 4, 0} { // of 3 bytes each
		size := map[int]int{1: 1, 3: 3 * (3 + overhead), 4: 1000, 0: 1000}[want]
		if got := tl.take(size); len(got) != want {
			t.Errorf("take(%d): %d entries, want %d", size, len(got), want)
		}
	}
	if tl.next != 9 || tl.final != 0 || tl.finalBytes() != 0 || tl.last() != 9 {
		t.Errorf("left: %+v", tl)
	}
}

// world is a member's log as etcd writes it, and the truth beside it.
type world struct {
	r      *rapid.T
	dir    string
	w      *wal.WAL
	log    []*raftpb.Entry // as the member has it; log[i] is of index i+1
	term   uint64
	commit uint64 // known to the cluster
	saved  uint64 // commit of the last hard state in the file
	got    uint64 // the last index that the reader has yielded
	reader *Reader
}

// TestReaderAgainstRaft: whatever a member's log goes through, the reader yields
// the committed entries, each once and in order, and in the end all of them.
// The log is written by etcd's own package, in small segments.
func TestReaderAgainstRaft(t *testing.T) {
	wal.SegmentSizeBytes = 4 << 10
	rapid.Check(t, func(r *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "wal")
		if err != nil {
			r.Fatal(err)
		}
		w := &world{r: r, dir: filepath.Join(dir, "wal"), term: 1}
		defer w.close()
		w.create()
		steps := map[string]func(*rapid.T){
			"append":   func(*rapid.T) { w.append(rapid.IntRange(1, 30).Draw(r, "entries")) },
			"commit":   func(*rapid.T) { w.raise() },
			"election": func(*rapid.T) { w.elect() },
			"restart":  func(*rapid.T) { w.restart() },
			"reopen":   func(*rapid.T) { w.reopen() },
			"read":     func(*rapid.T) { w.read(rapid.IntRange(1, 5000).Draw(r, "max")) },
		}
		r.Repeat(steps)
		if len(w.log) == 0 {
			return
		}
		w.commit = uint64(len(w.log))
		for before := w.got; w.read(1000) || w.got > before; before = w.got {
		}
		if w.got != w.commit {
			r.Fatalf("yielded up to %d of %d", w.got, w.commit)
		}
	})
}

func (w *world) must(err error) {
	if err != nil {
		w.r.Fatal(err)
	}
}

func (w *world) create() {
	meta, err := proto.Marshal(&etcdserverpb.Metadata{NodeID: proto.Uint64(1), ClusterID: proto.Uint64(2)})
	w.must(err)
	w.w, err = wal.Create(zap.NewNop(), w.dir, meta)
	w.must(err)
	w.must(w.w.SaveSnapshot(&walpb.Snapshot{Index: proto.Uint64(0), Term: proto.Uint64(0), ConfState: &raftpb.ConfState{}}))
	w.reader, err = Open(w.dir, 1)
	w.must(err)
}

func (w *world) close() {
	if w.w != nil {
		w.w.Close()
	}
	if w.reader != nil {
		w.reader.Close()
	}
}

func (w *world) save(ents []*raftpb.Entry) {
	w.saved = min(w.commit, uint64(len(w.log)))
	w.must(w.w.Save(&raftpb.HardState{Term: &w.term, Vote: proto.Uint64(1), Commit: &w.saved}, ents))
}

func (w *world) append(n int) {
	from := len(w.log)
	for range n {
		w.log = append(w.log, entry(w.term, uint64(len(w.log))+1))
	}
	w.save(w.log[from:])
}

// raise commits more; the file may learn of it, in the page writer's buffer.
func (w *world) raise() {
	w.commit += rapid.Uint64Range(0, uint64(len(w.log))-w.commit).Draw(w.r, "commit")
	if rapid.Bool().Draw(w.r, "saved") {
		w.save(nil)
	}
}

// elect begins a term whose leader lacks some of what is not committed.
func (w *world) elect() {
	w.term += rapid.Uint64Range(1, 3).Draw(w.r, "term")
	keep := rapid.Uint64Range(w.commit, uint64(len(w.log))).Draw(w.r, "kept")
	w.log = w.log[:keep]
	w.append(rapid.IntRange(1, 5).Draw(w.r, "entries"))
}

// restart is etcd's: it reads its log and goes on behind it.
func (w *world) restart() {
	w.must(w.w.Close())
	var err error
	w.w, err = wal.Open(zap.NewNop(), w.dir, &walpb.Snapshot{Index: proto.Uint64(0), Term: proto.Uint64(0)})
	w.must(err)
	_, _, ents, err := w.w.ReadAll()
	w.must(err)
	if len(ents) != len(w.log) {
		w.r.Fatalf("etcd has %d entries, want %d", len(ents), len(w.log))
	}
}

func (w *world) reopen() {
	w.reader.Close()
	var err error
	w.reader, err = Open(w.dir, w.got+1)
	w.must(err)
}

func (w *world) read(max int) bool {
	applied := Applied{}
	if w.commit > 0 && rapid.Bool().Draw(w.r, "asked") || w.commit == uint64(len(w.log)) && w.commit > 0 {
		applied = Applied{w.commit, w.log[w.commit-1].GetTerm()}
	}
	got, err := w.reader.Read(context.Background(), applied, max)
	w.must(err)
	for _, e := range got {
		w.got++
		if w.got > w.commit || !proto.Equal(e, w.log[w.got-1]) {
			w.r.Fatalf("yielded %v as entry %d of %d committed", e, w.got, w.commit)
		}
	}
	return len(got) > 0
}
