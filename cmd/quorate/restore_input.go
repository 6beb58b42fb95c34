package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"go.etcd.io/etcd/client/pkg/v3/types"
	"golang.org/x/sys/unix"
)

// membersOf reads --initial-cluster. A password in it is refused, and never said:
// so is everything that etcd says of such a text.
func membersOf(text string) (types.URLsMap, error) {
	if strings.Contains(text, "@") {
		return nil, errors.New("a URL has a user or a password: want NAME=URL,… without")
	}
	members, err := types.NewURLsMap(text)
	if err != nil {
		return nil, err
	}
	taken := map[string]string{}
	for name, urls := range members {
		for _, u := range urls {
			if err := portOf(u); err != nil {
				return nil, err
			}
			if other, found := taken[u.String()]; found {
				return nil, fmt.Errorf("%s is given to %s and to %s: want a URL of its own for each", u.String(), min(name, other), max(name, other))
			}
			taken[u.String()] = name
		}
	}
	return members, namesOf(members)
}

func portOf(u url.URL) error {
	if n, err := strconv.Atoi(u.Port()); u.Port() != "" && (err != nil || n < 1 || n > 65535) {
		return fmt.Errorf("%s: port %s: want 1 to 65535", u.String(), u.Port())
	}
	return nil
}

// namesOf refuses names that cannot be a directory's.
func namesOf(members types.URLsMap) error {
	if len(members) == 0 {
		return errors.New("names no member: want NAME=URL,…")
	}
	for name := range members {
		if name != filepath.Base(name) || name == "." || name == ".." || name == unfinished {
			return fmt.Errorf("%q cannot be a directory's name", name)
		}
	}
	return nil
}

// etcdThere looks whether there is what --etcd names, and no more: it is run, or
// fetched, only for a log that needs it.
func etcdThere(spec string) error {
	switch {
	case spec == "":
		return errors.New("empty: want built-in, a path, a directory of versions or a URL")
	case spec == "built-in", strings.Contains(spec, "://"):
		return nil
	}
	_, err := os.Stat(spec)
	if !strings.Contains(spec, "/") && err != nil {
		_, err = exec.LookPath(spec)
	}
	return err
}

// empty refuses a directory that holds anything, but for what a run of ours that
// was killed has left.
func empty(dir string) error {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	}
	for _, e := range entries {
		if e.Name() != unfinished {
			return fmt.Errorf("%s is not empty: want a directory to make, nothing is ever written over", dir)
		}
	}
	return nil
}

// makeable says why dir cannot be made, without making it: the nearest directory
// that exists must be writable.
func makeable(dir string) error {
	at, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	for !exist(at) {
		at = filepath.Dir(at) // the root exists
	}
	info, err := os.Stat(at)
	switch {
	case err != nil:
		return err
	case !info.IsDir():
		return fmt.Errorf("%s is not a directory", at)
	}
	var of unix.Statfs_t
	if err := unix.Statfs(at, &of); err == nil && (of.Type == unix.PROC_SUPER_MAGIC || of.Type == unix.SYSFS_MAGIC) {
		return fmt.Errorf("%s is not writable: it is the kernel's", at) // who lets root think that it may
	}
	if err := unix.Access(at, unix.W_OK|unix.X_OK); err != nil {
		return fmt.Errorf("%s is not writable: %w", at, err)
	}
	return nil
}

// exist is true of a link to nothing, too: nothing can be made in its place.
func exist(name string) bool {
	_, err := os.Lstat(name)
	return err == nil
}
