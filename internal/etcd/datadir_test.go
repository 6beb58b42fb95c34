package etcd

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/quorate/quorate/internal/cluster"
)

// What is neither data nor certainly nothing waits, with a reason.
func TestReadDiskWithoutEtcd(t *testing.T) {
	cases := map[string]struct {
		make  func(t *testing.T, dir string)
		state cluster.DiskState
		says  string // in Detail
	}{
		"nothing at all":           {func(*testing.T, string) {}, cluster.DiskEmpty, ""},
		"an empty directory":       {mkdir("etcd"), cluster.DiskEmpty, ""},
		"an empty member":          {mkdir("etcd/member/snap"), cluster.DiskEmpty, ""},
		"a stamp alone":            {file("etcd/quorate.json", `{"epoch":1}`), cluster.DiskEmpty, ""},
		"a log not yet renamed":    {file("etcd/member/wal.tmp/0000000000000000-0000000000000000.wal", "x"), cluster.DiskEmpty, ""},
		"a database of no bytes":   {file("etcd/member/snap/db", ""), cluster.DiskEmpty, ""},
		"a database alone":         {file("etcd/member/snap/db", "something"), cluster.DiskUnread, "no log, but a database"},
		"a snapshot alone":         {file("etcd/member/snap/1-2.snap", "x"), cluster.DiskUnread, "no log, but the snapshot"},
		"a log of zeros":           {file("etcd/member/wal/0000000000000000-0000000000000000.wal", strings.Repeat("\x00", 4096)), cluster.DiskUnread, "no metadata"},
		"a log of rubbish":         {file("etcd/member/wal/0000000000000000-0000000000000000.wal", strings.Repeat("rubbish ", 4096)), cluster.DiskUnread, "no metadata"},
		"a log of another name":    {file("etcd/member/wal/x.wal", "x"), cluster.DiskUnread, "file names"},
		"a log with a gap":         {gap, cluster.DiskUnread, "follows"},
		"a file for a directory":   {file("etcd", "x"), cluster.DiskUnread, "not a directory"},
		"a file for the log":       {file("etcd/member/wal", "x"), cluster.DiskUnread, "not a directory"},
		"a disk that is not there": {link("etcd", "/nowhere/disk"), cluster.DiskUnread, "no such file"},
		"a log that is not there":  {link("etcd/member/wal", "/nowhere/disk"), cluster.DiskUnread, "no such file"},
		"a link in a circle":       {link("etcd", "etcd"), cluster.DiskUnread, "symbolic links"},
		"a broken stamp":           {file("etcd/quorate.json", "{"), cluster.DiskUnread, "quorate.json"},
		"a broken id":              {file("disk.json", "{"), cluster.DiskUnread, "disk.json"},
		"a broken list":            {file("spent.json", "{"), cluster.DiskUnread, "spent.json"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			c.make(t, dir)
			d := ReadDisk(dir, filepath.Join(dir, "etcd"))
			if d.State != c.state || !strings.Contains(d.Detail, c.says) || (c.says == "") != (d.Detail == "") {
				t.Errorf("state %q, detail %q; want %q, %q", d.State, d.Detail, c.state, c.says)
			}
		})
	}
}

func mkdir(path string) func(*testing.T, string) {
	return func(t *testing.T, dir string) { must(t, os.MkdirAll(filepath.Join(dir, path), 0o700)) }
}

func file(path, content string) func(*testing.T, string) {
	return func(t *testing.T, dir string) { write(t, filepath.Join(dir, path), content) }
}

func link(path, to string) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		must(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, path)), 0o700))
		must(t, os.Symlink(to, filepath.Join(dir, path)))
	}
}

func gap(t *testing.T, dir string) {
	for _, n := range []int{0, 2} {
		write(t, filepath.Join(dir, "etcd/member/wal", fmt.Sprintf("%016x-%016x.wal", n, n)), "x")
	}
}

// A start that never reached its cluster leaves a database and no log: that
// disk is empty, and etcd founds on it. One that has run is not.
func TestANewbornDatabaseIsEmpty(t *testing.T) {
	m := newMember(t, "a", "127.0.0.70")
	nobody := "b=" + hostURL("http", "127.0.0.70", freePort(t, "127.0.0.70"))
	m.start(Start{State: StateExisting, InitialCluster: m.initialCluster() + "," + nobody})
	<-m.proc.Done()
	mustExist(t, dbFile(m.cfg.DataDir), true)
	mustExist(t, walDir(m.cfg.DataDir), false)
	if d := m.disk(); d.State != cluster.DiskEmpty || d.Detail != "" {
		t.Errorf("after a start that failed: %+v", d)
	}
	m.found()
	m.stop() // not a crash: its database has then been written
	must(t, os.RemoveAll(walDir(m.cfg.DataDir)))
	if d := m.disk(); d.State != cluster.DiskUnread || !strings.Contains(d.Detail, "raft entries") {
		t.Errorf("data without its log: %+v", d)
	}
}

