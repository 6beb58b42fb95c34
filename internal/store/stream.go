package store

import (
	"context"
	"io"
	"sync/atomic"
	"time"
)

// The limits on a stream. It may take as long as it likes while bytes move.
const (
	readStall = 30 * time.Second
	// writeStall is longer: a store takes the bytes in parts of some MiB, and
	// on a slow line a whole part has to leave before the next byte moves.
	writeStall = 2 * time.Minute
	chunk      = 128 << 10
)

// NewReader streams the object, or says ErrNotFound. A read that yields no byte
// for 30 seconds fails, and all after it. The caller closes it; it is for one
// goroutine. It ends when ctx does.
func (s *Store) NewReader(ctx context.Context, key string) (io.ReadCloser, error) {
	full, err := s.full(key)
	if err != nil {
		return nil, s.wrap("reading", key, err)
	}
	ctx, dog := watch(ctx)
	dog.expect(opLimit, "no answer")
	src, err := await(ctx, s.slots, func() (io.ReadCloser, error) {
		src, err := s.back.open(ctx, full)
		if err == nil && ctx.Err() != nil { // nobody waits for it any more
			src.Close()
			return nil, context.Cause(ctx)
		}
		return src, err
	})
	dog.rest()
	if err != nil {
		dog.end()
		return nil, s.wrap("reading", key, err)
	}
	return &patientReader{ctx: ctx, dog: dog, s: s, key: key, src: src, buf: make([]byte, chunk)}, nil
}

// patientReader reads through its own buffer, so that a read that never
// returns can be left behind without it writing into the caller's memory.
type patientReader struct {
	ctx  context.Context
	dog  *watchdog
	s    *Store
	key  string
	src  io.ReadCloser
	buf  []byte
	rest []byte // of buf: read and not yet handed out
	err  error  // sticky: comes after rest
	left bool   // a read was left behind and still owns buf and src
}

func (r *patientReader) Read(p []byte) (int, error) {
	if len(r.rest) == 0 && r.err == nil && len(p) > 0 {
		r.fill()
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	if n == 0 && len(p) > 0 {
		return 0, r.err
	}
	return n, nil
}

func (r *patientReader) fill() {
	r.dog.expect(readStall, "no byte to read")
	var ended atomic.Bool
	n, err := await(r.ctx, r.s.slots, func() (int, error) {
		defer ended.Store(true)
		return r.src.Read(r.buf)
	})
	r.dog.rest()
	if err == nil || err == io.EOF || ended.Load() {
		r.rest = r.buf[:n]
	} else {
		r.left = true
	}
	switch err {
	case nil:
	case io.EOF:
		r.err = io.EOF
	default:
		r.err = r.s.wrap("reading", r.key, err)
	}
}

// Close ends the stream. It does not wait for a read that was left behind.
func (r *patientReader) Close() error {
	if r.left {
		go r.src.Close() // ends with the read; the slots bound how many there are
		return nil
	}
	r.dog.end()
	return r.src.Close()
}

// Upload streams r into the object, over any that is there, in bounded memory,
// and says how many bytes it read. It is atomic: when it fails, r's own failure
// included, the object is as it was before. When r yields nothing for 30
// seconds, or the store takes nothing for two minutes, it fails; a Read of r
// that never returns is then left behind, so r must not be used afterwards.
func (s *Store) Upload(ctx context.Context, key string, r io.Reader) (int64, error) {
	full, err := s.full(key)
	if err != nil {
		return 0, s.wrap("uploading", key, err)
	}
	ctx, dog := watch(ctx)
	defer dog.end()
	src := &watchedReader{r: r, dog: dog}
	dog.expect(writeStall, "the store took no byte")
	_, err = await(ctx, s.slots, func() (struct{}, error) {
		return struct{}{}, s.back.upload(ctx, full, src)
	})
	return src.n.Load(), s.wrap("uploading", key, err)
}

// watchedReader tells the watchdog whose turn it is: the source's during a
// read, the store's between two.
type watchedReader struct {
	r   io.Reader
	dog *watchdog
	n   atomic.Int64
}

func (w *watchedReader) Read(p []byte) (int, error) {
	w.dog.expect(readStall, "the source gave no byte")
	n, err := w.r.Read(p)
	w.n.Add(int64(n))
	w.dog.expect(writeStall, "the store took no byte")
	return n, err
}
