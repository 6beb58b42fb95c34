package chain

import (
	"errors"
	"testing"
)

func TestMissingBefore(t *testing.T) {
	c := Chain{Segments: []Stored{{Number: 3}, {Number: 4}, {Number: 8}, {Number: 9}, {Number: 11}}}
	for number, want := range map[uint64]uint64{2: 0, 3: 0, 4: 0, 5: 0, 7: 5, 8: 5, 9: 0, 11: 10, 12: 0, 14: 12} {
		if got, missing := c.MissingBefore(number); missing != (want > 0) || missing && got != want {
			t.Errorf("before %d: %d, %v, want %d", number, got, missing, want)
		}
	}
}

// TestBegin: a chain that has been pruned since it was listed is no failure of the
// store.
func TestBegin(t *testing.T) {
	w := newWriter(t, newCodec(t, nil))
	w.write(w.segment(3, 2))
	there, gone := Chain{Epoch: 1, Number: 1, Segments: []Stored{{Number: 1}}}, Chain{Epoch: 1, Number: 9, Segments: []Stored{{Number: 1}}}
	if h, err := w.reader().Begin(t.Context(), there); err != nil || h.Number != 1 {
		t.Errorf("it begins with %+v, %v", h, err)
	}
	if h, err := w.reader().Begin(t.Context(), gone); !errors.Is(err, ErrNone) {
		t.Errorf("a chain that is gone begins with %+v, %v", h, err)
	}
}
