// Package storetest holds the contract of a store.Store as a suite, run over
// every kind of store.
package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/quorate/quorate/internal/store"
)

// Run checks the contract. open gives an empty store each time.
func Run(t *testing.T, open func(t *testing.T) *store.Store) {
	for name, check := range map[string]func(*testing.T, *store.Store){
		"create only if absent":              createOnce,
		"of many creators one wins":          createConcurrently,
		"put replaces":                       putReplaces,
		"missing objects":                    missing,
		"delete":                             deletes,
		"upload and read back a stream":      streams,
		"an upload whose source fails":       uploadFails,
		"an upload whose caller walks away":  uploadCancelled,
		"a listing has every page":           listPages,
		"a listing is by prefix":             listPrefix,
		"odd keys":                           oddKeys,
		"keys that could escape are refused": badKeys,
		"a context that has ended":           endedContext,
		"requests are counted":               countsRequests,
		"a closed store refuses":             closedRefuses,
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t)
			defer s.Close()
			check(t, s)
		})
	}
}

func createOnce(t *testing.T, s *store.Store) {
	ctx := t.Context()
	must(t, s.Create(ctx, "a/b", []byte("first")))
	if err := s.Create(ctx, "a/b", []byte("second")); !errors.Is(err, store.ErrExists) {
		t.Errorf("second create: %v, want ErrExists", err)
	}
	want(t, s, "a/b", "first")
	must(t, s.Delete(ctx, "a/b"))
	must(t, s.Create(ctx, "a/b", nil))
	want(t, s, "a/b", "")
}

func createConcurrently(t *testing.T, s *store.Store) {
	const keys, writers = 5, 20
	for k := range keys {
		key := fmt.Sprintf("race/%d", k)
		errs := make([]error, writers)
		var wg sync.WaitGroup
		for w := range writers {
			wg.Go(func() { errs[w] = s.Create(t.Context(), key, fmt.Appendf(nil, "writer %d", w)) })
		}
		wg.Wait()
		winner := -1
		for w, err := range errs {
			switch {
			case err == nil && winner >= 0:
				t.Fatalf("%s: writers %d and %d both won", key, winner, w)
			case err == nil:
				winner = w
			case !errors.Is(err, store.ErrExists):
				t.Errorf("%s: writer %d: %v, want ErrExists", key, w, err)
			}
		}
		want(t, s, key, fmt.Sprintf("writer %d", winner))
	}
}

func putReplaces(t *testing.T, s *store.Store) {
	for _, text := range []string{"one", "a longer two", "3"} {
		must(t, s.Put(t.Context(), "p", []byte(text)))
		want(t, s, "p", text)
	}
	if err := s.Create(t.Context(), "p", []byte("x")); !errors.Is(err, store.ErrExists) {
		t.Errorf("creating over a put: %v, want ErrExists", err)
	}
}

func missing(t *testing.T, s *store.Store) {
	ctx := t.Context()
	must(t, s.Put(ctx, "dir/object", []byte("x")))
	for _, key := range []string{"nothing", "dir", "dir/other", "no/such/dir"} {
		_, err := s.Read(ctx, key)
		wantNotFound(t, "read "+key, err)
		_, err = s.NewReader(ctx, key)
		wantNotFound(t, "reader "+key, err)
		_, err = s.Size(ctx, key)
		wantNotFound(t, "size "+key, err)
	}
}

func deletes(t *testing.T, s *store.Store) {
	ctx := t.Context()
	must(t, s.Put(ctx, "d/one", []byte("x")))
	for _, key := range []string{"d/one", "d/one", "d", "never"} {
		must(t, s.Delete(ctx, key))
	}
	_, err := s.Read(ctx, "d/one")
	wantNotFound(t, "read after delete", err)
}

// streams uses sizes around gocloud's, S3's and our own buffers.
func streams(t *testing.T, s *store.Store) {
	ctx := t.Context()
	for _, size := range []int{0, 1, 511, 128 << 10, 5<<20 + 1, 13 << 20} {
		data := noise(size)
		n, err := s.Upload(ctx, "stream", iotest.OneByteReader(bytes.NewReader(data[:min(size, 600)])))
		must(t, err)
		if n != int64(min(size, 600)) {
			t.Errorf("uploaded %d of %d bytes", n, size)
		}
		n, err = s.Upload(ctx, "stream", bytes.NewReader(data)) // over the first
		must(t, err)
		if n != int64(size) {
			t.Errorf("uploaded %d of %d bytes", n, size)
		}
		got, err := s.Size(ctx, "stream")
		must(t, err)
		if got != int64(size) {
			t.Errorf("size %d, want %d", got, size)
		}
		r, err := s.NewReader(ctx, "stream")
		must(t, err)
		back, err := io.ReadAll(r)
		must(t, err)
		must(t, r.Close())
		if !bytes.Equal(back, data) {
			t.Errorf("%d bytes came back different", size)
		}
	}
}

