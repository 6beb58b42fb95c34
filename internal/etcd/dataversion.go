package etcd

import (
	"errors"
	"fmt"
	"io/fs"

	bolt "go.etcd.io/bbolt"
)

// DataVersion is what a stopped etcd's database says: which minor the cluster
// had agreed on, and of which minor its own format is (etcd tells since 3.6).
// Both may be zero: not told. No database is none told.
func DataVersion(etcdDir string) (agreed, format Version, err error) {
	err = inDatabase(dbFile(etcdDir), func(tx *bolt.Tx) error {
		var errs []error
		for _, f := range []struct {
			into        *Version
			bucket, key string
		}{{&agreed, "cluster", "clusterVersion"}, {&format, "meta", "storageVersion"}} {
			b := tx.Bucket([]byte(f.bucket))
			if b == nil {
				continue
			}
			if text := b.Get([]byte(f.key)); len(text) > 0 {
				v, err := ParseVersion(string(text))
				*f.into, errs = v, append(errs, err)
			}
		}
		return errors.Join(errs...)
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return agreed, format, fmt.Errorf("reading of which version the data is: %w", err)
	}
	return agreed, format, nil
}
