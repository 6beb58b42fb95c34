package backup

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.etcd.io/bbolt"
	"go.etcd.io/etcd/etcdutl/v3/snapshot"
	"go.etcd.io/etcd/server/v3/etcdserver/api/snap"
	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.etcd.io/etcd/server/v3/storage/wal/walpb"
	"go.uber.org/zap"
)

// contents is every record of a database; the database must be sound.
func contents(t *testing.T, name string) map[string]string {
	t.Helper()
	db, err := bbolt.Open(name, 0o600, &bbolt.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	all := map[string]string{}
	err = db.View(func(tx *bbolt.Tx) error {
		for err := range tx.Check() {
			t.Errorf("%s: %v", name, err)
		}
		return tx.ForEach(func(bucket []byte, b *bbolt.Bucket) error {
			all[string(bucket)] = "is there"
			return b.ForEach(func(k, v []byte) error {
				all[fmt.Sprintf("%s/%x", bucket, k)] = fmt.Sprintf("%x", v)
				return nil
			})
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// walOf is all that a data directory's log says.
func walOf(t *testing.T, dataDir string) string {
	t.Helper()
	dir := filepath.Join(dataDir, "member", "wal")
	snaps, err := wal.ValidSnapshotEntries(zap.NewNop(), dir)
	if err != nil {
		t.Fatal(err)
	}
	w, err := wal.Open(zap.NewNop(), dir, &walpb.Snapshot{})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	meta, state, entries, err := w.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x %v %v %v", meta, state, entries, snaps)
}

// snapOf is what the raft snapshot says, but for the numbers in its copy of the
// members, which etcd gives in the order of a map.
func snapOf(t *testing.T, dataDir string) string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dataDir, "member", "snap", "*.snap"))
	if err != nil || len(names) != 1 {
		t.Fatal(names, err)
	}
	s, err := snap.Read(zap.NewNop(), names[0])
	if err != nil {
		t.Fatal(err)
	}
	members, _, _ := strings.Cut(string(s.Data), `"WatcherHub"`) // a history in the order of a map
	return fmt.Sprintf("%s %v %s", filepath.Base(names[0]), s.Metadata, indexes.ReplaceAllString(members, ""))
}

var indexes = regexp.MustCompile(`"(Created|Modified)Index":\d+`)

// What we build in one pass is what etcdutl builds in several, byte by byte of
// every record.
func TestARestoreIsEtcdutls(t *testing.T) {
	root, _, _ := source(t)
	st := newStore(t)
	taken := mustTake(t, st, liveSource{root}, metaAt(1, testNow))
	nodes := []*node{{name: "a", peer: "http://127.0.0.81:1"}, {name: "b", peer: "http://127.0.0.82:1"}, {name: "c", peer: "http://127.0.0.83:1"}}
	for _, bump := range []uint64{0, testBump} {
		t.Run(fmt.Sprint("bump ", bump), func(t *testing.T) {
			base := t.TempDir()
			nodes[1].dir = filepath.Join(base, "ours")
			into := nodes[1].target(nodes)
			into.Bump = bump
			if err := Restore(t.Context(), st, taken, into); err != nil {
				t.Fatal(err)
			}
			db := filepath.Join(base, "db")
			if err := download(t.Context(), st, taken, db, nil); err != nil {
				t.Fatal(err)
			}
			theirs := filepath.Join(base, "theirs")
			err := snapshot.NewV3(zap.NewNop()).Restore(snapshot.RestoreConfig{SnapshotPath: db, Name: into.Name, OutputDataDir: theirs,
				PeerURLs: []string{into.PeerURL}, InitialCluster: into.InitialCluster, InitialClusterToken: into.Token,
				SkipHashCheck: true, RevisionBump: bump, MarkCompacted: bump > 0})
			if err != nil {
				t.Fatal(err)
			}
			sameDirectories(t, into.DataDir, theirs)
		})
	}
}

func sameDirectories(t *testing.T, ours, theirs string) {
	t.Helper()
	got, want := contents(t, dbOf(ours)), contents(t, dbOf(theirs))
	if !maps.Equal(got, want) {
		t.Errorf("the databases differ:%s", difference(got, want))
	}
	if got, want := walOf(t, ours), walOf(t, theirs); got != want {
		t.Errorf("the log is\n%s, etcdutl's\n%s", got, want)
	}
	if got, want := snapOf(t, ours), snapOf(t, theirs); got != want {
		t.Errorf("the raft snapshot says\n%s, etcdutl's\n%s", got, want)
	}
}

func difference(got, want map[string]string) string {
	var all strings.Builder
	for k, v := range want {
		if got[k] != v {
			fmt.Fprintf(&all, "\n%s is %q, etcdutl's %q", k, got[k], v)
		}
	}
	for k, v := range got {
		if _, ok := want[k]; !ok {
			fmt.Fprintf(&all, "\n%s is %q, etcdutl has none", k, v)
		}
	}
	return all.String()
}

// A database that stores its free pages keeps them; one that does not is given
// an empty list and stays sound.
func TestFreelist(t *testing.T) {
	for name, synced := range map[string]bool{"stored": true, "not stored": false} {
		t.Run(name, func(t *testing.T) {
			db := filepath.Join(t.TempDir(), "db")
			fillDatabase(t, db, !synced)
			before := contents(t, db)
			if err := withEmptyFreelist(db); err != nil {
				t.Fatal(err)
			}
			b, err := bbolt.Open(db, 0o600, &bbolt.Options{NoFreelistSync: true})
			if err != nil {
				t.Fatal(err)
			}
			if free := b.Stats().FreePageN; (free > 0) != synced {
				t.Errorf("%d free pages are known", free)
			}
			err = b.Update(func(tx *bbolt.Tx) error { return tx.Bucket([]byte("b")).Put([]byte("new"), []byte("x")) })
			if err := b.Close(); err != nil {
				t.Error(err)
			}
			if err != nil {
				t.Fatal(err)
			}
			before["b/"+fmt.Sprintf("%x", "new")] = fmt.Sprintf("%x", "x")
			if after := contents(t, db); !maps.Equal(after, before) {
				t.Errorf("the database has become another:%s", difference(after, before))
			}
		})
	}
}

// fillDatabase makes a database in which pages are free.
func fillDatabase(t *testing.T, name string, noFreelistSync bool) {
	t.Helper()
	b, err := bbolt.Open(name, 0o600, &bbolt.Options{NoFreelistSync: noFreelistSync})
	if err != nil {
		t.Fatal(err)
	}
	for round := range 5 {
		err = b.Update(func(tx *bbolt.Tx) error {
			bucket, err := tx.CreateBucketIfNotExists([]byte("b"))
			for i := 0; i < 2000 && err == nil; i++ {
				err = bucket.Put(fmt.Appendf(nil, "%05d", i), bytes.Repeat([]byte{byte(round)}, 100))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
}

// What is no database is refused, whatever it looks like.
func TestFreelistRefuses(t *testing.T) {
	good := filepath.Join(t.TempDir(), "good")
	fillDatabase(t, good, true)
	whole, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	spoilt := func(at int) []byte {
		b := bytes.Clone(whole)
		b[at] ^= 1
		return b
	}
	for name, data := range map[string][]byte{
		"empty": nil, "short": whole[:40], "no magic": spoilt(pageHeader), "another version": spoilt(pageHeader + 4),
		"a bad checksum": spoilt(pageHeader + 30), "a bad second head": spoilt(os.Getpagesize() + pageHeader + 20),
	} {
		t.Run(name, func(t *testing.T) {
			db := filepath.Join(t.TempDir(), "db")
			if err := os.WriteFile(db, data, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := withEmptyFreelist(db); err == nil {
				t.Error("taken for a database")
			}
			if now, err := os.ReadFile(db); err != nil || !bytes.Equal(now, data) {
				t.Error("it was changed", err)
			}
		})
	}
}
