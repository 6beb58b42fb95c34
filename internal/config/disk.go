package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// creatable says why dir could not be used or made, without making it: the
// nearest directory that exists must be writable for this process.
func creatable(dir string) error { return creatableBy(dir, writable) }

func writable(dir string) error {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err == nil && (fs.Type == unix.PROC_SUPER_MAGIC || fs.Type == unix.SYSFS_MAGIC) {
		return errors.New("it is the kernel's") // who lets root think that it may
	}
	return unix.Access(dir, unix.W_OK|unix.X_OK)
}

func creatableBy(dir string, writable func(string) error) error {
	switch {
	case dir == "":
		return errors.New("empty")
	case !filepath.IsAbs(dir):
		return fmt.Errorf("%s: want an absolute path", dir)
	}
	for at := filepath.Clean(dir); ; at = filepath.Dir(at) {
		info, err := os.Stat(at)
		switch {
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ENOTDIR):
			if _, err := os.Lstat(at); err == nil {
				return fmt.Errorf("%s is a link to nothing", at)
			}
			continue // the root exists, so this ends
		case err != nil:
			return err
		case !info.IsDir():
			return fmt.Errorf("%s is not a directory", at)
		}
		if err := writable(at); err != nil {
			return fmt.Errorf("%s is not writable: %w", at, err)
		}
		return nil
	}
}
