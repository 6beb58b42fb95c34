package chain

import (
	"context"
	"errors"
	"strings"
	"testing"
)

// remaining are the numbers of the segments of the one chain.
func (w *writer) remaining() (numbers []uint64) {
	w.t.Helper()
	chains, err := List(context.Background(), w.st, 0)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, c := range chains {
		for _, s := range c.Segments {
			numbers = append(numbers, s.Number)
		}
	}
	return numbers
}

// What goes is the beginning, and whatever holds an entry after the index stays.
func TestPrune(t *testing.T) {
	w := newWriter(t, newCodec(t, nil))
	for range 6 { // 11-13, 14-16, … 26-28
		w.write(w.segment(3, 2))
	}
	prune := func(index uint64, from Deleter) (int, error) {
		t.Helper()
		chains, err := List(t.Context(), w.st, 1)
		if err != nil {
			t.Fatal(err)
		}
		return w.reader().Prune(t.Context(), from, chains[0], index)
	}
	for _, step := range []struct {
		index uint64
		gone  int
		first uint64
	}{{0, 0, 1}, {12, 0, 1}, {13, 1, 2}, {15, 0, 2}, {22, 3, 5}, {22, 0, 5}, {1000, 1, 6}} {
		gone, err := prune(step.index, w.st)
		if left := w.remaining(); err != nil || gone != step.gone || left[0] != step.first || left[len(left)-1] != 6 {
			t.Errorf("up to %d: %d gone, left %v, %v, want %d from %d on", step.index, gone, left, err, step.gone, step.first)
		}
	}
	end, err := w.reader().End(t.Context(), 1)
	if err != nil || end != w.end {
		t.Errorf("the log ends at %+v, %v, want %+v", end, err, w.end)
	}
}

// failing refuses the deletion of one key.
type failing struct {
	Deleter
	key string
}

var errBroken = errors.New("broken on purpose")

func (f failing) Delete(ctx context.Context, key string) error {
	if strings.HasSuffix(key, f.key) {
		return errBroken
	}
	return f.Deleter.Delete(ctx, key)
}

// Wherever it ends, what is left is a chain.
func TestPruneThatIsCutOff(t *testing.T) {
	w := newWriter(t, newCodec(t, nil))
	for range 4 {
		w.write(w.segment(3, 2))
	}
	chains, err := List(t.Context(), w.st, 1)
	if err != nil {
		t.Fatal(err)
	}
	if gone, err := w.reader().Prune(t.Context(), failing{w.st, "02.seg"}, chains[0], 20); !errors.Is(err, errBroken) || gone != 1 {
		t.Errorf("%d gone, %v", gone, err)
	}
	if left := w.remaining(); len(left) != 3 || left[0] != 2 {
		t.Errorf("left %v", left)
	}
	if gone, err := Drop(t.Context(), w.st, chains[0]); err != nil || gone != 4 || len(w.remaining()) > 0 {
		t.Errorf("dropped %d, left %v, %v", gone, w.remaining(), err)
	}
}
