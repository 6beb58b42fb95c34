package chain

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/seal"
	"github.com/quorate/quorate/internal/store"
)

func newCodec(t testing.TB, s *seal.Sealer) *Codec {
	t.Helper()
	c, err := NewCodec(s)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func openStore(t testing.TB) *store.Store {
	t.Helper()
	st, err := store.Open(context.Background(), "file://"+t.TempDir(), "test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	return st
}

func entry(term, index uint64, data string) *raftpb.Entry {
	return &raftpb.Entry{Term: &term, Index: &index, Type: raftpb.EntryNormal.Enum(), Data: []byte(data)}
}

// snapshot is what the chains of these tests begin on.
var snapshot = cluster.Backup{Key: "backups/0000000001/a.json", Epoch: 1, Index: 10, Term: 2, Revision: 5}

var base = Base(snapshot, 1, strings.Repeat("0b", 32))

// writer writes segments one after the other, as a shipper does.
type writer struct {
	t     testing.TB
	codec *Codec
	st    *store.Store
	end   cluster.LogEnd
}

func newWriter(t testing.TB, c *Codec) *writer { return &writer{t, c, openStore(t), base} }

// segment is the next one, with n entries of a term.
func (w *writer) segment(n int, term uint64) Segment {
	s := Segment{Header: Header{Cluster: "test", Epoch: w.end.Epoch, Chain: w.end.Chain, Number: w.end.Number + 1,
		Previous: w.end.SHA256, FirstRevision: w.end.Revision, LastRevision: w.end.Revision + int64(n)/2, By: "a", Etcd: "3.7.3",
		From: time.Unix(100, 0).UTC(), To: time.Unix(101, 0).UTC()}}
	if s.Number == 1 {
		s.Base = snapshot.Key
	}
	for i := range n {
		s.Entries = append(s.Entries, entry(term, w.end.Index+1+uint64(i), fmt.Sprintf("value %d", w.end.Index+uint64(i))))
	}
	return s
}

func (w *writer) write(s Segment) {
	w.t.Helper()
	object, end, err := w.codec.Encode(s)
	if err == nil {
		err = w.st.Create(context.Background(), Key(end.Epoch, end.Chain, end.Number), object)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	w.end = end
}

func (w *writer) reader() Reader { return Reader{w.st, w.codec, "test"} }

// walk is every index that Walk yields, and its error.
func (w *writer) walk(from cluster.LogEnd, last uint64) (indexes []uint64, err error) {
	for s, e := range w.reader().Walk(context.Background(), from, last) {
		if e != nil {
			return indexes, e
		}
		for _, one := range s.Entries {
			indexes = append(indexes, one.GetIndex())
		}
	}
	return indexes, nil
}

func signing(t *testing.T) *seal.Sealer {
	t.Helper()
	dir := t.TempDir()
	if err := seal.Generate(dir); err != nil {
		t.Fatal(err)
	}
	keys, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(keys, func(k string) bool { return strings.Contains(k, "sign") && !strings.HasSuffix(k, ".pub") })
	if i < 0 {
		t.Fatalf("no signing key among %v", keys)
	}
	return seal.New(seal.Keys{SignKeyFile: keys[i]})
}

// TestRoundTrip: what goes in comes out, byte for byte, and the link fits.
func TestRoundTrip(t *testing.T) {
	codec := newCodec(t, nil)
	rapid.Check(t, func(r *rapid.T) {
		s := randomSegment(r)
		object, end, err := codec.Encode(s)
		if err != nil {
			r.Fatal(err)
		}
		got, end2, err := codec.Decode(object)
		if err != nil {
			r.Fatal(err)
		}
		if end != end2 || len(got.Entries) != len(s.Entries) {
			r.Fatalf("%d entries and end %v, want %d and %v", len(got.Entries), end2, len(s.Entries), end)
		}
		for i := range s.Entries {
			if !proto.Equal(got.Entries[i], s.Entries[i]) {
				r.Fatalf("entry %d: %v, want %v", i, got.Entries[i], s.Entries[i])
			}
		}
		if h, end3, err := codec.DecodeHeader(object); err != nil || end3 != end || h != got.Header {
			r.Fatalf("the header alone: %v %v %v", h, end3, err)
		}
		if err := Verify(got.Claimed(), got.Header); err != nil {
			r.Fatal(err)
		}
	})
}

func randomSegment(r *rapid.T) Segment {
	rev := rapid.Int64Range(1, 1<<40).Draw(r, "revision")
	s := Segment{Header: Header{Cluster: "test", ClusterID: 7, Epoch: 1, Chain: 1, Number: rapid.Uint64Range(2, 1<<40).Draw(r, "number"),
		FirstRevision: rev, LastRevision: rev + 3, Previous: "aa", From: time.Unix(1, 0).UTC(), To: time.Unix(2, 0).UTC()}}
	index, term := rapid.Uint64Range(1, 1<<50).Draw(r, "index"), rapid.Uint64Range(1, 9).Draw(r, "term")
	for range rapid.IntRange(1, 40).Draw(r, "entries") {
		term += rapid.Uint64Range(0, 1).Draw(r, "election")
		e := entry(term, index, string(rapid.SliceOf(rapid.Byte()).Draw(r, "data")))
		e.Type = rapid.SampledFrom([]raftpb.EntryType{raftpb.EntryNormal, raftpb.EntryConfChange}).Draw(r, "type").Enum()
		s.Entries, index = append(s.Entries, e), index+1
	}
	return s
}

// TestEveryBitCounts: no object with a changed, a missing or an added byte is
// taken, once it is signed; unsigned, the next segment tells.
func TestEveryBitCounts(t *testing.T) {
	signed := newCodec(t, signing(t))
	for name, codec := range map[string]*Codec{"signed": signed, "unsigned": newCodec(t, nil)} {
		w := newWriter(t, codec)
		object, end, err := codec.Encode(w.segment(20, 2))
		if err != nil {
			t.Fatal(err)
		}
		w.end = end
		second, _, err := codec.Encode(w.segment(20, 2))
		if err != nil {
			t.Fatal(err)
		}
		next, _, err := codec.DecodeHeader(second)
		if err != nil {
			t.Fatal(err)
		}
		accepted := func(changed []byte) bool {
			_, end, err := codec.Decode(changed)
			return err == nil && (codec == signed || Verify(end, next) == nil)
		}
		if !accepted(object) {
			t.Fatalf("%s: the whole object is refused", name)
		}
		for i := range object {
			changed := slices.Clone(object)
			changed[i] ^= 1 << (i % 8)
			// A signature's hexadecimal digits have two cases, which is the same signature.
			if accepted(changed) && !strings.EqualFold(string(changed), string(object)) {
				t.Errorf("%s: bit %d of byte %d (%q) may change", name, i%8, i, object[i])
			}
			if accepted(object[:i]) {
				t.Errorf("%s: cut to %d bytes it is accepted", name, i)
			}
		}
		if accepted(append(slices.Clone(object), 0)) {
			t.Errorf("%s: a byte more is accepted", name)
		}
	}
}

// TestUnsignedRefused: whoever demands signatures takes nothing without one.
func TestUnsignedRefused(t *testing.T) {
	w := newWriter(t, newCodec(t, nil))
	w.write(w.segment(3, 2))
	w.codec = newCodec(t, signing(t))
	if _, err := w.walk(base, 1); !errors.Is(err, seal.ErrUnsigned) {
		t.Errorf("got %v", err)
	}
}

func TestVerify(t *testing.T) {
	end := cluster.LogEnd{Epoch: 1, Chain: 2, Number: 7, Index: 100, Term: 5, Revision: 50, SHA256: "cc"}
	good := Header{Epoch: 1, Chain: 2, Number: 8, First: 101, FirstTerm: 5, FirstRevision: 50, Previous: "cc"}
	start := cluster.LogEnd{Epoch: 1, Chain: 2, Index: 100, Term: 5, Revision: 50, SHA256: "cc"}
	first := Header{Epoch: 1, Chain: 2, Number: 1, First: 101, FirstTerm: 5, FirstRevision: 40, Previous: "cc"}
	for name, row := range map[string]struct {
		end    cluster.LogEnd
		next   Header
		change func(*Header)
		want   string
	}{
		"it fits":                             {end, good, func(*Header) {}, ""},
		"a later term":                        {end, good, func(h *Header) { h.FirstTerm = 9 }, ""},
		"on its snapshot":                     {start, first, func(*Header) {}, ""},
		"from before its snapshot's end":      {start, first, func(h *Header) { h.First, h.FirstTerm = 60, 2 }, ""},
		"another epoch":                       {end, good, func(h *Header) { h.Epoch = 2 }, "of epoch 2"},
		"another chain":                       {end, good, func(h *Header) { h.Chain = 3 }, "chain 3"},
		"a number is missing":                 {end, good, func(h *Header) { h.Number = 9 }, "it follows segment 7"},
		"after another object":                {end, good, func(h *Header) { h.Previous = "dd" }, "another one"},
		"a hole":                              {end, good, func(h *Header) { h.First = 102 }, "a hole"},
		"a hole after the snapshot":           {start, first, func(h *Header) { h.First = 102 }, "a hole"},
		"an index twice":                      {end, good, func(h *Header) { h.First = 100 }, "stored already"},
		"a term goes back":                    {end, good, func(h *Header) { h.FirstTerm = 4 }, "below the term"},
		"a term goes back after the snapshot": {start, first, func(h *Header) { h.FirstTerm = 4 }, "below the term"},
		"a revision goes back":                {end, good, func(h *Header) { h.FirstRevision = 49 }, "below the revision"},
	} {
		row.change(&row.next)
		err := Verify(row.end, row.next)
		if row.want == "" && err != nil || row.want != "" && (!errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), row.want)) {
			t.Errorf("%s: got %v, want %q", name, err, row.want)
		}
	}
}

// TestWalk: an undisturbed chain is read whole, from any index of it.
func TestWalk(t *testing.T) {
	w := newWriter(t, newCodec(t, nil))
	for i := range 9 {
		w.write(w.segment(1+i*3, 2+uint64(i)/4))
	}
	ctx := context.Background()
	chains, err := List(ctx, w.st, 1)
	if err != nil || len(chains) != 1 || chains[0].First() != 1 || chains[0].Last() != 9 || chains[0].Size() == 0 {
		t.Fatalf("listed %v, %v", chains, err)
	}
	if end, err := w.reader().End(ctx, 1); err != nil || end != w.end {
		t.Errorf("it ends at %v, %v: want %v", end, err, w.end)
	}
	for index := base.Index; index < w.end.Index; index++ {
		from, err := w.reader().From(ctx, chains[0], index)
		if err != nil {
			t.Fatal(err)
		}
		got, err := w.walk(from, 9)
		if err != nil || len(got) == 0 || got[0] > index+1 || got[len(got)-1] != w.end.Index || !slices.Contains(got, index+1) {
			t.Errorf("after %d: %v, %v", index, got, err)
		}
	}
	if _, err := w.reader().From(ctx, chains[0], w.end.Index); !errors.Is(err, ErrNone) {
		t.Errorf("after the end: %v", err)
	}
	if at, err := w.reader().From(ctx, chains[0], base.Index-1); !errors.Is(err, ErrGap) || at.Number != 0 || at.Index != base.Index {
		t.Errorf("from before the chain: %v, %v", at, err)
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	for _, err := range w.reader().Walk(ended, base, 9) {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("after the end of the context: %v", err)
		}
	}
}

// TestDamage: what a store may do to a chain is found, and all before it is
// still yielded.
func TestDamage(t *testing.T) {
	ctx := context.Background()
	for name, row := range map[string]struct {
		do     func(st *store.Store, key func(uint64) string) error
		intact uint64 // the last good index
	}{
		"a segment is missing": {func(st *store.Store, key func(uint64) string) error { return st.Delete(ctx, key(3)) }, 20},
		"two are swapped": {func(st *store.Store, key func(uint64) string) error {
			a, err := st.Read(ctx, key(2))
			b, err2 := st.Read(ctx, key(4))
			return errors.Join(err, err2, st.Put(ctx, key(2), b), st.Put(ctx, key(4), a))
		}, 15},
		"one is empty": {func(st *store.Store, key func(uint64) string) error { return st.Put(ctx, key(4), nil) }, 25},
		"one is of a log that never was": {func(st *store.Store, key func(uint64) string) error {
			c, err := NewCodec(nil)
			if err != nil {
				return err
			}
			raw, err := st.Read(ctx, key(3))
			if err != nil {
				return err
			}
			s, _, err := c.Decode(raw)
			if err != nil {
				return err
			}
			s.Entries[2].Data = []byte("forged")
			object, _, err := c.Encode(s)
			return errors.Join(err, st.Put(ctx, key(3), object))
		}, 25},
	} {
		w := newWriter(t, newCodec(t, nil))
		for range 5 {
			w.write(w.segment(5, 2))
		}
		if err := row.do(w.st, func(n uint64) string { return Key(1, 1, n) }); err != nil {
			t.Fatal(err)
		}
		got, err := w.walk(base, 5)
		if !errors.Is(err, ErrDamaged) || len(got) == 0 || got[len(got)-1] != row.intact {
			t.Errorf("%s: up to %v, %v", name, got, err)
		}
	}
}

// TestEndOfBrokenChain: nothing may be added to a chain whose end is not whole.
func TestEndOfBrokenChain(t *testing.T) {
	ctx := context.Background()
	for name, row := range map[string]struct {
		do func(*writer) error
	}{
		"a hole":              {func(w *writer) error { return w.st.Delete(ctx, Key(1, 1, 2)) }},
		"the last is damaged": {func(w *writer) error { return w.st.Put(ctx, Key(1, 1, 3), []byte("{}\n\n")) }},
	} {
		w := newWriter(t, newCodec(t, nil))
		for range 3 {
			w.write(w.segment(5, 2))
		}
		if err := row.do(w); err != nil {
			t.Fatal(err)
		}
		end, err := w.reader().End(ctx, 1)
		if !errors.Is(err, ErrDamaged) || end != (cluster.LogEnd{Epoch: 1, Chain: 1}) {
			t.Errorf("%s: %v, %v", name, end, err)
		}
	}
	w := newWriter(t, newCodec(t, nil))
	if end, err := w.reader().End(ctx, 1); err != nil || end != (cluster.LogEnd{}) {
		t.Errorf("no chain: %v, %v", end, err)
	}
}

// TestOtherKeys: only what is named as a segment is one.
func TestOtherKeys(t *testing.T) {
	st, ctx := openStore(t), context.Background()
	for _, key := range []string{"log/0000000001/000001/0000000001.seg.tmp", "log/readme", "log/0000000001/1/1.seg", "log/00000000001/000001/0000000001.seg"} {
		if err := st.Put(ctx, key, []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	for _, n := range []uint64{2, 1, 10_000_000_000} {
		if err := st.Put(ctx, Key(3, 2, n), []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	if err := st.Put(ctx, Key(2, 12, 1), []byte("x")); err != nil {
		t.Fatal(err)
	}
	chains, err := List(ctx, st, 0)
	if err != nil || len(chains) != 2 || chains[0].Epoch != 2 || chains[0].Number != 12 || chains[1].Last() != 10_000_000_000 {
		t.Fatalf("listed %v, %v", chains, err)
	}
	if n, missing := chains[1].Missing(); !missing || n != 3 {
		t.Errorf("missing: %d, %v", n, missing)
	}
	if chains, err := List(ctx, st, 3); err != nil || len(chains) != 1 {
		t.Errorf("of epoch 3: %v, %v", chains, err)
	}
}
