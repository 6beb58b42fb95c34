package backup

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/store"
)

// rubbishAge is how much older than the newest object a nameless one must be.
const rubbishAge = 24 * time.Hour

// Prune deletes backups: the manifest first, so that a crash in between leaves
// rubbish and never a backup without its data. It tries them all and returns
// every error.
func Prune(ctx context.Context, st Store, remove []cluster.Backup) error {
	var errs []error
	for _, b := range remove {
		if err := pruneOne(ctx, st, b); err != nil {
			errs = append(errs, fmt.Errorf("pruning %s: %w", b.Key, err))
		}
	}
	if sealerOf(st).Signs() {
		forget(ctx, st)
	}
	return errors.Join(errs...)
}

func pruneOne(ctx context.Context, st Store, b cluster.Backup) error {
	if !isManifest(b.Key) || !isObject(b.Object) || manifestOf(b.Object) != b.Key {
		return fmt.Errorf("object %q is not a backup's", b.Object)
	}
	if err := st.Delete(ctx, b.Key); err != nil {
		return err
	}
	return st.Delete(ctx, b.Object)
}

// Sweep deletes the objects that no manifest speaks of: what an interrupted
// Take or Prune left. Only objects of our naming go, and only those a day older
// than the newest object in the store: their age is by the store's clock alone,
// so a node whose clock is wrong cannot sweep away an upload of today.
func Sweep(ctx context.Context, st Store) (swept []string, err error) {
	objects, err := st.List(ctx, prefix)
	if err != nil {
		return nil, fmt.Errorf("listing backups: %w", err)
	}
	var errs []error
	for _, key := range rubbish(objects) {
		if err := sweepOne(ctx, st, key); err != nil {
			errs = append(errs, fmt.Errorf("sweeping %s: %w", key, err))
			continue
		}
		swept = append(swept, key)
	}
	return swept, errors.Join(errs...)
}

// rubbish picks out of one listing what Sweep may delete.
func rubbish(objects []store.Object) (keys []string) {
	manifests := map[string]bool{}
	var newest time.Time
	for _, o := range objects {
		manifests[o.Key] = isManifest(o.Key)
		if ours.MatchString(o.Key) && o.ModTime.After(newest) {
			newest = o.ModTime
		}
	}
	for _, o := range objects {
		if isObject(o.Key) && !manifests[manifestOf(o.Key)] && newest.Sub(o.ModTime) > rubbishAge {
			keys = append(keys, o.Key)
		}
	}
	return keys
}

// Orphans are the objects whose manifest is not there: one that was deleted, one
// that was never written, or, for a moment, one that is about to be. Like Sweep it
// looks once more for each.
func Orphans(ctx context.Context, st Store) (keys []string, err error) {
	objects, err := st.List(ctx, prefix)
	if err != nil {
		return nil, fmt.Errorf("listing backups: %w", err)
	}
	for _, o := range objects {
		if !isOrphan(o.Key, objects) {
			continue
		}
		_, err := st.Read(ctx, manifestOf(o.Key))
		switch {
		case errors.Is(err, store.ErrNotFound):
			keys = append(keys, o.Key)
		case err != nil:
			return nil, fmt.Errorf("looking for the manifest of %s: %w", o.Key, err)
		}
	}
	return keys, nil
}

// sweepOne looks once more for the manifest: a listing may lag, a read does not.
func sweepOne(ctx context.Context, st Store, object string) error {
	_, err := st.Read(ctx, manifestOf(object))
	switch {
	case err == nil:
		return errors.New("its manifest is there after all")
	case !errors.Is(err, store.ErrNotFound):
		return err
	}
	return st.Delete(ctx, object)
}
