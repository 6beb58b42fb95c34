package raftlog

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// maxHeld is how many segments are held open: etcd may purge what is not read
// yet, and an open file stays readable. It bounds the disk that is kept from
// being freed, at 64 MB a segment.
const maxHeld = 8

// name is a segment's: its number, and the index that was to come next when
// it was begun.
type name struct {
	file       string
	seq, index uint64
}

// list is the log's segments by number. Files of other names are not segments:
// etcd prepares the next one under a temporary name.
func list(dir string) ([]name, error) {
	entries, err := os.ReadDir(dir) // sorted by name, that is, by number
	if err != nil {
		return nil, err
	}
	var names []name
	for _, e := range entries {
		n := name{file: e.Name()}
		if !strings.HasSuffix(n.file, ".wal") {
			continue
		}
		if _, err := fmt.Sscanf(n.file, "%016x-%016x.wal", &n.seq, &n.index); err != nil {
			return nil, fmt.Errorf("the file %q is no segment", n.file)
		}
		names = append(names, n)
	}
	return names, nil
}

// segment is an open file of the log.
type segment struct {
	name
	*os.File
}

// files are the segments from the one being read on, each held open.
type files struct {
	dir  string
	held []segment // held[0] is being read
}

// refresh opens what has come since: before the current segment is read to its
// end, so that it is known to be complete when another one follows.
func (f *files) refresh() error {
	names, err := list(f.dir)
	if err != nil {
		return err
	}
	if err := f.sameLog(names); err != nil {
		return err
	}
	for _, n := range names {
		last := f.held[len(f.held)-1].seq
		if n.seq <= last || len(f.held) >= maxHeld {
			continue
		}
		if n.seq != last+1 {
			return fmt.Errorf("%w: segment %d has been purged", ErrGap, last+1)
		}
		if err := f.open(n); err != nil {
			return err
		}
	}
	return nil
}

func (f *files) open(n name) error {
	file, err := os.Open(filepath.Join(f.dir, n.file))
	if os.IsNotExist(err) {
		return fmt.Errorf("%w: %s has been purged", ErrGap, n.file)
	}
	if err != nil {
		return err
	}
	f.held = append(f.held, segment{n, file})
	return nil
}

// sameLog says whether the directory still is the log that is being read: the
// newest file held is there, or has been purged.
func (f *files) sameLog(names []name) error {
	newest := f.held[len(f.held)-1]
	for _, n := range names {
		if n.file != newest.file {
			continue
		}
		now, err := os.Stat(filepath.Join(f.dir, n.file))
		if err != nil {
			return err
		}
		if was, err := newest.Stat(); err != nil || !os.SameFile(was, now) {
			return fmt.Errorf("%w: %s is another file now", ErrGap, n.file)
		}
		return nil
	}
	if len(names) == 0 || names[len(names)-1].seq < newest.seq {
		return fmt.Errorf("%w: the log in %s is another one now", ErrGap, f.dir)
	}
	return nil
}

// more says that another segment follows the current one, which is complete.
func (f *files) more() bool { return len(f.held) > 1 }

func (f *files) move() {
	f.held[0].Close()
	f.held = f.held[1:]
}

func (f *files) close() {
	for _, s := range f.held {
		s.Close()
	}
	f.held = nil
}
