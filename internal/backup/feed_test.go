package backup

import (
	"context"
	"errors"
	"io"
	"testing"
)

// Close ends a source that would never say anything again.
func TestPackerEnds(t *testing.T) {
	r, w := io.Pipe()
	defer w.Close()
	p, err := newPacker(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if _, err := p.Read(make([]byte, 1)); err == nil || err == io.EOF {
		t.Errorf("after its end: %v", err)
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