// A database with a bad page, or one that a full disk has cut short, is an error
// and not the end of the agent: etcd is to say itself what is wrong.
func TestRemovedOfADamagedDatabase(t *testing.T) {
	dir := t.TempDir()
	must(t, os.MkdirAll(filepath.Dir(dbFile(dir)), 0o700))
	db, err := bolt.Open(dbFile(dir), 0o600, nil)
	must(t, err)
	must(t, db.Update(func(tx *bolt.Tx) error {
		b, err := tx.CreateBucket([]byte("members_removed"))
		for i := range 3000 {
			err = errors.Join(err, b.Put([]byte(cluster.MemberID(i).String()), make([]byte, 100)))
		}
		return err
	}))
	must(t, db.Close())
	whole, err := os.ReadFile(dbFile(dir))
	must(t, err)
	if said, err := Removed(dir, 7); err != nil || !said {
		t.Errorf("the whole database: %v, %v", said, err)
	}
	const pages = 4 * 4096 // the two that begin it, and two more
	for name, damaged := range map[string][]byte{
		"bad pages": append(slices.Clone(whole[:pages]), bytes.Repeat([]byte{0xee}, len(whole)-pages)...),
		"cut short": whole[:pages],
	} {
		must(t, os.WriteFile(dbFile(dir), damaged, 0o600))
		if said, err := Removed(dir, 7); err == nil || said {
			t.Errorf("%s: %v, %v", name, said, err)
		}
	}
}

func TestReadDiskOnARunningEtcd(t *testing.T) {
	m := newMember(t, "a", "127.0.0.71")
	stamp := cluster.Stamp{Cluster: "c", Epoch: 3, Name: "a", Charter: cluster.Charter{Token: "t"}}
	must(t, WriteStamp(m.cfg.DataDir, stamp)) // and etcd starts beside our file
	id, err := EnsureDiskID(m.dir)
	must(t, err)
	must(t, MarkSpent(m.dir, "e3"))
	m.found()

	s := m.status()
	reader := NewDiskReader(m.dir, m.cfg.DataDir)
	d := reader.Read()
	want := cluster.Disk{
		State: cluster.DiskData, ID: id, Stamp: &stamp, Spent: []string{"e3"}, Detail: d.Detail,
		ClusterID: s.ClusterID, MemberID: s.MemberID, Term: s.Term, Index: d.Index,
	}
	if !reflect.DeepEqual(d, want) || d.Epoch() != 3 || d.Index < s.Applied {
		t.Errorf("ReadDisk: %+v\n   want: %+v, applied %d", d, want, s.Applied)
	}

	// The reader goes on where it stopped, and sees what a fresh one sees.
	for i := range 200 {
		m.put(fmt.Sprint("key", i), strings.Repeat("v", 1000))
		if i%20 != 0 {
			continue
		}
		if now := reader.Read(); now.State != cluster.DiskData || now.Index < d.Index {
			t.Fatalf("after %d puts: %+v; before: %+v", i, now, d)
		}
	}
	s = m.status()
	if now := reader.Read(); now.Index < s.Applied || reader.wal.at.offset < 200_000 {
		t.Errorf("the reader is at entry %d, byte %d; applied are %d", now.Index, reader.wal.at.offset, s.Applied)
	}
	m.crash()
	if again, fresh := reader.Read(), m.disk(); !reflect.DeepEqual(again, fresh) || fresh.Detail != "" || fresh.Index < s.Applied {
		t.Errorf("reading on: %+v\nfrom the start: %+v", again, fresh)
	}

	// The database gone, the log alone is not what etcd may start on.
	must(t, os.Rename(dbFile(m.cfg.DataDir), dbFile(m.cfg.DataDir)+".away"))
	if d := reader.Read(); d.State != cluster.DiskUnread || !strings.Contains(d.Detail, "no database") {
		t.Errorf("a log alone: %+v", d)
	}
	// Nothing there any more: the reader does not tell of what it once read.
	aside, err := SetAside(m.dir, m.cfg.DataDir, "epoch/3", time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	if err != nil || aside != filepath.Join(m.dir, "aside", "epoch_3-20260102T030405Z") {
		t.Errorf("SetAside: %q, %v", aside, err)
	}
	mustExist(t, walDir(aside), true)
	if d := reader.Read(); d.State != cluster.DiskEmpty || d.ID != id || !slices.Equal(d.Spent, []string{"e3"}) || d.Stamp != nil {
		t.Errorf("after SetAside: %+v", d)
	}
}

func TestSetAsideNeverOverwrites(t *testing.T) {
	dir, now := t.TempDir(), time.Now()
	etcdDir := filepath.Join(dir, "etcd")
	seen := map[string]bool{}
	for i := range 3 {
		write(t, filepath.Join(etcdDir, "f"), fmt.Sprint(i))
		to, err := SetAside(dir, etcdDir, "lost", now)
		must(t, err)
		if b, err := os.ReadFile(filepath.Join(to, "f")); err != nil || string(b) != fmt.Sprint(i) || seen[to] {
			t.Errorf("%s holds %q, %v; used before: %v", to, b, err, seen[to])
		}
		seen[to] = true
	}
	if _, err := SetAside(dir, etcdDir, "lost", now); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("setting nothing aside: %v", err)
	}
}

func TestDiskIDAndSpentIdentities(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", "by", "it")
	id, err := EnsureDiskID(dir)
	again, againErr := EnsureDiskID(dir)
	if err != nil || againErr != nil || id == "" || id != again {
		t.Errorf("EnsureDiskID: %q, %v, then %q, %v", id, err, again, againErr)
	}
	for _, identity := range []string{"e1", "8e9e05c52164694d", "e1"} {
		must(t, MarkSpent(dir, identity))
	}
	d := ReadDisk(dir, filepath.Join(dir, "etcd"))
	if d.ID != id || !slices.Equal(d.Spent, []string{"e1", "8e9e05c52164694d"}) || d.State != cluster.DiskEmpty {
		t.Errorf("ReadDisk: %+v", d)
	}
	write(t, filepath.Join(dir, spentFile), "{")
	if err := MarkSpent(dir, "e2"); err == nil {
		t.Error("a list that cannot be read was written over")
	}
	write(t, filepath.Join(dir, diskFile), "{}")
	if id, err := EnsureDiskID(dir); err == nil {
		t.Errorf("a file without an id gives %q", id)
	}
}
