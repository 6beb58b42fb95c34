package backup

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/seal"
	"github.com/quorate/quorate/internal/store"
)

// unpack streams a backup's database into w, checking the object's and the
// database's size and hash on the way. What it wrote is good only when it
// returns nil. Wrong bytes are ErrDamaged, and so is an object that is gone;
// any other error is the store's or w's, and proves nothing about the backup.
func unpack(ctx context.Context, st Store, b cluster.Backup, w io.Writer) error {
	if b.Compression != compression {
		return fmt.Errorf("reading %s: compression %q is not known here", b.Object, b.Compression)
	}
	r, err := st.NewReader(ctx, b.Object)
	if errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("reading %s: %w: the object is gone: %w", b.Object, ErrDamaged, err)
	}
	if err != nil {
		return fmt.Errorf("reading %s: %w", b.Object, err)
	}
	defer r.Close()
	if err := unpackFrom(ctx, r, sealerOf(st), b, w); err != nil {
		return fmt.Errorf("reading %s: %w", b.Object, err)
	}
	return nil
}

func unpackFrom(ctx context.Context, r io.Reader, keys *seal.Sealer, b cluster.Backup, w io.Writer) error {
	stored, db := newTally(), newTally()
	source := &remember{r: r, ctx: ctx}
	raw := io.TeeReader(source, &stored)
	plain, err := keys.Decrypt(bufio.NewReaderSize(raw, chunk))
	if err != nil {
		return blame(err, source, raw, b, stored)
	}
	dec, err := zstd.NewReader(plain,
		zstd.WithDecoderMaxWindow(mostWindow),
		zstd.WithDecoderLowmem(true),
		zstd.WithDecoderConcurrency(2)) // one goroutine unpacks while this one hashes and writes
	if err != nil {
		return fmt.Errorf("opening zstd: %w", err)
	}
	sink := &remember{w: w}
	// One byte more than promised is enough to know that there is too much.
	_, err = io.CopyBuffer(io.MultiWriter(&db, sink), io.LimitReader(dec, b.Size+1), make([]byte, chunk))
	dec.Close() // waits for its goroutine: what follows reads what that wrote
	switch {
	case source.err != nil:
		return source.err // the store failed: the bytes are not to blame
	case sink.err != nil:
		return sink.err
	case err != nil:
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return compare(b, stored, db)
}

// blame says whose fault it is that an object does not begin to decrypt: the
// store's, the keys', or, if the bytes are not those of the manifest, theirs.
func blame(err error, source *remember, raw io.Reader, b cluster.Backup, stored tally) error {
	if errors.Is(err, seal.ErrNoIdentity) {
		if _, rest := io.Copy(io.Discard, raw); rest == nil && stored.sum() == b.StoredSHA {
			return err
		}
	}
	if source.err != nil {
		return source.err
	}
	return fmt.Errorf("%w: %w", ErrDamaged, err)
}

func compare(b cluster.Backup, stored, db tally) error {
	switch {
	case db.n != b.Size:
		return fmt.Errorf("%w: the database has not the %d bytes of its manifest", ErrDamaged, b.Size)
	case db.sum() != b.SHA256:
		return fmt.Errorf("%w: the database's SHA-256 is %s, in its manifest %s", ErrDamaged, db.sum(), b.SHA256)
	case stored.n != b.StoredSize:
		return fmt.Errorf("%w: the object has %d bytes, in its manifest %d", ErrDamaged, stored.n, b.StoredSize)
	case stored.sum() != b.StoredSHA:
		return fmt.Errorf("%w: the object's SHA-256 is %s, in its manifest %s", ErrDamaged, stored.sum(), b.StoredSHA)
	}
	return nil
}

// remember keeps the first error of the side it stands for, so that a failing
// store or disk is told apart from damaged bytes. It ends with its context, for
// that one's cause.
type remember struct {
	ctx context.Context
	r   io.Reader
	w   io.Writer
	err error
}

func (m *remember) Read(p []byte) (int, error) {
	if m.err = context.Cause(m.ctx); m.err != nil {
		return 0, m.err
	}
	n, err := m.r.Read(p)
	if err != nil && err != io.EOF {
		m.err = err
	}
	return n, err
}

func (m *remember) Write(p []byte) (int, error) {
	n, err := m.w.Write(p)
	if err != nil {
		m.err = err
	}
	return n, err
}
