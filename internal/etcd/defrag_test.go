package etcd

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	bolt "go.etcd.io/bbolt"
	"golang.org/x/sys/unix"
)

// holes is a database of which most has been deleted; it returns what is left.
func holes(t *testing.T, dir string) map[string]string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(dbFile(dir)), 0o700); err != nil {
		t.Fatal(err)
	}
	db, err := bolt.Open(dbFile(dir), 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	left := map[string]string{}
	err = db.Update(func(tx *bolt.Tx) error {
		b, err := tx.CreateBucket([]byte("key"))
		for i := range 2000 {
			err = errors.Join(err, b.Put(fmt.Appendf(nil, "%04d", i), bytes.Repeat([]byte{byte(i)}, 4<<10)))
		}
		return err
	})
	if err == nil {
		err = db.Update(func(tx *bolt.Tx) (err error) {
			b := tx.Bucket([]byte("key"))
			for i := range 2000 {
				if k := fmt.Appendf(nil, "%04d", i); i%10 == 0 {
					left[string(k)] = string(b.Get(k))
				} else {
					err = errors.Join(err, b.Delete(k))
				}
			}
			return err
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	return left
}

func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	got := map[string]string{}
	err := inDatabase(dbFile(dir), func(tx *bolt.Tx) error {
		return tx.Bucket([]byte("key")).ForEach(func(k, v []byte) error { got[string(k)] = string(v); return nil })
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func same(a, b map[string]string) bool {
	for k, v := range a {
		if b[k] != v {
			return false
		}
	}
	return len(a) == len(b)
}

func nobody(int64, int64) {}

// TestDefragmentData: the file shrinks, and holds what it held; a copy that a
// crash has left is no obstacle, and none stays.
func TestDefragmentData(t *testing.T) {
	dir := t.TempDir()
	want := holes(t, dir)
	left := filepath.Join(filepath.Dir(dbFile(dir)), defragTmp)
	if err := os.WriteFile(left, []byte("half of it"), 0o600); err != nil {
		t.Fatal(err)
	}
	d, err := DefragmentData(dir, nobody)
	if err != nil {
		t.Fatal(err)
	}
	if d.After*4 > d.Before {
		t.Errorf("%d bytes of %d", d.After, d.Before)
	}
	if !same(contents(t, dir), want) {
		t.Error("it does not hold what it held")
	}
	if _, err := os.Stat(left); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the copy is there: %v", err)
	}
}

// TestDefragmentDataRefuses: a damaged database, one that is in use, and a disk
// without room stay as they are.
func TestDefragmentDataRefuses(t *testing.T) {
	dir := t.TempDir()
	holes(t, dir)
	whole, err := os.ReadFile(dbFile(dir))
	if err != nil {
		t.Fatal(err)
	}
	db, err := bolt.Open(dbFile(dir), 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := DefragmentData(dir, nobody); err == nil {
		t.Error("it was defragmented in use")
	}
	db.Close()
	damaged := bytes.Clone(whole)
	for i := len(damaged) / 4; i < len(damaged); i++ {
		damaged[i] = 0xff
	}
	if err := os.WriteFile(dbFile(dir), damaged, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := DefragmentData(dir, nobody); err == nil {
		t.Error("a damaged one was defragmented")
	}
	if now, _ := os.ReadFile(dbFile(dir)); !bytes.Equal(now, damaged) {
		t.Error("it was changed")
	}
	if err := os.WriteFile(dbFile(dir), whole, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(dbFile(dir), 1<<43); err != nil { // a file with a hole, larger than what the disk has free
		t.Fatal(err)
	}
	if _, err := DefragmentData(dir, nobody); err == nil || !strings.Contains(err.Error(), "bytes free, and the copy may need") {
		t.Errorf("there is room for everything: %v", err)
	}
	if left, err := os.Stat(filepath.Join(filepath.Dir(dbFile(dir)), defragTmp)); err == nil {
		t.Errorf("a copy of %d bytes is left", left.Size())
	}
}

// TestLetGo: a file without a name gives its room back; one that has a name yet, or
// that somebody reads, keeps every byte.
func TestLetGo(t *testing.T) {
	const size = letGoPart + letGoPart/2
	for name, c := range map[string]struct {
		before func(path string) error
		left   int64
	}{
		"nobody has it": {func(path string) error { return os.Remove(path) }, 0},
		"another name": {func(path string) error {
			return errors.Join(os.Link(path, path+"2"), os.Remove(path))
		}, size},
		"its name": {func(string) error { return nil }, size},
		"a reader": {func(path string) error {
			reader, err := os.Open(path)
			if err == nil {
				t.Cleanup(func() { reader.Close() })
				err = unix.Flock(int(reader.Fd()), unix.LOCK_SH)
			}
			return errors.Join(err, os.Remove(path))
		}, size},
	} {
		f, err := os.Create(filepath.Join(t.TempDir(), "db"))
		if err == nil {
			defer f.Close()
			err = errors.Join(f.Truncate(size), c.before(f.Name()))
		}
		if err != nil {
			t.Fatal(err)
		}
		letGo(f)
		if info, err := f.Stat(); err != nil || info.Size() != c.left {
			t.Errorf("%s: %d bytes are left, want %d: %v", name, info.Size(), c.left, err)
		}
	}
}