func uploadFails(t *testing.T, s *store.Store) {
	ctx := t.Context()
	boom := errors.New("the source broke")
	for _, size := range []int{0, 100, 1 << 20, 11 << 20} {
		src := io.MultiReader(bytes.NewReader(noise(size)), iotest.ErrReader(boom))
		n, err := s.Upload(ctx, "broken/object", src)
		if !errors.Is(err, boom) || n != int64(size) {
			t.Errorf("after %d bytes: %d, %v; want the source's error", size, n, err)
		}
		_, err = s.Read(ctx, "broken/object")
		wantNotFound(t, "a part of an upload", err)
	}
	must(t, s.Put(ctx, "broken/object", []byte("old")))
	_, err := s.Upload(ctx, "broken/object", iotest.ErrReader(boom))
	if !errors.Is(err, boom) {
		t.Errorf("%v, want the source's error", err)
	}
	want(t, s, "broken/object", "old")
	if all, err := s.List(ctx, ""); err != nil || len(all) != 1 {
		t.Errorf("the listing shows left-overs: %v, %v", all, err)
	}
}

// uploadCancelled ends the context when 6 MiB are written and the source waits.
func uploadCancelled(t *testing.T, s *store.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	go func() {
		w.Write(noise(6 << 20))
		cancel()
	}()
	_, err := s.Upload(ctx, "left", r)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want context.Canceled", err)
	}
	w.Close() // lets the read that was left behind see a good end
	_, err = s.Read(t.Context(), "left")
	wantNotFound(t, "an upload that was left", err)
}

func endedContext(t *testing.T, s *store.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Create(ctx, "k", nil); !errors.Is(err, context.Canceled) {
		t.Errorf("create: %v", err)
	}
	if _, err := s.Read(ctx, "k"); !errors.Is(err, context.Canceled) {
		t.Errorf("read: %v", err)
	}
	if _, err := s.List(ctx, ""); !errors.Is(err, context.Canceled) {
		t.Errorf("list: %v", err)
	}
	_, err := s.Read(t.Context(), "k")
	wantNotFound(t, "after a create that never was", err)
}

func countsRequests(t *testing.T, s *store.Store) {
	ctx := t.Context()
	must(t, s.Create(ctx, "k", nil))
	must(t, s.Put(ctx, "k", nil))
	want(t, s, "k", "")
	want(t, s, "k", "")
	_, err := s.List(ctx, "")
	must(t, err)
	got := s.Requests()
	for operation, n := range map[string]int64{"create": 1, "put": 1, "read": 2, "list": 1, "delete": 0} {
		if got[operation] != n {
			t.Errorf("%s: %d requests, want %d", operation, got[operation], n)
		}
	}
}

func closedRefuses(t *testing.T, s *store.Store) {
	must(t, s.Close())
	must(t, s.Close())
	if err := s.Create(t.Context(), "k", nil); err == nil || errors.Is(err, store.ErrExists) {
		t.Errorf("create in a closed store: %v", err)
	}
	if _, err := s.Read(t.Context(), "k"); err == nil || errors.Is(err, store.ErrNotFound) {
		t.Errorf("read in a closed store: %v", err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func want(t *testing.T, s *store.Store, key, text string) {
	t.Helper()
	got, err := s.Read(t.Context(), key)
	if err != nil || string(got) != text {
		t.Errorf("%s holds %q, %v; want %q", key, got, err, text)
	}
}

func wantNotFound(t *testing.T, what string, err error) {
	t.Helper()
	if !errors.Is(err, store.ErrNotFound) {
		t.Errorf("%s: %v, want ErrNotFound", what, err)
	}
}

func noise(n int) []byte {
	b := make([]byte, n)
	rng := rand.NewChaCha8([32]byte{1})
	rng.Read(b)
	return b
}
