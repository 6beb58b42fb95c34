package backup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/store"
)

// copied are the prefixes of what a copy holds, in the order of copying: notes
// last, because they say what must be there.
var copied = []string{prefix, logPrefix, notePrefix}

// logPrefix is package chain's: where the segments of the log are.
const logPrefix = "log/"

// Copy brings into a second store what it lacks of the first: backups, the log,
// notes. It needs no keys: bytes are copied as they are, and a snapshot is held
// to its manifest's hash on the way, so damage does not spread. A manifest
// follows its object, and segments come in their order, so whatever ends it, the
// copy holds only what can be restored. One object that cannot be copied does not
// stop the others. Nothing is deleted.
func Copy(ctx context.Context, from, to Store) (done int, err error) {
	var errs []error
	for _, p := range copied {
		missing, err := lacking(ctx, from, to, p)
		if err != nil {
			return done, err
		}
		for _, key := range missing {
			if err := copyOne(ctx, from, to, key); err != nil {
				errs = append(errs, fmt.Errorf("copying %s: %w", key, err))
				if ctx.Err() != nil {
					return done, errors.Join(errs...)
				}
				if p == logPrefix { // a later segment is nothing without it
					break
				}
				continue
			}
			done++
		}
	}
	return done, errors.Join(errs...)
}

// lacking are the keys under the prefix that one store has and the other has
// not, the oldest first and each object before its manifest.
func lacking(ctx context.Context, from, to Store, prefix string) ([]string, error) {
	have, err := from.List(ctx, prefix)
	if err != nil {
		return nil, fmt.Errorf("listing what is to be copied: %w", err)
	}
	there, err := to.List(ctx, prefix)
	if err != nil {
		return nil, fmt.Errorf("listing the copy: %w", err)
	}
	size := map[string]int64{}
	for _, o := range there {
		size[o.Key] = o.Size
	}
	var keys []string
	for _, o := range have {
		if n, ok := size[o.Key]; (!ok || n != o.Size) && !isOrphan(o.Key, have) {
			keys = append(keys, o.Key)
		}
	}
	slices.SortStableFunc(keys, func(a, b string) int { return strings.Compare(orderOf(a), orderOf(b)) })
	return keys, nil
}

// isOrphan says that an object's manifest is not there: it is being uploaded, or
// is rubbish.
func isOrphan(key string, have []store.Object) bool {
	if !isObject(key) {
		return false
	}
	_, found := slices.BinarySearchFunc(have, manifestOf(key), func(o store.Object, key string) int { return strings.Compare(o.Key, key) })
	return !found
}

// orderOf sorts a manifest behind its object.
func orderOf(key string) string {
	if isManifest(key) {
		return strings.TrimSuffix(key, manifestSuffix) + "~"
	}
	return key
}

func copyOne(ctx context.Context, from, to Store, key string) error {
	switch {
	case isManifest(key):
		return copyManifest(ctx, from, to, key)
	case isObject(key):
		return copyObject(ctx, from, to, key)
	}
	return stream(ctx, from, to, key, nil)
}

// copyManifest makes a backup exist in the copy, if its object is there.
func copyManifest(ctx context.Context, from, to Store, key string) error {
	data, err := from.Read(ctx, key)
	if err != nil {
		return err
	}
	b, err := peek(data)
	if err != nil {
		return err
	}
	r, err := to.NewReader(ctx, b.Object)
	if err != nil {
		return fmt.Errorf("its object is not in the copy: %w", err)
	}
	r.Close()
	if err := to.Create(ctx, key, data); !errors.Is(err, store.ErrExists) {
		return err
	}
	return nil
}

// copyObject holds what it copies to the manifest: a damaged object is not
// copied.
func copyObject(ctx context.Context, from, to Store, key string) error {
	data, err := from.Read(ctx, manifestOf(key))
	if err != nil {
		return err
	}
	b, err := peek(data)
	if err != nil {
		return err
	}
	return stream(ctx, from, to, key, &b)
}

// peek reads a manifest as it is: whether it is to be trusted is for those to
// say who restore from it.
func peek(data []byte) (cluster.Backup, error) {
	var b cluster.Backup
	if err := json.NewDecoder(strings.NewReader(string(data))).Decode(&b); err != nil {
		return b, fmt.Errorf("its manifest: %w: %w", ErrDamaged, err)
	}
	return b, sound(b, b.Key)
}

func stream(ctx context.Context, from, to Store, key string, promised *cluster.Backup) error {
	r, err := from.NewReader(ctx, key)
	if errors.Is(err, store.ErrNotFound) { // pruned since it was listed
		return nil
	}
	if err != nil {
		return err
	}
	defer r.Close()
	passed := newTally()
	_, err = to.Upload(ctx, key, &checked{io.TeeReader(r, &passed), &passed, promised})
	return err
}

// checked ends in an error, and not in io.EOF, when what has passed is not what
// was promised: the store then keeps nothing.
type checked struct {
	io.Reader
	passed   *tally
	promised *cluster.Backup // nil: nobody has promised anything
}

func (c *checked) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	if err == io.EOF && c.promised != nil && (c.passed.n != c.promised.StoredSize || c.passed.sum() != c.promised.StoredSHA) {
		err = fmt.Errorf("%w: its bytes are not those of its manifest", ErrDamaged)
	}
	return n, err
}
