package store

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"time"

	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"
)

const (
	pageSize = 1000
	// attempts of a create that conflicts with another under way, and the
	// first pause between them; the pauses double and sum up to 3 s.
	attempts   = 6
	firstPause = 100 * time.Millisecond
	// partSize and parts bound an upload's memory, and how much is under way
	// on a slow line. S3 takes 10000 parts: 50 GB.
	partSize = 5 << 20
	parts    = 3
)

// bucket is a backend over gocloud.dev/blob.
type bucket struct {
	blob   *blob.Bucket
	tally  *tally
	absent func(error) bool // the provider's own proof that there is no object
	shared bool             // outlives this store
	// vague says that a read's 404 does not tell a missing bucket from a
	// missing object, so that it takes a second question.
	vague bool
}

func (b *bucket) create(ctx context.Context, key string, data []byte) error {
	for n := range attempts {
		b.tally.add("create")
		err := b.write(ctx, key, data, true)
		switch {
		case err == nil:
			return nil
		case gcerrors.Code(err) == gcerrors.FailedPrecondition:
			return ErrExists
		case !undecided(err) || n == attempts-1:
			return err
		}
		if err := pause(ctx, firstPause<<n); err != nil {
			return err
		}
	}
	panic("unreachable")
}

// pause waits for half of d and a random part of the other half.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d/2 + rand.N(d/2))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (b *bucket) put(ctx context.Context, key string, data []byte) error {
	b.tally.add("put")
	return b.write(ctx, key, data, false)
}

// write hands the bytes over as a reader: gocloud.dev's Azure writer, when it
// is written to, panics on every upload that fails, a refused condition too.
func (b *bucket) write(ctx context.Context, key string, data []byte, onlyIfAbsent bool) error {
	opts := &blob.WriterOptions{ContentType: contentType(key), IfNotExist: onlyIfAbsent}
	return b.blob.Upload(ctx, key, bytes.NewReader(data), opts)
}

func (b *bucket) open(ctx context.Context, key string) (io.ReadCloser, error) {
	b.tally.add("read")
	r, err := b.blob.NewReader(ctx, key, nil)
	if err == nil {
		return r, nil
	}
	if err = b.explain(err); err == ErrNotFound && b.vague {
		if _, err = b.size(ctx, key); err == nil {
			err = errors.New("the object has just appeared")
		}
	}
	return nil, err
}

// upload ends the writer's context the moment that the source fails: otherwise
// some writers would make an object of what they have got.
func (b *bucket) upload(ctx context.Context, key string, r io.Reader) error {
	b.tally.add("upload")
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	src := &source{r: r, failed: cancel}
	err := b.blob.Upload(ctx, key, src, &blob.WriterOptions{
		ContentType: contentType(key), BufferSize: partSize, MaxConcurrency: parts,
	})
	if src.err != nil {
		return src.err
	}
	return err
}

// source remembers its failure and reports it. It has no other methods, so
// that every byte passes through Read, where it is watched and counted.
type source struct {
	r      io.Reader
	failed func()
	err    error
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil && err != io.EOF {
		s.err = err
		s.failed()
	}
	return n, err
}

func (b *bucket) size(ctx context.Context, key string) (int64, error) {
	b.tally.add("size")
	a, err := b.blob.Attributes(ctx, key)
	if err != nil {
		return 0, b.explain(err)
	}
	return a.Size, nil
}

func (b *bucket) delete(ctx context.Context, key string) error {
	b.tally.add("delete")
	err := b.blob.Delete(ctx, key)
	if err != nil && b.absent(err) {
		return nil
	}
	return err
}

func (b *bucket) list(ctx context.Context, prefix string, page func([]Object)) error {
	token := blob.FirstPageToken
	for len(token) > 0 {
		b.tally.add("list")
		objects, next, err := b.blob.ListPage(ctx, token, pageSize, &blob.ListOptions{Prefix: prefix})
		if err != nil {
			return err
		}
		found := make([]Object, len(objects))
		for i, o := range objects {
			found[i] = Object{Key: o.Key, Size: o.Size, ModTime: o.ModTime}
		}
		page(found)
		token = next
	}
	return nil
}

func (b *bucket) close() error {
	if b.shared {
		return nil
	}
	return b.blob.Close()
}

// explain makes ErrNotFound of a proven absence, and of nothing else.
func (b *bucket) explain(err error) error {
	if b.absent(err) {
		return ErrNotFound
	}
	return err
}

func contentType(key string) string {
	if strings.HasSuffix(key, ".json") {
		return "application/json"
	}
	return "application/octet-stream"
}
