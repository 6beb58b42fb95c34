package backup

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"go.etcd.io/bbolt"
	"go.etcd.io/etcd/etcdutl/v3/snapshot"
	"go.etcd.io/etcd/server/v3/storage/mvcc"
	"go.etcd.io/etcd/server/v3/storage/schema"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// plant builds the data directory of a member of the new cluster around an
// empty database: its log, its raft snapshot, its membership, all by etcdutl's
// own restore. graft then puts the real database in. So the bulk is written
// once and opened once, where etcdutl copies it and opens it four times.
func plant(into Target) (err error) {
	defer func() {
		if p := recover(); p != nil { // etcd's way to say that it cannot
			err = fmt.Errorf("etcd gave up: %v", p)
		}
	}()
	empty := into.DataDir + ".empty"
	defer os.Remove(empty)
	if err := emptyDatabase(empty); err != nil {
		return err
	}
	lg := zap.NewNop().WithOptions(zap.WithFatalHook(zapcore.WriteThenPanic))
	return snapshot.NewV3(lg).Restore(snapshot.RestoreConfig{
		SnapshotPath:        empty,
		Name:                into.Name,
		OutputDataDir:       into.DataDir,
		PeerURLs:            strings.Split(into.PeerURL, ","),
		InitialCluster:      into.InitialCluster,
		InitialClusterToken: into.Token,
		SkipHashCheck:       true,
	})
}

// emptyDatabase makes a database with the buckets that a restore writes into.
func emptyDatabase(name string) error {
	db, err := bbolt.Open(name, 0o600, &bbolt.Options{NoFreelistSync: true, NoSync: true})
	if err != nil {
		return err
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		for _, bucket := range [][]byte{schema.Members.Name(), schema.MembersRemoved.Name(), schema.Meta.Name()} {
			if _, err := tx.CreateBucket(bucket); err != nil {
				return err
			}
		}
		return nil
	})
	return errors.Join(err, db.Close())
}

// graft makes db, a whole database of another cluster, the planted directory's
// own. Both are on one file system. What it takes over from the planted
// database is what etcdutl would have written into a copy: the members and the
// consistent index of the new log. A bump raises the revision and marks all up
// to there compacted. A crash leaves the directory unfit to start, and the
// caller's rename undone.
func graft(db string, into Target) (err error) {
	defer func() {
		if p := recover(); p != nil { // bbolt's way to say that a page is bad
			err = fmt.Errorf("etcd's database gave up: %v", p)
		}
	}()
	own := dbOf(into.DataDir)
	planted, err := bbolt.Open(own, 0o600, &bbolt.Options{ReadOnly: true})
	if err != nil {
		return err
	}
	defer planted.Close()
	if err := withEmptyFreelist(db); err != nil {
		return err
	}
	b, err := bbolt.Open(db, 0o600, &bbolt.Options{NoFreelistSync: true})
	if err != nil {
		return err
	}
	err = planted.View(func(from *bbolt.Tx) error {
		return b.Update(func(to *bbolt.Tx) error { return adopt(from, to, into.Bump) })
	})
	if err := errors.Join(err, b.Close()); err != nil { // the commit has synced all of it
		return err
	}
	return os.Rename(db, own)
}

func dbOf(dataDir string) string { return filepath.Join(dataDir, "member", "snap", "db") }

func adopt(from, to *bbolt.Tx, bump uint64) error {
	for _, bucket := range [][]byte{schema.Members.Name(), schema.MembersRemoved.Name()} {
		if err := replaceBucket(from, to, bucket); err != nil {
			return fmt.Errorf("replacing %s: %w", bucket, err)
		}
	}
	meta := to.Bucket(schema.Meta.Name())
	if meta == nil {
		return errors.New("the database has no meta bucket: no etcd has written it")
	}
	for _, key := range [][]byte{schema.MetaConsistentIndexKeyName, schema.MetaTermKeyName} {
		if err := meta.Put(key, from.Bucket(schema.Meta.Name()).Get(key)); err != nil {
			return err
		}
	}
	if bump == 0 {
		return nil
	}
	return raise(to, meta, int64(bump))
}

func replaceBucket(from, to *bbolt.Tx, name []byte) error {
	if to.Bucket(name) != nil {
		if err := to.DeleteBucket(name); err != nil {
			return err
		}
	}
	b, err := to.CreateBucket(name)
	if err != nil {
		return err
	}
	return from.Bucket(name).ForEach(b.Put)
}

// raise adds to the newest revision by an empty record far above it, as
// etcdutl does. The keys are revisions in order, so the last is the newest.
func raise(to *bbolt.Tx, meta *bbolt.Bucket, bump int64) error {
	keys := to.Bucket(schema.Key.Name())
	if keys == nil {
		return errors.New("the database has no key bucket: no etcd has written it")
	}
	var newest int64
	if last, _ := keys.Cursor().Last(); last != nil {
		newest = mvcc.BytesToRev(last).Main
	}
	to64 := mvcc.RevToBytes(mvcc.Revision{Main: newest + bump}, mvcc.NewRevBytes())
	if err := keys.Put(to64, []byte{}); err != nil {
		return err
	}
	return meta.Put(schema.ScheduledCompactKeyName, to64)
}
