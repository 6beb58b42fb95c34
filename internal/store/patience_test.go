package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// deaf is a backend on which everything hangs, as on a dead NFS mount, until
// hung is closed; it does not look at ctx.
type deaf struct {
	backend
	hung  chan struct{}
	opens io.ReadCloser // what open gives at once, if anything
}

func (d deaf) create(context.Context, string, []byte) error { <-d.hung; return nil }

func (d deaf) open(context.Context, string) (io.ReadCloser, error) {
	if d.opens == nil {
		<-d.hung
		return hungReader{d.hung}, nil
	}
	return d.opens, nil
}

func (d deaf) list(context.Context, string, func([]Object)) error { <-d.hung; return nil }

func (d deaf) upload(ctx context.Context, _ string, r io.Reader) error {
	_, err := io.Copy(io.Discard, r)
	return err
}

type hungReader struct{ hung chan struct{} }

func (h hungReader) Read([]byte) (int, error) { <-h.hung; return 0, io.EOF }
func (h hungReader) Close() error             { return nil }

func hanging(hung chan struct{}) *Store {
	return &Store{base: "c/", back: deaf{hung: hung}, slots: make(slots, 3), tally: newTally()}
}

// gaveUp checks the error and the time that an operation took.
func gaveUp(t *testing.T, operation string, limit time.Duration, f func() error) {
	t.Helper()
	start := time.Now()
	err := f()
	if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != limit {
		t.Errorf("%s: %v after %s, want a deadline after %s", operation, err, time.Since(start), limit)
	}
}

func TestNothingBlocksForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hung := make(chan struct{})
		s := hanging(hung)
		ctx := t.Context()
		gaveUp(t, "create", opLimit, func() error { return s.Create(ctx, "k", nil) })
		gaveUp(t, "reader", opLimit, func() error { _, err := s.NewReader(ctx, "k"); return err })
		gaveUp(t, "list", readStall, func() error { _, err := s.List(ctx, ""); return err })
		// The three slots are taken by what was left behind.
		var last error
		gaveUp(t, "fourth", time.Second, func() error {
			short, cancel := context.WithTimeout(ctx, time.Second)
			defer cancel()
			last = s.Create(short, "k", nil)
			return last
		})
		if !strings.Contains(last.Error(), "waiting for one of 3 operations to end") {
			t.Errorf("%v", last)
		}
		close(hung)
		synctest.Wait()
		if err := s.Create(ctx, "k", nil); err != nil {
			t.Errorf("after it came back: %v", err)
		}
	})
}

// A backend says of a context only that it has ended; whoever comes first, it or
// the wait for it, the error is the cause.
func TestEndsWithTheCause(t *testing.T) {
	errCause := errors.New("the person has had enough")
	for range 1000 {
		ctx, cancel := context.WithCancelCause(t.Context())
		_, err := await(ctx, make(slots, 1), func() (struct{}, error) {
			cancel(errCause)
			return struct{}{}, fmt.Errorf("asking the cloud: %w", ctx.Err())
		})
		if !errors.Is(err, errCause) {
			t.Fatalf("%v, want %v", err, errCause)
		}
	}
}

func TestStreamsMustMove(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hung := make(chan struct{})
		s := hanging(hung)
		s.back = deaf{hung: hung, opens: hungReader{hung}}
		r, err := s.NewReader(t.Context(), "k")
		if err != nil {
			t.Fatal(err)
		}
		gaveUp(t, "read", readStall, func() error { _, err := r.Read(make([]byte, 10)); return err })
		gaveUp(t, "the next read", 0, func() error { _, err := r.Read(make([]byte, 10)); return err })
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		src := io.MultiReader(bytes.NewReader(make([]byte, 1000)), hungReader{hung})
		gaveUp(t, "upload", readStall, func() error { _, err := s.Upload(t.Context(), "k", src); return err })
		close(hung)
	})
}

// slowReader gives a byte every 29 seconds.
type slowReader struct{ n int }

func (s *slowReader) Read(p []byte) (int, error) {
	if s.n == 0 {
		return 0, io.EOF
	}
	<-time.After(29 * time.Second)
	s.n--
	return copy(p, "x"), nil
}

func (s *slowReader) Close() error { return nil }

func TestSlowStreamsAreNotCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := hanging(nil)
		s.back = deaf{opens: &slowReader{20}}
		r, err := s.NewReader(t.Context(), "k")
		if err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(r); err != nil || len(b) != 20 {
			t.Errorf("read %d bytes, %v", len(b), err)
		}
		r.Close()
		if n, err := s.Upload(t.Context(), "k", &slowReader{20}); err != nil || n != 20 {
			t.Errorf("uploaded %d bytes, %v", n, err)
		}
	})
}

func TestErrorsTellNoSecret(t *testing.T) {
	for _, text := range []string{
		`Get "https://acct.blob.core.windows.net/c/k?sv=1&sig=hunter2%3D&se=2": dial tcp`,
		"GET http://user:hunter2@host/x",
		"https://host/k?X-Amz-Signature=hunter2",
		"AccountName=a;AccountKey=hunter2;EndpointSuffix=x",
		"Authorization: SharedKey hunter2\nHost: x",
	} {
		inner := errors.New(text)
		err := redact(inner)
		if strings.Contains(err.Error(), "hunter2") || !errors.Is(err, inner) {
			t.Errorf("%q became %q", text, err)
		}
	}
	if redact(errors.New("design=1")).Error() != "design=1" {
		t.Error("innocent text was changed")
	}
}

func TestSameNameForEveryKey(t *testing.T) {
	d := newDirectory("/root", false, newTally())
	for _, key := range []string{"a", ".a/b", "%2Ea", "%25", "a%/.b/%2E%25", "..."} {
		if back, ok := d.key(d.place(key)); !ok || back != key {
			t.Errorf("%q became %q, then %q", key, d.place(key), back)
		}
	}
	for _, foreign := range []string{"/root/.tmp-1", "/root/a%zz", "/root/c/.hidden"} {
		if key, ok := d.key(foreign); ok {
			t.Errorf("%s was taken for key %q", foreign, key)
		}
	}
}
