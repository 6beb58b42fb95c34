package etcd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// BuiltInSpec names, as --etcd, the etcd inside this executable.
const BuiltInSpec = "built-in"

// Candidate is one etcd that could be started.
type Candidate struct {
	Version Version
	Binary  Binary
}

// Command is what runs it, before etcd's own flags.
func (c Candidate) Command() []string {
	return append([]string{c.Binary.Path}, c.Binary.Prefix...)
}

// Unfit is an etcd that cannot be: it does not run, or does not know a flag
// that it would be given.
type Unfit struct {
	Path    string
	Version Version // zero: it does not say
	Err     error   // names the version and each flag
}

// Offers are the etcds that --etcd names: the one built in, a path, a URL, or a
// directory of versions. Each is asked for its version and whether it takes the
// operator's flags. Safe for concurrent use.
type Offers struct {
	spec, dataDir string
	passThrough   []string

	mu     sync.Mutex
	asked  map[string]answer // by path
	usable []Candidate       // oldest first
	unfit  []Unfit           // by path
}

// answer is what a binary said while its file was as it was.
type answer struct {
	file    fileMark
	version Version
	err     error
	again   bool // it may have been a moment's trouble
}

// fileMark tells a file from what replaces it.
type fileMark struct {
	size    int64
	changed time.Time
	inode   uint64
}

// OpenOffers finds the etcds that spec names; a URL is fetched below dataDir
// once. Not finding one that can run is an error that says why of each; in a
// directory of versions others may be unfit.
func OpenOffers(ctx context.Context, spec, dataDir string, passThrough []string) (*Offers, error) {
	o := &Offers{spec: spec, dataDir: dataDir, passThrough: passThrough, asked: map[string]answer{}}
	if err := o.Refresh(ctx); err != nil {
		return nil, err
	}
	return o, nil
}

// All are the etcds that can be started, oldest first.
func (o *Offers) All() []Candidate {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.usable)
}

// Versions are those of All.
func (o *Offers) Versions() []Version {
	var all []Version
	for _, c := range o.All() {
		all = append(all, c.Version)
	}
	return all
}

// Unfit are the others.
func (o *Offers) Unfit() []Unfit {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.unfit)
}

// Exact is the etcd of that very version.
func (o *Offers) Exact(v Version) (Candidate, bool) {
	for _, c := range o.All() {
		if c.Version == v {
			return c, true
		}
	}
	return Candidate{}, false
}

// OfMinor is the newest of the version's minor.
func (o *Offers) OfMinor(v Version) (Candidate, bool) {
	for _, c := range slices.Backward(o.All()) {
		if c.Version.SameMinor(v) {
			return c, true
		}
	}
	return Candidate{}, false
}

// Newest is the newest that can be started.
func (o *Offers) Newest() Candidate {
	all := o.All()
	return all[len(all)-1]
}

// Refresh looks again: a version may have been added to the directory, or a
// binary replaced. Only what has changed is run. After an error everything
// stands as it was found last.
func (o *Offers) Refresh(ctx context.Context) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	binaries, err := o.binaries(ctx)
	if err != nil {
		return err
	}
	asked := map[string]answer{}
	var usable []Candidate
	var unfit []Unfit
	var problems []error
	for _, b := range binaries {
		a := o.ask(ctx, b)
		asked[b.Path] = a
		if a.err == nil {
			usable = append(usable, Candidate{a.version, b})
			continue
		}
		unfit, problems = append(unfit, Unfit{b.Path, a.version, a.err}), append(problems, a.err)
	}
	if len(usable) == 0 {
		return errors.Join(problems...)
	}
	slices.SortStableFunc(usable, olderFirst)
	o.asked, o.unfit = asked, unfit
	o.usable = slices.CompactFunc(usable, func(a, b Candidate) bool { return a.Version == b.Version })
	return nil
}

func olderFirst(a, b Candidate) int {
	switch {
	case a.Version.Less(b.Version):
		return -1
	case b.Version.Less(a.Version):
		return 1
	}
	return 0
}

func markOf(path string) (fileMark, error) {
	info, err := os.Stat(path)
	if err != nil {
		return fileMark{}, err
	}
	m := fileMark{size: info.Size(), changed: info.ModTime()}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		m.inode = st.Ino
	}
	return m, nil
}

// ask runs a binary, unless it is the file that has answered before.
func (o *Offers) ask(ctx context.Context, b Binary) answer {
	file, err := markOf(b.Path)
	if err != nil {
		return answer{err: fmt.Errorf("etcd: %w", err), again: true}
	}
	if a, ok := o.asked[b.Path]; ok && a.file == file && !a.again {
		return a
	}
	v, err := b.Check(ctx, nil)
	if err != nil {
		return answer{err: fmt.Errorf("etcd: %w", err), again: true}
	}
	a := answer{file: file, version: v}
	if _, err := b.Check(ctx, o.passThrough); err != nil {
		a.err = withKey("etcd-flags", err)
	}
	return a
}

// withKey begins each part of an error with the key that it is about.
func withKey(key string, err error) error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return fmt.Errorf("%s: %w", key, err)
	}
	var parts []error
	for _, part := range joined.Unwrap() {
		parts = append(parts, fmt.Errorf("%s: %w", key, part))
	}
	return errors.Join(parts...)
}

// binaries are the files that the spec names, in a stable order.
func (o *Offers) binaries(ctx context.Context) ([]Binary, error) {
	if o.spec == BuiltInSpec {
		b, err := BuiltIn()
		if err != nil {
			return nil, fmt.Errorf("etcd: %w", err)
		}
		return []Binary{b}, nil
	}
	if IsURL(o.spec) {
		path, err := fetched(ctx, o.spec, filepath.Join(o.dataDir, fetchedDir))
		if err != nil {
			return nil, fmt.Errorf("etcd: %w", err)
		}
		return []Binary{{Path: path}}, nil
	}
	info, err := os.Stat(o.spec)
	switch {
	case err != nil:
		return nil, fmt.Errorf("etcd: %w", err)
	case !info.IsDir():
		return []Binary{{Path: o.spec}}, nil
	}
	return inDirectory(o.spec)
}

// inDirectory are the etcds of a directory of versions: etcd in each directory
// below it. What the directories are called is for people.
func inDirectory(dir string) ([]Binary, error) {
	entries, err := os.ReadDir(dir) // sorted by name
	if err != nil {
		return nil, fmt.Errorf("etcd: %w", err)
	}
	var all []Binary
	for _, e := range entries {
		path := filepath.Join(dir, e.Name(), "etcd")
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			all = append(all, Binary{Path: path})
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("etcd: %s is a directory without a VERSION%cetcd in it: %w", dir, filepath.Separator, fs.ErrNotExist)
	}
	return all, nil
}

// IsURL says that --etcd is to be fetched.
func IsURL(spec string) bool {
	return strings.HasPrefix(spec, "https://") || strings.HasPrefix(spec, "http://")
}
