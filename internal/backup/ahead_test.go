package backup

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"
)

// Whatever the sizes, all bytes come through in their order, and then the error.
func TestAhead(t *testing.T) {
	broken := errors.New("broken on purpose")
	rapid.Check(t, func(t *rapid.T) {
		text := make([]byte, rapid.SampledFrom([]int{0, 1, 1000, aheadSize - 1, aheadSize, aheadSize + 1, 5*aheadSize + 77}).Draw(t, "size"))
		for i := range text {
			text[i] = byte(i*7 + i>>9)
		}
		var src io.Reader = bytes.NewReader(text)
		var want error
		switch rapid.IntRange(0, 2).Draw(t, "source") {
		case 1:
			src, want = io.MultiReader(src, iotest.ErrReader(broken)), broken
		case 2:
			src = iotest.DataErrReader(iotest.HalfReader(src))
		}
		a := newAhead(io.NopCloser(src))
		got, err := io.ReadAll(a)
		if !bytes.Equal(got, text) || !errors.Is(err, want) || (err == nil) != (want == nil) {
			t.Fatalf("%d of %d bytes, %v", len(got), len(text), err)
		}
		if _, again := a.Read(make([]byte, 1)); again == nil {
			t.Fatal("it goes on behind its end")
		}
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// Close ends a source that would never say anything again.
func TestAheadEnds(t *testing.T) {
	r, w := io.Pipe()
	defer w.Close()
	a := newAhead(r)
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	// And a backup that breaks off leaves no reader of the stream.
	src := &endless{closed: make(chan struct{})}
	st := newStore(t)
	st.before = failOn("upload", "")
	if _, err := Take(t.Context(), src, st, metaAt(1, testNow)); !errors.Is(err, errBroken) {
		t.Error(err)
	}
	select {
	case <-src.closed:
	default:
		t.Error("the stream is still open")
	}
}

// endless streams zeros until it is closed.
type endless struct {
	fakeSource
	closed chan struct{}
}

func (e *endless) KeyCount(context.Context, int64) (int64, error) { return 0, nil }

func (e *endless) Snapshot(context.Context) (io.ReadCloser, error) { return e, nil }

func (e *endless) Read(p []byte) (int, error) {
	select {
	case <-e.closed:
		return 0, io.ErrClosedPipe
	default:
		return len(p), nil
	}
}

func (e *endless) Close() error {
	close(e.closed)
	return nil
}
